/**
 * Keeps what is being written: a moment after the last key, and at the latest after a few seconds of typing. One save at a time;
 * what changes meanwhile is saved next.
 */

import type { Draft } from 'gyre';

/** What is needed of a mailbox. */
export interface DraftStore {
  saveDraft(draft: Draft): Promise<string>;
  deleteDraft(id: string): Promise<void>;
}

/** How far it is: nothing to keep, changed, being kept, kept, or the last attempt failed. */
export type DraftState = 'empty' | 'changed' | 'saving' | 'saved' | 'failed';

/** Fires `change` when its state has changed. */
export class DraftKeeper extends EventTarget {
  state: DraftState = 'empty';
  /** The id of the draft, once it was kept. */
  id: string | null;
  readonly #store: () => Promise<DraftStore>;
  #latest: Draft | null = null;
  #saved: Draft | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #since: number | null = null;
  #work: Promise<void> = Promise.resolve();
  #over = false;

  /** `id` is that of a draft that was opened. */
  constructor(store: () => Promise<DraftStore>, id: string | null = null) {
    super();
    this.#store = store;
    this.id = id;
  }

  /** Something was typed. */
  note(draft: Draft, now = performance.now()): void {
    if (this.#over) return;
    this.#latest = draft;
    if (isEmpty(draft) && this.id === null) return this.#set('empty');
    this.#set('changed');
    this.#since ??= now;
    clearTimeout(this.#timer);
    const wait = Math.max(0, Math.min(QUIET_MS, this.#since + LATEST_MS - now));
    this.#timer = setTimeout(() => void this.flush(), wait);
  }

  /** Keeps it now; resolves when that is done. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#since = null;
    this.#work = this.#work.then(() => this.#save());
    return this.#work;
  }

  /** Ends it and removes what was kept: it was sent, or is not wanted. */
  async discard(): Promise<void> {
    this.#over = true;
    clearTimeout(this.#timer);
    await this.#work;
    const { id } = this;
    this.id = null;
    this.#set('empty');
    if (id !== null) await (await this.#store()).deleteDraft(id);
  }

  async #save(): Promise<void> {
    const draft = this.#latest;
    if (this.#over || draft === null || draft === this.#saved) return;
    if (isEmpty(draft) && this.id === null) return;
    this.#set('saving');
    try {
      const store = await this.#store();
      this.id = await store.saveDraft(this.id === null ? draft : { ...draft, id: this.id });
      this.#saved = draft;
      this.#set(this.#latest === draft ? 'saved' : 'changed');
    } catch {
      this.#set('failed');
    }
  }

  #set(state: DraftState): void {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('change'));
  }
}

/** Whether nothing was written yet. */
export function isEmpty({ to, subject, text, attachments }: Draft): boolean {
  return to.length === 0 && subject.trim() === '' && text.trim() === '' && attachments.length === 0;
}

/** Words for it. */
export function draftWords(state: DraftState): string {
  switch (state) {
    case 'empty':
      return '';
    case 'changed':
    case 'saving':
      return 'Keeping it…';
    case 'saved':
      return 'Kept as a draft';
    case 'failed':
      return 'Not kept: this browser’s storage did not take it';
  }
}

/** Milliseconds after the last key. */
const QUIET_MS = 700;
/** Milliseconds after the first key that is not kept yet. */
const LATEST_MS = 4_000;
