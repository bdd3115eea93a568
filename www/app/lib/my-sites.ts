/**
 * The person's own sites, as this browser remembers them: which number of their keys is which site.
 *
 * The list belongs to one person's keys, told apart by the name of their site 0; with other keys it starts anew. Keys that came
 * from words or a file may have sites that this browser has never seen: then the list is not known to be whole, and the names are
 * asked for from number 0 on before a new site takes a number.
 */

import { Kept, ownStorage, type KeptStorage } from './kept.js';

/** One site of the person's. */
export interface MySite {
  /** Number of its key. */
  readonly site: number;
  /** Its name, `k51…`. */
  readonly name: string;
  readonly title: string;
  /** The version that was published last. */
  readonly cid: string;
  readonly sequence: number;
  readonly files: number;
  readonly bytes: number;
  /** When that was; milliseconds since the epoch. */
  readonly time: number;
  /** Somebody else has said that they have all of that version. */
  readonly confirmed: boolean;
  /** What is shown where there is no file, as it was chosen the last time. */
  readonly fallback: string | null;
  /** Versions that were published from here before, the latest first. */
  readonly earlier: readonly string[];
}

/** Whose list it is. */
interface Owner {
  readonly identity: string;
  /** All of their sites are known here. */
  readonly whole: boolean;
}

/** What is asked of a peer to find sites. */
export interface SiteFinder {
  /** The name of site `site`. */
  name(site: number): Promise<string>;
  /** What it leads to, `null` if nobody knows it. */
  find(name: string, site: number): Promise<MySite | null>;
}

export class MySites extends EventTarget {
  readonly #sites: Kept<MySite>;
  readonly #owner: Kept<Owner>;

  constructor(storage: KeptStorage | null = ownStorage()) {
    super();
    this.#sites = new Kept('gyre.my-sites', readSite, MAX_SITES, storage);
    this.#owner = new Kept('gyre.my-sites-of', readOwner, 1, storage);
    for (const list of [this.#sites, this.#owner]) list.addEventListener('change', () => this.dispatchEvent(new Event('change')));
  }

  /** All of them by number. */
  all(): readonly MySite[] {
    return this.#sites.all().map(([, site]) => site).sort((a, b) => a.site - b.site);
  }

  get(site: number): MySite | undefined {
    return this.#sites.get(String(site));
  }

  /** Whether one of them has this name. */
  named(name: string): MySite | undefined {
    return this.all().find((site) => site.name === name);
  }

  put(site: MySite): void {
    this.#sites.set(String(site.site), site);
  }

  /** Takes a site off the list; its address goes on to lead where it leads. */
  drop(site: number): void {
    this.#sites.set(String(site), null);
  }

  /** Somebody else has all of this version. */
  confirm(cid: string): void {
    for (const site of this.all()) if (site.cid === cid && !site.confirmed) this.put({ ...site, confirmed: true });
  }

  /** Whether the list is that of the keys with this site 0. */
  isOf(identity: string): boolean {
    return this.#owner.get(OWNER)?.identity === identity;
  }

  /** Whether every site of the person's with this site 0 is known here. */
  isWhole(identity: string): boolean {
    const owner = this.#owner.get(OWNER);
    return owner?.identity === identity && owner.whole;
  }

  /** From now on the list is that of these keys; `fresh` ones have no sites yet. */
  belongTo(identity: string, fresh: boolean): void {
    const owner = this.#owner.get(OWNER);
    if (owner?.identity === identity && (owner.whole || !fresh)) return;
    if (owner?.identity !== identity) this.#sites.clear();
    this.#owner.set(OWNER, { identity, whole: fresh });
  }

  /** There are no keys here any more. */
  forget(): void {
    this.#sites.clear();
    this.#owner.clear();
  }

  /** The number of the next new site. */
  get next(): number {
    return this.all().reduce((next, { site }) => Math.max(next, site + 1), 0);
  }

  /**
   * Looks for sites of these keys that this browser does not know, some numbers at a time, until none of a whole batch is found.
   * Resolves with how many are new here; the list counts as whole only once `find` has not failed.
   */
  async discover(finder: SiteFinder): Promise<number> {
    const identity = await finder.name(0);
    this.belongTo(identity, false);
    let found = 0;
    for (let from = 0; from < MAX_SITES; from += BATCH) {
      const numbers = Array.from({ length: BATCH }, (_, i) => from + i);
      const sites = await Promise.all(numbers.map(async (number) => finder.find(await finder.name(number), number)));
      for (const site of sites) {
        if (!site) continue;
        const known = this.get(site.site);
        if (!known) found += 1;
        if (!known || known.sequence < site.sequence) this.put({ ...site, fallback: site.fallback ?? known?.fallback ?? null, earlier: known ? earlierOf(known) : [] });
      }
      if (sites.every((site) => site === null)) break;
    }
    this.#owner.set(OWNER, { identity, whole: true });
    return found;
  }
}

/** The versions before the next one of a site. */
export function earlierOf(site: MySite): string[] {
  return [site.cid, ...site.earlier.filter((cid) => cid !== site.cid)].slice(0, MAX_EARLIER);
}

const OWNER = 'owner';
/** Versions of a site that are remembered as one's own. */
const MAX_EARLIER = 50;
/** Numbers asked for at once; also the longest gap between two numbers that is bridged. */
const BATCH = 4;
/** Sites of one person that are remembered. */
const MAX_SITES = 256;

function readSite(value: unknown): MySite | null {
  const site = (value ?? {}) as Partial<MySite>;
  const right =
    Number.isInteger(site.site) && typeof site.name === 'string' && typeof site.title === 'string' && typeof site.cid === 'string' &&
    typeof site.sequence === 'number' && typeof site.files === 'number' && typeof site.bytes === 'number' && typeof site.time === 'number';
  if (!right) return null;
  const earlier = Array.isArray(site.earlier) ? site.earlier.filter((cid) => typeof cid === 'string').slice(0, MAX_EARLIER) : [];
  return { ...(site as MySite), confirmed: site.confirmed === true, fallback: typeof site.fallback === 'string' ? site.fallback : null, earlier };
}

function readOwner(value: unknown): Owner | null {
  const { identity, whole } = (value ?? {}) as Partial<Owner>;
  return typeof identity === 'string' ? { identity, whole: whole === true } : null;
}

/** Those of this browser. */
export const mySites = new MySites();
