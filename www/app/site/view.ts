/**
 * The frames of one shown site: the visible one, and two that nobody sees.
 *
 * The bridge passes the questions of the site's worker on; the watch tells where the visible frame is. Those two stand in
 * a closed shadow tree, where the site's own code, which is of their origin, does not find their windows. Whatever the
 * watch says is the site's word; what the bridge says is not, and still it is read as a stranger's.
 */

import { AWAKE_MS } from './times.js';
import { BRIDGE, BRIDGE_PATH, LINK_PATH, readBridgeSaid, readWatchSaid, SITE_PROTOCOL, WATCH, WATCH_PATH } from '../../site/messages.js';
import type { BridgeWish, WatchWish } from '../../site/messages.js';
import type { SiteHost } from './host.js';
import { parsePlace, placeOf, type SitePlace } from './place.js';

/** What a view tells the page that has it. */
export interface ViewListener {
  /** The site's frame shows this place. */
  at(place: SitePlace, title: string): void;
  /** The site's frame has left the site, for a page that the browser does not show. */
  astray(): void;
  /** A link leads to another site. */
  go(place: SitePlace): void;
  /** A link leads out of all sites. */
  leave(url: string): void;
  /** The loader is there, and the site is being shown. */
  ready(): void;
  /** No worker answered: it was removed, or the browser went past it. It takes a new view to bring it back. */
  lost(): void;
  /** The site cannot be shown in an origin of its own. */
  failed(reason: string): void;
  /** The code of the site does not let go, or does again. */
  stuck(stuck: boolean): void;
  /** What the site has stored, in bytes. */
  stored(bytes: number): void;
}

/** Where and what a view shows. */
export interface ViewOptions {
  readonly place: SitePlace;
  /** The site's origin. */
  readonly origin: string;
  /** Whether the person lets the site load from elsewhere, and so open windows. */
  readonly outside: boolean;
  readonly host: SiteHost;
  readonly listener: ViewListener;
}

/** One shown site. */
export class SiteView {
  readonly #options: ViewOptions;
  readonly #into: HTMLElement;
  readonly #hidden: HTMLElement;
  readonly #end = new AbortController();
  #frame: HTMLIFrameElement | null = null;
  #bridge: MessagePort | null = null;
  #watch: MessagePort | null = null;
  #place: SitePlace;
  #ready = false;
  #answeredAt = 0;
  #askedAt = 0;
  #stuck = false;
  /** What the watch was asked and has answered, in order. */
  #pings = 0;
  #pongs = 0;
  readonly #catching = new Set<() => void>();
  /** The frame has shown a page of the site. */
  #arrived = false;
  /** The frame has shown something, if only the browser's word that it could not. */
  #loaded = false;
  #astray = false;
  /** The watch was asked to load the page again, and has not done it yet: done later, it would undo where `go` went. */
  #reloading = false;
  /** Where the frame was sent, until it has got there: what the watch says of another place then is of the page before. */
  #going: { readonly path: string; readonly until: number } | null = null;

