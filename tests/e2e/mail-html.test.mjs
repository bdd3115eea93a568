// HTML mail of strangers: nothing in it runs, fetches, or leads anywhere by itself, in either browser; not through the whole of the
// page, and not with one of its two layers taken away.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds, launch, until, wait } from './lib/browser.mjs';
import { aimed, hostile } from './lib/hostile.mjs';
import { openStage, openTrap } from './lib/stage.mjs';

/** Milliseconds in which what a mail starts by itself has begun: a refresh of zero seconds, an animation, a picture. */
const QUIET_MS = 600;

/** A browser with a page, a trap, and what happened to them. */
async function scene(t, kind, options) {
  const [stage, trap] = await Promise.all([openStage(options), openTrap()]);
  t.after(() => Promise.all([stage.close(), trap.close()]));
  const browser = await launch(kind);
  t.after(() => browser.close());
  const page = await browser.page(stage.url);
  const told = [];
  page.on('dialog', (dialog) => {
    told.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.evaluate(() => {
    globalThis.told = [];
    addEventListener('message', (event) => event.data === 'ran' && globalThis.told.push(event.data));
  });
  /** Fails if anything of a mail has come about. */
  const nothing = async (name) => {
    await wait(QUIET_MS);
    assert.deepEqual(trap.seen.requests, [], `${name}: nothing was requested`);
    assert.deepEqual([...told, ...(await page.evaluate(() => globalThis.told))], [], `${name}: nothing ran`);
    assert.ok(page.url().startsWith(stage.url), `${name}: the page is where it was, not at ${page.url()}`);
    assert.equal((await browser.browser.pages()).filter((one) => !one.url().startsWith('about:') && one !== page).length, 0, `${name}: nothing was opened`);
  };
  return { stage, trap, page, browser: browser.browser, nothing };
}

for (const kind of kinds) {
  test(`hostile mails are shown and do nothing, in ${kind}`, async (t) => {
    const { trap, page, nothing } = await scene(t, kind);
    await until('the stage', () => page.evaluate(() => Boolean(window.stage && window.gyre)));
    await page.evaluate(async (mails) => {
      const { mailbox, node, from, idOf, person } = window.stage;
      await node.createKeys();
      await mailbox.create('Ada');
      const grace = person(idOf('b'), 'Grace');
      mailbox.people = [grace];
      for (const [thread, html] of mails) mailbox.put({ thread, from: from(grace), subject: thread, text: 'plain', html: `<p id="end">Shown: ${thread}</p>${html}` });
    }, Object.entries(hostile).map(([name, html]) => [name, aimed(html, trap.url)]));
    for (const name of Object.keys(hostile)) {
      await page.evaluate((thread) => { location.hash = `#/mail/inbox/${encodeURIComponent(thread)}`; }, name);
      const frame = await until(`the frame of ${name}`, async () => {
        const element = await page.$('iframe[data-testid="mail-html"]');
        return element && (await element.evaluate((found, thread) => found.srcdoc.includes(`Shown: ${thread}`), name)) ? element : null;
      });
      assert.equal(await frame.evaluate((found) => found.getAttribute('sandbox')), 'allow-popups allow-popups-to-escape-sandbox');
      assert.equal(await frame.evaluate((found) => found.contentDocument), null, 'the frame is of no origin of ours');
      await nothing(name);
    }
    assert.equal(trap.seen.connections, 0, 'nobody was even connected to');
  });

  test(`the sanitiser alone lets nothing through, in ${kind}`, async (t) => {
    const { trap, page, nothing } = await scene(t, kind, { entry: 'tests/e2e/lib/stage-html.mjs', policy: false });
    for (const [name, html] of Object.entries(hostile)) {
      const clean = await page.evaluate((dirty) => {
        const { html: made } = window.parts.sanitise(dirty);
        // A frame of this origin, with scripts and without a policy: whatever is left over would show.
        const frame = document.createElement('iframe');
        frame.srcdoc = made;
        document.body.replaceChildren(frame);
        return made;
      }, aimed(html, trap.url));
      assert.doesNotMatch(clean, /<(script|svg|math|iframe|object|embed|form|input|meta|base|link|video|audio|template)|\son\w+\s*=|javascript:|url\(|@import|position:\s*(fixed|absolute)/i, name);
      await nothing(name);
    }
    assert.equal(trap.seen.connections, 0, 'nobody was even connected to');
  });

  test(`the frame runs and loads nothing of what was not sanitised, in ${kind}`, async (t) => {
    const { trap, page, nothing } = await scene(t, kind, { entry: 'tests/e2e/lib/stage-html.mjs' });
    for (const [name, html] of Object.entries(hostile)) {
      // No policy holds back a connection that carries no request; the sanitiser does.
      if (name === 'links that only connect') continue;
      await page.evaluate((dirty) => {
        const frame = document.createElement('iframe');
        frame.setAttribute('sandbox', window.parts.SANDBOX);
        frame.srcdoc = window.parts.paper(dirty, { dark: false, ownColours: false });
        document.body.replaceChildren(frame);
      }, aimed(html, trap.url));
      await nothing(name);
    }
  });

  test(`what is harmless is kept, and links say where they lead, in ${kind}`, async (t) => {
    const { stage, trap, page, browser } = await scene(t, kind, { entry: 'tests/e2e/lib/stage-html.mjs', policy: false });
    const clean = (html, pictures = []) => page.evaluate((dirty, given) => window.parts.sanitise(dirty, new Map(given)), html, pictures);
    const pixel = 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';
    const letter = await clean(`<style>.a{color:#123456;margin:0 auto}@media (max-width:600px){.a{width:100%}}</style><h1 class="a" style="font-size:20px;position:relative">Hi</h1><table bgcolor="#ffffff"><tr><td align="center">x</td></tr></table><img src="${pixel}" alt="dot"><img src="cid:a%40b"><img src="cid:missing" alt="the plan"><img src="${trap.url}/t.gif"><ul><li>one</li></ul>`, [['a@b', pixel]]);
    assert.match(letter.html, /\.a\s*\{color:\s*rgb\(18, 52, 86\)/);
    assert.match(letter.html, /@media \(max-width:\s*600px\)/);
    assert.match(letter.html, /<h1 class="a" style="font-size:\s*20px;position:\s*relative">Hi<\/h1>/);
    assert.match(letter.html, /<td align="center">x<\/td>/);
    assert.equal(letter.html.split(pixel).length, 3, 'the picture in the address, and the one that is attached');
    assert.match(letter.html, /\[the plan\]/);
    assert.deepEqual([letter.ownColours, letter.blocked], [true, 1]);
    assert.equal((await clean('<p style="margin:1px">plain</p>')).ownColours, false);
    const links = await clean('<a href="https://evil.example/x">https://bank.example/login</a><a href="https://bank.example/y">bank.example</a><a href="mailto:a@b.example">write</a><a href="ftp://x.example">f</a><a href="relative">r</a>');
    assert.match(links.html, /<a href="https:\/\/evil\.example\/x" target="_blank" rel="noopener noreferrer nofollow" title="https:\/\/evil\.example\/x">https:\/\/bank\.example\/login \[evil\.example\]<\/a>/);
    assert.match(links.html, />bank\.example<\/a>/);
    assert.equal(links.html.match(/href=/g).length, 3);

    // A click is the reader's own: it opens a tab that knows nothing of this one.
    await page.evaluate((html, url) => {
      const { paper, SANDBOX, sanitise } = window.parts;
      const frame = document.createElement('iframe');
      frame.setAttribute('sandbox', SANDBOX);
      frame.srcdoc = paper(sanitise(`<a id="go" href="${url}/clicked" style="display:block;font-size:40px">go</a>${html}`).html, { dark: true, ownColours: false });
      frame.style.cssText = 'width:400px;height:300px';
      document.body.replaceChildren(frame);
    }, letter.html, trap.url);
    assert.deepEqual(trap.seen.requests, [], 'before the click nothing is asked');
    await until('the tab of the link', async () => {
      const box = await (await page.$('iframe')).boundingBox();
      await page.mouse.click(box.x + 30, box.y + 30);
      return (await browser.pages()).some((one) => one.url().startsWith(trap.url));
    }, { every: 500 });
    const opened = (await browser.pages()).find((one) => one.url().startsWith(trap.url));
    assert.equal(await opened.evaluate(() => window.opener), null);
    assert.equal(await opened.evaluate(() => document.referrer), '');
    assert.ok(page.url().startsWith(stage.url));
  });
}
