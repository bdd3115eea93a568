/**
 * HTML of strangers, made harmless: a list of what is allowed, never of what is forbidden.
 *
 * DOMPurify takes out what is not on the list of elements and attributes; styles are read by the browser's own parser in a sheet that
 * is never applied, and written anew without anything that could load. Nothing in what comes out makes a request when it is shown.
 */

import DOMPurify from 'dompurify';
import { bareContentId } from './pictures.js';

/** What came of it. */
export interface Sanitised {
  readonly html: string;
  /** The mail sets colours: it is shown on the paper it was made for. */
  readonly ownColours: boolean;
  /** Pictures that would have been fetched from somewhere. */
  readonly blocked: number;
}

/** Makes a mail's HTML harmless. `pictures` gives `data:` addresses for the content ids that are at hand. */
export function sanitise(html: string, pictures: ReadonlyMap<string, string> = new Map()): Sanitised {
  let blocked = 0;
  let ownColours = false;
  const purify = DOMPurify(window);
  purify.addHook('uponSanitizeElement', (node, { tagName }) => {
    if (tagName !== 'style') return;
    const css = safeSheet(node.textContent ?? '');
    ownColours ||= hasColours(css);
    node.textContent = css;
  });
  purify.addHook('afterSanitizeAttributes', (element) => {
    if (element instanceof HTMLElement || element.hasAttribute('style')) {
      const style = element.getAttribute('style');
      if (style !== null) {
        const safe = safeDeclarations(style);
        ownColours ||= hasColours(safe);
        if (safe === '') element.removeAttribute('style');
        else element.setAttribute('style', safe);
      }
    }
    ownColours ||= ['bgcolor', 'color', 'text'].some((name) => element.hasAttribute(name));
    if (element.localName === 'a') link(element);
    if (element.localName !== 'img') return;
    const source = element.getAttribute('src') ?? '';
    const cid = /^cid:(.+)$/i.exec(source.trim())?.[1];
    const known = cid === undefined ? undefined : pictures.get(bareContentId(cid));
    const kept = known ?? source;
    if (PICTURE.test(kept)) return void element.setAttribute('src', kept);
    element.removeAttribute('src');
    if (source !== '' && cid === undefined) blocked += 1;
  });
  // In a document that nothing of is shown or run.
  const body = purify.sanitize(html.slice(0, MAX_HTML), {
    RETURN_DOM: true,
    ALLOWED_TAGS: [...ELEMENTS],
    ALLOWED_ATTR: [...ATTRIBUTES],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOW_UNKNOWN_PROTOCOLS: false,
    // Others are no addresses, and are not measured by what an address may be.
    ADD_URI_SAFE_ATTR: ATTRIBUTES.filter((name) => name !== 'href' && name !== 'src'),
    ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|cid:|data:image\/(?:png|jpeg|gif|webp);)/i,
    // A style at the very beginning would be dropped from a body.
    FORCE_BODY: true,
    SANITIZE_NAMED_PROPS: true,
  }) as HTMLElement;
  // What stands in place of a picture is what its sender says of it; of one that says nothing, nothing.
  for (const picture of body.querySelectorAll('img:not([src])')) picture.replaceWith(picture.getAttribute('alt')?.trim() ? `[${picture.getAttribute('alt')?.trim()}]` : '');
  return { html: body.innerHTML, ownColours, blocked };
}

/** A link opens a tab of its own that knows nothing of this one, and says where it leads. */
function link(element: Element): void {
  const href = element.getAttribute('href');
  if (href === null) return;
  if (!/^(?:https?|mailto):/i.test(href.trim()) || !URL.canParse(href)) return element.removeAttribute('href');
  const url = new URL(href);
  element.setAttribute('href', url.href);
  element.setAttribute('target', '_blank');
  element.setAttribute('rel', 'noopener noreferrer nofollow');
  element.setAttribute('title', url.href.slice(0, MAX_TITLE));
  // Who writes the name of another place over a link shall not deceive.
  const claimed = /(?:https?:\/\/|www\.)([a-z0-9.-]+\.[a-z]{2,})|^\s*([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})(?=[/\s]|$)/i.exec(element.textContent ?? '');
  const host = (claimed?.[1] ?? claimed?.[2])?.toLowerCase().replace(/^www\./, '');
  const real = url.hostname.replace(/^www\./, '');
  if (url.protocol !== 'mailto:' && host !== undefined && host !== real) element.append(` [${url.hostname}]`);
}

/** A sheet of harmless rules. A constructed sheet takes no `@import`, and one that no document uses loads nothing. */
function safeSheet(css: string): string {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css.slice(0, MAX_CSS));
  return safeRules(sheet.cssRules);
}

