/**
 * The node of this origin.
 *
 * A thin face over the wasm node, which runs in this page or in another tab (tabs/): it finds
 * relays, loads the module, turns streams, signals and errors into those of the web, and decides
 * nothing about the swarm.
 */

import { fetchBootstrap, type Bootstrap } from './bootstrap.js';
import { GyreError, guarded, throwIfAborted } from './errors.js';
import { GyreFile } from './file.js';
import { checkSiteNumber, Keys } from './keys.js';
import { loaded } from './lazy.js';
import { defaultLinkBase, formatLink, formatSiteLink, parseLink, parseSiteLink, webSources, withSources } from './link.js';
import { mailFace } from './mail/face.js';
import type { Mailbox } from './mail/types.js';
import { RelayMemory } from './memory.js';
import { LocalNode, type GyreNode, type OfficeMaker } from './node.js';
import type { SiteFiles } from './publish.js';
import { Site, siteHead } from './site.js';
import type { DenylistInfo, HeldSite, KeeperWord, PublishOptions, SiteHead, SiteVersion } from './site-types.js';
import { readSurroundings, watchSurroundings } from './surroundings.js';
import { openSource, type ShareSource } from './source.js';
import type { Network } from './tabs/messages.js';
import { pagePlatform } from './tabs/platform.js';
import { SharedNode, type Starter } from './tabs/shared.js';
import type { GyreEventMap, JoinOptions, Limits, OpenOptions, PeerInfo, Share, ShareOptions, Stats, SwarmChart, SwarmInfo } from './types.js';
import { loadWasm } from './wasm.js';
import type { WasmNodeOptions } from './wasm/gyre.js';

/** The running peer of this origin. Make it with {@link Gyre.join}; all tabs of one origin and database share it. */
export class Gyre extends EventTarget {
  /** Resolves once a relay holds a reservation, so that others can reach this peer; rejects with `CLOSED` if it is left before. */
  readonly joined: Promise<void>;
  /** The person's keys, with which sites are signed. */
  readonly keys: Keys;
  /** The person's mailbox, loaded when it is used first. */
  readonly mail: Mailbox;
  readonly #node: GyreNode;
  readonly #linkBase: string;
  readonly #failed = new Set<string>();
  #left: Promise<void> | null = null;
  #unwatch: () => void = () => undefined;
  #settleJoined: { resolve: () => void; reject: (error: GyreError) => void } | null = null;

