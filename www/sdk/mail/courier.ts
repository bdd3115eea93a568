/**
 * Ferries between the mail module, which has no network, and the node, which knows nothing of mail.
 *
 * The module is told something, then asked for all that follows of it. What it wants kept, and what has
 * come of it for the mailbox, is made durable first, in one transaction; only then anything of it leaves
 * this machine. So a page may end between any two steps: the next run begins with what was kept.
 */

import { GyreError } from '../errors.js';
import type { Input, Output, Post, StampAsked } from './module.js';

/** What the courier asks of the node. */
export interface CustodyNode {
  custodyNearest(tag: Uint8Array): Promise<Uint8Array>;
  custodyOpen(peer: Uint8Array): void;
  custodySend(peer: Uint8Array, message: Uint8Array): void;
  setCustodyListener(listener: (peer: Uint8Array, message: Uint8Array | undefined) => void): void;
  recordGet(key: Uint8Array): Promise<Uint8Array[]>;
  recordPut(key: Uint8Array, value: Uint8Array): Promise<number>;
  custodyRelays(): Promise<Uint8Array>;
}

/** What is done with what the module says. */
export interface CourierHooks {
  /** Makes a drain durable, what it is to be kept and what the mailbox takes of it; what it returns is told to the module. */
  keep(outputs: readonly Output[]): Promise<Input[]>;
  /** Looks for a stamp until the signal fires, and says now and then how many numbers were tried. */
  stamp(job: { prefix: Uint8Array; bits: number }, signal: AbortSignal, onTried: (tried: number) => void): Promise<bigint>;
  /** How much of the work for a recipient is done, of what is to be expected: beyond 1 luck is bad; `null` when it has ended. */
  stamping(asked: { message: string; to: string }, part: number | null): void;
  /** Others hold a record that was brought to them. */
  found(key: Uint8Array): void;
  /** It cannot go on: what was said is not durable. */
  broken(error: GyreError): void;
  now(): number;
}

/** One run of the module. */
export class Courier {
  readonly #post: Post;
  readonly #node: CustodyNode;
  readonly #hooks: CourierHooks;
  readonly #queue: Said[] = [];
  readonly #stamps = new Map<string, AbortController>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #relays = '';
  #turning: Promise<void> | null = null;
  #stopped = false;

  constructor(post: Post, node: CustodyNode, hooks: CourierHooks) {
    this.#post = post;
    this.#node = node;
    this.#hooks = hooks;
    node.setCustodyListener((peer, message) => this.tell({ kind: 'answer', peer, ...(message ? { message } : {}) }));
  }

  /** Does what the module has said before it was told anything. */
  start(): Promise<void> {
    return this.with(() => undefined);
  }

  /** Tells the module something, in order with all else. */
  tell(input: Input): void {
    if (this.#stopped) return;
    this.#queue.push({ say: (post, now) => post.handle(input, now) });
    this.#turn();
  }

  /** Says something to the module in its turn, and resolves when what follows of it is durable. */
  with(say: (post: Post, now: number) => void): Promise<void> {
    if (this.#stopped) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#queue.push({ say, kept: { resolve, reject } });
      this.#turn();
    });
  }

  /** Tells the module something, and resolves when what follows of it is durable. */
  told(input: Input): Promise<void> {
    return this.with((post, now) => post.handle(input, now));
  }

  /** Tells the module of the network: which relays offer mailboxes, and that there is one again. */
  async network(online: boolean): Promise<Uint8Array | null> {
    const peers = await this.#node.custodyRelays().catch(() => new Uint8Array());
    const known = String(peers);
    const isNew = known !== this.#relays;
    this.#relays = known;
    if (isNew) this.tell({ kind: 'relays', peers });
    if (online) this.tell({ kind: 'online' });
    return isNew ? peers : null;
  }

