// Shows the site whose CID its origin names: what the service worker gateway of IPFS is made of, asking one trustless gateway and nobody else.
// Blocks and answers are kept where that one keeps them, in IndexedDB and in the browser's cache.

import { withHTTP } from '@helia/http';
import { createVerifiedFetchWithHelia } from '@helia/verified-fetch';
import { IDBBlockstore } from 'blockstore-idb';
import { IDBDatastore } from 'datastore-idb';
import { createHeliaLight } from 'helia';

const [, root, gateway] = /^([^.]+)\.ipfs\.(.+)$/.exec(location.host);

let started;
/** `fetch` for `ipfs://` addresses; every block is checked against its CID. */
const verified = () => (started ??= start());

async function start() {
  const datastore = new IDBDatastore('data');
  const blockstore = new IDBBlockstore('blocks');
  await Promise.all([datastore.open(), blockstore.open()]);
  const helia = await withHTTP(createHeliaLight({ datastore, blockstore }), {
    delegatedRouters: [`http://${gateway}`], recursiveGateways: [`http://${gateway}`], allowLocal: true, allowInsecure: true,
  }).start();
  return createVerifiedFetchWithHelia(helia);
}

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(verified()));
self.addEventListener('fetch', (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (origin === location.origin && pathname !== '/install') event.respondWith(answer(event));
});

async function answer(event) {
  const { request } = event;
  const { pathname, search } = new URL(request.url);
  const cache = await caches.open('immutable');
  const before = await cache.match(request.url);
  if (before) return before;
  // A browser asks for HTML or pictures first, and the library would look for blocks of such a format.
  const headers = new Headers(request.headers);
  headers.delete('accept');
  const fetch = await verified();
  const { body, status, statusText, headers: said } = await fetch(`ipfs://${root}${pathname}${search}`, { headers, signal: request.signal, redirect: 'manual', session: true });
  const response = new Response(body, { status, statusText, headers: said });
  if (status === 200) event.waitUntil(cache.put(request.url, response.clone()));
  return response;
}
