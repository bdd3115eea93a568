/**
 * What this browser remembers of sites: when they were visited, what the person calls them, what they may do.
 *
 * Names given here are the person's own and stay here; a site's own title is only what it calls itself.
 */

/** One remembered site. */
export interface BookEntry {
  readonly address: string;
  /** What the person calls it; empty if nothing. */
  readonly petname: string;
  /** What it calls itself; empty if unknown. */
  readonly title: string;
  /** When it was shown last, in milliseconds since the epoch. */
  readonly visitedAt: number;
  /** Whether the person lets it load from elsewhere. */
  readonly outside: boolean;
}

/** What is needed of a `Storage`. */
export type TextStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** The remembered sites; fires `change`. */
export class SiteBook extends EventTarget {
  readonly #storage: TextStorage | null;
  readonly #now: () => number;

  constructor(storage: TextStorage | null = pageStorage(), now: () => number = Date.now) {
    super();
    this.#storage = storage;
    this.#now = now;
    globalThis.window?.addEventListener('storage', ({ key }) => key === KEY && this.dispatchEvent(new Event('change')));
  }

  /** All of them, the last visited first. */
  list(): readonly BookEntry[] {
    return this.#read().sort((a, b) => b.visitedAt - a.visitedAt);
  }

  /** What is remembered of one. */
  entry(address: string): BookEntry | undefined {
    return this.#read().find((entry) => entry.address === address);
  }

  /** Notes that a site is shown, and what it calls itself. */
  visited(address: string, title: string): void {
    this.#put(address, { title: cleanName(title), visitedAt: this.#now() });
  }

  /** Names a site; an empty name takes it back. */
  name(address: string, petname: string): void {
    this.#put(address, { petname: cleanName(petname) });
  }

  /** Lets a site load from elsewhere, or not. */
  allowOutside(address: string, outside: boolean): void {
    this.#put(address, { outside });
  }

  /** Forgets a site. */
  forget(address: string): void {
    this.#write(this.#read().filter((entry) => entry.address !== address));
  }

  #put(address: string, change: Partial<BookEntry>): void {
    const entries = this.#read();
    const before = entries.find((entry) => entry.address === address) ?? {
      address,
      petname: '',
      title: '',
      visitedAt: this.#now(),
      outside: false,
    };
    const others = entries.filter((entry) => entry.address !== address);
    // What the person has named or allowed is not pushed out by what was only looked at.
    const kept = others.sort((a, b) => rank(b) - rank(a) || b.visitedAt - a.visitedAt).slice(0, MAX_ENTRIES - 1);
    this.#write([{ ...before, ...change }, ...kept]);
  }

  #write(entries: readonly BookEntry[]): void {
    try {
      this.#storage?.setItem(KEY, JSON.stringify(entries));
    } catch {
      // Storage may be full or forbidden; the site is shown all the same.
    }
    this.dispatchEvent(new Event('change'));
  }

  /** What is stored; anything may have been written there. */
  #read(): BookEntry[] {
    let value: unknown;
    try {
      value = JSON.parse(this.#storage?.getItem(KEY) ?? '[]');
    } catch {
      return [];
    }
    if (!Array.isArray(value)) return [];
    return value.slice(0, MAX_ENTRIES).flatMap((item: unknown) => {
      if (typeof item !== 'object' || item === null) return [];
      const { address, petname, title, visitedAt, outside } = item as Record<string, unknown>;
      if (typeof address !== 'string' || typeof visitedAt !== 'number') return [];
      return [{ address, petname: cleanName(petname), title: cleanName(title), visitedAt, outside: outside === true }];
    });
  }
}

/** A name as it may be shown: one line, without what hides or turns text. */
export function cleanName(name: unknown): string {
  if (typeof name !== 'string') return '';
  return name.replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ').trim().slice(0, MAX_NAME_LENGTH);
}

function rank({ petname, outside }: BookEntry): number {
  return petname !== '' || outside ? 1 : 0;
}

function pageStorage(): TextStorage | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

const KEY = 'gyre.sites';
/** Sites remembered; 300 bytes each. */
const MAX_ENTRIES = 500;
/** Characters of a name. */
const MAX_NAME_LENGTH = 80;

/** The book of this page. */
export const siteBook = new SiteBook();
