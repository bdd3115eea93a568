/**
 * The node that runs in another tab, as a follower sees it.
 *
 * Every call is a message with an id that its answer carries. What is waiting when the wire is
 * given up fails with {@link Lost}, so that shared.ts can ask the next leader.
 */

import { GyreError, throwIfAborted } from '../errors.js';
import type { MailCall, MailWorkOf } from '../mail/calls.js';
import type {
  GyreNode,
  ImportOptions,
  MailNews,
  NodeFile,
  PlainArguments,
  PlainCall,
  PlainResult,
  PublishSettings,
  PublishWork,
  SiteSource,
  Snapshot,
  WorkArguments,
  WorkCall,
  WorkProgress,
  WorkResult,
} from '../node.js';
import type { SiteChange } from '../site-types.js';
import type { Opened } from '../source.js';
import type { PeerInfo, Stats, SwarmInfo } from '../types.js';
import type { SitePiece, WasmEvent, WasmShare, Work } from '../wasm/gyre.js';
import {
  isOpenedFile,
  readToFollower,
  type Changed,
  type Network,
  type ToFollower,
  type ToLeader,
} from './messages.js';
import { moved, type Wire } from './wire.js';

/** The leader went away before it had answered. */
export class Lost extends GyreError {
  constructor() {
    super('INTERRUPTED', 'The tab that ran the peer was closed before this was done.');
  }
}

/** A node behind a wire. */
export class RemoteNode implements GyreNode {
  readonly runsHere = false;
  /** Whether the wire was given up, so that what fails now fails for that. */
  gone = false;
  readonly peerId: string;
  /** Relays and STUN servers of the leader. */
  readonly network: Network;
  readonly #wire: Wire;
  readonly #heard: () => void;
  #snapshot: Snapshot;
  #tell: (event: WasmEvent) => void = () => undefined;
  #tellMail: MailNews = () => undefined;
  #pending = new Map<number, Pending>();
  #ids = 0;
  /** Calls beyond what a leader takes at once. */
  #queue: (() => void)[] = [];
  #lost: () => void = () => undefined;

