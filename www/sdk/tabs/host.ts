/**
 * The leader's side: lets other tabs use the node of this one.
 *
 * Nothing here grows with what a follower does not take: reads answer one request each, snapshots
 * wait for the one before to be acknowledged, sources are pulled. When a follower goes, whatever it
 * had open is freed, and nothing else changes.
 */

import { GyreError } from '../errors.js';
import {
  READING_CALLS,
  snapshotOf,
  type GyreNode,
  type NodeFile,
  type PlainArguments,
  type PlainCall,
  type SiteSource,
  type Snapshot,
  type WorkArguments,
  type WorkCall,
} from '../node.js';
import type { Opened } from '../source.js';
import type { SitePiece } from '../wasm/gyre.js';
import { readToLeader, type Changed, type Network, type ToFollower, type ToLeader } from './messages.js';
import { moved, type Wire } from './wire.js';

/** All followers of this tab. */
export class Host {
  readonly #node: GyreNode;
  readonly #network: Network;
  readonly #soon: (work: () => void) => void;
  readonly #guests = new Map<string, Guest>();

  /** Signs of life are given through `soon`, which a tab that is frozen does not run. */
  constructor(node: GyreNode, network: Network, soon: (work: () => void) => void) {
    this.#node = node;
    this.#network = network;
    this.#soon = soon;
  }

  /** How many tabs follow. */
  get followers(): number {
    return this.#guests.size;
  }

  /** Serves a tab; `false` if there are too many. A tab that comes again has lost its wire before. */
  admit(tab: string, wire: Wire): boolean {
    this.dismiss(tab);
    if (this.#guests.size >= MAX_FOLLOWERS) {
      wire.close();
      return false;
    }
    this.#guests.set(tab, new Guest(this.#node, this.#network, wire, this.#soon, () => this.dismiss(tab)));
    return true;
  }

  /** Ends all that a tab has open here. */
  dismiss(tab: string): void {
    const guest = this.#guests.get(tab);
    this.#guests.delete(tab);
    guest?.close();
  }

