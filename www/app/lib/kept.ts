/**
 * Small lists of the person's own that this browser keeps and its tabs share: names given to sites, sites visited, own sites.
 *
 * They are a convenience: where the browser keeps nothing, or clears it, all of them are empty and nothing else breaks.
 */

/** What is needed of `localStorage`, where a browser has it. */
export type KeptStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** A list under one key, each entry under an id; the one that was set last comes first. Fires `change`, also for what another tab has changed. */
export class Kept<T> extends EventTarget {
  readonly #key: string;
  readonly #read: (value: unknown) => T | null;
  readonly #max: number;
  readonly #storage: KeptStorage | null;
  #entries: Map<string, T> | null = null;
  /** What is here could not be written: it holds for this visit. */
  #unsaved = false;

  /** `read` makes an entry of what was stored, or refuses it; over `max` entries the oldest goes. */
  constructor(key: string, read: (value: unknown) => T | null, max: number, storage: KeptStorage | null = ownStorage()) {
    super();
    this.#key = key;
    this.#read = read;
    this.#max = max;
    this.#storage = storage;
    if (typeof window === 'undefined') return;
    window.addEventListener('storage', (event) => {
      if (event.key !== null && event.key !== key) return;
      this.#entries = null;
      this.dispatchEvent(new Event('change'));
    });
  }

  get(id: string): T | undefined {
    return this.#load().get(id);
  }

  /** All of them, the one that was set last first. */
  all(): readonly (readonly [string, T])[] {
    return [...this.#load()].reverse();
  }

  /** Sets an entry and puts it first; `null` takes it off the list. */
  set(id: string, value: T | null): void {
    // Another tab may have written since.
    if (!this.#unsaved) this.#entries = null;
    const entries = this.#load();
    entries.delete(id);
    if (value !== null) entries.set(id, value);
    for (const oldest of entries.keys()) {
      if (entries.size <= this.#max) break;
      entries.delete(oldest);
    }
    this.#write(entries);
  }

  /** Takes everything off the list. */
  clear(): void {
    this.#entries = new Map();
    this.#write(this.#entries);
  }

  #load(): Map<string, T> {
    if (this.#entries) return this.#entries;
    this.#entries = new Map();
    try {
      const stored: unknown = JSON.parse(this.#storage?.getItem(this.#key) ?? '[]');
      if (!Array.isArray(stored)) return this.#entries;
      for (const pair of stored.slice(-this.#max) as unknown[]) {
        if (!Array.isArray(pair) || typeof pair[0] !== 'string') continue;
        const value = this.#read(pair[1]);
        if (value !== null) this.#entries.set(pair[0], value);
      }
    } catch {
      // What cannot be read is as good as nothing, and is written anew the next time.
    }
    return this.#entries;
  }

  #write(entries: Map<string, T>): void {
    this.#unsaved = this.#storage === null;
    try {
      this.#storage?.setItem(this.#key, JSON.stringify([...entries]));
    } catch {
      this.#unsaved = true;
    }
    this.dispatchEvent(new Event('change'));
  }
}

/** The browser's own, or `null` where it keeps nothing. */
export function ownStorage(): KeptStorage | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}
