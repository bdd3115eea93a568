/**
 * One node per origin and database, however many tabs: the node as any of them sees it.
 *
 * Web Locks decide. Every tab queues for the lock of the database; who holds it leads and runs the
 * node, the others talk to it. When the leader's tab closes or dies the browser gives the lock to
 * the next in the queue, which starts the node from the store. Nobody votes, so nobody can disagree.
 * A lock of its own tells the leader when a follower has gone. What was asked of the one node and
 * can be asked twice is asked again of the next. docs/tabs.md has the life cycle.
 */

import { GyreError, raced } from '../errors.js';
import type { MailCall, MailWorkOf } from '../mail/calls.js';
import type {
  GyreNode,
  ImportOptions,
  LocalNode,
  MailNews,
  NodeFile,
  PlainArguments,
  PlainCall,
  PlainResult,
  PublishSettings,
  PublishWork,
  SiteSource,
  WorkArguments,
  WorkCall,
  WorkProgress,
  WorkResult,
} from '../node.js';
import type { SiteChange } from '../site-types.js';
import type { Opened } from '../source.js';
import type { PeerInfo, Stats, SwarmInfo } from '../types.js';
import type { WasmEvent, WasmShare, Work } from '../wasm/gyre.js';
import { SharedFile } from './file.js';
import { Host } from './host.js';
import { connect } from './link.js';
import { readNotice, VERSION, type Network, type Notice } from './messages.js';
import type { Platform } from './platform.js';
import { Lost, type RemoteNode } from './remote.js';
import { channelWire, portWire, type Wire } from './wire.js';

/** How a tab gets a node of its own. */
export interface Starter {
  readonly database: string;
  /** Starts the node; `known` are the relays that the leader before had. */
  start(known: Network | null): Promise<{ node: LocalNode; network: Network }>;
  /** Gets ready for a start without starting anything, or to open the mailbox. */
  prepare(mail: boolean): Promise<unknown>;
}

/** The node of an origin, wherever it runs. */
export class SharedNode implements GyreNode {
  readonly #starter: Starter;
  readonly #platform: Platform;
  readonly #tab: string;
  readonly #channel: BroadcastChannel;
  readonly #leadName: string;
  #local: LocalNode | null = null;
  #host: Host | null = null;
  #remote: RemoteNode | null = null;
  /** What the last node said, for as long as there is none. */
  #last: { peerId: string; stats: Stats | null; swarms: SwarmInfo[] } = { peerId: '', stats: null, swarms: [] };
  #network: Network | null = null;
  /** The tab that leads, if another one does. */
  #leader = '';
  #tell: (event: WasmEvent) => void = () => undefined;
  #tellMail: MailNews = () => undefined;
  /** Whether this tab uses mail, so that the next node is to open it. */
  #mails = false;
  #waiting = new Set<{ resolve: (node: GyreNode) => void; reject: (error: GyreError) => void }>();
  #queued: AbortController | null = null;
  /** Settles what keeps the lock of the lead. */
  #resign: (() => void) | null = null;
  #reign = 0;
  #linking = 0;
  #heardAt: number;
  #watchedAt: number;
  #askedAt = -Infinity;
  #timer: ReturnType<typeof setInterval>;
  #stopped: Promise<void> | null = null;
  #alive: () => void = () => undefined;
  /** Whether a node was ever there: a first start that fails is the caller's to know of. */
  #joined = false;
  readonly #prepared = new Set<boolean>();

  private constructor(starter: Starter, platform: Platform) {
    this.#starter = starter;
    this.#platform = platform;
    this.#tab = platform.name();
    this.#leadName = `gyre-lead:${starter.database}`;
    this.#channel = platform.channel(`gyre-tabs:${starter.database}`);
    this.#channel.onmessage = ({ data }) => {
      const notice = readNotice(data);
      if (notice && !this.#stopped) this.#hear(notice);
    };
    this.#heardAt = this.#watchedAt = platform.now();
    this.#timer = setInterval(() => this.#watch(), platform.timing.hello);
  }

