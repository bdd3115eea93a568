/**
 * A page of a site as paper: for where sites cannot have an origin of their own.
 *
 * The page becomes one document without scripts, with its styles and pictures in it, for a frame without an origin that may
 * load nothing. Links lead through the app.
 */

import { placeLink, placeOf, type SitePlace } from './place.js';

/** What is needed of an opened site. */
export interface PaperSource {
  fetch(target: string, options: { signal: AbortSignal }): Promise<Response>;
}

/** One page made into a document. */
export interface Paper {
  readonly html: string;
  readonly title: string;
  /** Where it came from, redirects followed. */
  readonly place: SitePlace;
  readonly status: number;
  /** Whether something of it is left out. */
  readonly less: boolean;
}

/** Makes the page at `place`; `base` is where the app is. */
export async function makePaper(site: PaperSource, place: SitePlace, base: string, signal: AbortSignal): Promise<Paper> {
  const { response, at } = await fetched(site, place, signal);
  const type = (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const { status } = response;
  const made = (body: string, title: string, less = false): Paper => ({ html: framed(body), title, place: at, status, less });
  if (type.startsWith('image/')) return made(`<img alt="" src="${await dataUrl(response, type, MAX_PAGE_BYTES)}">`, at.path);
  if (type === 'text/html' || type === 'application/xhtml+xml') {
    const page = new DOMParser().parseFromString(await text(response, MAX_PAGE_BYTES), 'text/html');
    const less = await flatten(page, site, at, base, signal);
    return { html: `<!doctype html>\n${page.documentElement.outerHTML}`, title: page.title, place: at, status, less };
  }
  if (TEXT.test(type)) return made(`<pre>${escaped(await text(response, MAX_PAGE_BYTES))}</pre>`, at.path);
  await response.body?.cancel();
  if (status >= 400 || !response.body) return made('<p>This site has no such page.</p>', at.path);
  return made('<p>This is neither text nor a picture, and cannot be shown here.</p>', at.path, true);
}

async function fetched(site: PaperSource, place: SitePlace, signal: AbortSignal): Promise<{ response: Response; at: SitePlace }> {
  let at = place;
  for (let hop = 0; ; hop++) {
    const url = new URL(at.path, HERE);
    const response = await site.fetch(url.pathname + url.search, { signal });
    const location = response.headers.get('location');
    if (location === null || response.status < 300 || response.status >= 400 || hop === MAX_HOPS) return { response, at };
    const to = placeOf(new URL(location, url).href, at.address, HERE);
    if (!to) return { response, at };
    at = to;
  }
}

/** Puts styles and pictures into the page, takes out what could act, and turns its links. True if something is missing then. */
async function flatten(page: Document, site: PaperSource, at: SitePlace, base: string, signal: AbortSignal): Promise<boolean> {
  const here = new URL(at.path, HERE);
  const within = (link: string | null): URL | null => {
    const url = link !== null && URL.canParse(link, here.href) ? new URL(link, here.href) : null;
    return url?.origin === HERE ? url : null;
  };
  let less = false;
  for (const element of page.querySelectorAll(ACTING)) {
    less ||= element.localName !== 'meta' && element.localName !== 'base';
    element.remove();
  }
  const styles = [...page.querySelectorAll('link')];
  await Promise.all(
    styles.map(async (link, i) => {
      const url = within(link.getAttribute('href'));
      if (!/\bstylesheet\b/i.test(link.rel) || !url || i >= MAX_STYLES) return link.remove();
      const style = page.createElement('style');
      style.media = link.media;
      const response = await site.fetch(url.pathname + url.search, { signal }).catch(() => null);
      style.textContent = response?.ok ? await text(response, MAX_STYLE_BYTES).catch(() => '') : '';
      link.replaceWith(style);
    }),
  );
  const pictures = [...page.querySelectorAll('img')];
  await Promise.all(
    pictures.map(async (picture, i) => {
      const source = picture.getAttribute('src');
      picture.removeAttribute('srcset');
      if (source?.startsWith('data:')) return;
      const url = within(source);
      picture.removeAttribute('src');
      const response = url && i < MAX_PICTURES ? await site.fetch(url.pathname + url.search, { signal }).catch(() => null) : null;
      const type = response?.headers.get('content-type') ?? '';
      if (response?.ok && /^image\/[a-z0-9.+-]+/i.test(type)) picture.src = await dataUrl(response, type, MAX_PICTURE_BYTES).catch(() => '');
      else less = true;
    }),
  );
  for (const element of page.querySelectorAll('*')) {
    for (const { name, value } of [...element.attributes]) {
      const acts = /^on|^(?:formaction|action|background|ping|srcdoc)$/i.test(name);
      if (acts || (/^(?:xlink:)?href$/i.test(name) && element.localName !== 'a' && !value.startsWith('#'))) element.removeAttribute(name);
    }
  }
  for (const link of page.querySelectorAll('a')) turn(link, here, at, base);
  const head = page.head;
  head.prepend(Object.assign(page.createElement('meta'), { httpEquiv: 'Content-Security-Policy', content: POLICY }));
  return less;
}

/** Links within the site lead through the app, links out of it to a new window. */
function turn(link: HTMLAnchorElement, here: URL, at: SitePlace, base: string): void {
  const href = link.getAttribute('href');
  link.removeAttribute('download');
  if (href === null || href.startsWith('#')) return;
  const url = URL.canParse(href, here.href) ? new URL(href, here.href) : null;
  link.removeAttribute('href');
  if (!url) return;
  if (url.origin === HERE) {
    link.href = base + placeLink({ address: at.address, path: url.pathname + url.search + url.hash });
    link.target = '_top';
  } else if (/^(https?|mailto):$/.test(url.protocol)) {
    link.href = url.href;
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
  }
}

function framed(body: string): string {
  return `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="color-scheme" content="light dark"><style>body { font: 1rem/1.5 system-ui, sans-serif; margin: 1rem } img { max-width: 100% } pre { white-space: pre-wrap; overflow-wrap: anywhere }</style>${body}`;
}

async function bytesOf(response: Response, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(response.headers.get('content-length') ?? 0) > limit) {
    await response.body?.cancel();
    throw new RangeError('too large');
  }
  return new Uint8Array(await response.arrayBuffer());
}

