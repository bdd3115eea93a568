/**
 * Search over one's own mail: an index of words beside the mail, sealed as it is.
 *
 * The index follows the numbers of arrival: what came after the last that it has is read in slices while the page is at rest, kept in
 * memory as the tail, and written when that is long enough. Whoever searches waits a moment for the tail at most, and
 * is told if not all was looked through. The words of what was deleted leave the disk with the next look.
 */

import { GyreError } from '../errors.js';
import type { Box } from './box.js';
import { blocksFor, entries, fits, gather, inBlocks, matching, type Block, type BlockValue, type Part, type Postings } from './postings.js';
import { asked, closeness, mayBegin, rarity, weighed } from './words.js';

/** What a search has found. */
export interface Found {
  /** Ids of threads that have all the words in one mail, best first. */
  readonly threads: string[];
  /** Whether all mail was looked through. */
  readonly complete: boolean;
}

/** The index of one box. */
export class Search {
  readonly #box: Box;
  readonly #more: () => void;
  /** What is on the disk; `null` until it was read. */
  #index: Index | null = null;
  /** What came after it. */
  #tail = emptyTail();
  /** The last arrival that is in the index or the tail. */
  #seen = 0;
  #running: Promise<unknown> | null = null;
  #again = false;
  /** Parts that are written now. */
  #writing: Promise<unknown> = Promise.resolve();
  /** Something was deleted. */
  #gone = true;
  /** It cannot be written: the tail grows until the next visit. */
  #stuck = false;
  /** A row is missing or does not open: all of it is made anew, once in a visit. */
  #damaged = false;
  #wasDamaged = false;
  /** All that was noted can be found. */
  #upToDate = false;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  /** Whoever searches does not wait for the page to rest. */
  #hurry = false;
  /** When somebody who was not told all is to be told of more; `null` if nobody waits. */
  #owed: number | null = null;

  /** `more` is told when more can be found than somebody was told. */
  constructor(box: Box, more: () => void = () => undefined) {
    this.#box = box;
    this.#more = more;
  }

