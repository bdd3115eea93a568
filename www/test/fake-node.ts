/** A node and a file in memory, with the shape of the wasm module. */

import type { FileOwner } from '../sdk/file.js';
import type { Limits, PeerInfo, Stats, Surroundings, SwarmChart, SwarmInfo } from '../sdk/types.js';
import type { WasmEvent, WasmFile, WasmImportOptions, WasmNode, WasmShare } from '../sdk/wasm/gyre.js';

export const CID = `bafkr4i${'a'.repeat(52)}`;
export const FRAGMENT = `#/f/${CID}?k=${'K'.repeat(43)}`;

/** Bytes that tell where they stand. */
export function pattern(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

export class FakeFile {
  readonly cid = CID;
  readonly name = 'a.bin';
  readonly type: string = 'application/x-test';
  readonly size: number;
  reads: [number, number][] = [];
  freed = 0;
  /** What a read does instead of answering. */
  fault: ((signal: AbortSignal | undefined) => Promise<Uint8Array>) | null = null;

  constructor(
    readonly bytes: Uint8Array,
    readonly piece = 1 << 20,
  ) {
    this.size = bytes.byteLength;
  }

  async read(offset: number, length: number, options?: { signal?: AbortSignal }): Promise<Uint8Array> {
    this.reads.push([offset, length]);
    if (this.fault) return this.fault(options?.signal);
    return this.bytes.slice(offset, offset + Math.min(length, this.piece));
  }

  free(): void {
    this.freed += 1;
  }

  asWasm(): WasmFile {
    return this as unknown as WasmFile;
  }
}

export class FakeOwner extends EventTarget implements FileOwner {
  info: SwarmInfo | undefined;

  swarm(): SwarmInfo | undefined {
    return this.info;
  }

  change(info: SwarmInfo | undefined): void {
    this.info = info;
    this.dispatchEvent(new Event('swarms'));
  }
}

export function swarmInfo(change: Partial<SwarmInfo> = {}): SwarmInfo {
  return {
    cid: CID,
    fragment: FRAGMENT,
    name: 'a.bin',
    type: 'application/x-test',
    size: 10,
    have: 0,
    state: 'fetching',
    error: null,
    pinned: false,
    public: false,
    up: 0,
    down: 0,
    upRate: 0,
    downRate: 0,
    wasted: 0,
    peers: 1,
    sources: 1,
    servers: [],
    addedAt: 0,
    chunks: 1,
    chunksHave: 0,
    ...change,
  };
}

export class FakeNode {
  readonly peerId = '12D3KooWFake';
  calls: string[] = [];
  list: SwarmInfo[] = [];
  state: Stats['state'] = 'connecting';
  /** What the next call fails with. */
  fault: unknown = null;
  imported: Uint8Array[] = [];
  settings: WasmImportOptions | null = null;
  emit: (event: WasmEvent) => void = () => undefined;

  onEvent(callback: (event: WasmEvent) => void): void {
    this.emit = callback;
  }

  async importStream(reader: ReadableStreamDefaultReader<Uint8Array>, options: WasmImportOptions): Promise<WasmShare> {
    this.settings = options;
    let size = 0;
    for (;;) {
      if (this.fault) throw this.fault;
      const { done, value } = await reader.read();
      if (done) return { cid: CID, fragment: FRAGMENT, size };
      this.imported.push(value);
      size += value.byteLength;
      options.onProgress?.(size);
    }
  }

  async importExported(reader: ReadableStreamDefaultReader<Uint8Array>, options: WasmImportOptions): Promise<WasmShare> {
    this.note('import exported');
    return this.importStream(reader, options);
  }

  async exportInfo(cid: string): Promise<{ name: string; size: number; pieces: number }> {
    this.note(`export ${cid}`);
    return { name: 'a.bin.gyre', size: 30, pieces: 3 };
  }

  async exportPiece(_cid: string, piece: number): Promise<Uint8Array> {
    this.note(`piece ${piece}`);
    return pattern(10);
  }

  async chart(cid: string): Promise<SwarmChart> {
    this.note(`chart ${cid}`);
    const cells = Uint8Array.of(255, 0);
    const lists = { stored: cells, askedOf: cells, broughtBy: cells, copies: cells };
    return { cid, chunks: 2, chunksHave: 1, unstored: 0, asked: 1, ...lists, bringers: [], peers: [], peersTotal: 0 };
  }

  async openLink(link: string): Promise<WasmFile> {
    this.note(`open ${link}`);
    return new FakeFile(pattern(10)).asWasm();
  }

  uploadHold: Stats['uploadHold'] = 'unasked';

  pin = (cid: string): Promise<void> => this.run(`pin ${cid}`);
  unpin = (cid: string): Promise<void> => this.run(`unpin ${cid}`);
  pause = (cid: string): Promise<void> => this.run(`pause ${cid}`);
  resume = (cid: string): Promise<void> => this.run(`resume ${cid}`);
  remove = (cid: string): Promise<void> => this.run(`remove ${cid}`);
  setUpload = (allowed: boolean): Promise<void> => this.run(`upload ${allowed}`);
  setQuota = (bytes: number): Promise<void> => this.run(`quota ${bytes}`);
  setLimits = (limits: Limits): Promise<void> => this.run(`limits ${JSON.stringify(limits)}`);
  setSurroundings = (now: Surroundings): Promise<void> => this.run(`surroundings ${now.metered} ${now.onBattery}`);
  stop = (): Promise<void> => this.run('stop');
  peers = (): PeerInfo[] => [];
  swarms = (): SwarmInfo[] => this.list;
  stats = (): Stats => ({
    peerId: this.peerId,
    state: this.state,
    relays: [],
    uploadAllowed: null,
    uploadHold: this.uploadHold,
    limits: { upRate: null, downRate: null, upPerDay: null, sendOnMetered: false, pauseOnBattery: false, hideAddress: false },
    today: { up: 0, down: 0 },
    up: 0,
    down: 0,
    upRate: 0,
    downRate: 0,
    storage: { used: 0, quota: 1 },
  });

  asWasm(): WasmNode {
    return this as unknown as WasmNode;
  }

  private note(call: string): void {
    if (this.fault) throw this.fault;
    this.calls.push(call);
  }

  private async run(call: string): Promise<void> {
    this.note(call);
  }
}
