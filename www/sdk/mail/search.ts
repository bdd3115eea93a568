/**
 * Search over one's own mail: an index in memory, never on the disk.
 *
 * It is made in slices while the page is at rest, of what lies in the box, so nothing that is written can
 * be out of step with it; whoever searches before it is done waits for the rest.
 */

import { loaded } from '../lazy.js';
import type { Box } from './box.js';
import type { StoredMail } from './records.js';
import type { Words, WordsOf } from './words.js';

/** The index of one box. */
export class Search {
  readonly #box: Box;
  #words: Promise<Words> | null = null;
  #begun: Words | null = null;
  readonly #gone = new Set<string>();
  #idle: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  /** Whoever searches does not wait for the page to rest. */
  #hurry = false;

  constructor(box: Box) {
    this.#box = box;
  }

  /** Begins when the page has had time to draw. */
  prepare(): void {
    void loadWords().catch(() => undefined);
    this.#idle = setTimeout(() => void this.#made().catch(() => undefined), REST_MS);
  }

  /** Ids of threads that have all the words, best first. */
  async find(query: string, limit: number): Promise<string[]> {
    this.#hurry = true;
    const words = await this.#made();
    return words.threads(query.slice(0, MAX_QUERY), limit);
  }

  /** A mail came or changed. */
  note(mail: StoredMail): void {
    this.#begun?.add([wordsOf(mail)]);
  }

  /** A mail is gone. */
  forget(id: string): void {
    this.#gone.add(id);
    this.#begun?.remove(id);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#idle);
  }

  #made(): Promise<Words> {
    clearTimeout(this.#idle);
    this.#words ??= this.#make().catch((thrown: unknown) => {
      this.#words = this.#begun = null;
      throw thrown;
    });
    return this.#words;
  }

  async #make(): Promise<Words> {
    const { Words } = await loadWords();
    const words = (this.#begun = new Words());
    for (let at = 0; !this.#stopped; ) {
      const { mails, last } = await this.#box.mailsAfter(at, SLICE);
      if (mails.length === 0) break;
      at = last;
      for (let from = 0; from < mails.length && !this.#stopped; ) {
        const began = performance.now();
        while (from < mails.length && performance.now() - began < TURN_MS) {
          const mail = mails[from++]!;
          if (!words.has(mail.id) && !this.#gone.has(mail.id)) words.add([wordsOf(mail)]);
        }
        await rest(this.#hurry);
      }
    }
    this.#gone.clear();
    return words;
  }
}

/** The library of the index. @throws GyreError `NOT_LOADED`. */
export function loadWords(): Promise<typeof import('./words.js')> {
  return loaded(import(/* webpackChunkName: "gyre-mail-words" */ './words.js'));
}

function wordsOf({ id, thread, subject, text, from, to, attachments }: StoredMail): WordsOf {
  const people = [from, ...to].map(({ name, address }) => `${name} ${address ?? ''}`);
  const names = attachments.map(({ name }) => name);
  return { id, thread, subject, text: text.slice(0, MAX_TEXT), people: [...people, ...names].join(' ') };
}

/** Lets the page go on. */
function rest(hurry: boolean): Promise<void> {
  return new Promise((go) => {
    if (!hurry && typeof requestIdleCallback === 'function') requestIdleCallback(() => go(), { timeout: IDLE_MS });
    else setTimeout(go);
  });
}

/** Until the index is begun, after the mailbox was opened. */
const REST_MS = 3_000;
/** The longest that a slice waits for the page to rest. */
const IDLE_MS = 500;
/** Half a frame of a screen with 60 a second. */
const TURN_MS = 8;
/** Mails read at once: some 2 MB of usual mail. */
const SLICE = 200;
/** Characters of a mail that can be found: some 15 pages. */
const MAX_TEXT = 50_000;
/** Characters of a question. */
const MAX_QUERY = 500;