async function text(response: Response, limit: number): Promise<string> {
  return new TextDecoder().decode(await bytesOf(response, limit));
}

async function dataUrl(response: Response, type: string, limit: number): Promise<string> {
  const bytes = await bytesOf(response, limit);
  let binary = '';
  for (let at = 0; at < bytes.length; at += PIECE) binary += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return `data:${(type.split(';')[0] ?? '').trim()};base64,${btoa(binary)}`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Stands for the site's origin while its links are read. */
const HERE = 'http://site.invalid';
/** What runs, embeds, submits, or changes what links mean. */
const ACTING =
  'script, iframe, frame, object, embed, applet, audio, video, portal, template, noscript, base, meta[http-equiv], button, input, select, textarea, animate, set, foreignObject, use';
/** Nothing is loaded; what is to be seen is in it. */
const POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'";
const TEXT = /^(text\/[a-z0-9.+-]+|application\/(json|xml|javascript))$/;
/** Redirects followed. */
const MAX_HOPS = 10;
/** Bytes of a page, or of a picture that is looked at by itself. */
const MAX_PAGE_BYTES = 8 * 1024 * 1024;
/** Bytes of one style sheet, and how many. */
const MAX_STYLE_BYTES = 1024 * 1024;
const MAX_STYLES = 30;
/** Bytes of one picture, and how many: all of them are in the document. */
const MAX_PICTURE_BYTES = 2 * 1024 * 1024;
const MAX_PICTURES = 60;
/** Bytes made into text at once: the arguments of one call. */
const PIECE = 8192;
