/**
 * The shape of the generated wasm module, so that the SDK can be checked before it is built.
 *
 * In the package `./wasm/gyre.js` is wasm-bindgen's output; every rejection there is an `Error`
 * with one of the codes of errors.ts.
 */

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

export type WasmEvent = { type: 'state' } | { type: 'swarms' } | { type: 'peers' };
