/** What can be shared: turns a blob, bytes or a stream into a name, a type, a size and a reader. */

import { GyreError } from './errors.js';
import type { ShareOptions } from './types.js';

/** What {@link Gyre.share} takes. */
export type ShareSource = Blob | Uint8Array | ReadableStream<Uint8Array>;

/** A source, ready to be read. */
export interface Opened {
  readonly name: string;
  readonly type: string;
  /** Content size in bytes, `null` if a stream's was not given. */
  readonly size: number | null;
  /** Its bytes from the first one on; a source without {@link blob} can be read once. */
  stream(): ReadableStream<Uint8Array>;
  /** The same as a blob, which can be handed to another tab and be read again; `null` for a stream. */
  blob(): Blob | null;
}

/** Looks at a source; what `options` say goes before what the source says of itself. */
export function openSource(source: ShareSource, options: ShareOptions): Opened {
  const size = options.size ?? null;
  if (size !== null && (!Number.isSafeInteger(size) || size < 0)) {
    throw new GyreError('BAD_OPTIONS', `${size} is not a size in bytes.`);
  }
  const name =
    options.name ??
    (typeof File !== 'undefined' && source instanceof File && source.name !== '' ? source.name : 'untitled');
  if (source instanceof Blob) {
    const type = options.type ?? (source.type || OCTETS);
    return { name, type, size: source.size, stream: () => source.stream(), blob: () => source };
  }
  const type = options.type ?? OCTETS;
  if (source instanceof Uint8Array) {
    return {
      name,
      type,
      size: source.byteLength,
      stream: () => streamOf(source),
      blob: () => new Blob([source as Uint8Array<ArrayBuffer>]),
    };
  }
  if (source instanceof ReadableStream) return { name, type, size, stream: () => source, blob: () => null };
  throw new GyreError('BAD_OPTIONS', 'Only a Blob, a Uint8Array or a ReadableStream can be shared.');
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at < bytes.byteLength) controller.enqueue(bytes.subarray(at, (at += SLICE_BYTES)));
        if (at >= bytes.byteLength) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

const OCTETS = 'application/octet-stream';
/** Bytes handed on at a time: large enough that calls into wasm cost nothing. */
const SLICE_BYTES = 1024 * 1024;
