/**
 * The page's end of the service worker's questions: opens the file, answers, and hands out a body piece by piece.
 *
 * A session is one HTTP answer. It reads when the worker pulls and one piece ahead, so a player that has
 * enough holds everything back up to the peer. Sessions that nobody pulls are let go, the longest unused
 * first: the worker asks again, from the byte where it stands, when it needs more.
 */

import { GyreError, raced } from './errors.js';
import type { GyreFile } from './file.js';
import { readAsk, readWish, SIGN_OF_LIFE_MS, type Answer, type Ask } from './stream-messages.js';
import { answer } from './stream-response.js';
import type { SwarmInfo } from './types.js';

/** What a host asks of the peer; `Gyre` is one. @internal */
export interface HostPeer {
  swarm(cid: string): SwarmInfo | undefined;
  open(link: string, options?: { signal?: AbortSignal }): Promise<GyreFile>;
  pause(link: string): Promise<void>;
  addEventListener(type: 'swarms', listener: () => void): void;
  removeEventListener(type: 'swarms', listener: () => void): void;
}

/** An opened file and who uses it. */
interface Shelf {
  readonly file: Promise<GyreFile>;
  users: number;
  idle: ReturnType<typeof setTimeout> | undefined;
}

/** Answers what a service worker asks. @internal */
export class StreamHost {
  readonly #peer: () => Promise<HostPeer>;
  readonly #shelves = new Map<string, Shelf>();
  readonly #sessions = new Set<Session>();
  #stopped = false;

  constructor(peer: () => Promise<HostPeer>) {
    this.#peer = peer;
  }

