/** Answers requests of a site with what the app says through a bridge. */

import type { Nobody } from '../sw/ask.js';
import { disposition } from '../sdk/stream-response.js';
import { body, headerOf } from '../sw/body.js';
import { connect, type BridgeClients } from './bridges.js';
import { isKept, Kept } from './kept.js';
import {
  appLink,
  appOrigin,
  OUTSIDE_HEADER,
  RESERVED,
  SAVE_PATH,
  SITE_ASK,
  SITE_HEADERS_USED,
  SITE_PROTOCOL,
  siteAddress,
  VERSION_HEADER,
  type SiteAsk,
} from './messages.js';
import { NO_PAGE, notice, wordsFor } from './pages.js';
import { SHUT_IN, siteHeaders } from './policy.js';

/** What is needed of the worker's global scope. */
export interface SiteScope {
  readonly location: { readonly protocol: string; readonly host: string; readonly hostname: string; readonly origin: string };
  readonly clients: BridgeClients;
}

/** What is needed of a `FetchEvent`. */
export interface SiteFetch {
  readonly request: Pick<Request, 'url' | 'method' | 'mode' | 'destination' | 'headers' | 'signal' | 'referrer'>;
  readonly clientId: string;
  readonly resultingClientId: string;
  waitUntil(work: Promise<unknown>): void;
}

/** Whether a request is for the site, and not for its loader or for somebody else. */
export function isForSite(scope: SiteScope, url: string): boolean {
  const { origin, pathname, search } = new URL(url);
  // Nothing but the loader's own files goes to the relay: an address there could carry a message.
  return origin === scope.location.origin && !(search === '' && LOADER.has(pathname));
}

/** Answers a request for the site; what is `kept` of it without asking anybody. */
export async function answerSite(scope: SiteScope, event: SiteFetch, kept = new Kept()): Promise<Response> {
  const { request } = event;
  const url = new URL(request.url);
  const { search } = url;
  const { pathname, name: saved } = unwrapped(url.pathname);
  const headers: Record<string, string> = {};
  for (const name of SITE_HEADERS_USED) {
    const value = request.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  const target = pathname + search;
  const again = saved === null && isKept(request.method, request.destination, headers);
  const known = again ? kept.find(event.clientId, target) : null;
  if (known) return new Response(known.body, { headers: [...known.headers] as [string, string][] });
  const navigate = request.mode === 'navigate';
  const ask: SiteAsk = { gyre: SITE_ASK, v: SITE_PROTOCOL, method: request.method, target, navigate, headers, becomes: event.resultingClientId };
  const origin = { client: event.clientId, referrer: request.referrer };
  const found = await connect(scope.clients, ask, origin, request.signal);
  if ('code' in found) return refusal(scope, request, found, target);
  const { line, head } = found;
  const outside = headerOf(found, OUTSIDE_HEADER) === 'allowed';
  const version = headerOf(found, VERSION_HEADER);
  kept.note(event.resultingClientId, version);
  const passed = new Headers(siteHeaders(appOrigin(scope.location), outside));
  // A second policy of the site itself only takes away: browsers enforce both.
  for (const [name, value] of head.headers) if (PASSED.has(name.toLowerCase())) passed.append(name, value);
  if (saved !== null) passed.set('Content-Disposition', disposition(saved, true));
  if (!head.body || BODILESS.has(head.status)) {
    line.close();
    if (navigate && head.status >= 400) return absent(scope, head.status, target);
    return new Response(null, { status: head.status, headers: passed });
  }
  let end = (): void => undefined;
  // The worker has work until the body is through.
  event.waitUntil(new Promise<void>((resolve) => (end = resolve)));
  const stream = body(ask, found, (rest) => connect(scope.clients, rest, origin), end);
  const length = Number(passed.get('content-length') ?? Infinity);
  // Begun, an answer cannot say any more what went wrong, and looks whole in some browsers when its worker is ended.
  if (length > (AT_ONCE.has(request.destination) ? MAX_AT_ONCE : WHOLE_BYTES)) return new Response(stream, { status: head.status, headers: passed });
  try {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    const reader = stream.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) pieces.push(next.value as Uint8Array<ArrayBuffer>);
    const whole = joined(pieces);
    if (again && head.status === 200) kept.keep(version, target, { headers: [...passed], body: whole });
    return new Response(whole, { status: head.status, headers: passed });
  } catch (thrown) {
    const [, code = 'INTERNAL', message = String(thrown)] = /^([A-Z_]{1,40}): (.*)$/s.exec((thrown as Error).message) ?? [];
    return refusal(scope, request, { code, message }, target);
  }
}

