/** Petnames: what the person calls a site, which only they see. An address is a site's name (`k51…`) or the CID of one version. */

import { Kept } from './kept.js';

/** What the person calls sites, by address; at most {@link MAX_PETNAME} characters each. */
export const petnames = new Kept<string>('gyre.petnames', readPetname, 1000);

/** What a person typed as a petname; `null` if that is nothing. */
export function readPetname(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  // Neither control characters nor what turns the writing direction: a name stands beside addresses.
  const name = value.replace(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, ' ').replace(/\s+/g, ' ').trim();
  return name === '' ? null : [...name].slice(0, MAX_PETNAME).join('');
}

/** The words to show for a site: the person's own, or what its publisher calls it, or the start of its address. */
export function siteLabel(address: string, title: string | null): string {
  const own = petnames.get(address);
  if (own !== undefined) return own;
  const claimed = readPetname(title ?? '');
  return claimed ?? shortAddress(address);
}

/** The start and the end of an address: `k51qzi5uqu…3k9f2a`. */
export function shortAddress(address: string): string {
  return address.length <= 20 ? address : `${address.slice(0, 10)}…${address.slice(-6)}`;
}

/** Characters. */
export const MAX_PETNAME = 60;