  /** @internal */
  constructor(node: GyreNode, linkBase: string) {
    super();
    this.#node = node;
    this.#linkBase = linkBase;
    this.keys = new Keys(() => this.#open());
    this.mail = mailFace(node, () => this.#assertOpen());
    this.joined = new Promise<void>((resolve, reject) => (this.#settleJoined = { resolve, reject }));
    this.joined.catch(() => undefined);
    for (const swarm of node.swarms()) if (swarm.error) this.#failed.add(swarm.cid);
    node.onEvent((event) => this.#dispatch(event.type));
    this.#noteState(node.stats());
  }

  /**
   * Starts the peer of this origin, or joins the one that another tab runs.
   *
   * Resolves when identity and store are open and the node runs; {@link joined} and the `state`
   * event tell when the first relay is reached. Nothing is sent before the person has agreed, see
   * {@link setUpload}. Where another tab runs the peer, that tab's relays and `relayOnly` hold.
   *
   * @throws GyreError `STORE_BUSY` (a tab of another version runs the peer), `STORE_NEWER`,
   * `STORE_FAILED`, `NO_RELAY`, `BAD_OPTIONS`, `UNSUPPORTED`, `ABORTED`, `NOT_LOADED`, `INTERNAL`.
   */
  static async join(options: JoinOptions = {}): Promise<Gyre> {
    return guarded(async () => {
      throwIfAborted(options.signal);
      if (typeof RTCPeerConnection === 'undefined' || typeof indexedDB === 'undefined') {
        throw new GyreError('UNSUPPORTED', 'This browser offers no WebRTC or no IndexedDB to this page.');
      }
      const linkBase = new URL(options.linkBase ?? defaultLinkBase(), globalThis.location.href).href;
      const starter = starterOf(options);
      const platform = pagePlatform();
      const node = platform
        ? await SharedNode.join(starter, platform, options.signal)
        : (await starter.start(null)).node;
      const gyre = new Gyre(node, linkBase);
      gyre.#unwatch = await watchSurroundings((now) => {
        void node.call('setSurroundings', now).catch(() => undefined);
      });
      if (!node.runsHere && options.quota !== undefined) await gyre.setQuota(options.quota);
      if (options.upload !== undefined) await gyre.setUpload(options.upload);
      return gyre;
    });
  }

  /** Base58 libp2p peer id; the same after a reload, and in all tabs of an origin. */
  get peerId(): string {
    return this.#node.peerId;
  }

  /** Whether the peer runs in this tab; `false` if another tab of this origin runs it. May change, with a `state` event. */
  get runsHere(): boolean {
    return this.#node.runsHere;
  }

  /**
   * Imports content, stores it here and makes its link. Streams of any length pass through without
   * being held in memory. Others can fetch it once sending is allowed.
   *
   * @throws GyreError `QUOTA_EXCEEDED`, `STORE_FAILED`, `BAD_OPTIONS`, `ABORTED`, `CLOSED`, and `INTERRUPTED` if
   * another tab ran the peer, was closed, and the source is a stream that cannot be read twice.
   */
  async share(source: ShareSource, options: ShareOptions = {}): Promise<Share> {
    return guarded(async () => {
      this.#assertOpen();
      throwIfAborted(options.signal);
      const opened = openSource(source, options);
      const report = options.onProgress;
      const made = await this.#node.importSource(opened, {
        public: options.public ?? false,
        sources: options.sources && webSources(options.sources),
        signal: options.signal,
        onProgress: report && ((done) => report({ done, total: opened.size })),
      });
      return {
        link: formatLink(made.fragment, this.#linkBase),
        fragment: made.fragment,
        cid: made.cid,
        size: made.size,
      };
    });
  }

  /**
   * Opens a link (a whole URL, its fragment, or the CID of a public blob) and starts fetching it.
   * Resolves once name, type and size are known.
   *
   * @throws GyreError `BAD_LINK`, `WRONG_KEY`, `NOT_FOUND` (nobody reachable has it: try later),
   * `QUOTA_EXCEEDED`, `ABORTED`, `CLOSED`, `BAD_OPTIONS`.
   */
  async open(link: string, options: OpenOptions = {}): Promise<GyreFile> {
    return guarded(async () => {
      this.#assertOpen();
      throwIfAborted(options.signal);
      const fragment = withSources(parseLink(link).fragment, options.sources ?? []);
      const file = await this.#node.openLink(fragment, options.signal ? { signal: options.signal } : {});
      return new GyreFile(file, this);
    });
  }

  /**
   * The file that has to lie beside a blob on a web server, at the blob's address with `.b3tree`
   * after the path, so that others can use that server as a source. All of the blob must be here.
   *
   * @throws GyreError `NOT_FOUND` if it is not all here, `STORE_FAILED`, `CLOSED`.
   */
  async webTree(link: string): Promise<Uint8Array> {
    return guarded(() => {
      this.#assertOpen();
      return this.#node.call('webTree', parseLink(link).cid);
    });
  }

  /** Keeps a blob on purpose; what is not here yet is fetched. Takes a link or a CID. */
  async pin(link: string): Promise<void> {
    return guarded(async () => {
      const { cid, fragment } = parseLink(link);
      this.#assertOpen();
      if (!this.swarm(cid)) (await this.#node.openLink(fragment)).free();
      await this.#node.call('pin', cid);
    });
  }

  /** Lets a blob be evicted when room is needed. Takes a link or a CID. */
  async unpin(link: string): Promise<void> {
    return this.#onBlob(link, (cid) => this.#node.call('unpin', cid));
  }

  /** Stops fetching a blob; what is here stays and is served. Takes a link or a CID. */
  async pause(link: string): Promise<void> {
    return this.#onBlob(link, (cid) => this.#node.call('pause', cid));
  }

  /** Goes on fetching a blob, also after it has failed. Takes a link or a CID. */
  async resume(link: string): Promise<void> {
    return this.#onBlob(link, (cid) => this.#node.call('resume', cid));
  }

  /** Drops a blob and its chunks from this peer. Takes a link or a CID. */
  async remove(link: string): Promise<void> {
    return this.#onBlob(link, (cid) => this.#node.call('remove', cid));
  }

  /** Records the person's answer: may this peer send what it holds? Remembered in the store. */
  async setUpload(allowed: boolean): Promise<void> {
    return guarded(() => {
      this.#assertOpen();
      return this.#node.call('setUpload', allowed);
    });
  }

  /** Sets the most bytes that the chunk store may use. */
  async setQuota(bytes: number): Promise<void> {
    return guarded(() => {
      this.#assertOpen();
      if (!Number.isSafeInteger(bytes) || bytes <= 0)
        throw new GyreError('BAD_OPTIONS', `${bytes} is not a size in bytes.`);
      return this.#node.call('setQuota', bytes);
    });
  }

  /**
   * Changes what the person allows of their connection; what is left out stays as it is. Figures
   * below their least are raised to it. Remembered in the store, and holds at once.
   */
  async setLimits(change: Partial<Limits>): Promise<void> {
    return guarded(() => {
      this.#assertOpen();
      for (const figure of [change.upRate, change.downRate, change.upPerDay]) {
        if (figure != null && !(Number.isSafeInteger(figure) && figure > 0))
          throw new GyreError('BAD_OPTIONS', `${figure} is not a number of bytes.`);
      }
      return this.#node.call('setLimits', { ...this.#node.stats().limits, ...change });
    });
  }

  /**
   * One file that holds a blob and its link, to be kept elsewhere and taken back with
   * {@link importExported}. All of the blob must be here. Whoever has the file can read it.
   *
   * @throws GyreError `NOT_FOUND` if it is not all here, `STORE_FAILED`, `CLOSED`.
   */
  async export(link: string): Promise<{ name: string; size: number; stream: ReadableStream<Uint8Array> }> {
    return guarded(async () => {
      this.#assertOpen();
      const { cid } = parseLink(link);
      const { name, size, pieces } = await this.#node.call('exportInfo', cid);
      let next = 0;
      const stream = new ReadableStream<Uint8Array>(
        {
          pull: async (controller) => {
            if (next >= pieces) return controller.close();
            const piece = await guarded(() => this.#node.call('exportPiece', cid, next));
            next += 1;
            controller.enqueue(piece);
          },
        },
        { highWaterMark: 1 },
      );
      return { name, size, stream };
    });
  }

  /**
   * Takes back what {@link export} made: checks every byte against the hash it names, keeps it on
   * purpose and serves it.
   *
   * @throws GyreError `BAD_OPTIONS` if it is no such file or damaged, `WRONG_KEY`, `QUOTA_EXCEEDED`, `STORE_FAILED`,
   * `ABORTED`, `CLOSED`.
   */
  async importExported(source: ShareSource, options: Pick<ShareOptions, 'signal' | 'onProgress'> = {}): Promise<Share> {
    return guarded(async () => {
      this.#assertOpen();
      throwIfAborted(options.signal);
      const opened = openSource(source, {});
      const report = options.onProgress;
      const made = await this.#node.importSource(opened, {
        public: false,
        exported: true,
        signal: options.signal,
        onProgress: report && ((done) => report({ done, total: opened.size })),
      });
      return { link: formatLink(made.fragment, this.#linkBase), fragment: made.fragment, cid: made.cid, size: made.size };
    });
  }

  /**
   * Publishes files as one version of a site, and signs that the site's name leads to it if `site` is given. Streams of any
   * length pass through; what is here already is not stored again, and if nothing has changed no new version is made. Others
   * can fetch it once sending is allowed.
   *
   * @throws GyreError `BAD_SITE` for paths, media types or headers that no site may have, `BAD_OPTIONS` if there is no file or one
   * cannot be read, `NO_KEYS`, `LOCKED`, `QUOTA_EXCEEDED`, `STORE_FAILED`, `ABORTED`, `CLOSED`, and `INTERRUPTED` if another tab ran
   * the peer, was closed, and the files cannot be read twice.
   */
  async publish(files: SiteFiles, options: PublishOptions = {}): Promise<SiteVersion> {
    return guarded(async () => {
      const node = this.#open();
      const { site, signal, review, onProgress: report } = options;
      throwIfAborted(signal);
      // Before all the work: without the key it would be in vain.
      const name = site === undefined ? null : await node.call('siteName', checkSiteNumber(site));
      const before = options.previous == null ? null : parseSiteLink(options.previous);
      if (before && !before.isVersion) throw new GyreError('BAD_OPTIONS', 'The version before is named by its CID.');
      const asked = name !== null && options.previous === undefined;
      const previous = before?.address ?? (asked ? ((await this.#headOf(name, signal))?.cid ?? null) : null);
      let path: string | null = null;
      const { siteSource } = await loaded(import(/* webpackChunkName: "gyre-publish" */ './publish.js'));
      const source = siteSource(files, (reading) => (path = reading));
      const { name: title, index, missing, fallback } = options;
      const settings = { name: title, previous: previous ?? undefined, index, missing, fallback };
      const change = await node.publishSite(source, definedOnly(settings), {
        ...(signal ? { signal } : {}),
        ...(report ? { onProgress: (done) => report({ ...done, path }) } : {}),
      });
      const { cid } = change;
      const isNew = cid !== previous;
      try {
        if (review && !(await review(change))) throw new GyreError('ABORTED', 'Given up before it was signed.', { cid });
        throwIfAborted(signal);
      } catch (thrown) {
        if (isNew) await node.call('removeSite', cid).catch(() => undefined);
        throw thrown;
      }
      const link = formatSiteLink(name ?? cid, this.#linkBase);
      if (name === null || site === undefined) return { cid, name, sequence: null, change, link };
      const { sequence } = await node.call('publishName', site, cid);
      await node.call('holdName', name, true);
      // What was replaced may go when room is needed; until then it can be gone back to.
      if (isNew && previous !== null) await node.call('unpinSite', previous).catch(() => undefined);
      return { cid, name, sequence, change, link };
    });
  }

  /**
   * Signs the record of the person's site with this number anew if it was signed more than a week ago, with whatever its name leads
   * to: records end after 90 days. Resolves to the head; `null` if nobody knows the name. Of two values under one number none is
   * chosen: a new version settles that.
   *
   * @throws GyreError `NO_KEYS`, `LOCKED`, `ABORTED`, `CLOSED`.
   */
  async renew(site: number, options: { signal?: AbortSignal } = {}): Promise<SiteHead | null> {
    return guarded(async () => {
      const node = this.#open();
      const name = await node.call('siteName', checkSiteNumber(site));
      const head = await this.#headOf(name, options.signal);
      if (!head || head.fork || head.validUntil - Date.now() > RENEW_WITH_LEFT_MS) return head;
      const renewed = siteHead(await node.call('publishName', site, head.cid));
      await node.call('holdName', name, true);
      return renewed;
    });
  }

  /**
   * Asks keepers to keep what the address of a site leads to, now and when it changes. Resolves with the best that one of them says,
   * `null` if none answers. A keeper fetches it from here and wherever it is: stay until {@link Site.info} knows a holder.
   *
   * @throws GyreError `BAD_LINK`, `ABORTED`, `CLOSED`.
   */
  async askKeepers(address: string, options: { signal?: AbortSignal } = {}): Promise<KeeperWord | null> {
    return guarded(async () => {
      const node = this.#open();
      throwIfAborted(options.signal);
      try {
        return await node.work('askKeepers', [parseSiteLink(address).address], options);
      } catch (thrown) {
        const error = GyreError.from(thrown);
        if (error.code === 'NOT_FOUND') return null;
        throw error;
      }
    });
  }

  /** The denylists that the person has added. What is on them is neither fetched nor served here. */
  async denylists(): Promise<DenylistInfo[]> {
    return guarded(() => this.#open().call('denylists'));
  }

  /** The text of one of them, `null` if there is none of that name. */
  async denylist(name: string): Promise<string | null> {
    return guarded(async () => {
      const text = await this.#open().call('denylistText', name);
      return text ? new TextDecoder().decode(text) : null;
    });
  }

  /**
   * Adds a denylist, or replaces the one of that name; `null` removes it. Remembered; holds at once. Later lists come after earlier
   * ones. Resolves with what there is then.
   *
   * @throws GyreError `BAD_OPTIONS` if it cannot be read or is too much, `STORE_FAILED`, `CLOSED`.
   */
  async setDenylist(name: string, list: string | Uint8Array | null): Promise<DenylistInfo[]> {
    return guarded(() => {
      const text = typeof list === 'string' ? new TextEncoder().encode(list) : list;
      return this.#open().call('setDenylist', name, ...(text ? [text] : []));
    });
  }

  /**
   * Opens a site by its name, by the CID of one version, or by a link. Resolves when its list of files is here; files come as they
   * are asked for. With a name, newer heads are heard of until the site is closed, unless `follow` is `false`.
   *
   * @throws GyreError `BAD_LINK`, `BAD_NAME`, `BAD_SITE`, `NOT_FOUND` (nobody reachable has it: try later), `NO_RELAY`, `ABORTED`,
   * `CLOSED`.
   */
  async site(address: string, options: { signal?: AbortSignal; follow?: boolean } = {}): Promise<Site> {
    return guarded(async () => {
      const node = this.#open();
      const { signal } = options;
      throwIfAborted(signal);
      const at = parseSiteLink(address);
      const head = at.isVersion ? null : await this.#headOf(at.address, signal);
      if (!at.isVersion && !head) throw new GyreError('NOT_FOUND', 'Nobody who knows this name is reachable right now.');
      const cid = head?.cid ?? at.address;
      await node.work('siteInfo', [cid], signal ? { signal } : {});
      return new Site({ address: head?.name ?? cid, head, cid }, () => this.#open(), options.follow ?? true);
    });
  }

  /** The versions of sites whose lists of files are here. */
  async sites(): Promise<HeldSite[]> {
    return guarded(() => this.#open().call('sites'));
  }

  /** Peers this one is, was just, or tries to be connected to. Empty once left. */
  peers(): PeerInfo[] {
    return this.#left ? [] : this.#node.peers();
  }

  /** Blobs that this peer holds, fetches or imports. Empty once left. */
  swarms(): SwarmInfo[] {
    return this.#left ? [] : this.#node.swarms();
  }

  /** One blob of {@link swarms}. */
  swarm(cid: string): SwarmInfo | undefined {
    return this.swarms().find((swarm) => swarm.cid === cid);
  }

  /**
   * Who has what of one blob, drawn when asked for; ask a few times a second at most, and only while
   * somebody watches. Takes a link or a CID.
   *
   * @throws GyreError `NOT_FOUND` if it is not here, `BAD_LINK`, `CLOSED`.
   */
  async chart(link: string): Promise<SwarmChart> {
    return guarded(() => {
      this.#assertOpen();
      return this.#node.call('chart', parseLink(link).cid);
    });
  }

  /** The node as a whole. @throws GyreError `CLOSED` once left. */
  stats(): Stats {
    this.#assertOpen();
    return this.#node.stats();
  }

  /** The full link of a blob held here, `null` if its key is not known to this peer. */
  linkOf(cid: string): string | null {
    const fragment = this.swarm(cid)?.fragment ?? null;
    return fragment === null ? null : formatLink(fragment, this.#linkBase);
  }

  /** Linear memory of the wasm node in bytes, in whichever tab it runs; it only grows. */
  memoryBytes(): number {
    return this.#node.memoryBytes();
  }

  /** Leaves: the peer stops, or goes on in another tab that has joined; what it holds stays for the next time. */
  leave(): Promise<void> {
    this.#unwatch();
    this.#left ??= guarded(() => this.#node.stop());
    this.#settleJoined?.reject(new GyreError('CLOSED', 'The peer was left.'));
    this.#settleJoined = null;
    return this.#left;
  }

  #dispatch(kind: 'state' | 'swarms' | 'peers'): void {
    if (this.#left) return;
    if (kind === 'peers') return void this.dispatchEvent(new CustomEvent('peers', { detail: this.peers() }));
    if (kind === 'state') {
      const stats = this.#node.stats();
      this.#noteState(stats);
      return void this.dispatchEvent(new CustomEvent('state', { detail: stats }));
    }
    const swarms = this.swarms();
    this.dispatchEvent(new CustomEvent('swarms', { detail: swarms }));
    this.#noteFailures(swarms);
  }

  #noteState(stats: Stats): void {
    if (stats.state !== 'joined' && stats.state !== 'peers') return;
    this.#settleJoined?.resolve();
    this.#settleJoined = null;
  }

  #noteFailures(swarms: readonly SwarmInfo[]): void {
    const failing = new Set<string>();
    for (const { cid, error } of swarms) {
      if (!error) continue;
      failing.add(cid);
      if (this.#failed.has(cid)) continue;
      const cause = Object.assign(new Error(error.message), { code: error.code });
      const detail = new GyreError(GyreError.from(cause).code, error.message, { cid });
      this.dispatchEvent(new CustomEvent('error', { detail }));
    }
    this.#failed.clear();
    for (const cid of failing) this.#failed.add(cid);
  }

  #onBlob(link: string, work: (cid: string) => Promise<void>): Promise<void> {
    return guarded(() => {
      this.#assertOpen();
      return work(parseLink(link).cid);
    });
  }

  /** What a name leads to: what others say, or what was known here if they do not say it soon; `null` if nobody knows. */
  async #headOf(name: string, signal: AbortSignal | undefined): Promise<SiteHead | null> {
    const node = this.#open();
    const known = await node.call('knownName', name);
    const cut = new AbortController();
    const giveUp = (): void => cut.abort(signal?.reason);
    const timer = known && setTimeout(giveUp, KNOWN_AFTER_MS);
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      return siteHead(await node.work('resolveName', [name], { signal: cut.signal }));
    } catch (thrown) {
      throwIfAborted(signal);
      const error = GyreError.from(thrown);
      if (!UNKNOWN.has(error.code)) throw error;
      return known ? siteHead(known) : null;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
    }
  }

  #open(): GyreNode {
    this.#assertOpen();
    return this.#node;
  }

  #assertOpen(): void {
    if (this.#left) throw new GyreError('CLOSED', 'The peer was left.');
  }
}

/** Listeners are typed by {@link GyreEventMap}. */
export interface Gyre {
  addEventListener<K extends keyof GyreEventMap>(
    type: K,
    listener: ((event: GyreEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof GyreEventMap>(
    type: K,
    listener: ((event: GyreEventMap[K]) => void) | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

function starterOf(options: JoinOptions): Starter {
  return {
    database: options.databaseName ?? DATABASE,
    start: async (known) => {
      const [wasm, network, surroundings] = await Promise.all([
        loadWasm(options.wasm),
        known ?? findNetwork(options),
        readSurroundings(),
      ]);
      const node = await guarded(() => wasm.WasmNode.start({ ...network, ...nodeOptions(options), surroundings }));
      const office: OfficeMaker = async (local, custody, tell) => {
        const { Office } = await openOffice();
        const linkBase = new URL(options.linkBase ?? defaultLinkBase(), globalThis.location.href).href;
        return new Office({ node: local, custody, database: options.databaseName ?? DATABASE, linkBase, tell });
      };
      return { node: new LocalNode(node, wasm.memory, office), network };
    },
    prepare: (mail) => (mail ? openOffice().then((office) => office.prepareMail()) : loadWasm(options.wasm)),
  };
}

function openOffice(): Promise<typeof import('./mail/office.js')> {
  return loaded(import(/* webpackChunkName: "gyre-mail" */ './mail/office.js'));
}

async function findNetwork(options: JoinOptions): Promise<Network> {
  const given = options.relays;
  if (given && options.bootstrap === undefined) return { relays: [...given], stun: [...(options.stun ?? [])] };
  const sources = options.bootstrap ?? new URL('/bootstrap.json', globalThis.location.href);
  const list = typeof sources === 'string' || sources instanceof URL ? [sources] : sources;
  const memory = new RelayMemory();
  const found: Bootstrap = await fetchBootstrap(list, { signal: options.signal, memory }).catch((error: unknown) => {
    if (given && given.length > 0) return { relays: [], stun: [] };
    throw error;
  });
  const { puzzleBits } = found;
  return {
    relays: [...new Set([...(given ?? []), ...found.relays])],
    stun: [...(options.stun ?? found.stun)],
    ...(puzzleBits === undefined ? {} : { puzzleBits }),
  };
}

function nodeOptions(options: JoinOptions): Partial<WasmNodeOptions> {
  const { databaseName, quota, relayOnly } = options;
  return {
    ...(databaseName === undefined ? {} : { databaseName }),
    ...(quota === undefined ? {} : { quota }),
    ...(relayOnly === undefined ? {} : { relayOnly }),
  };
}

/** Without what is undefined. */
function definedOnly<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}

/** Milliseconds after which what was known of a name counts, so that a site opens where nobody can be asked; a newer head is an event. */
const KNOWN_AFTER_MS = 2_000;
/** A record with less than this left is signed anew: 90 days but for the week that a person may be away. */
const RENEW_WITH_LEFT_MS = 83 * 24 * 60 * 60 * 1000;
/** With these it is not known what a name leads to. */
const UNKNOWN: ReadonlySet<string> = new Set(['NOT_FOUND', 'NO_RELAY', 'ABORTED']);

/** Name of the database where the caller gives none, as in the wasm node. */
const DATABASE = 'gyre';
