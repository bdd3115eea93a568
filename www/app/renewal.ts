/** Signs the records of the person's sites anew before they end, while the keys are unlocked. */

import { mySites } from './lib/my-sites.js';
import { session } from './session.js';

/** Looks whether records are due, and signs those; what fails is tried the next time. */
export async function renewMySites(): Promise<void> {
  const gyre = await session.ready();
  if ((await gyre.keys.state()).state !== 'unlocked') return;
  const identity = await gyre.keys.siteName(0);
  if (!mySites.isOf(identity)) return;
  for (const { site } of mySites.all()) await gyre.renew(site).catch(() => null);
}

/** Looks after a moment and every few hours, in one tab of the origin at a time. */
export function keepRenewing(): void {
  const look = (): void => {
    const renew = (): Promise<void> => renewMySites().catch(() => undefined);
    void (navigator.locks ? navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? renew() : undefined)) : renew());
  };
  setTimeout(look, FIRST_MS);
  setInterval(look, EVERY_MS);
}

/** Held by the tab that looks. */
const LOCK = 'gyre-renewal';
/** Milliseconds to the first look: what the person came for goes first. */
const FIRST_MS = 15_000;
/** Milliseconds between two looks: a record lasts for months. */
const EVERY_MS = 6 * 60 * 60 * 1000;
