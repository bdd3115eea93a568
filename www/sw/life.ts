/** What pages say to keep the worker running, or to come under its control. */

import { AWAKE, CLAIM } from '../sdk/stream-messages.js';

declare const self: ServiceWorkerGlobalScope;

/** Takes a page's message about the worker's own life. */
export function handleLife(event: ExtendableMessageEvent): boolean {
  const said: unknown = (event.data as { gyre?: unknown } | null)?.gyre;
  // That there was an event is what it is for.
  if (said === AWAKE) return true;
  if (said !== CLAIM) return false;
  // A page may ask while the worker is still becoming active; it is claimed then.
  event.waitUntil(self.clients.claim().catch(() => undefined));
  return true;
}
