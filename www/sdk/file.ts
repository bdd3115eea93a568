/**
 * A file in the swarm: known by name, type and size, its bytes pulled as they are wanted.
 *
 * Every byte handed out is verified. What is asked for is fetched first, so that a video can be
 * played, or a range answered, long before the file is complete.
 */

import { GyreError, guarded, raced, throwIfAborted } from './errors.js';
import type { NodeFile } from './node.js';
import { pulledStream } from './pulled.js';
import { resolveRange } from './range.js';
import { answer } from './stream-response.js';
import type { ByteRange, Progress, SwarmInfo } from './types.js';

/** What a file asks of the node it came from. @internal */
export interface FileOwner extends EventTarget {
  swarm(cid: string): SwarmInfo | undefined;
}

/** One opened file. */
export class GyreFile {
  /** CIDv1 of the stored bytes (base32). */
  readonly cid: string;
  /** File name; free of path separators and control characters. */
  readonly name: string;
  /** Media type, as the person who shared it said: treat it as a claim. */
  readonly type: string;
  /** Bytes. */
  readonly size: number;
  readonly #file: NodeFile;
  readonly #owner: FileOwner;
  #closed = false;

  /** @internal */
  constructor(file: NodeFile, owner: FileOwner) {
    this.cid = file.cid;
    this.name = file.name;
    this.type = file.type === '' ? 'application/octet-stream' : file.type;
    this.size = file.size;
    this.#file = file;
    this.#owner = owner;
  }

  /** How far it has come; `undefined` once it was removed from this peer. */
  get info(): SwarmInfo | undefined {
    return this.#owner.swarm(this.cid);
  }

  /**
   * Streams the file or a part of it in pieces of at most 1 MiB, fetching those bytes first.
   *
   * Nothing is read before it is pulled, but one piece ahead. Cancelling the stream, or `signal`,
   * gives up the reading, not the fetching of the file.
   */
  stream(range?: ByteRange, options: { signal?: AbortSignal | undefined } = {}): ReadableStream<Uint8Array> {
    const span = resolveRange(range, this.size);
    return pulledStream(span, (at, length, signal) => this.#read(at, length, signal), options.signal);
  }

  /** Waits for the whole file and returns its bytes in one buffer. For large files prefer {@link stream} or {@link blob}. */
  async arrayBuffer(
    options: { signal?: AbortSignal; onProgress?: (progress: Progress) => void } = {},
  ): Promise<ArrayBuffer> {
    return guarded(async () => {
      const bytes = new Uint8Array(this.size);
      let done = 0;
      await this.#each(options, (piece) => {
        bytes.set(piece, done);
        done += piece.byteLength;
      });
      return bytes.buffer;
    });
  }

  /** Waits for the whole file and returns it as a `Blob` of `type` (default the file's), which browsers can keep on disk. */
  async blob(
    options: { signal?: AbortSignal; onProgress?: (progress: Progress) => void; type?: string } = {},
  ): Promise<Blob> {
    return guarded(async () => {
      const type = options.type ?? this.type;
      const spilled: Blob[] = [];
      let parts: BlobPart[] = [];
      let held = 0;
      await this.#each(options, (piece) => {
        parts.push(piece as Uint8Array<ArrayBuffer>);
        held += piece.byteLength;
        if (held < SPILL_BYTES) return;
        spilled.push(new Blob(parts));
        parts = [];
        held = 0;
      });
      return new Blob([...spilled, ...parts], { type });
    });
  }

  /**
   * Answers an HTTP request for this file, as a service worker or a test would: 200, 206 or 416 by
   * `Range`, 304 by `If-None-Match`, 412 by `If-Match`, no body for `HEAD`, 405 for other methods. A
   * media type that could run as a program is not passed on; docs/streaming.md has the list.
   */
  response(
    request?: Request | { method?: string; headers?: Headers; signal?: AbortSignal },
    options: { download?: boolean } = {},
  ): Response {
    const header = (name: string): string | null => request?.headers?.get(name) ?? null;
    const { status, headers, span } = answer(this, request?.method ?? 'GET', header, options);
    return new Response(span && this.stream(span, { signal: request?.signal }), { status, headers });
  }

  /**
   * Resolves once all of the file is verified and stored here.
   *
   * @throws GyreError that of the blob if it fails, `CLOSED` if it is removed, `ABORTED`.
   */
  async whenComplete(options: { signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(options.signal);
    let check = (): void => undefined;
    const settled = new Promise<void>((resolve, reject) => {
      check = () => {
        const now = this.info;
        if (!now) reject(new GyreError('CLOSED', 'The file was removed from this browser.', { cid: this.cid }));
        else if (now.state === 'complete') resolve();
        else if (now.state === 'failed') {
          reject(
            GyreError.from(
              Object.assign(new Error(now.error?.message ?? 'Fetching failed.'), { code: now.error?.code }),
            ),
          );
        }
      };
    });
    this.#owner.addEventListener('swarms', check);
    try {
      check();
      await raced(settled, options.signal);
    } finally {
      this.#owner.removeEventListener('swarms', check);
    }
  }

  /** Frees the handle; the file itself stays in the store and goes on being fetched and served. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#file.free();
  }

  async #read(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#closed) throw new GyreError('CLOSED', 'This file handle is closed.', { cid: this.cid });
    return this.#file.read(offset, length, { signal });
  }

  async #each(
    options: { signal?: AbortSignal; onProgress?: (progress: Progress) => void },
    take: (piece: Uint8Array) => void,
  ): Promise<void> {
    throwIfAborted(options.signal);
    const reader = this.stream(undefined, { signal: options.signal }).getReader();
    for (let sum = 0; ;) {
      const { done, value } = await reader.read();
      if (done) return;
      take(value);
      sum += value.byteLength;
      options.onProgress?.({ done: sum, total: this.size });
    }
  }
}

/** Bytes after which parts become a `Blob`, which browsers may move out of memory. */
const SPILL_BYTES = 32 * 1024 * 1024;
