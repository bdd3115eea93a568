/**
 * Remembers the relays that a page's bootstrap sources named last, so that a later visit can join
 * although none of the sources answers.
 *
 * What a source says always wins over what is remembered of it; a list that nobody has confirmed
 * for long is forgotten, because relays move. The list is public knowledge: it says which relays
 * the page was told of, not what the person did there.
 */

import { readBootstrap, workOf, type Bootstrap } from './bootstrap.js';

/** What is needed of a `Storage`. */
export type TextStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** The relays last named by each bootstrap source. */
export class RelayMemory {
  readonly #storage: TextStorage | null;
  readonly #now: () => number;

  /** Keeps the lists in `storage`, by default the page's own; `now` gives milliseconds since the epoch. */
  constructor(storage: TextStorage | null = pageStorage(), now: () => number = Date.now) {
    this.#storage = storage;
    this.#now = now;
  }

  /** What is remembered of `sources`, joined; empty lists if that is nothing. */
  recall(sources: readonly (string | URL)[]): Bootstrap {
    const wanted = new Set(sources.map(keyOf));
    const known = this.#read().filter((entry) => wanted.has(entry.source));
    return {
      relays: [...new Set(known.flatMap((entry) => entry.relays))],
      stun: [...new Set(known.flatMap((entry) => entry.stun))],
      ...workOf(Math.max(...known.map((entry) => entry.puzzleBits ?? -1))),
    };
  }

  /** Puts what `source` has just said in the place of what was remembered of it. */
  remember(source: string | URL, said: Bootstrap): void {
    if (said.relays.length === 0) return;
    const key = keyOf(source);
    const entry: Entry = {
      source: key,
      at: this.#now(),
      relays: said.relays.slice(0, MAX_ADDRESSES),
      stun: said.stun.slice(0, MAX_ADDRESSES),
      ...workOf(said.puzzleBits),
    };
    const others = this.#read().filter((other) => other.source !== key);
    const kept = [entry, ...others].sort((a, b) => b.at - a.at).slice(0, MAX_SOURCES);
    try {
      this.#storage?.setItem(KEY, JSON.stringify(kept));
    } catch {
      // Storage may be full or forbidden; the next visit then asks the sources again.
    }
  }

  /** What is stored and not too old. Anything may have been written there, so it is read like a source's answer. */
  #read(): Entry[] {
    let value: unknown;
    try {
      value = JSON.parse(this.#storage?.getItem(KEY) ?? '[]');
    } catch {
      return [];
    }
    if (!Array.isArray(value)) return [];
    const now = this.#now();
    return value.slice(0, MAX_SOURCES).flatMap((item: unknown) => {
      if (typeof item !== 'object' || item === null) return [];
      const { source, at } = item as Record<string, unknown>;
      if (typeof source !== 'string' || typeof at !== 'number') return [];
      // A time to come means that a clock was wrong, now or then.
      if (!(at <= now && now - at <= MAX_AGE_MS)) return [];
      const { relays, stun, ...others } = readBootstrap(item);
      return [{ source, at, ...others, relays: relays.slice(0, MAX_ADDRESSES), stun: stun.slice(0, MAX_ADDRESSES) }];
    });
  }
}

interface Entry extends Bootstrap {
  /** Address of the source. */
  readonly source: string;
  /** When it said so, in milliseconds since the epoch. */
  readonly at: number;
}

/** Sources are told apart by their whole address: one origin may serve several lists. */
function keyOf(source: string | URL): string {
  const base = typeof location === 'undefined' ? undefined : location.href;
  return URL.canParse(String(source), base) ? new URL(source, base).href : String(source);
}

/** The page's storage; a worker has none, and a browser may forbid it. */
function pageStorage(): TextStorage | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

const KEY = 'gyre.relays';
/** Milliseconds (30 days); relays that are still there were confirmed by any visit since. */
const MAX_AGE_MS = 30 * 24 * 60 * 60 * 1000;
/** Sources remembered, as many as are asked. */
const MAX_SOURCES = 16;
/** Addresses of each kind and source; a node keeps a few relays, and this keeps the entry well under 200 kB. */
const MAX_ADDRESSES = 16;