  /** Looks for what came when the page has had time to draw. */
  prepare(wait = REST_MS): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this.settled(), wait);
  }

  /** Threads that have all the words. */
  async find(query: string, limit: number): Promise<Found> {
    if (!this.#upToDate) {
      this.#hurry = true;
      let late: ReturnType<typeof setTimeout> | undefined;
      const patience = new Promise((resolve) => (late = setTimeout(resolve, PATIENCE_MS)));
      await Promise.race([this.settled(), patience]);
      clearTimeout(late);
    }
    // What is taken in while it is looked through does not count, and what is not read yet has nothing to be found in.
    const before = this.#upToDate;
    const threads = this.#index ? await this.#found(asked(query), limit) : [];
    const complete = before && this.#upToDate;
    if (!complete) this.#owed ??= performance.now() + TOLD_MS;
    this.#hurry = !complete;
    return { threads, complete };
  }

  /** Mails came or changed. */
  note(): void {
    this.#upToDate = false;
    // A look that is under way may have been before them.
    this.#again = true;
    this.prepare();
  }

  /** Mails are gone. */
  forget(): void {
    this.#gone = true;
    this.prepare();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#idle);
  }

  /** Resolves when all mail of this moment can be found. */
  settled(): Promise<unknown> {
    clearTimeout(this.#idle);
    this.#again = true;
    this.#running ??= this.#run()
      .catch((error: unknown) => {
        if (!this.#stopped) console.error('mail: the index of words could not be brought up to date', error);
      })
      .finally(() => (this.#running = null));
    return this.#running;
  }

  async #run(): Promise<void> {
    this.#index ??= await this.#read();
    while ((this.#again || this.#damaged) && !this.#stopped) {
      this.#again = false;
      if (this.#damaged) await this.#beginAnew();
      for (;;) {
        const mails = await this.#box.arrived(this.#seen, SLICE);
        if (this.#stopped) return;
        if (mails.length === 0) break;
        await this.#take(mails);
        if (this.#tail.mails >= PART_AT_ONCE) await this.#write(this.#tail);
        this.#tell();
      }
      if (this.#again || this.#damaged) continue;
      this.#upToDate = true;
      if (this.#owed !== null) this.#tell(true);
      // Somebody waits for what they look for: the rest is done when the page rests.
      if (this.#hurry) return this.prepare();
      if (this.#tail.mails >= PART_BEGINS) await this.#write(this.#tail);
      if (this.#gone) await this.#purge();
    }
  }

  async #take(mails: Awaited<ReturnType<Box['arrived']>>): Promise<void> {
    for (let from = 0; from < mails.length && !this.#stopped; ) {
      const began = performance.now();
      while (from < mails.length && performance.now() - began < TURN_MS) {
        const { arrival, mail } = mails[from++]!;
        for (const [word, weight] of weighed(mail)) {
          const pairs = this.#tail.words.get(word);
          if (pairs) pairs.push(arrival, weight);
          else this.#tail.words.set(word, [arrival, weight]);
        }
        this.#tail.mails += 1;
        this.#seen = arrival;
      }
      await rest(this.#hurry);
    }
  }

  /** Tells who was not told all, now and then and in the end. */
  #tell(end = false): void {
    if (this.#owed === null || (!end && performance.now() < this.#owed)) return;
    this.#owed = end ? null : performance.now() + TOLD_MS;
    if (end) this.#hurry = false;
    this.#more();
  }

  // ── on the disk ──

  /** What runs before have written; nothing of it counts if any of it cannot be read. */
  async #read(): Promise<Index> {
    const known = await this.#box.value<Index>(KEY).catch(() => null);
    const index = known?.version === VERSION ? known : await this.#forgotten();
    this.#seen = index.upTo;
    this.#tail = emptyTail();
    return index;
  }

  /** Begins anew. */
  async #forgotten(): Promise<Index> {
    const keys = await this.#box.keys(KEY);
    if (keys.length > 0) await this.#box.edit((edit) => keys.forEach((key) => edit.set(key, null)));
    return { version: VERSION, rows: 0, upTo: 0, parts: [] };
  }

  /** Writes the tail, together with the parts before it that are not much longer. */
  async #write(tail: Tail): Promise<void> {
    if (this.#stuck) return;
    const { parts } = this.#index!;
    let from = parts.length;
    let mails = tail.mails;
    while (from > 0 && parts[from - 1]!.mails <= 2 * mails && mails + parts[from - 1]!.mails <= PART_ENDS) mails += parts[--from]!.mails;
    await this.#rewrite(from, parts.length, tail);
  }

  /** Takes words out of mails that are no more. */
  async #purge(): Promise<void> {
    this.#gone = false;
    for (let at = 0; at < this.#index!.parts.length && !this.#stopped && !this.#stuck; at++) {
      const { after, to, mails } = this.#index!.parts[at]!;
      if ((await this.#box.arrivedBetween(after, to)) < mails) await this.#rewrite(at, at + 1, null);
    }
  }

  /** Writes parts anew as one, and the tail with them. */
  async #rewrite(from: number, to: number, tail: Tail | null): Promise<void> {
    const index = this.#index!;
    const old = index.parts.slice(from, to);
    const after = old[0]?.after ?? index.upTo;
    const end = tail ? this.#seen : old.at(-1)!.to;
    try {
      const alive = await this.#box.arrivalsBetween(after, end);
      const words: Postings = new Map();
      for (const block of old.flatMap(({ blocks }) => blocks)) {
        for (const [word, pairs] of entries(await this.#block(block))) gather(words, word, pairs, alive);
        await rest(this.#hurry);
      }
      for (const [word, pairs] of tail?.words ?? []) gather(words, word, pairs, alive);
      await rest(this.#hurry);
      let rows = index.rows;
      const written: (Block & { value: BlockValue })[] = [];
      for (const { first, value } of inBlocks(words)) written.push({ first, row: (rows += 1), value });
      const part: Part = { after, to: end, mails: alive.size, blocks: written.map(({ first, row }) => ({ first, row })) };
      const parts = index.parts.toSpliced(from, to - from, ...(alive.size > 0 ? [part] : []));
      const made: Index = { version: VERSION, rows, upTo: tail ? end : index.upTo, parts };
      const writing = this.#box.edit((edit) => {
        for (const { row } of old.flatMap(({ blocks }) => blocks)) edit.set(rowKey(row), null);
        for (const { row, value } of written) edit.set(rowKey(row), value);
        edit.set(KEY, made);
      }).then(() => {
        this.#index = made;
        if (tail) this.#tail = emptyTail();
      });
      this.#writing = writing.catch(() => undefined);
      await writing;
    } catch (thrown) {
      if (GyreError.from(thrown).code === 'QUOTA_EXCEEDED') this.#stuck = true;
      else if (!this.#isDamaged(thrown)) throw thrown;
    }
  }

  /** Whether it can be made anew of the mails because of this. */
  #isDamaged(thrown: unknown): boolean {
    if (!['NOT_FOUND', 'STORE_FAILED'].includes(GyreError.from(thrown).code) || this.#wasDamaged) return false;
    this.#damaged = this.#wasDamaged = true;
    this.#upToDate = false;
    return true;
  }

  async #beginAnew(): Promise<void> {
    this.#index = await this.#forgotten();
    this.#damaged = false;
    this.#seen = 0;
    this.#tail = emptyTail();
  }

  /** @throws GyreError `NOT_FOUND`, `STORE_FAILED`. */
  async #block({ row }: Block): Promise<BlockValue> {
    const value = await this.#box.value<BlockValue>(rowKey(row));
    if (!value) throw new GyreError('NOT_FOUND', 'Part of the index is missing.');
    return value;
  }

  // ── finding ──

  async #found(words: readonly string[], limit: number): Promise<string[]> {
    for (let tries = 0; ; tries++) {
      // What is written meanwhile takes the place of these.
      const { parts } = this.#index!;
      try {
        return await this.#threads(await this.#scores(words, parts, this.#tail), limit);
      } catch (thrown) {
        // It may be written, and not be said yet.
        await this.#writing;
        if (parts !== this.#index!.parts && tries < MAX_TRIES) continue;
        if (!this.#isDamaged(thrown)) throw thrown;
        void this.settled();
        return [];
      }
    }
  }

  /** What each mail that has all the words is worth. */
  async #scores(words: readonly string[], parts: readonly Part[], tail: Tail): Promise<ReadonlyMap<number, number>> {
    const all = parts.reduce((sum, { mails }) => sum + mails, tail.mails);
    const each = await Promise.all(words.map((word) => this.#having(word, parts, tail)));
    let scores: Map<number, number> | null = null;
    for (const [at, found] of each.entries()) {
      const worth = new Map<number, number>();
      for (const [word, pairs] of found) {
        const counts = rarity(pairs.length / 2, all) * closeness(word, words[at]!);
        for (let pair = 0; pair < pairs.length; pair += 2) {
          const arrival = pairs[pair]!;
          const before = scores === null ? 0 : scores.get(arrival);
          if (before !== undefined) worth.set(arrival, Math.max(worth.get(arrival) ?? 0, before + pairs[pair + 1]! * counts));
        }
      }
      scores = worth;
    }
    return scores ?? new Map<number, number>();
  }

  /** The words that one stands for, with their pairs. */
  async #having(word: string, parts: readonly Part[], { words }: Tail): Promise<ReadonlyMap<string, number[]>> {
    const beginning = mayBegin(word);
    const found = new Map<string, number[]>();
    const add = (as: string, pairs: readonly number[]): void => {
      const before = found.get(as);
      if (before) for (const number of pairs) before.push(number);
      else found.set(as, [...pairs]);
    };
    const blocks = parts.flatMap((part) => blocksFor(part, word, beginning));
    for (const value of await Promise.all(blocks.map((block) => this.#block(block)))) {
      for (const [as, pairs] of matching(value, word, beginning)) add(as, pairs);
    }
    for (const [as, pairs] of words) if (fits(as, word, beginning)) add(as, pairs);
    return found;
  }

  /** Their threads; of equals the latest first. */
  async #threads(scores: ReadonlyMap<number, number>, limit: number): Promise<string[]> {
    const ranked = [...scores].sort((a, b) => b[1] - a[1] || b[0] - a[0]);
    const threads = new Set<string>();
    for (let at = 0; at < ranked.length && threads.size < limit; at += limit) {
      const of = await this.#box.threadsOf(ranked.slice(at, at + limit).map(([arrival]) => arrival));
      for (const thread of of) if (thread !== undefined && threads.size < limit) threads.add(thread);
    }
    return [...threads];
  }
}

/** What the index says of itself, in one row. */
interface Index {
  readonly version: number;
  /** Rows that were ever written: the number of the last. */
  readonly rows: number;
  /** The last arrival in it. */
  readonly upTo: number;
  readonly parts: readonly Part[];
}

interface Tail {
  readonly words: Postings;
  mails: number;
}

function emptyTail(): Tail {
  return { words: new Map(), mails: 0 };
}

function rowKey(row: number): string {
  return `${KEY} ${row}`;
}

/** Lets the page go on. */
function rest(hurry: boolean): Promise<void> {
  return new Promise((go) => {
    if (!hurry && typeof requestIdleCallback === 'function') requestIdleCallback(() => go(), { timeout: IDLE_MS });
    else setTimeout(go);
  });
}

/** The row of the index, and what the rows of its blocks begin with. */
const KEY = 'words';
/** Of the rows, and of what a word is: another one is made anew. */
const VERSION = 1;
/** Until the index is looked after, after the mailbox was opened or mail came. */
const REST_MS = 3_000;
/** The longest that a slice waits for the page to rest. */
const IDLE_MS = 500;
/** Half a frame of a screen with 60 a second. */
const TURN_MS = 8;
/** Mails read at once: some 200 kB of usual mail. */
const SLICE = 64;
/** Mails of the tail when it is written at rest: what a visit begins with is fewer. */
const PART_BEGINS = 64;
/** The same while many are taken in one go: some 400 kB of words. */
const PART_AT_ONCE = 500;
/** Mails of the longest part: some 1.5 MB of usual mail, which is what is in memory while it is written. */
const PART_ENDS = 2_000;
/** The longest that whoever searches waits for what came last. */
const PATIENCE_MS = 80;
/** How often somebody who was not told all is told of more. */
const TOLD_MS = 1_500;
/** How often a search begins again because the index was written meanwhile. */
const MAX_TRIES = 3;