function safeRules(rules: CSSRuleList): string {
  const kept: string[] = [];
  for (const rule of Array.from(rules).slice(0, MAX_RULES)) {
    if (rule instanceof CSSStyleRule) {
      // A selector on attributes could tell content apart; there is nobody to tell, and it stays out all the same.
      if (/[<\\]/.test(rule.selectorText)) continue;
      const declarations = safeStyle(rule.style);
      if (declarations !== '') kept.push(`${rule.selectorText}{${declarations}}`);
    } else if (rule instanceof CSSMediaRule) {
      const inner = safeRules(rule.cssRules);
      if (inner !== '' && !/[<\\{}]/.test(rule.conditionText)) kept.push(`@media ${rule.conditionText}{${inner}}`);
    }
  }
  return kept.join('');
}

function safeDeclarations(style: string): string {
  // In a sheet that is never applied, as above.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('x{}');
  const rule = sheet.cssRules[0];
  if (!(rule instanceof CSSStyleRule)) return '';
  rule.style.cssText = style.slice(0, MAX_CSS);
  return safeStyle(rule.style);
}

function safeStyle(style: CSSStyleDeclaration): string {
  const kept: string[] = [];
  for (const name of Array.from(style)) {
    const value = style.getPropertyValue(name);
    if (!PROPERTY.test(name) || UNSAFE_VALUE.test(value)) continue;
    if (name === 'position' && !/^(?:static|relative)$/.test(value)) continue;
    kept.push(`${name}:${value}${style.getPropertyPriority(name) === '' ? '' : ' !important'}`);
  }
  return kept.join(';');
}

function hasColours(css: string): boolean {
  return /(?:^|[;{\s])(?:background|color)/.test(css);
}

/** What a mail is made of. */
const ELEMENTS = [
  'a', 'abbr', 'address', 'article', 'aside', 'b', 'bdi', 'bdo', 'big', 'blockquote', 'br', 'caption', 'center', 'cite', 'code', 'col', 'colgroup', 'dd', 'del', 'details', 'dfn', 'div',
  'dl', 'dt', 'em', 'figcaption', 'figure', 'font', 'footer', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'header', 'hr', 'i', 'img', 'ins', 'kbd', 'li', 'main', 'mark', 'ol', 'p', 'pre', 'q',
  'rp', 'rt', 'ruby', 's', 'samp', 'section', 'small', 'span', 'strike', 'strong', 'style', 'sub', 'summary', 'sup', 'table', 'tbody', 'td', 'tfoot', 'th', 'thead', 'time', 'tr', 'tt', 'u', 'ul', 'var', 'wbr',
] as const;
const ATTRIBUTES = [
  'align', 'alt', 'bgcolor', 'border', 'cellpadding', 'cellspacing', 'class', 'color', 'cols', 'colspan', 'datetime', 'dir', 'face', 'headers', 'height', 'href', 'hspace', 'id', 'lang', 'nowrap',
  'open', 'reversed', 'rows', 'rowspan', 'scope', 'size', 'span', 'src', 'start', 'style', 'title', 'type', 'valign', 'value', 'vspace', 'width',
] as const;
/** Properties that lay out and colour. Not among them: `content`, `behavior`, `cursor`, custom properties, whatever animates or places over others. */
const PROPERTY =
  /^(?:color|background-color|background-position.*|background-repeat.*|background-size|border(?:-.*)?|margin(?:-.*)?|padding(?:-.*)?|font(?:-(?:family|size|style|weight|variant.*|stretch))?|line-height|letter-spacing|word-spacing|text-(?:align|decoration.*|indent|transform|overflow)|vertical-align|white-space.*|word-(?:break|wrap)|overflow-wrap|direction|unicode-bidi|display|float|clear|width|height|(?:min|max)-(?:width|height)|box-sizing|table-layout|caption-side|empty-cells|list-style-(?:type|position)|overflow(?:-[xy])?|opacity|visibility|position|flex.*|align-.*|justify-.*|gap|row-gap|column-gap|order|mso-.*)$/;
/** Values that name something to load, or compute one. */
const UNSAFE_VALUE = /url|image|src\(|var\(|env\(|attr\(|element\(|cross-fade|paint\(|expression|javascript|@|[<\\{}]/i;
/** A picture within its own address, of a kind that carries no script. */
const PICTURE = /^data:image\/(?:png|jpeg|gif|webp);base64,[a-z0-9+/=\s]+$/i;
/** Characters of HTML that are looked at; more is shown as text. */
export const MAX_HTML = 2_000_000;
/** Characters of one sheet. */
const MAX_CSS = 200_000;
/** Rules of one sheet, and of one group in it. */
const MAX_RULES = 2_000;
const MAX_TITLE = 200;
