/**
 * The app's one link to its peer: starts it, keeps the latest snapshots and queues what the person
 * asks for until the peer runs, so that the page can be used before the wasm has loaded.
 *
 * A start that fails for a reason that can pass (a tab of another version, no relay) is repeated by
 * itself. Which tab of the origin runs the peer is the SDK's affair; this page looks the same in all.
 */

import { Gyre, GyreError, type PeerInfo, type Progress, type Stats, type SwarmInfo } from 'gyre';
import type { Phase } from './lib/status.js';
import { Eta, RateMeter } from './lib/rate.js';
import { isExported } from './lib/exported.js';
import { keepStorage } from './persist.js';

/** One file on its way into the swarm. */
export interface ShareTask {
  readonly id: number;
  readonly file: File;
  readonly public: boolean;
  readonly state: 'waiting' | 'importing' | 'done' | 'failed';
  /** Bytes imported. */
  readonly done: number;
  /** Bytes per second. */
  readonly rate: number;
  /** Seconds left, `null` if unknown. */
  readonly eta: number | null;
  readonly link: string | null;
  readonly cid: string | null;
  readonly error: GyreError | null;
}

/** Fires `change` whenever something that is shown has changed. */
export class Session extends EventTarget {
  phase: Phase = 'loading';
  error: GyreError | null = null;
  stats: Stats | null = null;
  swarms: readonly SwarmInfo[] = [];
  peers: readonly PeerInfo[] = [];
  shares: readonly ShareTask[] = [];
  /** What the last action outside any task failed with. */
  notice = '';
  /** Conversations with unread mail, once the mailbox is open. */
  unread = 0;
  #gyre: Gyre | null = null;
  #waiting: ((gyre: Gyre) => void)[] = [];
  #aborts = new Map<number, AbortController>();
  #queue: Promise<void> = Promise.resolve();
  #ids = 0;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #soon: ReturnType<typeof setTimeout> | undefined;
  #starting = false;
  #announced = false;

  /** Whether the peer runs in this tab; `null` while there is none. */
  get runsHere(): boolean | null {
    return this.#gyre?.runsHere ?? null;
  }

  /** Starts the peer; called again, tries again. */
  async start(): Promise<void> {
    if (this.#gyre || this.#starting) return;
    this.#starting = true;
    clearTimeout(this.#retry);
    try {
      const gyre = await Gyre.join({ linkBase: new URL('./', document.baseURI) });
      this.#adopt(gyre);
    } catch (thrown) {
      this.error = GyreError.from(thrown);
      this.phase = 'failed';
      const delay = RETRY_MS[this.error.code];
      if (delay) this.#retry = setTimeout(() => void this.start(), Math.min(delay * 2 ** this.#attempt, MAX_RETRY_MS));
      // The other tab may be reloaded at any moment, so that wait does not grow.
      if (this.error.code !== 'STORE_BUSY') this.#attempt += 1;
      this.#changed();
    } finally {
      this.#starting = false;
    }
  }

  /** The peer, once it runs. */
  ready(signal?: AbortSignal): Promise<Gyre> {
    if (this.#gyre) return Promise.resolve(this.#gyre);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) reject(new GyreError('ABORTED', 'Cancelled.'));
      this.#waiting.push(resolve);
      signal?.addEventListener('abort', () => reject(new GyreError('ABORTED', 'Cancelled.')), { once: true });
    });
  }

  /** The full link of a file held here. */
  linkOf(cid: string): string | null {
    return this.#gyre?.linkOf(cid) ?? null;
  }

  /** Whether to ask now if this page may send: there is something to send and no answer yet. */
  get asksConsent(): boolean {
    const holds = this.shares.length > 0 || this.swarms.some((swarm) => swarm.have > 0);
    return holds && this.stats?.uploadAllowed === null;
  }

  /** Imports files one after the other. */
  share(files: readonly File[], isPublic: boolean): void {
    for (const file of files.slice(0, MAX_TASKS)) {
      this.#ids += 1;
      const task: ShareTask = {
        id: this.#ids,
        file,
        public: isPublic,
        state: 'waiting',
        done: 0,
        rate: 0,
        eta: null,
        link: null,
        cid: null,
        error: null,
      };
      this.shares = [task, ...this.shares].slice(0, MAX_TASKS);
      this.#aborts.set(task.id, new AbortController());
      this.#queue = this.#queue.then(() => this.#import(task));
    }
    this.#changed();
  }

  /** Stops an import, or takes a finished one off the list of tasks. */
  dismissShare(id: number): void {
    this.#aborts.get(id)?.abort();
    this.#aborts.delete(id);
    this.shares = this.shares.filter((task) => task.id !== id);
    this.#changed();
  }

  /** Takes all that are done off the list of tasks. */
  dismissDone(): void {
    this.shares = this.shares.filter((task) => task.state !== 'done');
    this.#changed();
  }

  /** Tries a failed import again. */
  retryShare(id: number): void {
    const task = this.shares.find((candidate) => candidate.id === id);
    if (!task) return;
    this.dismissShare(id);
    this.share([task.file], task.public);
  }

  /** Runs an action on the peer; a failure is shown as a notice. */
  async act(work: (gyre: Gyre) => Promise<unknown>): Promise<boolean> {
    try {
      await work(await this.ready());
      return true;
    } catch (thrown) {
      const error = GyreError.from(thrown);
      if (error.code !== 'ABORTED') this.notify(error.message);
      return false;
    } finally {
      this.#refresh();
    }
  }

  /** Sets the room for files, and goes on with what the lack of it has stopped. */
  async setQuota(bytes: number): Promise<boolean> {
    const set = await this.act((gyre) => gyre.setQuota(bytes));
    if (!set) return false;
    for (const { cid, error } of this.swarms) {
      if (error?.code === 'QUOTA_EXCEEDED') void this.act((gyre) => gyre.resume(cid));
    }
    for (const task of this.shares) if (task.error?.code === 'QUOTA_EXCEEDED') this.retryShare(task.id);
    return true;
  }

  /** Removes a file from this browser, and from the list of what was shared just now. */
  async remove(cid: string): Promise<void> {
    const removed = await this.act((gyre) => gyre.remove(cid));
    if (!removed) return;
    this.shares = this.shares.filter((task) => task.cid !== cid);
    this.#changed();
  }

  /** Keeps a file on purpose, or lets it go when room is needed. */
  async setPinned(cid: string, pinned: boolean): Promise<void> {
    const done = await this.act((gyre) => (pinned ? gyre.pin(cid) : gyre.unpin(cid)));
    if (done && pinned) keepStorage();
  }

  /** Shows a sentence for a moment. */
  notify(text: string): void {
    this.notice = text;
    this.#changed();
    setTimeout(() => {
      if (this.notice !== text) return;
      this.notice = '';
      this.#changed();
    }, NOTICE_MS);
  }

  /** Says how much unread mail there is. */
  setUnread(unread: number): void {
    if (this.unread === unread) return;
    this.unread = unread;
    this.#changed();
  }

  #adopt(gyre: Gyre): void {
    this.#gyre = gyre;
    this.error = null;
    window.gyre = gyre;
    for (const kind of ['state', 'swarms', 'peers'] as const) gyre.addEventListener(kind, () => this.#refreshSoon());
    this.#refresh();
    for (const resolve of this.#waiting.splice(0)) resolve(gyre);
  }

  /** Many events, one picture: what flows fast must not spend the processor on being drawn. */
  #refreshSoon(): void {
    this.#soon ??= setTimeout(() => this.#refresh(), REFRESH_MS);
  }

  #refresh(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    if (!this.#gyre) return;
    this.swarms = this.#gyre.swarms();
    this.peers = this.#gyre.peers();
    try {
      this.stats = this.#gyre.stats();
      this.phase = this.stats.state;
    } catch (thrown) {
      this.error = GyreError.from(thrown);
      this.phase = 'failed';
    }
    this.#changed();
  }

