/** What the page knows of the person's keys: asked again after everything that may have changed them. */

import { GyreError, type KeyState, type Keys } from 'gyre';
import { mySites } from './lib/my-sites.js';
import { wordsKept, type WordsState } from './lib/words.js';
import { session } from './session.js';

/** Fires `change` when what is known has changed. */
export class Keyring extends EventTarget {
  /** `null` until the peer was asked. */
  state: KeyState | null = null;
  /** The name of the person's site 0, which tells keys apart; `null` while they are locked or missing. */
  identity: string | null = null;
  problem: GyreError | null = null;
  /** Something takes its time: a passphrase is stretched, say. */
  busy = false;

  /** Whether the words were asked back, or put off; `null` if it is not known here. */
  get words(): WordsState | null {
    return this.identity === null ? null : (wordsKept.get(this.identity) ?? null);
  }

  /** Remembers that the words were asked back, or put off. */
  setWords(state: WordsState): void {
    if (this.identity === null) return;
    wordsKept.set(this.identity, state);
    this.#changed();
  }

  get isProtected(): boolean {
    return this.state?.locks.some(({ kind }) => kind !== 'none') ?? false;
  }

  /** Asks the peer. */
  async look(): Promise<void> {
    try {
      const { keys } = await session.ready();
      this.state = await keys.state();
      this.identity = this.state.state === 'unlocked' ? await keys.siteName(0) : null;
    } catch (thrown) {
      this.problem = GyreError.from(thrown);
    }
    this.#changed();
  }

  /** Does something with the keys; resolves with whether it worked. What went wrong is shown. */
  async run(work: (keys: Keys) => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.problem = null;
    this.#changed();
    let done = false;
    try {
      await work((await session.ready()).keys);
      done = true;
    } catch (thrown) {
      this.problem = GyreError.from(thrown);
    }
    this.busy = false;
    await this.look();
    // What fell due while they were locked is signed now.
    if (done && this.state?.state === 'unlocked') void import(/* webpackChunkName: "renewal" */ './renewal.js').then(({ renewMySites }) => renewMySites()).catch(() => undefined);
    return done;
  }

  /** Makes keys, which have no sites yet. */
  create(): Promise<boolean> {
    return this.run(async (keys) => {
      await keys.create();
      mySites.belongTo(await keys.siteName(0), true);
    });
  }

  /** Removes the keys, and what was remembered with them. */
  forget(): Promise<boolean> {
    return this.run(async (keys) => {
      await keys.forget();
      mySites.forget();
    });
  }

  /** Nothing went wrong any more. */
  calm(): void {
    if (this.problem === null) return;
    this.problem = null;
    this.#changed();
  }

  #changed(): void {
    this.dispatchEvent(new Event('change'));
  }
}

/** The keys of this page's person. */
export const keyring = new Keyring();
