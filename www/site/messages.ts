/**
 * What the app, a site's loader and its service worker say to each other.
 *
 * The worker asks the bridge about each request; the bridge passes the question and its port on to the app, so that
 * answers go straight from the app to the worker, in the messages of `sdk/stream-messages.ts`. Every end reads what
 * arrives with the functions here: it may be of another version, or somebody else's.
 */

/** One request of a site's page, from the worker through the bridge to the app, with one `MessagePort`. */
export interface SiteAsk {
  readonly gyre: typeof SITE_ASK;
  /** {@link SITE_PROTOCOL}. */
  readonly v: number;
  readonly method: string;
  /** Path and query, percent-encoded, as in the request line. */
  readonly target: string;
  /** A page is to be shown, not a part of one. */
  readonly navigate: boolean;
  /** Those of {@link SITE_HEADERS_USED} that came, in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The client that comes of it, a page or a script's worker, by its id; `''` if none does. */
  readonly becomes: string;
}

/**
 * Whose page makes a request? Asked of every bridge, with one `MessagePort`, where several tabs show the site: each of them shows the
 * version that it has opened.
 */
export interface SiteWhose {
  readonly gyre: typeof SITE_WHOSE;
  /** {@link SITE_PROTOCOL}. */
  readonly v: number;
  readonly target: string;
  readonly navigate: boolean;
  /** The client that makes the request, by its id; `''` where the browser does not say. */
  readonly client: string;
  /** The client that comes of it; `''` if none does. */
  readonly becomes: string;
  /** Clients that show the page that the request says it comes from. */
  readonly from: readonly string[];
}

/** What the app says to {@link SiteWhose}. */
export interface SiteClaim {
  readonly type: 'claim';
  /** When this tab did what the request may come of, in milliseconds of the epoch: `Infinity` if it is certainly its, 0 if nothing says so. */
  readonly at: number;
  /** CID of the version that the tab shows; `''` while it is not known. */
  readonly version: string;
}

/** What the app says to the window of a bridge or a watch once, with one `MessagePort` for all that follows. */
export interface Hello {
  readonly gyre: typeof BRIDGE | typeof WATCH;
  readonly v: number;
}

/** What a bridge says through its port, beside the questions that it passes on. */
export type BridgeSaid =
  /** The worker is active: the site can be shown. */
  | { readonly type: 'ready' }
  /** There is no worker, and why. */
  | { readonly type: 'failed'; readonly message: string }
  /** What the site has stored, in bytes. */
  | { readonly type: 'stored'; readonly bytes: number };

/** What the app says to a bridge. */
export type BridgeWish =
  /** A body is being read: keep the worker running. */
  | { readonly type: 'awake' }
  | { readonly type: 'measure' }
  /** Remove what the site has stored. */
  | { readonly type: 'clear' };

/** What a watch says through its port: the site's own word, since the site can reach into it. */
export type WatchSaid =
  /** What the frame shows. `loader`: not the site, but the page that stands in where no worker answers. */
  | { readonly type: 'at'; readonly url: string; readonly title: string; readonly loader: boolean }
  /** The frame is nowhere in the site any more. */
  | { readonly type: 'astray' }
  /** The frame is about to load a page. */
  | { readonly type: 'departs' }
  /** The person followed a link that leads out of the site, or to a new window. */
  | { readonly type: 'leave'; readonly url: string }
  /** The answer to a `ping`. */
  | { readonly type: 'pong' };

/** What the app says to a watch. */
export type WatchWish = { readonly type: 'reload' } | { readonly type: 'ping' };

/** Marks a question about a request. */
export const SITE_ASK = 'site';
/** Marks a question whose request one is. */
export const SITE_WHOSE = 'whose';
/** Marks the first message to a bridge. */
export const BRIDGE = 'bridge';
/** Marks the first message to a watch. */
export const WATCH = 'watch';
/** Version of these messages; whoever knows another one stays silent. */
export const SITE_PROTOCOL = 1;
/** What the loader keeps for itself on a site's origin; no path of a site begins so. */
export const RESERVED = '/.gyre/';
/** The frame that passes the worker's questions on. */
export const BRIDGE_PATH = `${RESERVED}bridge`;
/** The frame that sees where the site's frame is. */
export const WATCH_PATH = `${RESERVED}watch`;
/** The worker's script. */
export const WORKER_PATH = `${RESERVED}sw.js`;
/** Links from one site to another, on every host: `/.gyre/s/<address>/<path>`. */
export const LINK_PATH = `${RESERVED}s/`;
/** A file of the site to be saved, not shown: `/.gyre/d/<name>/<path>`. */
export const SAVE_PATH = `${RESERVED}d/`;
/** The request headers that an answer depends on. */
export const SITE_HEADERS_USED = ['range', 'if-range', 'if-none-match', 'if-match'] as const;
/** A header of an answer that says that the person lets this site load from elsewhere; it stays in the worker. */
export const OUTSIDE_HEADER = 'gyre-outside';
/** A header of an answer that says of which version of the site it is, by its CID; it stays in the worker. */
export const VERSION_HEADER = 'gyre-version';

