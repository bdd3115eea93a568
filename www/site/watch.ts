/**
 * The frame that sees where the site's frame is, and tells the app.
 *
 * It is of the site's own origin, so it can read the address and the title that the site's frame shows, also when the
 * site changes them by itself. For the same reason the site can reach into it: what it says is the site's own word, and
 * nothing else comes through it. It sees links that are followed out of the site, which the frame's sandbox would drop.
 */

import { appOrigin, isHello, LINK_PATH, readWatchWish, SAVE_PATH, WATCH, type WatchSaid } from './messages.js';

const app = appOrigin(location);
const seen = new WeakSet<Document>();
/** Those that were only beginning when they were seen: where they are is still to be told. */
const seenEarly = new WeakSet<Document>();
let port: MessagePort | null = null;
let last = '';
/** Looks in a row that found no page of the site. */
let missed = 0;
/** Goes round once for each turn that is left. */
const turn = new MessageChannel();
let turns = 0;
turn.port1.onmessage = () => {
  look(true);
  if ((turns -= 1) > 0) turn.port2.postMessage(null);
};

window.addEventListener('message', (event) => {
  const [given] = event.ports;
  if (port || !given || event.origin !== app || event.source !== window.parent || !isHello(event.data, WATCH)) return;
  port = given;
  port.onmessage = ({ data }) => {
    const wish = readWatchWish(data);
    if (wish?.type === 'ping') say({ type: 'pong' });
    if (wish?.type === 'reload') frame()?.location.reload();
  };
  setInterval(() => look(), LOOK_MS);
  look();
});

function say(said: WatchSaid): void {
  port?.postMessage(said);
}

/** The site's frame: the one window beside this one that is of this origin. */
function frame(): Window | null {
  for (let i = 0; i < Math.min(window.parent.length, MAX_FRAMES); i++) {
    const beside = window.parent[i];
    try {
      if (beside && beside.location.origin === location.origin) return beside;
    } catch {
      // Of another origin.
    }
  }
  return null;
}

function look(early = false): void {
  try {
    const shown = frame();
    if (!shown && !early && (missed += 1) % ASTRAY_LOOKS === 0) {
      last = '';
      say({ type: 'astray' });
    }
    if (shown) missed = 0;
    const page = shown?.document;
    if (!shown || !page || page.URL === 'about:blank') return;
    const fresh = !seen.has(page);
    if (fresh) {
      seen.add(page);
      page.addEventListener('click', (event) => follow(event, shown), { capture: true });
      page.addEventListener('auxclick', (event) => follow(event, shown), { capture: true });
      shown.addEventListener('beforeunload', (event) => event.isTrusted && say({ type: 'departs' }));
      shown.addEventListener('pagehide', (event) => event.isTrusted && lookSoon());
    }
    // A page that is only beginning has the address of the one before.
    if (!page.documentElement) {
      seenEarly.add(page);
      return;
    }
    const { href } = shown.location;
    const title = String(page.title);
    const loader = page.documentElement.dataset['gyre'] === 'open';
    const now = `${href}\n${title}\n${loader}`;
    if (now === last && !fresh && !seenEarly.delete(page)) return;
    last = now;
    say({ type: 'at', url: href, title, loader });
  } catch {
    // The page went away while it was looked at; or it is in the way of it, to its own cost.
  }
}

/** Looks at the page that comes next as soon as it is there: in a tab that nobody sees timers are slow, and it may leave again at once. */
function lookSoon(): void {
  turns = SOON_TURNS;
  turn.port2.postMessage(null);
}

/** Takes a click on a link that the frame could not follow. */
function follow(event: MouseEvent, shown: Window): void {
  if (event.button > 1) return;
  const link = event.composedPath().find((node) => (node as Partial<Element>).localName === 'a') as HTMLAnchorElement | undefined;
  if (!link?.href) return;
  const url = new URL(link.href);
  if (url.protocol === 'javascript:' || url.protocol === 'blob:' || url.protocol === 'data:') return;
  if (link.hasAttribute('download') && url.origin === location.origin) {
    // Browsers fetch such a link past the worker; what comes as an attachment is saved all the same.
    event.preventDefault();
    const name = link.download || decodeURIComponent(url.pathname.split('/').pop() ?? '') || 'file';
    shown.location.assign(`${SAVE_PATH}${encodeURIComponent(name)}${url.pathname}${url.search}`);
    return;
  }
  const own = url.origin === location.origin && !url.pathname.startsWith(LINK_PATH);
  const elsewhere = link.target !== '' && link.target !== '_self';
  if (own && !elsewhere && event.button === 0) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (own) shown.location.assign(url.href);
  else say({ type: 'leave', url: url.href });
}

/** Milliseconds between two looks: a person does not notice, and a look costs some microseconds. */
const LOOK_MS = 150;
/** Looks without a page of the site after which it has gone: a new frame has none for a moment. */
const ASTRAY_LOOKS = 8;
/** Frames looked at; the app has one or two. */
const MAX_FRAMES = 8;
/** Turns of the event loop in which the page after one that is left is looked for; it is there in the first few. */
const SOON_TURNS = 20;
