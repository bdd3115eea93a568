/**
 * One list of threads as it is shown: what is loaded of it, where the cursor stands, what is selected.
 *
 * It is read again whenever the mailbox says that something has changed, as far as it was loaded; what was just moved away is left
 * out at once, so that nobody waits for it.
 */

import type { ThreadPage, ThreadSummary } from 'gyre';
import type { MailProblem } from './desk.js';

/** Threads of a list, or of a search that may not have looked through all mail yet. */
type Threads = ThreadPage & { readonly complete?: boolean };

/** Reads threads of the list: `limit` of them, after `before`. */
export type ThreadSource = (options: { before?: string; limit: number }) => Promise<Threads>;

/** Fires `change` when what is shown has changed. */
export class ThreadList extends EventTarget {
  threads: readonly ThreadSummary[] = [];
  /** `null` until it was read. */
  total: number | null = null;
  next: string | null = null;
  /** `false` while there may be more than was looked through. */
  complete = true;
  loading = false;
  problem: MailProblem | null = null;
  /** The thread that keys act on. */
  cursor: string | null = null;
  selected: ReadonlySet<string> = new Set();
  readonly #source: ThreadSource;
  readonly #toProblem: (thrown: unknown) => MailProblem;
  #again = false;

  constructor(source: ThreadSource, toProblem: (thrown: unknown) => MailProblem) {
    super();
    this.#source = source;
    this.#toProblem = toProblem;
  }

  /** Reads as much of it as was loaded, at least one page. Called while that is under way, it is read once more. */
  async refresh(): Promise<void> {
    if (this.loading) {
      this.#again = true;
      return;
    }
    await this.#read(async () => {
      const wanted = Math.min(Math.max(PAGE, this.threads.length), MAX_SHOWN);
      let page = await this.#source({ limit: wanted });
      const threads = [...page.threads];
      // The mailbox gives as much at once as it likes.
      while (threads.length < wanted && page.next !== null && page.threads.length > 0) {
        page = await this.#source({ before: page.next, limit: wanted - threads.length });
        threads.push(...page.threads);
      }
      this.#take(threads, page);
    });
  }

  /** Reads the next page. */
  async more(): Promise<void> {
    const before = this.next;
    if (this.loading || before === null || this.threads.length >= MAX_SHOWN) return;
    await this.#read(async () => {
      const page = await this.#source({ before, limit: PAGE });
      const known = new Set(this.threads.map(({ id }) => id));
      this.#take([...this.threads, ...page.threads.filter(({ id }) => !known.has(id))], page);
    });
  }

  /** Whether there is more of it than is shown. */
  get hasMore(): boolean {
    return this.next !== null && this.threads.length < MAX_SHOWN;
  }

  /** Moves the cursor by so many; the first step puts it on the first thread. */
  step(by: number): void {
    if (this.threads.length === 0) return;
    const at = this.threads.findIndex(({ id }) => id === this.cursor);
    const to = at < 0 ? 0 : Math.min(this.threads.length - 1, Math.max(0, at + by));
    this.point(this.threads[to]?.id ?? null);
  }

  point(id: string | null): void {
    if (this.cursor === id) return;
    this.cursor = id;
    this.#changed();
  }

  /** The thread after this one in the list, or before it. */
  beside(id: string, by: 1 | -1): ThreadSummary | null {
    const at = this.threads.findIndex((thread) => thread.id === id);
    return at < 0 ? null : (this.threads[at + by] ?? null);
  }

  /** Selects a thread or not; with `through`, all from the cursor to it. */
  select(id: string, on: boolean, through = false): void {
    const selected = new Set(this.selected);
    const [a, b] = [this.#at(through ? this.cursor : id), this.#at(id)];
    const range = a < 0 || b < 0 ? [] : this.threads.slice(Math.min(a, b), Math.max(a, b) + 1);
    for (const thread of range) {
      if (on) selected.add(thread.id);
      else selected.delete(thread.id);
    }
    this.selected = selected;
    this.cursor = id;
    this.#changed();
  }

  /** Selects all that is shown, or nothing. */
  selectAll(on: boolean): void {
    this.selected = new Set(on ? this.threads.map(({ id }) => id) : []);
    this.#changed();
  }

  /** What an action is about: what is selected, or else where the cursor is. */
  targets(): ThreadSummary[] {
    const ids = this.selected.size > 0 ? this.selected : new Set(this.cursor === null ? [] : [this.cursor]);
    return this.threads.filter(({ id }) => ids.has(id));
  }

  /** Leaves threads out at once; the cursor goes to the next that stays. */
  drop(ids: ReadonlySet<string>): void {
    const at = this.#at(this.cursor);
    const left = this.threads.filter(({ id }) => !ids.has(id));
    if (this.cursor !== null && ids.has(this.cursor)) {
      const after = this.threads.slice(at).find(({ id }) => !ids.has(id));
      this.cursor = (after ?? left.at(-1))?.id ?? null;
    }
    if (this.total !== null) this.total = Math.max(0, this.total - (this.threads.length - left.length));
    this.threads = left;
    this.selected = new Set();
    this.#changed();
  }

  /** Shows a change at once that is being made. */
  patch(ids: ReadonlySet<string>, change: Partial<ThreadSummary>): void {
    this.threads = this.threads.map((thread) => (ids.has(thread.id) ? { ...thread, ...change } : thread));
    this.#changed();
  }

  #take(threads: readonly ThreadSummary[], { next, total, complete = true }: Threads): void {
    this.threads = threads;
    this.complete = complete;
    this.next = next;
    this.total = total;
    const here = new Set(threads.map(({ id }) => id));
    this.selected = new Set([...this.selected].filter((id) => here.has(id)));
    if (this.cursor !== null && !here.has(this.cursor)) this.cursor = null;
  }

  async #read(work: () => Promise<void>): Promise<void> {
    this.loading = true;
    this.#changed();
    do {
      this.#again = false;
      try {
        await work();
        this.problem = null;
      } catch (thrown) {
        this.problem = this.#toProblem(thrown);
      }
    } while (this.#again);
    this.loading = false;
    this.#changed();
  }

  #at(id: string | null): number {
    return this.threads.findIndex((thread) => thread.id === id);
  }

  #changed(): void {
    this.dispatchEvent(new Event('change'));
  }
}

/** Threads that are read at once: what a tall window shows. */
const PAGE = 50;
/** Threads shown of one list; further back, search is faster than scrolling. */
const MAX_SHOWN = 1_000;
