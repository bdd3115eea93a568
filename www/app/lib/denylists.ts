/** Words about denylists. */

import type { DenylistInfo } from 'gyre';
import { count } from './format.js';

/** What the list of the person's own rules is called. */
export const OWN_RULES = 'my rules';

/** What of a list does not count: ` · 2 lines left out, line 3: its CID cannot be read`. */
export function skippedWords({ skipped, skippedCount }: Pick<DenylistInfo, 'skipped' | 'skippedCount'>): string {
  const [first] = skipped;
  return first ? ` · ${count(skippedCount, 'line')} left out, line ${first.line}: ${first.reason}` : '';
}