  /** Puts the frames into `into`. */
  constructor(into: HTMLElement, options: ViewOptions) {
    this.#options = options;
    this.#into = into;
    this.#place = options.place;
    this.#hidden = document.createElement('div');
    this.#hidden.hidden = true;
    const shade = this.#hidden.attachShadow({ mode: 'closed' });
    into.append(this.#hidden);
    const { signal } = this.#end;
    void this.#attach(shade, BRIDGE_PATH, BRIDGE).then((port) => {
      if (!port || signal.aborted) return;
      this.#bridge = port;
      port.onmessage = (event) => this.#heardBridge(event);
    });
    const patience = setTimeout(() => this.#ready || this.#give('Its own address does not answer.'), READY_MS);
    const awake = setInterval(() => options.host.busy(2 * AWAKE_MS) && this.#tellBridge({ type: 'awake' }), AWAKE_MS);
    const pulse = setInterval(() => this.#pulse(), PULSE_MS);
    signal.addEventListener('abort', () => [patience, awake, pulse].forEach(clearInterval), { once: true });
    this.#shade = shade;
  }

  readonly #shade: ShadowRoot;

  /** What the frame shows, as far as is known. */
  get place(): SitePlace {
    return this.#place;
  }

  /** Shows another place of the same site; `replace` leaves no trace in the history. */
  go(place: SitePlace, replace = false): void {
    this.#place = place;
    const frame = this.#frame;
    if (!frame) return;
    if (this.#astray || this.#reloading) return this.#show();
    this.#goingTo(place);
    this.#options.host.expect();
    const url = this.#options.origin + place.path;
    if (replace) frame.contentWindow?.location.replace(url);
    else frame.src = url;
  }

  /** Loads the page again. A frame that does not answer is replaced. */
  reload(): void {
    if (this.#watch && this.#arrived && !this.#astray && !this.#stuck) {
      this.#reloading = true;
      this.#tellWatch({ type: 'reload' });
    } else this.#show();
  }

  /** Asks what the site has stored. */
  measure(): void {
    this.#tellBridge({ type: 'measure' });
  }

  /** Removes what the site has stored, and says what is left. */
  clear(): void {
    this.#tellBridge({ type: 'clear' });
  }

  /** Resolves once what the watch had seen until now is heard here, or it does not answer. */
  caughtUp(): Promise<void> {
    if (!this.#watch) return Promise.resolve();
    this.#tellWatch({ type: 'ping' });
    const wanted = this.#pings;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(limit);
        this.#catching.delete(look);
        resolve();
      };
      const look = (): void => {
        if (this.#pongs >= wanted) done();
      };
      const limit = setTimeout(done, CAUGHT_UP_MS);
      this.#catching.add(look);
    });
  }

  /** Moves the keyboard into the site. */
  focus(): void {
    this.#frame?.focus();
  }

  /** Takes all frames away. */
  close(): void {
    this.#end.abort();
    this.#bridge?.close();
    this.#watch?.close();
    this.#frame?.remove();
    this.#hidden.remove();
  }

  /** Adds a hidden frame; resolves with the port to it once it has loaded. */
  #attach(shade: ShadowRoot, path: string, gyre: string): Promise<MessagePort | null> {
    const frame = document.createElement('iframe');
    frame.title = gyre;
    frame.tabIndex = -1;
    frame.allow = '';
    frame.src = this.#options.origin + path;
    return new Promise((resolve) => {
      frame.addEventListener(
        'load',
        () => {
          const { port1, port2 } = new MessageChannel();
          // Should the frame have become another one's, this is not delivered.
          frame.contentWindow?.postMessage({ gyre, v: SITE_PROTOCOL }, this.#options.origin, [port2]);
          resolve(port1);
        },
        { once: true },
      );
      frame.addEventListener('error', () => resolve(null), { once: true });
      shade.append(frame);
    });
  }

  #heardBridge({ data, ports }: MessageEvent): void {
    if (this.#options.host.take(data, ports[0])) return;
    const said = readBridgeSaid(data);
    if (said?.type === 'ready') this.#begin();
    else if (said?.type === 'failed') this.#give(said.message);
    else if (said?.type === 'stored') this.#options.listener.stored(said.bytes);
  }

  #begin(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#show();
    this.#options.listener.ready();
    void this.#attach(this.#shade, WATCH_PATH, WATCH).then((port) => {
      if (!port || this.#end.signal.aborted) return;
      this.#watch = port;
      this.#answeredAt = performance.now();
      port.onmessage = ({ data }) => this.#heardWatch(data);
    });
  }