  /** Requests that are being answered. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Whether a body was pulled within `milliseconds`. */
  busy(milliseconds: number): boolean {
    const since = performance.now() - milliseconds;
    return [...this.#sessions].some((session) => session.waiting || session.pulledAt >= since);
  }

  /** Takes a message of the worker; false if it is not for this host. */
  take(data: unknown, port: MessagePort | undefined): boolean {
    const ask = readAsk(data);
    if (!ask || !port || this.#stopped) return false;
    if (this.#sessions.size >= MAX_SESSIONS) this.#dropOldest();
    const session = new Session(ask, port, this);
    this.#sessions.add(session);
    session.run().finally(() => this.#sessions.delete(session));
    return true;
  }

  /** Lets go of everything. */
  stop(): void {
    this.#stopped = true;
    for (const session of this.#sessions) session.letGo();
    for (const [cid, shelf] of this.#shelves) this.#close(cid, shelf);
  }

  /** Runs `use` with the file; concurrent requests share one handle, which stays for a while. */
  async with<T>(cid: string, signal: AbortSignal, use: (file: GyreFile) => Promise<T>): Promise<T> {
    const peer = await raced(this.#peer(), signal);
    let shelf = this.#shelves.get(cid);
    const swarm = peer.swarm(cid);
    // Only what the person opened, and has not removed: an address alone must not make this browser fetch something.
    if (!swarm || swarm.fragment === null) {
      if (shelf) this.#close(cid, shelf);
      throw new NotOpen(cid);
    }
    if (!shelf) {
      shelf = { file: this.#open(peer, swarm.fragment, swarm), users: 0, idle: undefined };
      this.#shelves.set(cid, shelf);
    }
    const mine = shelf;
    mine.users += 1;
    clearTimeout(mine.idle);
    try {
      return await use(await raced(mine.file, signal));
    } catch (thrown) {
      // A handle that was closed, or never opened, is of no use to the next request.
      if (this.#shelves.get(cid) === mine && !signal.aborted) this.#shelves.delete(cid);
      throw thrown;
    } finally {
      mine.users -= 1;
      if (mine.users === 0) {
        if (this.#shelves.get(cid) !== mine || this.#stopped) this.#close(cid, mine);
        else mine.idle = setTimeout(() => this.#close(cid, mine), IDLE_FILE_MS);
      }
    }
  }

  /**
   * Resolves when a blob that stands still (paused by the person, nobody there who has it) goes on.
   *
   * @throws GyreError `CLOSED` if it was removed, its own error if it failed for a reason that does not pass by itself.
   */
  async goesOn(cid: string, signal: AbortSignal): Promise<void> {
    const peer = await raced(this.#peer(), signal);
    // What the peer tells of its blobs follows what befalls a read by a moment.
    await raced(new Promise((resolve) => setTimeout(resolve, SETTLE_MS)), signal);
    let check = (): void => undefined;
    try {
      await raced(
        new Promise<void>((resolve, reject) => {
          check = () => {
            const now = peer.swarm(cid);
            if (!now) return reject(new GyreError('CLOSED', 'The file was removed from this browser.', { cid }));
            if (now.state === 'paused') return;
            if (now.state !== 'failed' || !now.error) return resolve();
            if (PASSING.has(now.error.code)) return;
            const { code, message } = now.error;
            reject(GyreError.from(Object.assign(new Error(message), { code })));
          };
          peer.addEventListener('swarms', check);
          check();
        }),
        signal,
      );
    } finally {
      peer.removeEventListener('swarms', check);
    }
  }

  async #open(peer: HostPeer, fragment: string, { cid, state }: SwarmInfo): Promise<GyreFile> {
    const file = await peer.open(fragment);
    // To look at a file is no wish to go on fetching it.
    if (state === 'paused') await peer.pause(cid);
    return file;
  }

  #close(cid: string, shelf: Shelf): void {
    clearTimeout(shelf.idle);
    if (this.#shelves.get(cid) === shelf) this.#shelves.delete(cid);
    shelf.file.then((file) => file.close()).catch(() => undefined);
  }

  #dropOldest(): void {
    let oldest: Session | undefined;
    for (const session of this.#sessions) {
      if (!session.waiting && (!oldest || session.pulledAt < oldest.pulledAt)) oldest = session;
    }
    (oldest ?? [...this.#sessions][0])?.letGo();
  }
}

/** One HTTP answer. */
class Session {
  /** When the worker last pulled, in milliseconds of `performance.now()`. */
  pulledAt = performance.now();
  /** The worker waits for something. */
  waiting = true;
  readonly #ask: Ask;
  readonly #port: MessagePort;
  readonly #host: StreamHost;
  readonly #cut = new AbortController();
  #pulled: (() => void) | null = null;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(ask: Ask, port: MessagePort, host: StreamHost) {
    this.#ask = ask;
    this.#port = port;
    this.#host = host;
  }

  async run(): Promise<void> {
    const port = this.#port;
    const life = setInterval(() => this.waiting && this.#say({ type: 'here' }), SIGN_OF_LIFE_MS);
    port.onmessage = ({ data }) => {
      const wish = readWish(data);
      if (wish?.type === 'cancel') this.#cut.abort();
      else if (wish?.type === 'pull') this.#onPull();
    };
    // Not every browser tells that the other end of a port is gone; the idle limit covers the rest.
    port.addEventListener('close', () => this.#cut.abort());
    this.#say({ type: 'here' });
    try {
      await this.#host.with(this.#ask.cid, this.#cut.signal, (file) => this.#answer(file));
    } catch (thrown) {
      if (!this.#cut.signal.aborted) this.#say(failure(thrown));
    } finally {
      clearInterval(life);
      clearTimeout(this.#idle);
      this.#cut.abort();
      port.onmessage = null;
      port.close();
    }
  }

  /** Ends it from this side; the worker may come back for the rest. */
  letGo(): void {
    if (this.#cut.signal.aborted) return;
    this.#say({ type: 'gone' });
    this.#cut.abort();
  }

  async #answer(file: GyreFile): Promise<void> {
    const { method, headers, download } = this.#ask;
    const head = answer(file, method, (name) => headers[name] ?? null, { download });
    const { span } = head;
    this.#say({ type: 'head', status: head.status, headers: head.headers, body: span !== null });
    if (!span) return;
    let fruitless = 0;
    for (let at = span.start; at < span.end; ) {
      const stream = file.stream({ start: at, end: span.end }, { signal: this.#cut.signal });
      const reader = stream.getReader();
      try {
        while (at < span.end) {
          await this.#pull();
          const { done, value } = await reader.read();
          if (done) throw new GyreError('INTERNAL', `The file ended before byte ${span.end}.`, { cid: file.cid });
          at += value.byteLength;
          fruitless = 0;
          const bytes = whole(value);
          this.#say({ type: 'data', bytes }, [bytes.buffer]);
        }
      } catch (thrown) {
        const passes = !this.#cut.signal.aborted && PASSING.has(GyreError.from(thrown).code);
        if (!passes || (fruitless += 1) > MAX_FRUITLESS) throw thrown;
        await this.#host.goesOn(file.cid, this.#cut.signal);
      } finally {
        reader.cancel().catch(() => undefined);
      }
    }
    this.#say({ type: 'end' });
  }

  #onPull(): void {
    this.waiting = true;
    this.pulledAt = performance.now();
    clearTimeout(this.#idle);
    this.#pulled?.();
  }

  /** Waits until the worker waits for something. */
  async #pull(): Promise<void> {
    if (this.waiting) return;
    this.#idle = setTimeout(() => this.letGo(), IDLE_SESSION_MS);
    await raced(new Promise<void>((resolve) => (this.#pulled = resolve)), this.#cut.signal);
  }

  /** Every message but a sign of life is what the worker waits for. */
  #say(message: Answer, transfer: Transferable[] = []): void {
    if (message.type !== 'here') this.waiting = false;
    this.#port.postMessage(message, transfer);
  }
}

/** The person has not opened this file in this browser. */
class NotOpen extends Error {
  readonly code = NOT_OPEN;

  constructor(cid: string) {
    super(`The file ${cid} is not open in this browser. Open its link first.`);
  }
}

function failure(thrown: unknown): Answer {
  if (thrown instanceof NotOpen) return { type: 'fail', code: thrown.code, message: thrown.message };
  const { code, message } = GyreError.from(thrown);
  return { type: 'fail', code, message };
}

/** The bytes in a buffer of their own, which can be handed over without a copy. */
function whole(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const alone = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return alone ? (bytes as Uint8Array<ArrayBuffer>) : bytes.slice();
}

/** Code of a file that is not open here. */
export const NOT_OPEN = 'NOT_OPEN';
/** What a read may fail with and succeed later: paused, nobody there, no relay. */
const PASSING: ReadonlySet<string> = new Set(['ABORTED', 'NOT_FOUND', 'NO_RELAY']);
/** Reads in a row that fail in such a way although the blob is said to go on. */
const MAX_FRUITLESS = 5;
/** Milliseconds after a failed read until its blob's state is looked at: the peer publishes it within 400. */
const SETTLE_MS = 600;
/** Answers under way in one page: ten players with a few requests each. A 1 MiB piece may be read ahead for each. */
const MAX_SESSIONS = 32;
/** Milliseconds that a session may stand without being pulled: a person who paused a film for longer waits a moment. */
const IDLE_SESSION_MS = 60_000;
/** Milliseconds that a file stays open after its last request: players close and open connections all the time. */
const IDLE_FILE_MS = 30_000;