  /** Ends it: what is being made durable still is. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#refuse(closed());
    clearTimeout(this.#timer);
    for (const search of this.#stamps.values()) search.abort();
    this.#node.setCustodyListener(() => undefined);
    await this.#turning;
  }

  #turn(): void {
    this.#turning ??= this.#run().finally(() => {
      this.#turning = null;
      if (this.#queue.length > 0) this.#turn();
    });
  }

  async #run(): Promise<void> {
    // All that was said in one go is one turn.
    await Promise.resolve();
    while (this.#queue.length > 0 && !this.#stopped) {
      const batch = this.#queue.splice(0);
      const heard = batch.filter((said) => this.#say(said));
      const outputs: Output[] = [];
      for (let output = this.#post.poll(); output; output = this.#post.poll()) outputs.push(output);
      try {
        const answers = outputs.length > 0 ? await this.#hooks.keep(outputs) : [];
        for (const { kept } of heard) kept?.resolve();
        if (this.#stopped) return;
        for (const output of outputs) this.#do(output);
        for (const answer of answers) this.tell(answer);
      } catch (thrown) {
        // The module is ahead of what is durable.
        const error = GyreError.from(thrown);
        for (const { kept } of heard) kept?.reject(error);
        if (this.#stopped) return;
        this.#stopped = true;
        this.#refuse(error);
        this.#hooks.broken(error);
      }
    }
  }

  /** `false` if the module did not take it: only what this side got wrong is refused, and everything else goes on. */
  #say({ say, kept }: Said): boolean {
    try {
      say(this.#post, this.#hooks.now());
      return true;
    } catch (thrown) {
      if (kept) kept.reject(thrown);
      else console.error('mail: the module refused what it was told', thrown);
      return false;
    }
  }

  #refuse(error: GyreError): void {
    for (const { kept } of this.#queue.splice(0)) kept?.reject(error);
  }

  #do(output: Output): void {
    switch (output.do) {
      case 'nearest': {
        const { tag } = output;
        return this.#answer(() => this.#node.custodyNearest(tag), new Uint8Array(), (peers) => ({ kind: 'nearest', tag, peers }));
      }
      case 'open':
        return this.#reach(output.peer, () => this.#node.custodyOpen(output.peer));
      case 'ask':
        return this.#reach(output.peer, () => this.#node.custodySend(output.peer, output.message));
      case 'get': {
        const { key } = output;
        return this.#answer(() => this.#node.recordGet(key), [], (values) => ({ kind: 'records', key, values }));
      }
      case 'put': {
        const { key, value } = output;
        return this.#answer(() => this.#node.recordPut(key, value), 0, (holders) => {
          if (holders > 0) this.#hooks.found(key);
          return { kind: 'put', key, holders };
        });
      }
      case 'wake':
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.tell({ kind: 'tick' }), Math.min(Math.max(0, output.atMs - this.#hooks.now()), MAX_WAIT_MS));
        return;
      case 'stamp':
        return this.#search(output);
      case 'unstamp':
        this.#stamps.get(output.job)?.abort();
        return void this.#stamps.delete(output.job);
      default:
    }
  }

  /** What cannot be asked is answered as if nobody had. */
  #answer<T>(ask: () => Promise<T>, nothing: T, input: (value: T) => Input): void {
    void Promise.resolve().then(ask).catch(() => nothing).then((value) => this.tell(input(value)));
  }

  #reach(peer: Uint8Array, work: () => void): void {
    try {
      work();
    } catch {
      this.tell({ kind: 'answer', peer });
    }
  }

  #search({ job, message, to, paid, of, prefix, bits }: StampAsked): void {
    this.#stamps.get(job)?.abort();
    const search = new AbortController();
    this.#stamps.set(job, search);
    const onTried = (tried: number): void => this.#hooks.stamping({ message, to }, (paid + tried / 2 ** bits) / of);
    onTried(0);
    this.#hooks
      .stamp({ prefix, bits }, search.signal, onTried)
      .then((nonce) => {
        if (!search.signal.aborted) this.tell({ kind: 'stamped', job, nonce });
      })
      .catch((error: unknown) => {
        if (!search.signal.aborted) console.error('mail: no stamp', error);
      })
      .finally(() => {
        if (this.#stamps.get(job) === search) this.#stamps.delete(job);
        if (!this.#stamps.has(job)) this.#hooks.stamping({ message, to }, null);
      });
  }
}

/** Something the module is to be told, and who waits until it is durable. */
interface Said {
  readonly say: (post: Post, now: number) => void;
  readonly kept?: { resolve(): void; reject(error: unknown): void };
}

function closed(): GyreError {
  return new GyreError('CLOSED', 'The mailbox was closed.');
}

/** The longest that a timer of a browser waits: 31 bits of milliseconds. */
const MAX_WAIT_MS = 0x7fff_ffff;
