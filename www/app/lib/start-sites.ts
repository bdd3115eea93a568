/** Which of the sites of this browser the start page shows: some of the person's own, of those that are kept and of those visited lately. */

import type { KnownSite } from './known-sites.js';
import type { MySite } from './my-sites.js';

/** One of them. */
export interface StartSite {
  /** Its name, or the CID of a version without one. */
  readonly address: string;
  /** What its publisher calls it. */
  readonly title: string;
  readonly kind: 'mine' | 'kept' | 'visited';
  /** An own one that nobody else has said to have: it is gone when this browser is closed. */
  readonly alone: boolean;
}

/** At most {@link MAX_SHOWN}: own sites, the last published first, then kept and visited ones in their order. No kind takes another's share. */
export function startSites(mine: readonly MySite[], known: readonly KnownSite[]): StartSite[] {
  const of = (kind: 'kept' | 'visited') => known.filter(({ pinned }) => pinned === (kind === 'kept')).map(({ address, title }) => ({ address, title, kind, alone: false }));
  const groups: StartSite[][] = [
    [...mine].sort((a, b) => b.time - a.time).map(({ name, title, confirmed }) => ({ address: name, title, kind: 'mine', alone: !confirmed })),
    of('kept'),
    of('visited'),
  ];
  let left = MAX_SHOWN;
  const taken = groups.map(() => 0);
  // One of each in turn, until there is no room or no more of them.
  for (let n = 0; left > 0 && groups.some((group) => group.length > n); n += 1) {
    groups.forEach((group, i) => {
      if (left === 0 || group.length <= n) return;
      taken[i] = n + 1;
      left -= 1;
    });
  }
  return groups.flatMap((group, i) => group.slice(0, taken[i]));
}

/** Two rows of three on a wide screen. */
export const MAX_SHOWN = 6;