  /** Takes part: resolves once there is a node, in this tab or another. */
  static async join(starter: Starter, platform: Platform, signal?: AbortSignal): Promise<SharedNode> {
    const shared = new SharedNode(starter, platform);
    try {
      await shared.#showAlive();
      if (signal?.aborted) throw new GyreError('ABORTED', 'Cancelled.', { cause: signal.reason });
      const first = new Promise<GyreNode>((resolve, reject) => shared.#waiting.add({ resolve, reject }));
      shared.#seek();
      shared.#say({ kind: 'hello', version: VERSION, tab: shared.#tab });
      await raced(first, signal);
      return shared;
    } catch (thrown) {
      await shared.stop();
      throw thrown;
    }
  }

  get peerId(): string {
    return this.#node?.peerId ?? this.#last.peerId;
  }

  get runsHere(): boolean {
    return this.#local !== null;
  }

  onEvent(callback: (event: WasmEvent) => void): void {
    this.#tell = callback;
  }

  async call<K extends PlainCall>(name: K, ...args: PlainArguments<K>): PlainResult<K> {
    let tries = 0;
    const result = await this.#attempt(async (node): Promise<unknown> => {
      tries += 1;
      try {
        return await node.call(name, ...args);
      } catch (thrown) {
        // The node that was lost may have done it.
        if (tries > 1 && DONE_BEFORE[name] === GyreError.from(thrown).code) return undefined;
        throw thrown;
      }
    }, undefined);
    return result as Awaited<PlainResult<K>>;
  }

  openLink(link: string, options: { signal?: AbortSignal } = {}): Promise<NodeFile> {
    return this.#attempt(async (node) => {
      const file = await node.openLink(link, options);
      return new SharedFile(link, node, file, (work, signal) => this.#attempt(work, signal));
    }, options.signal);
  }

  importSource(source: Opened, options: ImportOptions): Promise<WasmShare> {
    const repeatable = (): boolean => source.blob() !== null;
    return this.#attempt((node) => node.importSource(source, options), options.signal, repeatable);
  }

  work<K extends WorkCall>(name: K, args: WorkArguments<K>, work: Work<WorkProgress<K>>): WorkResult<K> {
    const result = this.#attempt(async (node): Promise<unknown> => node.work(name, args, work), work.signal);
    return result as WorkResult<K>;
  }

  async mail(name: MailCall, args: readonly unknown[], work: MailWorkOf): Promise<unknown> {
    this.#mails = true;
    let tries = 0;
    return this.#attempt(async (node) => {
      tries += 1;
      try {
        const result = await node.mail(name, args, work);
        if (name !== 'state' && name !== 'kept') this.#prepare(true);
        return result;
      } catch (thrown) {
        // The mailbox that was lost may have been made.
        if (tries > 1 && name === 'create' && GyreError.from(thrown).code === 'MAIL_EXISTS') return undefined;
        throw thrown;
      }
    }, work.signal);
  }

  onMail(callback: MailNews): void {
    this.#tellMail = callback;
  }

  publishSite(source: SiteSource, settings: PublishSettings, work: PublishWork): Promise<SiteChange> {
    return this.#attempt((node) => node.publishSite(source, settings, work), work.signal, () => source.repeatable);
  }

  peers(): PeerInfo[] {
    return this.#node?.peers() ?? [];
  }

  swarms(): SwarmInfo[] {
    return this.#node?.swarms() ?? this.#last.swarms;
  }

  stats(): Stats {
    const stats = this.#node?.stats() ?? this.#last.stats;
    if (!stats) throw new GyreError('CLOSED', 'The peer was left.');
    return stats;
  }

  memoryBytes(): number {
    return this.#node?.memoryBytes() ?? 0;
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#end());
  }

  get #node(): LocalNode | RemoteNode | null {
    return this.#local ?? this.#remote;
  }

  /** Runs `work` at the node of the moment; if that is lost meanwhile, again at the next one. */
  async #attempt<T>(
    work: (node: GyreNode) => Promise<T>,
    signal: AbortSignal | undefined,
    again = () => true,
  ): Promise<T> {
    for (let tries = 0; ; tries++) {
      const node = await this.#present(signal);
      try {
        return await work(node);
      } catch (thrown) {
        const lost = thrown instanceof Lost || (node as LocalNode | RemoteNode).gone;
        if (!lost || this.#stopped || signal?.aborted) throw thrown;
        if (!again() || tries >= MAX_LEADERS) throw new Lost();
      }
    }
  }

  /** The node, as soon as there is one. */
  async #present(signal: AbortSignal | undefined): Promise<GyreNode> {
    if (this.#stopped) throw new GyreError('CLOSED', 'The peer was left.');
    const node = this.#node;
    if (node && !node.gone) return node;
    let waiter!: { resolve: (node: GyreNode) => void; reject: (error: GyreError) => void };
    const coming = new Promise<GyreNode>((resolve, reject) => this.#waiting.add((waiter = { resolve, reject })));
    const late = setTimeout(() => waiter.reject(new Lost()), this.#platform.timing.wait);
    try {
      return await raced(coming, signal);
    } finally {
      clearTimeout(late);
      this.#waiting.delete(waiter);
    }
  }

  #arrived(node: GyreNode): void {
    this.#joined = true;
    for (const { resolve } of this.#waiting) resolve(node);
    this.#waiting.clear();
    this.#tellAll();
    if (!this.#mails) return;
    // What is shown may be another now, also if the keys are locked again.
    const told = (): void => this.#tellMail('state', null);
    void node.mail('state', [], { token: this.#platform.name() }).then(told, told);
  }

  #failed(error: GyreError): void {
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
  }

  #tellAll(): void {
    for (const type of ['state', 'swarms', 'peers'] as const) this.#tell({ type });
  }

  // ── leading ──

  /** Holds a lock that nobody else wants, so that others see when this tab has gone. */
  async #showAlive(): Promise<void> {
    await new Promise<void>((held, refused) => {
      this.#platform.locks
        .request(aliveName(this.#starter.database, this.#tab), () => {
          held();
          return new Promise<void>((end) => (this.#alive = end));
        })
        .catch(refused);
    });
  }

  /** Queues for the lead, or takes it from a leader that hangs. */
  #seek(steal = false): void {
    if (this.#stopped) return;
    this.#queued?.abort();
    const queued = (this.#queued = new AbortController());
    const reign = (this.#reign += 1);
    this.#platform.locks
      .request(this.#leadName, steal ? { steal } : { signal: queued.signal }, () => this.#lead(reign, steal))
      .then(
        // The lead was given up, because the node did not start or this tab leaves.
        () => this.#seekLater(reign),
        // Another tab found this one hung; it may have the lead, and this one waits for its turn.
        () => (queued.signal.aborted ? undefined : this.#dethroned(reign)),
      );
  }

  #seekLater(reign: number): void {
    if (reign !== this.#reign || this.#stopped) return;
    setTimeout(() => {
      if (reign === this.#reign) this.#seek();
    }, this.#platform.timing.again);
  }

  /** Leads for as long as the promise is pending. */
  async #lead(reign: number, stolen: boolean): Promise<void> {
    if (this.#stopped || reign !== this.#reign) return;
    this.#forsake();
    this.#leader = this.#tab;
    await this.#announce(false);
    try {
      // A hung tab holds the store as well.
      if (stolen)
        await this.#platform.locks.request(storeName(this.#starter.database), { steal: true }, () => undefined);
      const { node, network } = await this.#startNode();
      if (this.#stopped || reign !== this.#reign) return void (await node.stop());
      const host = (this.#host = new Host(node, network, this.#platform.soon));
      this.#local = node;
      this.#network = network;
      node.onEvent((event) => {
        if (this.#local !== node) return;
        this.#tell(event);
        host.changed(event.type);
      });
      node.onMail((type, detail) => {
        if (this.#local !== node) return;
        this.#tellMail(type, detail);
        host.mailed(type, detail);
      });
    } catch (thrown) {
      const error = GyreError.from(thrown);
      if (this.#leader === this.#tab) this.#leader = '';
      this.#say({ kind: 'bye', tab: this.#tab });
      this.#failed(error);
      return;
    }
    const until = new Promise<void>((resign) => (this.#resign = resign));
    const untake = this.#platform.broker?.take(this.#starter.database, this.#tab, (tab, port) =>
      this.#admit(tab, portWire(port)),
    );
    this.#arrived(this.#local);
    await this.#announce(true);
    await until;
    untake?.();
  }

  async #startNode(): Promise<{ node: LocalNode; network: Network }> {
    const { now, timing } = this.#platform;
    const end = now() + timing.store;
    for (;;) {
      try {
        return await this.#starter.start(this.#network);
      } catch (thrown) {
        // The browser frees the locks of a closed tab one after the other.
        if (GyreError.from(thrown).code !== 'STORE_BUSY' || now() > end || this.#stopped) throw thrown;
        await new Promise((resolve) => setTimeout(resolve, STORE_RETRY_MS));
      }
    }
  }

  #dethroned(reign: number): void {
    if (reign !== this.#reign || this.#stopped) return;
    const node = this.#abdicate();
    this.#resign?.();
    void node?.stop().catch(() => undefined);
    this.#tellAll();
    this.#seek();
    this.#say({ kind: 'hello', version: VERSION, tab: this.#tab });
  }

  /** Leads no more; the node that ran here has yet to be stopped. */
  #abdicate(): LocalNode | null {
    const node = this.#local;
    if (node) {
      this.#remember(node);
      node.gone = true;
    }
    this.#local = null;
    this.#host?.close();
    this.#host = null;
    if (this.#leader === this.#tab) this.#leader = '';
    return node;
  }

  #admit(tab: string, wire: Wire): void {
    const host = this.#host;
    if (!host?.admit(tab, wire)) return wire.close();
    // Granted once that tab is gone, whichever way; while it lives this one waits in the queue.
    this.#platform.locks
      .request(aliveName(this.#starter.database, tab), { mode: 'shared' }, () => host.dismiss(tab))
      .catch(() => undefined);
  }

  async #announce(ready: boolean): Promise<void> {
    const client = ready ? ((await this.#platform.broker?.clientId()) ?? null) : null;
    if (this.#leader !== this.#tab) return;
    this.#say({ kind: 'leader', version: VERSION, tab: this.#tab, ready, client });
  }

  // ── following ──

  #hear(notice: Notice): void {
    switch (notice.kind) {
      case 'hello':
        // The answer says that this tab runs, so it must not come from one that is frozen.
        if (this.#leader === this.#tab) this.#platform.soon(() => void this.#announce(this.#local !== null));
        return;
      case 'link':
        if (notice.to === this.#tab && this.#host)
          this.#admit(notice.tab, channelWire(this.#platform.channel(notice.channel)));
        return;
      case 'bye':
        if (notice.tab === this.#leader) this.#forsake();
        return;
      case 'leader':
        if (notice.tab !== this.#tab) this.#follow(notice);
    }
  }

  #follow({ tab, version, ready, client }: Extract<Notice, { kind: 'leader' }>): void {
    this.#heardAt = this.#platform.now();
    // A tab that has the lock is told by the lock that it has it no more, not by who says so.
    if (this.#leader === this.#tab) return;
    if (version !== VERSION) {
      if (!this.#joined)
        this.#failed(
          new GyreError('STORE_BUSY', 'Another tab runs a different version. Reload that tab, or close it.'),
        );
      return;
    }
    if (tab !== this.#leader) this.#forsake();
    this.#leader = tab;
    if (ready && !this.#remote && this.#linking === 0) void this.#link(tab, client);
  }

  /** Gives up the leader of before. */
  #forsake(): void {
    const remote = this.#remote;
    this.#remote = null;
    this.#leader = '';
    if (!remote) return;
    this.#remember(remote);
    remote.lose();
    this.#tellAll();
  }

  /** What a node that is gone said stays on the screen until the next one speaks. */
  #remember(node: GyreNode): void {
    const stats: Stats = { ...node.stats(), state: 'connecting', relays: [], upRate: 0, downRate: 0 };
    this.#last = { peerId: node.peerId, stats, swarms: node.swarms() };
  }

  async #link(leader: string, client: string | null): Promise<void> {
    this.#linking += 1;
    try {
      const link = { database: this.#starter.database, tab: this.#tab, leader, client };
      const remote = await connect(link, this.#platform, (notice) => this.#say(notice), this.#heard);
      if (!remote) return;
      if (this.#leader !== leader || this.#local || this.#stopped) return void (await remote.stop());
      this.#remote = remote;
      this.#network = remote.network;
      remote.onEvent((event) => this.#tell(event));
      remote.onMail((type, detail) => this.#tellMail(type, detail));
      remote.onLost(() => this.#remote === remote && this.#forsake());
      this.#arrived(remote);
      this.#prepare();
    } finally {
      this.#linking -= 1;
      // Another tab may have taken the lead meanwhile.
      if (!this.#node && !this.#stopped) this.#askWho();
    }
  }

  /** A tab that may lead one day fetches what it needs for that while it is quiet. */
  #prepare(mail = false): void {
    const prepared = this.#prepared;
    if (prepared.has(mail)) return;
    prepared.add(mail);
    this.#starter.prepare(mail).catch(() => prepared.delete(mail));
  }

  // ── is anybody there? ──

  #heard = (): void => {
    this.#heardAt = this.#platform.now();
  };

  #watch(): void {
    const { timing, now, visible } = this.#platform;
    const time = now();
    const slept = time - this.#watchedAt > 2 * timing.hello + SLACK_MS;
    this.#watchedAt = time;
    // A tab that did not run itself cannot blame another; a hidden one leaves it to those that are seen.
    if (slept || !visible() || this.#leader === this.#tab) this.#heardAt = Math.max(this.#heardAt, time - timing.ask);
    if (this.#stopped || this.#leader === this.#tab) return;
    const silence = time - this.#heardAt;
    if (!this.#node && this.#linking === 0) this.#askWho();
    else if (visible() && silence >= timing.ask && time - this.#askedAt >= timing.watch) {
      this.#askedAt = time;
      this.#remote?.ping();
    }
    if (silence >= timing.hung && visible()) {
      this.#heardAt = time;
      this.#seek(true);
    }
  }

  #askWho(): void {
    this.#say({ kind: 'hello', version: VERSION, tab: this.#tab });
  }

  #say(notice: Notice): void {
    if (!this.#stopped) this.#channel.postMessage(notice);
  }

  async #end(): Promise<void> {
    clearInterval(this.#timer);
    this.#reign += 1;
    this.#queued?.abort();
    this.#failed(new GyreError('CLOSED', 'The peer was left.'));
    const leads = this.#leader === this.#tab;
    const remote = this.#remote;
    const node = this.#abdicate();
    if (leads) this.#channel.postMessage({ kind: 'bye', tab: this.#tab } satisfies Notice);
    this.#remote = null;
    await remote?.stop();
    this.#channel.close();
    try {
      await node?.stop();
    } finally {
      this.#resign?.();
      this.#alive();
    }
  }
}

/** The lock that each tab holds for as long as it lives. */
function aliveName(database: string, tab: string): string {
  return `gyre-tab:${database}:${tab}`;
}

/** The lock of the store itself, as in store/indexed_db/lock.rs. */
function storeName(database: string): string {
  return `gyre-store:${database}`;
}

/** Leaders that one call may outlive; more in one call's life is a fault that another try does not mend. */
const MAX_LEADERS = 8;
/** Milliseconds between two tries to open a store that is about to be free. */
const STORE_RETRY_MS = 50;
/** Milliseconds that a timer may be late in a tab that runs. */
const SLACK_MS = 1_500;

/** What a call fails with if the node that was lost had done it. */
const DONE_BEFORE: { readonly [K in PlainCall]?: string } = {
  remove: 'NOT_FOUND',
  removeSite: 'NOT_FOUND',
  createKeys: 'KEYS_EXIST',
};