  private constructor(wire: Wire, welcome: Extract<ToFollower, { kind: 'welcome' }>, heard: () => void) {
    this.#wire = wire;
    this.#heard = heard;
    this.peerId = welcome.peerId;
    this.network = welcome.network;
    this.#snapshot = welcome.snapshot;
    wire.listen((message) => this.#hear(readToFollower(message)));
  }

  /** Waits for the leader's welcome, for `patience` milliseconds; `null` if none comes. `heard` is called for every message. */
  static welcomed(wire: Wire, patience: number, heard: () => void): Promise<RemoteNode | null> {
    return new Promise((resolve) => {
      const give = setTimeout(() => {
        wire.close();
        resolve(null);
      }, patience);
      wire.listen((message) => {
        const welcome = readToFollower(message);
        if (welcome?.kind !== 'welcome') return;
        clearTimeout(give);
        heard();
        resolve(new RemoteNode(wire, welcome, heard));
      });
    });
  }

  onEvent(callback: (event: WasmEvent) => void): void {
    this.#tell = callback;
  }

  /** Calls `lost` if the leader says that it stops. */
  onLost(lost: () => void): void {
    this.#lost = lost;
  }

  async call<K extends PlainCall>(name: K, ...args: PlainArguments<K>): PlainResult<K> {
    return (await this.#ask({ kind: 'call', name, args })) as Awaited<PlainResult<K>>;
  }

  work<K extends WorkCall>(name: K, args: WorkArguments<K>, work: Work<WorkProgress<K>>): WorkResult<K> {
    const { signal, onProgress } = work;
    const extra = { signal, onProgress: onProgress as ((done: unknown) => void) | undefined };
    return this.#ask({ kind: 'work', name, args }, extra) as WorkResult<K>;
  }

  mail(name: MailCall, args: readonly unknown[], { token, signal, onProgress }: MailWorkOf): Promise<unknown> {
    return this.#ask({ kind: 'mail', name, args, token }, { signal, onProgress: onProgress as ((done: unknown) => void) | undefined });
  }

  onMail(callback: MailNews): void {
    this.#tellMail = callback;
  }

  async publishSite(source: SiteSource, settings: PublishSettings, work: PublishWork): Promise<SiteChange> {
    const reader = source.stream().getReader();
    const { signal, onProgress } = work;
    try {
      const extra = { signal, onProgress: onProgress as ((done: unknown) => void) | undefined, reader };
      return (await this.#ask({ kind: 'publish', settings }, extra)) as SiteChange;
    } catch (thrown) {
      await reader.cancel(thrown).catch(() => undefined);
      throw thrown;
    }
  }

  async openLink(link: string, options: { signal?: AbortSignal } = {}): Promise<NodeFile> {
    const opened = await this.#ask(
      { kind: 'open', link },
      { signal: options.signal, unwanted: (value) => this.#free(value) },
    );
    if (!isOpenedFile(opened)) throw new GyreError('INTERNAL', 'The other tab opened something that is no file.');
    const { file, ...about } = opened;
    return {
      ...about,
      read: async (offset, length, { signal } = {}) => {
        const bytes = await this.#ask({ kind: 'read', file, offset, length }, { signal });
        if (bytes instanceof Uint8Array) return bytes;
        throw new GyreError('INTERNAL', 'The other tab read something that is no bytes.');
      },
      free: () => this.#free(opened),
    };
  }

  async importSource(source: Opened, options: ImportOptions): Promise<WasmShare> {
    const { signal, onProgress, public: open, exported = false, sources = [] } = options;
    const { name, type, size } = source;
    const blob = source.blob();
    const reader = blob ? undefined : source.stream().getReader();
    try {
      const made = await this.#ask(
        { kind: 'import', blob, name, type, size, public: open, exported, sources },
        { signal, onProgress: onProgress as ((done: unknown) => void) | undefined, reader },
      );
      return made as WasmShare;
    } catch (thrown) {
      await reader?.cancel(thrown).catch(() => undefined);
      throw thrown;
    }
  }

  peers(): PeerInfo[] {
    return this.#snapshot.peers;
  }

  swarms(): SwarmInfo[] {
    return this.#snapshot.swarms;
  }

  stats(): Stats {
    return this.#snapshot.stats;
  }

  memoryBytes(): number {
    return this.#snapshot.memoryBytes;
  }

  /** Asks for a sign of life. */
  ping(): void {
    if (!this.gone) this.#post({ kind: 'ping' });
  }

  /** Gives the wire up; the node behind it runs on. */
  async stop(): Promise<void> {
    if (this.gone) return;
    this.#post({ kind: 'bye' });
    this.lose();
  }

  /** Gives the wire up because nobody is at its other end. */
  lose(): void {
    if (this.gone) return;
    this.gone = true;
    this.#wire.close();
    this.#tell = this.#tellMail = () => undefined;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(new Lost());
    for (const go of this.#queue.splice(0)) go();
  }

  async #ask(question: Question, extra: Extra = {}): Promise<unknown> {
    throwIfAborted(extra.signal);
    if (this.#pending.size >= MAX_CALLS) await new Promise<void>((go) => this.#queue.push(go));
    throwIfAborted(extra.signal);
    if (this.gone) throw new Lost();
    const { signal } = extra;
    const id = (this.#ids += 1);
    return new Promise<unknown>((resolve, reject) => {
      const abort = (): void => {
        this.#settle(id)?.reject(new GyreError('ABORTED', 'Cancelled.', { cause: signal?.reason }));
        this.#post({ kind: 'abort', id });
        // The answer may be under way; what it holds must not stay open.
        if (extra.unwanted)
          this.#pending.set(id, { ...extra, resolve: extra.unwanted, reject: () => undefined, done: () => undefined });
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#pending.set(id, { ...extra, resolve, reject, done: () => signal?.removeEventListener('abort', abort) });
      try {
        this.#post({ ...question, id });
      } catch (thrown) {
        this.#settle(id)?.reject(thrown);
      }
    });
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.done();
    this.#queue.shift()?.();
    return pending;
  }

  #hear(message: ToFollower | null): void {
    if (!message || this.gone) return;
    this.#heard();
    switch (message.kind) {
      case 'done':
        this.#renew(message.snapshot);
        return this.#settle(message.id)?.resolve(message.value);
      case 'failed': {
        this.#renew(message.snapshot);
        const { code, message: text, cid } = message.error;
        const told = GyreError.from(Object.assign(new Error(text), { code }));
        return this.#settle(message.id)?.reject(new GyreError(told.code, text, { cause: told, cid: cid ?? undefined }));
      }
      case 'progress':
        return this.#pending.get(message.id)?.onProgress?.(message.done);
      case 'pull':
        return void this.#feed(message.id);
      case 'changed':
        this.#post({ kind: 'ack', what: message.what });
        if (message.what === 'state') {
          this.#snapshot = { ...this.#snapshot, stats: message.value, memoryBytes: message.memoryBytes };
        } else {
          this.#snapshot = { ...this.#snapshot, [message.what]: message.value };
        }
        return this.#tell({ type: message.what });
      case 'mailed':
        return this.#tellMail(message.type, message.detail);
      case 'bye':
        this.lose();
        return this.#lost();
      case 'pong':
      case 'welcome':
    }
  }

  /** What a call has changed is seen by whoever waited for it. */
  #renew(snapshot: Snapshot | null): void {
    if (!snapshot) return;
    this.#snapshot = snapshot;
    for (const type of ['state', 'swarms', 'peers'] as const satisfies readonly Changed[]) this.#tell({ type });
  }

  /** Hands the leader the next piece of a source that only this tab can read. */
  async #feed(id: number): Promise<void> {
    const reader = this.#pending.get(id)?.reader;
    if (!reader) return;
    try {
      const { value } = await reader.read();
      if (!value) return this.#post({ kind: 'piece', id, bytes: null });
      const { bytes, transfer } = moved((value instanceof Uint8Array ? value : value.bytes).slice());
      this.#post({ kind: 'piece', id, bytes: value instanceof Uint8Array ? bytes : { ...value, bytes } }, transfer);
    } catch (thrown) {
      this.#settle(id)?.reject(thrown);
      this.#post({ kind: 'abort', id });
    }
  }

  #free(value: unknown): void {
    if (isOpenedFile(value)) this.#post({ kind: 'free', file: value.file });
  }

  #post(message: ToLeader, transfer?: Transferable[]): void {
    if (!this.gone) this.#wire.post(message, transfer);
  }
}

/** A message that is answered, before it has an id. */
type Question = WithoutId<Extract<ToLeader, { kind: 'call' | 'work' | 'mail' | 'open' | 'read' | 'import' | 'publish' }>>;
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

interface Extra {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: unknown) => void) | undefined;
  readonly reader?: ReadableStreamDefaultReader<SitePiece> | undefined;
  /** Takes an answer that comes after the caller has given up. */
  readonly unwanted?: (value: unknown) => void;
}

interface Pending extends Extra {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Lets go of the caller's signal. */
  readonly done: () => void;
}

/** Calls under way at once; the leader refuses more than twice as many. */
const MAX_CALLS = 128;