/** The origin of the app that shows the site at `location`: a site's name is one label in front of it. */
export function appOrigin(location: { protocol: string; host: string }): string {
  return `${location.protocol}//${location.host.slice(location.host.indexOf('.') + 1)}`;
}

/** The address of the site at `location`. */
export function siteAddress(location: { hostname: string }): string {
  return location.hostname.slice(0, Math.max(0, location.hostname.indexOf('.')));
}

/** Where the app opens a place of a site; `place` is a path with query and fragment. */
export function appLink(app: string, address: string, place: string): string {
  return `${app}/#/s/${address}${place.startsWith('/') ? place : `/${place}`}`;
}

/** Whether this is the first message of an app that speaks this version. */
export function isHello(value: unknown, kind: Hello['gyre']): boolean {
  return isObject(value) && value.gyre === kind && value.v === SITE_PROTOCOL;
}

/** Reads a question, `null` if it is none of this version. */
export function readSiteAsk(value: unknown): SiteAsk | null {
  if (!isObject(value) || value.gyre !== SITE_ASK || value.v !== SITE_PROTOCOL) return null;
  const { method, target, navigate, headers } = value;
  if (typeof method !== 'string' || !isTarget(target) || !isObject(headers)) return null;
  if (method.length > MAX_METHOD_LENGTH) return null;
  const used: Record<string, string> = {};
  for (const name of SITE_HEADERS_USED) {
    const text = headers[name];
    if (typeof text === 'string' && text.length <= MAX_HEADER_LENGTH) used[name] = text;
  }
  return { gyre: SITE_ASK, v: SITE_PROTOCOL, method, target, navigate: navigate === true, headers: used, becomes: clientId(value.becomes) };
}

/** Reads a question whose request one is, `null` if it is none of this version. */
export function readSiteWhose(value: unknown): SiteWhose | null {
  if (!isObject(value) || value.gyre !== SITE_WHOSE || value.v !== SITE_PROTOCOL) return null;
  const { target, navigate, client, becomes, from } = value;
  if (!isTarget(target) || !Array.isArray(from)) return null;
  return {
    gyre: SITE_WHOSE,
    v: SITE_PROTOCOL,
    target,
    navigate: navigate === true,
    client: clientId(client),
    becomes: clientId(becomes),
    from: from.slice(0, MAX_FROM).map(clientId),
  };
}

/** Reads the answer to it, `null` if it is none. */
export function readSiteClaim(value: unknown): SiteClaim | null {
  if (!isObject(value) || value.type !== 'claim' || typeof value.at !== 'number' || Number.isNaN(value.at)) return null;
  return { type: 'claim', at: value.at, version: text(value.version, MAX_TEXT_LENGTH) };
}

/** Reads what a bridge says, `null` if it is nothing known. */
export function readBridgeSaid(value: unknown): BridgeSaid | null {
  if (!isObject(value)) return null;
  if (value.type === 'ready') return { type: 'ready' };
  if (value.type === 'failed') return { type: 'failed', message: text(value.message, MAX_TEXT_LENGTH) };
  if (value.type !== 'stored') return null;
  const bytes = Number(value.bytes);
  return Number.isFinite(bytes) && bytes >= 0 ? { type: 'stored', bytes } : null;
}

/** Reads what the app says to a bridge. */
export function readBridgeWish(value: unknown): BridgeWish | null {
  if (!isObject(value)) return null;
  const { type } = value;
  return type === 'awake' || type === 'measure' || type === 'clear' ? { type } : null;
}

/** Reads what a watch says, `null` if it is nothing known. Lengths are cut; what is in them is a stranger's. */
export function readWatchSaid(value: unknown): WatchSaid | null {
  if (!isObject(value)) return null;
  const { type, url, title } = value;
  if (type === 'pong' || type === 'astray' || type === 'departs') return { type };
  if (typeof url !== 'string' || url.length > MAX_URL_LENGTH) return null;
  if (type === 'leave') return { type, url };
  if (type !== 'at') return null;
  return { type, url, title: text(title, MAX_TEXT_LENGTH), loader: value.loader === true };
}

/** Reads what the app says to a watch. */
export function readWatchWish(value: unknown): WatchWish | null {
  return isObject(value) && (value.type === 'reload' || value.type === 'ping') ? { type: value.type } : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isTarget(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_URL_LENGTH && value.startsWith('/');
}

function clientId(value: unknown): string {
  return text(value, MAX_CLIENT_LENGTH);
}

function text(value: unknown, length: number): string {
  return typeof value === 'string' ? value.slice(0, length) : '';
}

/** Characters; the methods of HTTP are shorter. */
const MAX_METHOD_LENGTH = 16;
/** Characters of an address, as a site takes them (docs/sites.md), with the token of a tab in front. */
const MAX_URL_LENGTH = 8192 + 64;
/** Characters; a range or a list of entity tags is far shorter. */
const MAX_HEADER_LENGTH = 1024;
/** Characters of a title or an explanation. */
const MAX_TEXT_LENGTH = 300;
/** Characters of a client's id; browsers give UUIDs. */
const MAX_CLIENT_LENGTH = 64;
/** Clients with one address that are named: tabs that show the same page. */
export const MAX_FROM = 16;
