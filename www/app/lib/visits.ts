/** Sites that were visited here, and which version of them was seen last. */

import { Kept } from './kept.js';

/** A visit, under the address that was visited. */
export interface Visit {
  /** The version that was seen. */
  readonly cid: string;
  /** What its publisher calls it. */
  readonly title: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** The last visit to each site; an address is a name (`k51…`) or, for a version without one, its CID. */
export const visits = new Kept<Visit>('gyre.visits', readVisit, 200);

/** Takes note of a visit. */
export function noteVisit(address: string, cid: string, title: string): void {
  visits.set(address, { cid, title, time: Date.now() });
}

function readVisit(value: unknown): Visit | null {
  const { cid, title, time } = (value ?? {}) as Partial<Visit>;
  return typeof cid === 'string' && typeof title === 'string' && typeof time === 'number' ? { cid, title, time } : null;
}
