/**
 * A site's service worker, on the site's own origin.
 *
 * It has no state that it could not do without: it may be stopped between any two events, and finds its bridge again by the path of its frame. It
 * stores nothing, as whatever it could store the site's own code could change; what pages need again and again it has in memory.
 */

import { answerSite, isForSite, type SiteScope } from '../answers.js';
import { Kept } from '../kept.js';

declare const self: ServiceWorkerGlobalScope;

const scope = self as unknown as SiteScope;
const kept = new Kept();

// A new version takes over at once: what it does for a page does not depend on what an older one did.
self.addEventListener('install', (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  if (isForSite(scope, event.request.url)) event.respondWith(answerSite(scope, event, kept));
});
// That there was an event is what keeps the worker running; nothing that pages say has any meaning.
self.addEventListener('message', () => undefined);