  /** Passes an event of the node on. */
  changed(what: Changed): void {
    for (const guest of this.#guests.values()) guest.changed(what);
  }

  /** Passes an event of the mailbox on. */
  mailed(type: string, detail: unknown): void {
    for (const guest of this.#guests.values()) guest.mailed(type, detail);
  }

  /** Tells all that it is over. */
  close(): void {
    for (const [tab, guest] of [...this.#guests]) {
      guest.bye();
      this.dismiss(tab);
    }
  }
}

/** One follower. */
class Guest {
  readonly #node: GyreNode;
  readonly #wire: Wire;
  readonly #soon: (work: () => void) => void;
  readonly #leave: () => void;
  readonly #calls = new Map<number, Call>();
  readonly #files = new Map<number, NodeFile>();
  readonly #unacknowledged = new Set<Changed>();
  readonly #stale = new Set<Changed>();
  #handles = 0;
  #closed = false;

  constructor(node: GyreNode, network: Network, wire: Wire, soon: (work: () => void) => void, leave: () => void) {
    this.#node = node;
    this.#wire = wire;
    this.#soon = soon;
    this.#leave = leave;
    wire.listen((message) => {
      const said = readToLeader(message);
      if (said && !this.#closed) this.#hear(said);
    });
    this.#post({ kind: 'welcome', peerId: node.peerId, network, snapshot: snapshotOf(node) });
  }

  changed(what: Changed): void {
    if (this.#closed) return;
    if (this.#unacknowledged.has(what)) return void this.#stale.add(what);
    this.#unacknowledged.add(what);
    const { stats, memoryBytes, swarms, peers } = snapshotOf(this.#node);
    if (what === 'state') this.#post({ kind: 'changed', what, value: stats, memoryBytes });
    else if (what === 'swarms') this.#post({ kind: 'changed', what, value: swarms });
    else this.#post({ kind: 'changed', what, value: peers });
  }

  mailed(type: string, detail: unknown): void {
    this.#post({ kind: 'mailed', type, detail });
  }

  bye(): void {
    this.#post({ kind: 'bye' });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wire.close();
    for (const { abort, source } of this.#calls.values()) {
      abort.abort();
      source?.fail(new GyreError('ABORTED', 'The tab that shared this was closed.'));
    }
    this.#calls.clear();
    for (const file of this.#files.values()) file.free();
    this.#files.clear();
  }

  #hear(said: ToLeader): void {
    switch (said.kind) {
      case 'ping':
        return this.#soon(() => this.#post({ kind: 'pong' }));
      case 'bye':
        return this.#leave();
      case 'ack':
        this.#unacknowledged.delete(said.what);
        return void (this.#stale.delete(said.what) && this.changed(said.what));
      case 'free':
        this.#files.get(said.file)?.free();
        return void this.#files.delete(said.file);
      case 'abort':
        this.#calls.get(said.id)?.source?.fail(new GyreError('ABORTED', 'Cancelled.'));
        return this.#calls.get(said.id)?.abort.abort();
      case 'piece':
        return this.#calls.get(said.id)?.source?.take(said.bytes);
      default:
        return void this.#answer(said);
    }
  }

  async #answer(said: Asked): Promise<void> {
    const { id } = said;
    const abort = new AbortController();
    const pulls = said.kind === 'publish' || (said.kind === 'import' && !said.blob);
    const source = pulls ? new Pulled(() => this.#post({ kind: 'pull', id })) : null;
    // What only reads changes no snapshot.
    const reads =
      said.kind === 'read' || said.kind === 'work' || said.kind === 'mail' || (said.kind === 'call' && READING_CALLS.includes(said.name));
    const after = (): Snapshot | null => (reads || this.#closed ? null : snapshotOf(this.#node));
    try {
      if (this.#calls.size >= MAX_CALLS || this.#calls.has(id))
        throw new GyreError('INTERNAL', 'Too many calls at once.');
      this.#calls.set(id, { abort, source });
      const value = await this.#run(said, abort.signal, source);
      if (this.#closed) return;
      if (value instanceof Uint8Array) {
        const { bytes, transfer } = moved(value);
        this.#post({ kind: 'done', id, value: bytes, snapshot: null }, transfer);
      } else {
        this.#post({ kind: 'done', id, value, snapshot: after() });
      }
    } catch (thrown) {
      if (this.#closed) return;
      const { code, message, cid } = GyreError.from(thrown);
      this.#post({ kind: 'failed', id, error: { code, message, cid: cid ?? null }, snapshot: after() });
    } finally {
      if (this.#calls.get(id)?.abort === abort) this.#calls.delete(id);
    }
  }

  async #run(
    said: Asked,
    signal: AbortSignal,
    pulled: Pulled | null,
  ): Promise<unknown> {
    switch (said.kind) {
      case 'call':
        return this.#node.call(said.name, ...(said.args as PlainArguments<PlainCall>));
      case 'work': {
        const args = said.args as WorkArguments<WorkCall>;
        // Every head counts, and they are few; of what tells how far it is the last one does.
        const pace = said.name === 'watchName' ? 0 : PROGRESS_MS;
        return this.#paced(said.id, pace, async (onProgress): Promise<unknown> =>
          this.#node.work(said.name, args, { signal, onProgress }),
        );
      }
      case 'mail':
        return this.#paced(said.id, PROGRESS_MS, (onProgress) =>
          this.#node.mail(said.name, said.args, { token: said.token, signal, onProgress }),
        );
      case 'publish': {
        const source: SiteSource = {
          repeatable: false,
          stream: () => (pulled?.stream ?? new ReadableStream()) as ReadableStream<SitePiece>,
        };
        return this.#paced(said.id, PROGRESS_MS, (onProgress) =>
          this.#node.publishSite(source, said.settings, { signal, onProgress }),
        );
      }
      case 'open': {
        if (this.#files.size >= MAX_FILES) throw new GyreError('INTERNAL', 'Too many files are open in this tab.');
        const opened = await this.#node.openLink(said.link, { signal });
        // The tab may have gone, or given up, meanwhile.
        if (this.#closed || signal.aborted) {
          opened.free();
          throw new GyreError('ABORTED', 'Cancelled.');
        }
        const file = (this.#handles += 1);
        this.#files.set(file, opened);
        const { cid, name, type, size } = opened;
        return { file, cid, name, type, size };
      }
      case 'read': {
        const file = this.#files.get(said.file);
        if (!file) throw new GyreError('CLOSED', 'This file handle is closed.');
        return file.read(said.offset, said.length, { signal });
      }
      case 'import': {
        const { blob, name, type, size } = said;
        const source: Opened = {
          name,
          type,
          size,
          blob: () => blob,
          // Whoever imports is told if a piece is none.
          stream: () => blob?.stream() ?? (pulled?.stream as ReadableStream<Uint8Array> | undefined) ?? new ReadableStream(),
        };
        const { public: open, exported, sources } = said;
        return this.#paced(said.id, PROGRESS_MS, (onProgress) =>
          this.#node.importSource(source, { public: open, exported, sources, signal, onProgress }),
        );
      }
    }
  }

  /** Passes on what `work` tells, at most once in `pace` milliseconds, and the last of it before its result. */
  async #paced<T>(id: number, pace: number, work: (tell: (done: unknown) => void) => Promise<T>): Promise<T> {
    let told = -Infinity;
    let held: { done: unknown } | null = null;
    const result = await work((done) => {
      const now = performance.now();
      held = now - told < pace ? { done } : null;
      if (held) return;
      told = now;
      this.#post({ kind: 'progress', id, done });
    });
    if (held) this.#post({ kind: 'progress', id, done: (held as { done: unknown }).done });
    return result;
  }

  #post(message: ToFollower, transfer?: Transferable[]): void {
    if (!this.#closed) this.#wire.post(message, transfer);
  }
}

/** A source in the follower's tab, as a stream of the pieces that it is asked for. */
class Pulled {
  readonly stream: ReadableStream<SitePiece>;
  #controller!: ReadableStreamDefaultController<SitePiece>;
  #taken: (() => void) | null = null;
  #over = false;

  constructor(pull: () => void) {
    this.stream = new ReadableStream<SitePiece>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () =>
          new Promise<void>((taken) => {
            this.#taken = taken;
            pull();
          }),
        cancel: () => void (this.#over = true),
      },
      // One piece is under way while the node works on another.
      { highWaterMark: 1 },
    );
  }

  take(bytes: SitePiece | null): void {
    // A piece that nobody asked for would be one too many.
    if (this.#over || !this.#taken) return;
    const taken = this.#taken;
    this.#taken = null;
    if (bytes) this.#controller.enqueue(bytes);
    else {
      this.#over = true;
      this.#controller.close();
    }
    taken();
  }

  fail(error: GyreError): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller.error(error);
    this.#taken?.();
  }
}

/** What is answered. */
type Asked = Extract<ToLeader, { kind: 'call' | 'work' | 'mail' | 'open' | 'read' | 'import' | 'publish' }>;

interface Call {
  readonly abort: AbortController;
  readonly source: Pulled | null;
}

/** Tabs that one leader serves; more than anybody has of one site. */
const MAX_FOLLOWERS = 64;
/** Calls of one tab at once, twice what a tab starts. */
const MAX_CALLS = 256;
/** Files that one tab has open at once. */
const MAX_FILES = 1024;
/** Milliseconds between two reports of an import's progress. */
const PROGRESS_MS = 100;
