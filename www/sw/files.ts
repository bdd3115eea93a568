/** Answers requests for files with what a page of this origin says, and says so itself when none does. */

import { ASK, HEADERS_USED, parseFileUrl, PROTOCOL, type Ask } from '../sdk/stream-messages.js';
import { askPages, type Found, type Nobody } from './ask.js';
import { body } from './body.js';
import { refusal } from './refusal.js';

declare const self: ServiceWorkerGlobalScope;

/** Takes a request for a file. */
export function handleFile(event: FetchEvent): boolean {
  const { request } = event;
  const address = parseFileUrl(new URL(request.url), new URL(self.registration.scope));
  if (!address) return false;
  if (address === 'malformed') event.respondWith(refusal(request, 'BAD_ADDRESS', 'This is not the address of a file.'));
  // A file of a stranger is never a program of this origin, whatever it says it is.
  else if (PROGRAMS.has(request.destination)) {
    event.respondWith(refusal(request, 'NOT_ALLOWED', 'A file cannot be used as a script or a style.'));
  } else {
    const headers: Record<string, string> = {};
    for (const name of HEADERS_USED) {
      const value = request.headers.get(name);
      if (value !== null) headers[name] = value;
    }
    const { cid, download } = address;
    event.respondWith(respond(event, { gyre: ASK, v: PROTOCOL, cid, method: request.method, headers, download }));
  }
  return true;
}

async function respond(event: FetchEvent, ask: Ask): Promise<Response> {
  const { request, clientId } = event;
  const found = await connect(ask, clientId, request.signal);
  if ('code' in found) return refusal(request, found.code, found.message);
  const { line, head } = found;
  const headers = head.headers.map(([name, value]): [string, string] => [name, value]);
  if (!head.body) {
    line.close();
    return new Response(null, { status: head.status, headers });
  }
  let end = (): void => undefined;
  // The worker has work until the body is through.
  event.waitUntil(new Promise<void>((resolve) => (end = resolve)));
  const stream = body(ask, found, (rest) => connect(rest, clientId), end);
  return new Response(stream, { status: head.status, headers });
}

/** Asks the pages of this origin, the one with the id `preferred` first, then those that can be seen. */
async function connect(ask: Ask, preferred: string, signal?: AbortSignal): Promise<Found | Nobody> {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const place = ({ id, visibilityState }: WindowClient): number =>
    id === preferred ? 0 : visibilityState === 'visible' ? 1 : 2;
  return askPages(ask, [...pages].sort((a, b) => place(a) - place(b)).slice(0, MAX_PAGES), signal);
}

/** Pages asked for one request; more tabs than that hold the same files. */
const MAX_PAGES = 16;
/** What would run with the rights of the page. Pages made of files have no rights, see the headers that come with them. */
const PROGRAMS: ReadonlySet<string> = new Set([
  'audioworklet',
  'json',
  'manifest',
  'paintworklet',
  'report',
  'script',
  'serviceworker',
  'sharedworker',
  'style',
  'worker',
  'xslt',
]);