function joined(pieces: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const [first] = pieces;
  if (first && pieces.length === 1) return first;
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** A request for a file to be saved is one for the file, with a name. */
function unwrapped(pathname: string): { pathname: string; name: string | null } {
  const match = pathname.startsWith(SAVE_PATH) ? /^([^/]+)(\/.*)$/.exec(pathname.slice(SAVE_PATH.length)) : null;
  if (!match) return { pathname, name: null };
  const [, name = '', path = '/'] = match;
  try {
    return { pathname: path, name: decodeURIComponent(name) };
  } catch {
    return { pathname: path, name };
  }
}

function refusal(scope: SiteScope, request: SiteFetch['request'], { code, message }: Nobody, place: string): Response {
  const app = appOrigin(scope.location);
  const link = appLink(app, siteAddress(scope.location), place);
  // Opened by itself, not in the app: that is where it can be read.
  if (code === NO_PAGE && request.mode === 'navigate' && request.destination === 'document') return Response.redirect(link, 302);
  const { status, heading, sentence } = wordsFor(code, message);
  const stable = /^[A-Z_]{1,40}$/.test(code) ? code : 'INTERNAL';
  if (request.mode !== 'navigate') return told(app, status, 'text/plain', `${heading}. ${sentence}\n`, stable);
  const way = code === NO_PAGE ? { href: link, words: 'Open it in Gyre' } : { href: place, words: 'Try again' };
  return told(app, status, 'text/html', notice(heading, sentence, way), stable);
}

/** A page for what the site says it has not got, and has no page of its own about. */
function absent(scope: SiteScope, status: number, place: string): Response {
  const way = { href: '/', words: 'Go to its first page' };
  const text = notice('There is no such page', `This site has nothing at ${place.slice(0, 200)}.`, way);
  return told(appOrigin(scope.location), status, 'text/html', text);
}

function told(app: string, status: number, type: string, text: string, code?: string): Response {
  const headers = new Headers({
    'Content-Type': `${type}; charset=utf-8`,
    'Content-Security-Policy': `default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self' ${app}`,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  headers.set(...SHUT_IN);
  if (code !== undefined) headers.set('Gyre-Error', code);
  return new Response(text, { status, headers });
}

/** What the relay has for the frames of the app. */
const LOADER: ReadonlySet<string> = new Set(['bridge', 'bridge.js', 'watch', 'watch.js', 'open.js'].map((name) => RESERVED + name));
/** Bytes up to which a file is one chunk, which is read and verified whole: it comes in one piece anyway. */
const WHOLE_BYTES = 256 * 1024;
/** What browsers do nothing with before they have all of it, so that nothing is lost by waiting: no script runs that is half there. */
const AT_ONCE: ReadonlySet<string> = new Set(['script', 'style', 'font', 'worker', 'sharedworker', 'manifest', 'track', 'xslt']);
/** Bytes of such a file that are held in memory; the largest scripts of applications have some ten million. */
const MAX_AT_ONCE = 32 * 1024 * 1024;
/** Headers of an answer that reach the site's page; all others, such as cookies, do not. */
const PASSED: ReadonlySet<string> = new Set([
  'accept-ranges',
  'allow',
  'cache-control',
  'content-disposition',
  'content-length',
  'content-range',
  'content-security-policy',
  'content-type',
  'etag',
  'gyre-error',
  'last-modified',
  'location',
]);
/** Statuses with which a response cannot have a body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);
