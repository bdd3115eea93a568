/**
 * What {@link Gyre} asks of a node, wherever that node runs: in this page, or in another tab of the
 * origin (tabs/).
 *
 * A method of the wasm node that takes and returns plain values and may be repeated without harm is
 * named in {@link PLAIN_CALLS}, and nothing else is needed to have it in every tab. What hands over
 * bytes or handles has a method of its own here.
 */

import { GyreError } from './errors.js';
import type { MailCall, MailOffice, MailWorkOf } from './mail/calls.js';
import type { SiteChange } from './site-types.js';
import type { Opened } from './source.js';
import type { PeerInfo, Stats, SwarmInfo } from './types.js';
import type { SitePiece, WasmEvent, WasmNode, WasmPublishOptions, WasmShare, Work } from './wasm/gyre.js';

/** Calls whose arguments and results are plain values, and which may be made twice. */
export const PLAIN_CALLS = [
  'pin',
  'unpin',
  'pause',
  'resume',
  'remove',
  'setUpload',
  'setQuota',
  'setLimits',
  'setSurroundings',
  'exportInfo',
  'exportPiece',
  'chart',
  'webTree',
  'siteFiles',
  'siteAnswer',
  'pinSite',
  'unpinSite',
  'removeSite',
  'sites',
  'denylists',
  'denylistText',
  'setDenylist',
  'publishName',
  'knownName',
  'holdName',
  'keyState',
  'createKeys',
  'keyPhrase',
  'restoreKeys',
  'unlockKeys',
  'lockKeys',
  'setKeyLock',
  'exportKeys',
  'importKeys',
  'keyFileState',
  'siteName',
  'forgetKeys',
] as const satisfies readonly (keyof WasmNode)[];

/** One of {@link PLAIN_CALLS}. */
export type PlainCall = (typeof PLAIN_CALLS)[number];

/** Those of them that only read: the snapshots are the same after. */
export const READING_CALLS: readonly PlainCall[] = [
  'exportInfo',
  'exportPiece',
  'chart',
  'siteFiles',
  'siteAnswer',
  'sites',
  'denylists',
  'denylistText',
  'knownName',
  'keyState',
  'keyPhrase',
  'keyFileState',
  'siteName',
];

/**
 * Calls of plain values that may take long: their last argument is {@link Work}, and they may be made twice. What they tell
 * meanwhile is plain, too.
 */
export const WORK_CALLS = ['siteInfo', 'siteOwner', 'siteRead', 'siteFetch', 'askKeepers', 'resolveName', 'watchName'] as const satisfies readonly (keyof WasmNode)[];

/** One of {@link WORK_CALLS}. */
export type WorkCall = (typeof WORK_CALLS)[number];

/** What one of them is given before its {@link Work}, what it tells, and what it comes to. */
export type WorkArguments<K extends WorkCall> = Required<Parameters<WasmNode[K]>> extends [...infer A, unknown] ? A : never;
export type WorkProgress<K extends WorkCall> =
  Required<Parameters<WasmNode[K]>> extends [...unknown[], Work<infer P>] ? P : never;
export type WorkResult<K extends WorkCall> = ReturnType<WasmNode[K]>;

/** What a publication is told beside its files. */
export type PublishSettings = Omit<WasmPublishOptions, 'signal' | 'onProgress'>;

/** The files of a site, as often as they can be read. */
export interface SiteSource {
  /** Their pieces from the first one on. */
  stream(): ReadableStream<SitePiece>;
  /** Whether that works a second time. */
  readonly repeatable: boolean;
}

/** What one of them is given, and what it comes to. */
export type PlainArguments<K extends PlainCall> = Parameters<WasmNode[K]>;
export type PlainResult<K extends PlainCall> = Promise<Awaited<ReturnType<WasmNode[K]>>>;

/** What an import is told beside its source. */
export interface ImportOptions {
  readonly public: boolean;
  /** It is what `exportPiece` handed out, not content. */
  readonly exported?: boolean | undefined;
  /** Where else it will lie. */
  readonly sources?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((bytesDone: number) => void) | undefined;
}

/** A file opened at a node. */
export interface NodeFile {
  readonly cid: string;
  readonly name: string;
  readonly type: string;
  readonly size: number;
  /** Waits until those bytes are verified and stored; may return fewer than asked. */
  read(offset: number, length: number, options?: { signal?: AbortSignal }): Promise<Uint8Array>;
  free(): void;
}

/** All that a node tells about itself, of one moment. */
export interface Snapshot {
  readonly stats: Stats;
  readonly swarms: SwarmInfo[];
  readonly peers: PeerInfo[];
  /** Linear memory of the wasm node in bytes. */
  readonly memoryBytes: number;
}

/** What a publication tells meanwhile. */
export type PublishWork = Pick<WasmPublishOptions, 'signal' | 'onProgress'>;

/** Takes the events of the mailbox. */
export type MailNews = (type: string, detail: unknown) => void;