  #show(): void {
    this.#frame?.remove();
    const frame = (this.#frame = document.createElement('iframe'));
    frame.className = 'site-frame';
    frame.dataset['testid'] = 'site-frame';
    frame.title = 'The site';
    frame.setAttribute('sandbox', this.#options.outside ? `${SANDBOX} ${SANDBOX_OUTSIDE}` : SANDBOX);
    frame.allow = 'fullscreen';
    frame.referrerPolicy = 'no-referrer';
    frame.addEventListener('load', () => {
      if (this.#frame !== frame) return;
      this.#loaded = true;
      this.#reloading = false;
      this.#going = null;
    });
    void this.#options.host.begin(() => {
      if (this.#frame !== frame || this.#end.signal.aborted) return false;
      frame.src = this.#options.origin + this.#place.path;
      this.#into.append(frame);
      return true;
    });
    this.#arrived = false;
    this.#loaded = false;
    this.#astray = false;
    this.#reloading = false;
    this.#goingTo(this.#place);
    this.#setStuck(false);
    this.#askedAt = this.#answeredAt = performance.now();
  }

  #heardWatch(data: unknown): void {
    this.#answeredAt = performance.now();
    this.#setStuck(false);
    const said = readWatchSaid(data);
    if (said?.type === 'pong') {
      this.#pongs += 1;
      for (const look of this.#catching) look();
    }
    if (!said || said.type === 'pong' || !this.#frame) return;
    const { listener, origin } = this.#options;
    if (said.type === 'departs') return this.#options.host.expect();
    if (said.type === 'astray') {
      // Before that, the page may only be slow.
      this.#astray = this.#arrived || this.#loaded;
      if (this.#astray) listener.astray();
      return;
    }
    if (said.type === 'leave') return this.#leave(said.url);
    const place = placeOf(said.url, this.#place.address, origin);
    if (!place) return;
    if (place.path.startsWith(LINK_PATH)) {
      const to = parsePlace(`/s/${place.path.slice(LINK_PATH.length)}`);
      if (to) listener.go(to);
      return;
    }
    if (this.#going && this.#going.path !== place.path && performance.now() < this.#going.until) return;
    this.#going = null;
    if (said.loader) return listener.lost();
    this.#arrived = true;
    this.#astray = false;
    this.#place = place;
    listener.at(place, said.title);
  }

  #goingTo({ path }: SitePlace): void {
    this.#going = { path, until: performance.now() + GOING_MS };
  }

  #leave(url: string): void {
    if (!URL.canParse(url)) return;
    const { listener, origin } = this.#options;
    const { href, origin: there, pathname, search, hash, protocol, hostname, host } = new URL(url);
    const rest = pathname + search + hash;
    const label = hostname.slice(0, Math.max(0, hostname.indexOf('.')));
    const beside = there === origin.replace(this.#place.address, label);
    const to =
      there === origin && pathname.startsWith(LINK_PATH)
        ? parsePlace(`/s/${rest.slice(LINK_PATH.length)}`)
        : there === location.origin && hash.startsWith('#/s/')
          ? parsePlace(hash.slice(1))
          : beside && host !== location.host
            ? parsePlace(`/s/${label}${rest}`)
            : null;
    if (to) listener.go(to);
    else if (protocol === 'https:' || protocol === 'http:' || protocol === 'mailto:') listener.leave(href);
  }

  #give(reason: string): void {
    if (!this.#end.signal.aborted) this.#options.listener.failed(reason);
  }

  #tellBridge(wish: BridgeWish): void {
    this.#bridge?.postMessage(wish);
  }

  #tellWatch(wish: WatchWish): void {
    if (wish.type === 'ping') this.#pings += 1;
    this.#watch?.postMessage(wish);
  }

  /** Code that never lets go keeps the watch from answering, as both are of one origin. */
  #pulse(): void {
    if (!this.#watch || !this.#frame || document.visibilityState !== 'visible') {
      this.#askedAt = this.#answeredAt = performance.now();
      return;
    }
    if (this.#answeredAt >= this.#askedAt) {
      this.#askedAt = performance.now();
      this.#tellWatch({ type: 'ping' });
    } else if (performance.now() - this.#askedAt > STUCK_MS) this.#setStuck(true);
  }

  #setStuck(stuck: boolean): void {
    if (this.#stuck === stuck) return;
    this.#stuck = stuck;
    this.#options.listener.stuck(stuck);
  }
}

/** No navigation of the app's window, no new windows, no dialogs in the name of the app. */
const SANDBOX = 'allow-scripts allow-same-origin allow-forms allow-downloads';
/** What is added where the person lets a site load from elsewhere: it could say everything to anybody then, anyhow. */
const SANDBOX_OUTSIDE = 'allow-popups allow-popups-to-escape-sandbox';
/** Milliseconds until a loader that says nothing is given up: a cold start on a slow phone, several times over. */
const READY_MS = 20_000;
/** Milliseconds after which a frame that was sent somewhere counts as there: what is saved as a file, say, does not load. */
const GOING_MS = 5_000;
/** Milliseconds between two questions whether the site still lets its own frames run. */
const PULSE_MS = 1_000;
/** Milliseconds without an answer after which the site counts as stuck; heavy pages take some seconds to build. */
const STUCK_MS = 8_000;
/** Milliseconds that the watch is waited for; a page that is busy for longer does not load another one meanwhile. */
const CAUGHT_UP_MS = 250;