  async #import(task: ShareTask): Promise<void> {
    const abort = this.#aborts.get(task.id);
    if (!abort) return;
    const meter = new RateMeter();
    const eta = new Eta();
    const { id, file } = task;
    try {
      const gyre = await this.ready(abort.signal);
      this.#patch(id, { state: 'importing' });
      const onProgress = ({ done, total }: Progress): void => {
        const now = performance.now();
        meter.note(done, now);
        this.#patch(id, { done, rate: meter.rate, eta: eta.note(done, total, meter.rate, now) });
      };
      const { signal } = abort;
      // What was exported from here, or elsewhere, comes back as what it was.
      const share = (await isExported(file))
        ? await gyre.importExported(file, { signal, onProgress })
        : await gyre.share(file, { public: task.public, signal, onProgress });
      this.#patch(id, { state: 'done', done: file.size, link: share.link, cid: share.cid });
      keepStorage();
    } catch (thrown) {
      this.#patch(id, { state: 'failed', error: GyreError.from(thrown) });
    } finally {
      this.#aborts.delete(id);
      this.#refresh();
    }
  }

  #patch(id: number, change: Partial<ShareTask>): void {
    this.shares = this.shares.map((task) => (task.id === id ? { ...task, ...change } : task));
    this.#changed();
  }

  #changed(): void {
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      this.dispatchEvent(new Event('change'));
    });
  }
}

/** Milliseconds until a start that failed is repeated, by the reason; others wait for the person. */
const RETRY_MS: Partial<Record<string, number>> = { STORE_BUSY: 5_000, NO_RELAY: 4_000 };
const MAX_RETRY_MS = 60_000;
/** Files in the list of imports; more are easier to share as an archive. */
const MAX_TASKS = 50;
/** Milliseconds from the first event to the picture that shows it, and what came after it. */
const REFRESH_MS = 250;
/** Milliseconds that a notice stays. */
const NOTICE_MS = 6_000;

/** The session of this page; made after the constants that it uses. */
export const session = new Session();

declare global {
  interface Window {
    /** The peer of this page, for the console and for tests. */
    gyre?: Gyre;
  }
}
