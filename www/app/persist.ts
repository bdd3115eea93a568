/** Asks the browser not to clear what is kept here when its disk runs low, and remembers what it said. */

/** What is needed of `navigator.storage`, where a browser has it. */
export type PersistentStorage = Pick<StorageManager, 'persist' | 'persisted'>;

/** The browser's word: it keeps what is here, it said no, it has not been asked, or it cannot be asked. */
export type Kept = 'kept' | 'refused' | 'unasked' | 'unknown';

/** Fires `change` when the browser's word is known. */
export class Persistence extends EventTarget {
  /** What is known so far. */
  kept: Kept = 'unknown';
  readonly #storage: Partial<PersistentStorage> | undefined;
  #asked = false;

  constructor(storage: Partial<PersistentStorage> | undefined) {
    super();
    this.#storage = storage;
  }

  /** Looks, without asking for anything. */
  async look(): Promise<void> {
    if (this.#asked || !this.#storage?.persisted) return;
    const persisted = await this.#storage.persisted().catch(() => false);
    if (!this.#asked) this.#note(persisted ? 'kept' : 'unasked');
  }

  /**
   * Asks once a visit, and only after the person has put something here that is worth keeping: some
   * browsers ask the person in turn.
   */
  async ask(): Promise<void> {
    const { persist, persisted } = this.#storage ?? {};
    if (this.#asked || !persist || !persisted) return;
    this.#asked = true;
    try {
      const kept = (await persisted.call(this.#storage)) || (await persist.call(this.#storage));
      this.#note(kept ? 'kept' : 'refused');
    } catch {
      // Then it stays what it was: kept as long as there is room.
      this.#note('refused');
    }
  }

  #note(kept: Kept): void {
    if (this.kept === kept) return;
    this.kept = kept;
    this.dispatchEvent(new Event('change'));
  }
}

/** That of this page. */
export const persistence = new Persistence(globalThis.navigator?.storage);

/** Called after a first share or pin. */
export function keepStorage(): void {
  void persistence.ask();
}
