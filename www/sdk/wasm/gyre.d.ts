/**
 * The shape of the generated wasm module, so that the SDK can be checked before it is built.
 *
 * In the package `./wasm/gyre.js` is wasm-bindgen's output; every rejection there is an `Error`
 * with one of the codes of errors.ts.
 */

import type {
  DenylistInfo,
  HeldSite,
  KeeperWord,
  KeepProgress,
  KeyLock,
  KeyState,
  SiteAnswer,
  SiteChange,
  SiteFileInfo,
  SiteOwner,
  SiteInfo,
} from '../site-types.js';
import type { Limits, PeerInfo, Stats, Surroundings, SwarmChart, SwarmInfo } from '../types.js';

export default function init(input: {
  module_or_path: URL | string | Response | Promise<Response>;
}): Promise<{ readonly memory: WebAssembly.Memory }>;

export class WasmNode {
  private constructor();
  /** Resolves when identity and store are open and the network loop runs, not: joined. */
  static start(options: WasmNodeOptions): Promise<WasmNode>;
  readonly peerId: string;
  /** One callback; at most five calls a second per type. */
  onEvent(callback: (event: WasmEvent) => void): void;
  importStream(reader: ReadableStreamDefaultReader<Uint8Array>, options: WasmImportOptions): Promise<WasmShare>;
  /** Starts fetching; resolves once name, type and size are known. */
  openLink(link: string, options?: { signal?: AbortSignal }): Promise<WasmFile>;
  pin(cid: string): Promise<void>;
  unpin(cid: string): Promise<void>;
  pause(cid: string): Promise<void>;
  resume(cid: string): Promise<void>;
  remove(cid: string): Promise<void>;
  peers(): PeerInfo[];
  swarms(): SwarmInfo[];
  stats(): Stats;
  /** Who has what of one blob, drawn now. */
  chart(cid: string): Promise<SwarmChart>;
  setUpload(allowed: boolean): Promise<void>;
  setQuota(bytes: number): Promise<void>;
  /** Remembered, and holds at once. */
  setLimits(limits: Limits): Promise<void>;
  setSurroundings(surroundings: Surroundings): Promise<void>;
  /** What an export of a blob that is here whole would be. */
  exportInfo(cid: string): Promise<{ name: string; size: number; pieces: number }>;
  /** One piece of it, checked against the hash. */
  exportPiece(cid: string, piece: number): Promise<Uint8Array>;
  /** Takes back what the pieces made. */
  importExported(reader: ReadableStreamDefaultReader<Uint8Array>, options: WasmImportOptions): Promise<WasmShare>;
  /** The file that has to lie beside a blob on a web server; the blob must be here whole. */
  webTree(cid: string): Promise<Uint8Array>;
  /** Reads the pieces of all files and keeps them as one version of a site; signs nothing. */
  publishSite(reader: ReadableStreamDefaultReader<SitePiece>, options: WasmPublishOptions): Promise<SiteChange>;
  /** Opens the site, waiting for its list of files, and says what it is. */
  siteInfo(cid: string, work?: Work<never>): Promise<SiteInfo>;
  siteFiles(cid: string, offset: number, limit: number): Promise<SiteFileInfo[]>;
  /** Whose the site under a name is, by its own word and by that identity's chain. */
  siteOwner(cid: string, name: string, work?: Work<never>): Promise<SiteOwner | undefined>;
  /** What the site answers to a request; fetches no file. */
  siteAnswer(cid: string, target: string): Promise<SiteAnswer>;
  /** Waits until those bytes are verified and stored; may return fewer than asked. */
  siteRead(cid: string, path: string, offset: number, length: number, work?: Work<never>): Promise<Uint8Array>;
  /** Fetches all of a site; does not pin it. */
  siteFetch(cid: string, work?: Work<KeepProgress>): Promise<void>;
  pinSite(cid: string): Promise<void>;
  unpinSite(cid: string): Promise<void>;
  /** Drops the site, and the files that no other site here has. */
  removeSite(cid: string): Promise<void>;
  sites(): Promise<HeldSite[]>;
  /** Asks keepers to keep what an address leads to. */
  askKeepers(address: string, work?: Work<never>): Promise<KeeperWord>;
  denylists(): Promise<DenylistInfo[]>;
  denylistText(name: string): Promise<Uint8Array | undefined>;
  /** Adds or replaces a list, or removes it. */
  setDenylist(name: string, text?: Uint8Array): Promise<DenylistInfo[]>;
  /** Signs that the person's site with this number leads to `cid`. */
  publishName(site: number, cid: string): Promise<Head>;
  /** Asks others what a name leads to. */
  resolveName(name: string, work?: Work<never>): Promise<Head>;
  knownName(name: string): Promise<Head | undefined>;
  holdName(name: string, hold: boolean): Promise<void>;
  /** Tells what is known and every newer head, until the signal fires. */
  watchName(name: string, work: Work<Head>): Promise<void>;
  keyState(): Promise<KeyState>;
  createKeys(): Promise<void>;
  /** `list` is the English list of BIP-39, as in all calls here. */
  keyPhrase(list: string): Promise<string>;
  restoreKeys(list: string, phrase: string): Promise<void>;
  unlockKeys(lock: KeyUnlock): Promise<void>;
  lockKeys(): void;
  setKeyLock(lock: KeyUnlock, beside: boolean): Promise<void>;
  exportKeys(lock: KeyUnlock): Promise<Uint8Array>;
  importKeys(file: Uint8Array, lock: KeyUnlock): Promise<void>;
  keyFileState(file: Uint8Array): KeyState;
  siteName(site: number): Promise<string>;
  forgetKeys(): Promise<void>;
  /** Public keys (32 bytes each) of the reachable peers nearest to a tag, nearest first. */
  custodyNearest(tag: Uint8Array): Promise<Uint8Array>;
  /** Opens our stream to a custodian if there is none. */
  custodyOpen(peer: Uint8Array): void;
  custodySend(peer: Uint8Array, message: Uint8Array): void;
  /** Answers on our streams; without a message the stream has ended or never came about. */
  setCustodyListener(listener: (peer: Uint8Array, message: Uint8Array | undefined) => void): void;
  /** Every different valid record under a key. */
  recordGet(key: Uint8Array): Promise<Uint8Array[]>;
  /** How many hold it now. */
  recordPut(key: Uint8Array, value: Uint8Array): Promise<number>;
  /** 32 bytes from which all secrets of mail follow. */
  mailSecret(): Promise<Uint8Array>;
  /** Public keys of connected relays that keep mail. */
  custodyRelays(): Promise<Uint8Array>;
  puzzleBits(): number;
  custodyStats(): { envelopes: number; bytes: number; blobs: number; blobBytes: number } | Promise<{ envelopes: number; bytes: number; blobs: number; blobBytes: number }>;
  stop(): Promise<void>;
}

