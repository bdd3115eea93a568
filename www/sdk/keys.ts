/**
 * A person's keys: made, locked, written down as 24 words, restored.
 *
 * One secret stands for all sites of a person; a site's key follows from it and the site's number. The
 * secret stays in the node. What this file adds is what the node leaves to the page: argon2id, the list
 * of words, passkeys. All of it is loaded when it is needed first.
 */

import { GyreError, guarded } from './errors.js';
import { loaded } from './lazy.js';
import type { GyreNode } from './node.js';
import type { KeyLock, KeyState } from './site-types.js';
import type { KeyUnlock } from './wasm/gyre.js';

/** The keys of this machine; from {@link Gyre.keys}. */
export class Keys {
  readonly #node: () => GyreNode;
  readonly #edges: KeyEdges;

  /** @internal */
  constructor(node: () => GyreNode, edges: KeyEdges = pageEdges) {
    this.#node = node;
    this.#edges = edges;
  }

  /** Whether there are keys, and what unlocks them. */
  async state(): Promise<KeyState> {
    return guarded(() => this.#node().call('keyState'));
  }

  /** Makes keys, locked in no way yet: whoever has the machine has them. @throws GyreError `KEYS_EXIST`. */
  async create(): Promise<void> {
    return guarded(() => this.#node().call('createKeys'));
  }

  /** The 24 words that {@link restore} takes. Whoever has them has the keys. @throws GyreError `NO_KEYS`, `LOCKED`. */
  async phrase(): Promise<string> {
    return guarded(async () => this.#node().call('keyPhrase', await this.#edges.words()));
  }

  /** The 2048 words of which {@link phrase} is made, to complete what is typed. */
  async words(): Promise<readonly string[]> {
    return guarded(async () => (await this.#edges.words()).trim().split(/\s+/));
  }

  /** Takes the keys that 24 words say. @throws GyreError `BAD_PHRASE`, `KEYS_EXIST` if there are others here. */
  async restore(phrase: string): Promise<void> {
    return guarded(async () => this.#node().call('restoreKeys', await this.#edges.words(), phrase));
  }

  /** Unlocks the keys until {@link lock}, or until the peer stops. @throws GyreError `WRONG_PASSPHRASE`, `NO_KEYS`. */
  async unlock(passphrase: string): Promise<void> {
    return guarded(async () => {
      const { locks } = await this.#node().call('keyState');
      await this.#tryEach(locks, isPassphrase, (lock) => this.#opened(lock, passphrase));
    });
  }

  /** Forgets the unlocked keys. Keys without a lock are unlocked again by their next use. */
  async lock(): Promise<void> {
    return guarded(() => this.#node().call('lockKeys'));
  }

  /**
   * From now on this passphrase unlocks the keys, instead of the one before; `null` takes every lock away. Passkeys are to be
   * added again when a passphrase is changed. The keys must be unlocked.
   *
   * @throws GyreError `LOCKED`, `NO_KEYS`, `BAD_OPTIONS` for an empty passphrase.
   */
  async setPassphrase(passphrase: string | null): Promise<void> {
    return guarded(async () => {
      const node = this.#node();
      if (passphrase === null) return node.call('setKeyLock', { kind: 'none' }, false);
      const { locks } = await node.call('keyState');
      const beside = locks.length > 0 && locks.every((lock) => lock.kind === 'external');
      await node.call('setKeyLock', await this.#newLock(passphrase), beside);
    });
  }

  /**
   * Makes a passkey that unlocks the keys, beside the passphrase if there is one. The keys must be unlocked.
   *
   * @throws GyreError `UNSUPPORTED` where browser or passkey has no PRF, `ABORTED` if the person declines, `LOCKED`, `NO_KEYS`.
   */
  async addPasskey(): Promise<void> {
    return guarded(async () => {
      const { state, locks } = await this.#node().call('keyState');
      if (state === 'missing') throw new GyreError('NO_KEYS', 'There are no keys here yet.');
      if (state === 'locked') throw new GyreError('LOCKED', 'Your keys are locked.');
      const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
      const key = await this.#edges.makePasskey(salt);
      const beside = locks.every((lock) => lock.kind !== 'none');
      await this.#node().call('setKeyLock', { kind: 'external', salt, key }, beside);
    });
  }

  /** Unlocks the keys with a passkey. @throws GyreError `UNSUPPORTED`, `ABORTED`, `WRONG_PASSPHRASE` if it is another one, `NO_KEYS`. */
  async unlockWithPasskey(): Promise<void> {
    return guarded(async () => {
      const { locks } = await this.#node().call('keyState');
      await this.#tryEach(locks, isExternal, async (lock) => ({ ...lock, key: await this.#edges.askPasskey(lock.salt) }));
    });
  }

  /** A file of 110 bytes that holds the keys, locked by this passphrase. @throws GyreError `LOCKED`, `NO_KEYS`, `BAD_OPTIONS`. */
  async export(passphrase: string): Promise<Uint8Array> {
    return guarded(async () => this.#node().call('exportKeys', await this.#newLock(passphrase)));
  }

  /** Takes the keys of such a file. @throws GyreError `BAD_KEY_FILE`, `WRONG_PASSPHRASE`, `KEYS_EXIST` if there are others here. */
  async import(file: Uint8Array, passphrase: string): Promise<void> {
    return guarded(async () => {
      const { locks } = await this.#node().call('keyFileState', file);
      const [lock] = locks;
      if (!lock) throw new GyreError('BAD_KEY_FILE', 'This is no key file.');
      if (isExternal(lock)) throw new GyreError('WRONG_PASSPHRASE', 'This file is not locked by a passphrase.');
      await this.#node().call('importKeys', file, isPassphrase(lock) ? await this.#opened(lock, passphrase) : lock);
    });
  }

  /** Removes the keys from this machine. Without the words or a key file they are lost. */
  async forget(): Promise<void> {
    return guarded(() => this.#node().call('forgetKeys'));
  }

  /** The name (`k51…`) of the person's site with this number. @throws GyreError `LOCKED`, `NO_KEYS`, `BAD_OPTIONS`. */
  async siteName(site: number): Promise<string> {
    return guarded(() => this.#node().call('siteName', checkSiteNumber(site)));
  }

  async #tryEach<L extends KeyLock>(
    locks: readonly KeyLock[],
    fits: (lock: KeyLock) => lock is L,
    opened: (lock: L) => Promise<KeyUnlock>,
  ): Promise<void> {
    if (locks.length === 0) throw new GyreError('NO_KEYS', 'There are no keys here yet.');
    if (locks.some((lock) => lock.kind === 'none')) return this.#node().call('unlockKeys', { kind: 'none' });
    let failure = new GyreError('WRONG_PASSPHRASE', 'Your keys are not locked this way.');
    for (const lock of locks.filter(fits)) {
      try {
        return await this.#node().call('unlockKeys', await opened(lock));
      } catch (thrown) {
        failure = GyreError.from(thrown);
        if (failure.code !== 'WRONG_PASSPHRASE') throw failure;
      }
    }
    throw failure;
  }

  async #opened(lock: PassphraseLock, passphrase: string): Promise<KeyUnlock> {
    const { salt, memory, passes, lanes } = lock;
    // Before any work is done: the file may be a stranger's.
    if (memory > MAX_MEMORY || passes > MAX_PASSES || lanes > MAX_LANES || memory < 8 * lanes || passes < 1 || lanes < 1) {
      throw new GyreError('BAD_KEY_FILE', 'This asks for more work than any passphrase is worth.');
    }
    return { kind: 'passphrase', salt, memory, passes, lanes, key: await this.#edges.stretch(passphrase, lock) };
  }

  #newLock(passphrase: string): Promise<KeyUnlock> {
    if (passphrase === '') throw new GyreError('BAD_OPTIONS', 'The passphrase is empty.');
    const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
    return this.#opened({ kind: 'passphrase', salt, ...WORK }, passphrase);
  }
}

/** What the page does for the keys. @internal */
export interface KeyEdges {
  /** The English list of BIP-39. */
  words(): Promise<string>;
  /** argon2id. */
  stretch(passphrase: string, lock: PassphraseLock): Promise<Uint8Array>;
  makePasskey(salt: Uint8Array): Promise<Uint8Array>;
  askPasskey(salt: Uint8Array): Promise<Uint8Array>;
}

/** A lock that a passphrase opens. @internal */
export type PassphraseLock = Extract<KeyLock, { kind: 'passphrase' }>;

/** Checks the number of a site. @internal */
export function checkSiteNumber(site: number): number {
  if (Number.isInteger(site) && site >= 0 && site <= MAX_SITE_NUMBER) return site;
  throw new GyreError('BAD_OPTIONS', `${site} is not the number of a site.`);
}

const pageEdges: KeyEdges = {
  words: englishWords,
  stretch: async (passphrase, lock) => {
    const { stretch } = await loaded(import(/* webpackChunkName: "gyre-argon2" */ './argon2.js'));
    return stretch(passphrase, lock);
  },
  makePasskey: async (salt) => (await passkeys()).makePasskey(salt),
  askPasskey: async (salt) => (await passkeys()).askPasskey(salt),
};

function passkeys(): Promise<typeof import('./passkey.js')> {
  return loaded(import(/* webpackChunkName: "gyre-passkey" */ './passkey.js'));
}

function isPassphrase(lock: KeyLock): lock is PassphraseLock {
  return lock.kind === 'passphrase';
}

function isExternal(lock: KeyLock): lock is Extract<KeyLock, { kind: 'external' }> {
  return lock.kind === 'external';
}

/** What a new passphrase costs: the second recommended option of RFC 9106, section 4; as in the node. */
const WORK = { memory: 64 * 1024, passes: 3, lanes: 4 };
/** KiB, passes and lanes beyond which nothing is unlocked, as in the node. */
const MAX_MEMORY = 256 * 1024;
const MAX_PASSES = 16;
const MAX_LANES = 16;
const SALT_BYTES = 16;
/** 32 bits, as in the derivation of keys. */
const MAX_SITE_NUMBER = 0xffff_ffff;

/** The English list of BIP-39, which lies beside the package's scripts. @internal */
export function englishWords(): Promise<string> {
  return loaded(fetch(new URL('./english.txt', import.meta.url)).then((response) => (response.ok ? response.text() : Promise.reject(response))));
}