/** A node. */
export interface GyreNode {
  readonly peerId: string;
  /** Whether it runs in this page. */
  readonly runsHere: boolean;
  /** One callback; at most five calls a second per type. */
  onEvent(callback: (event: WasmEvent) => void): void;
  call<K extends PlainCall>(name: K, ...args: PlainArguments<K>): PlainResult<K>;
  openLink(link: string, options?: { signal?: AbortSignal }): Promise<NodeFile>;
  importSource(source: Opened, options: ImportOptions): Promise<WasmShare>;
  /** One of {@link WORK_CALLS}. */
  work<K extends WorkCall>(name: K, args: WorkArguments<K>, work: Work<WorkProgress<K>>): WorkResult<K>;
  publishSite(source: SiteSource, settings: PublishSettings, work: PublishWork): Promise<SiteChange>;
  /** A call of the mailbox (mail/). */
  mail(name: MailCall, args: readonly unknown[], work: MailWorkOf): Promise<unknown>;
  /** One callback for the events of the mailbox. */
  onMail(callback: MailNews): void;
  peers(): PeerInfo[];
  swarms(): SwarmInfo[];
  stats(): Stats;
  memoryBytes(): number;
  stop(): Promise<void>;
}

/** The node of this page. */
export class LocalNode implements GyreNode {
  readonly peerId: string;
  readonly runsHere = true;
  /** Whether it was or is being stopped, so that what fails now fails for that. */
  gone = false;
  readonly #wasm: WasmNode;
  readonly #memory: WebAssembly.Memory | null;
  readonly #openOffice: OfficeMaker | null;
  #office: Promise<MailOffice> | null = null;
  #tellMail: MailNews = () => undefined;

  /** The mailbox is that of `openOffice`, which is called when mail is used first. */
  constructor(wasm: WasmNode, memory: WebAssembly.Memory | null = null, openOffice: OfficeMaker | null = null) {
    this.#wasm = wasm;
    this.#memory = memory;
    this.#openOffice = openOffice;
    this.peerId = wasm.peerId;
  }

  onEvent(callback: (event: WasmEvent) => void): void {
    this.#wasm.onEvent((event) => {
      callback(event);
      if (event.type === 'state') void this.#office?.then((office) => office.nodeChanged());
    });
  }

  async mail(name: MailCall, args: readonly unknown[], work: MailWorkOf): Promise<unknown> {
    if (name === 'kept') {
      const { envelopes, bytes, blobs, blobBytes } = await this.#wasm.custodyStats();
      return { envelopes, bytes, attachments: blobs, attachmentBytes: blobBytes };
    }
    const open = this.#openOffice;
    if (!open || this.gone) throw new GyreError('UNSUPPORTED', 'There is no mail here.');
    this.#office ??= open(this, this.#wasm, (type, detail) => this.#tellMail(type, detail)).catch((thrown: unknown) => {
      this.#office = null;
      throw thrown;
    });
    return (await this.#office).call(name, args, work);
  }

  onMail(callback: MailNews): void {
    this.#tellMail = callback;
  }

  call<K extends PlainCall>(name: K, ...args: PlainArguments<K>): PlainResult<K> {
    const method = this.#wasm[name] as (...args: PlainArguments<K>) => PlainResult<K>;
    if (name === 'lockKeys' || name === 'forgetKeys') void this.#office?.then((office) => office.locked());
    return method.apply(this.#wasm, args);
  }

  openLink(link: string, options: { signal?: AbortSignal } = {}): Promise<NodeFile> {
    return this.#wasm.openLink(link, options);
  }

  async importSource(source: Opened, options: ImportOptions): Promise<WasmShare> {
    const reader = source.stream().getReader();
    try {
      const take = options.exported ? this.#wasm.importExported : this.#wasm.importStream;
      return await take.call(this.#wasm, reader, {
        name: source.name,
        type: source.type,
        public: options.public,
        ...(options.sources ? { sources: [...options.sources] } : {}),
        ...(source.size === null ? {} : { size: source.size }),
        ...(options.signal ? { signal: options.signal } : {}),
        ...(options.onProgress ? { onProgress: options.onProgress } : {}),
      });
    } catch (thrown) {
      await reader.cancel(thrown).catch(() => undefined);
      throw thrown;
    }
  }

  work<K extends WorkCall>(name: K, args: WorkArguments<K>, work: Work<WorkProgress<K>>): WorkResult<K> {
    const method = this.#wasm[name] as unknown as (...args: unknown[]) => WorkResult<K>;
    return method.call(this.#wasm, ...args, work);
  }

  async publishSite(source: SiteSource, settings: PublishSettings, work: PublishWork): Promise<SiteChange> {
    const reader = source.stream().getReader();
    try {
      return await this.#wasm.publishSite(reader, { ...settings, ...work });
    } catch (thrown) {
      await reader.cancel(thrown).catch(() => undefined);
      throw thrown;
    }
  }

  peers(): PeerInfo[] {
    return this.#wasm.peers();
  }

  swarms(): SwarmInfo[] {
    return this.#wasm.swarms();
  }

  stats(): Stats {
    return this.#wasm.stats();
  }

  memoryBytes(): number {
    return this.#memory?.buffer.byteLength ?? 0;
  }

  async stop(): Promise<void> {
    this.gone = true;
    await this.#office?.then((office) => office.stop()).catch(() => undefined);
    return this.#wasm.stop();
  }
}

/** Makes the mailbox of a node. */
export type OfficeMaker = (node: LocalNode, wasm: WasmNode, tell: MailNews) => Promise<MailOffice>;

/** Everything `node` says now. */
export function snapshotOf(node: GyreNode): Snapshot {
  return { stats: node.stats(), swarms: node.swarms(), peers: node.peers(), memoryBytes: node.memoryBytes() };
}
