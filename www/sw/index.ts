/**
 * The service worker: a few handlers, each in a file of its own, and no state.
 *
 * The browser may stop it between any two events, so whatever lasts lives in the pages. A handler takes what is its
 * own and leaves the rest to the next; a request that none takes goes to the network as if there were no worker.
 */

import { handleFile } from './files.js';
import { handleLife } from './life.js';

declare const self: ServiceWorkerGlobalScope;

const onFetch: readonly ((event: FetchEvent) => boolean)[] = [handleFile];
const onMessage: readonly ((event: ExtendableMessageEvent) => boolean)[] = [handleLife];

// A new version takes over at once: what it does for a page does not depend on what an older one did.
self.addEventListener('install', (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => void onFetch.some((handle) => handle(event)));
self.addEventListener('message', (event) => void onMessage.some((handle) => handle(event)));
