/** Sites of others in this browser, each once: what is held, under the address that was visited. */

import type { HeldSite } from 'gyre';
import type { MySite } from './my-sites.js';
import type { Visit } from './visits.js';

/** One of them. */
export interface KnownSite {
  /** Its name, or the CID of a version without one. */
  readonly address: string;
  readonly cid: string;
  readonly title: string;
  readonly pinned: boolean;
}

/** Joins what is held and what was visited, the last visited first; own sites, also their older versions that were published here, are left out. */
export function knownSites(held: readonly HeldSite[], visits: readonly (readonly [string, Visit])[], mine: readonly MySite[]): KnownSite[] {
  const own = new Set(mine.flatMap(({ name, cid, earlier }) => [name, cid, ...earlier]));
  const here = new Map(held.map((site) => [site.cid, site]));
  const known: KnownSite[] = [];
  const told = new Set<string>();
  for (const [address, { cid, title }] of visits) {
    told.add(cid);
    if (own.has(address) || own.has(cid)) continue;
    known.push({ address, cid, title: here.get(cid)?.title || title, pinned: here.get(cid)?.pinned ?? false });
  }
  for (const { cid, title, pinned } of held) {
    if (told.has(cid) || own.has(cid)) continue;
    known.push({ address: cid, cid, title, pinned });
  }
  return known.slice(0, MAX_SHOWN);
}

/** Sites that are listed. */
const MAX_SHOWN = 100;
