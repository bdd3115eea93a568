/**
 * Attachments of letters that are fetched before anybody asks: their senders do not stay, and custodians let them go with the letter.
 *
 * So a letter counts as received when all of it is here. What strangers attached is not fetched before the person has
 * accepted them, or opens it.
 */

import type { GyreNode } from '../node.js';
import { fetchSealed } from './blobs.js';
import type { Box, Edit } from './box.js';

/** What has yet to come. */
export class Wanted {
  readonly #box: Box;
  readonly #node: GyreNode;
  readonly #whole: (message: string) => void;
  readonly #closed = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #trying: Promise<void> | null = null;
  #again = false;

  /** `whole` is told each letter whose last attachment has come. */
  constructor(box: Box, node: GyreNode, whole: (message: string) => void) {
    this.#box = box;
    this.#node = node;
    this.#whole = whole;
  }

  /** Notes blobs with the edit that brings their letter; they are fetched now, or not before {@link ask}. */
  async add(edit: Edit, message: string, hashes: readonly string[], now: boolean): Promise<void> {
    if (hashes.length === 0) return;
    const others = (await this.#entries(edit)).filter((entry) => entry.message !== message);
    const fresh = [...new Set(hashes)].map((hash): Entry => ({ hash, message, now }));
    edit.set(KEY, [...others, ...fresh].slice(-MAX_WANTED));
  }

  /** Whether something of a letter has yet to come. */
  async waits(message: string): Promise<boolean> {
    return (await this.#entries()).some((entry) => entry.message === message);
  }

  /** The person has accepted whom these letters come of. */
  async ask(edit: Edit, from: (message: string) => Promise<boolean>): Promise<void> {
    const entries: Entry[] = [];
    for (const entry of await this.#entries(edit)) entries.push(entry.now || !(await from(entry.message)) ? entry : { ...entry, now: true });
    edit.set(KEY, entries);
  }

  /** A blob is here. */
  async got(hash: string): Promise<void> {
    const of = (await this.#entries()).filter((entry) => entry.hash === hash);
    if (of.length === 0) return;
    await this.#without((entry) => entry.hash === hash);
    for (const { message } of of) if (message !== '' && !(await this.waits(message))) this.#whole(message);
  }

  /** Letters are gone. */
  async forget(messages: readonly string[]): Promise<void> {
    if ((await this.#entries()).some(({ message }) => messages.includes(message))) await this.#without(({ message }) => messages.includes(message));
  }

  /** Tries all of them now, and those that nobody has again later. */
  try(): void {
    this.#again = true;
    this.#trying ??= this.#run().finally(() => (this.#trying = null));
  }

  stop(): void {
    this.#closed.abort();
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed.signal.aborted) {
      this.#again = false;
      clearTimeout(this.#timer);
      const queue = [...new Set((await this.#entries()).filter(({ now }) => now).map(({ hash }) => hash))];
      let left = queue.length;
      const worker = async (): Promise<void> => {
        for (let hash = queue.pop(); hash !== undefined && !this.#closed.signal.aborted; hash = queue.pop()) {
          if (await this.#fetch(hash)) left--;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      if (left > 0 && !this.#closed.signal.aborted) this.#timer = setTimeout(() => this.try(), AGAIN_MS);
    }
  }

  /** Whether it has come within the time that one of them is given; the node goes on with it in any case. */
  async #fetch(hash: string): Promise<boolean> {
    const patience = new AbortController();
    const end = (): void => patience.abort();
    const late = setTimeout(end, PATIENCE_MS);
    this.#closed.signal.addEventListener('abort', end, { once: true });
    try {
      await fetchSealed(this.#node, hash, patience.signal);
      await this.got(hash);
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(late);
      this.#closed.signal.removeEventListener('abort', end);
    }
  }

  #without(gone: (entry: Entry) => boolean): Promise<unknown> {
    return this.#box.edit(async (edit) => edit.set(KEY, (await this.#entries(edit)).filter((entry) => !gone(entry))));
  }

  async #entries(edit?: Edit): Promise<Entry[]> {
    const noted = (edit?.changes.values.get(KEY) as (Entry | string)[] | undefined) ?? (await this.#box.value<(Entry | string)[]>(KEY)) ?? [];
    // Before letters waited for what is attached, only hashes were noted.
    return noted.map((entry) => (typeof entry === 'string' ? { hash: entry, message: '', now: true } : entry));
  }
}

interface Entry {
  readonly hash: string;
  /** Whose it is; nothing if that has counted as received long ago. */
  readonly message: string;
  /** Whether it is fetched before somebody opens it. */
  readonly now: boolean;
}

const KEY = 'wanted';
/** Blobs that wait to be found; beyond it the oldest are fetched when they are opened. */
const MAX_WANTED = 4_096;
const AT_ONCE = 4;
/** Milliseconds for one blob before others have their turn. */
const PATIENCE_MS = 120_000;
/** Milliseconds until what did not come is looked for again. */
const AGAIN_MS = 60_000;