export class WasmFile {
  private constructor();
  readonly cid: string;
  readonly name: string;
  readonly type: string;
  readonly size: number;
  /** Waits until those bytes are verified and stored; may return fewer than asked. */
  read(offset: number, length: number, options?: { signal?: AbortSignal }): Promise<Uint8Array>;
  free(): void;
}

export interface WasmNodeOptions {
  relays: string[];
  stun: string[];
  databaseName?: string;
  quota?: number;
  relayOnly?: boolean;
  surroundings?: Surroundings;
  puzzleBits?: number;
}

export interface WasmImportOptions {
  name: string;
  type: string;
  size?: number;
  public: boolean;
  sources?: string[];
  signal?: AbortSignal;
  onProgress?: (bytesDone: number) => void;
}

export interface WasmShare {
  cid: string;
  fragment: string;
  size: number;
}

/** What a long call takes beside its values. */
export interface Work<P> {
  signal?: AbortSignal;
  onProgress?: (progress: P) => void;
}

/** The start of a file of a site with its first bytes, or bytes that follow. */
export type SitePiece =
  | { path: string; type: string | null; cache: string | null; csp: string | null; bytes: Uint8Array }
  | Uint8Array;

/** Plain values but for the last two. */
export interface WasmPublishOptions {
  name?: string;
  previous?: string;
  index?: string;
  missing?: string;
  fallback?: string;
  signal?: AbortSignal;
  onProgress?: (progress: { files: number; bytes: number; newFiles: number; newBytes: number }) => void;
}

/** What a name leads to; `cid` is left out if that is no CID. */
export interface Head {
  name: string;
  cid?: string;
  value: string;
  sequence: number;
  validUntil: number;
  fork?: string;
  holders: number;
  record: Uint8Array;
}

/** A lock with the 32 bytes that open it. */
export type KeyUnlock = { kind: 'none' } | (Exclude<KeyLock, { kind: 'none' }> & { key: Uint8Array });

export type WasmEvent = { type: 'state' } | { type: 'swarms' } | { type: 'peers' };
