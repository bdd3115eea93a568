/** Bytes of a file as a stream that reads what is pulled. */

import { GyreError } from './errors.js';
import type { Span } from './range.js';

/** Reads from an offset at most so many bytes; fewer are fine, none are not. */
type Read = (offset: number, length: number, signal: AbortSignal) => Promise<Uint8Array>;

/**
 * Streams a span in pieces of at most 1 MiB. Nothing is read before it is pulled, but one piece ahead.
 * Cancelling the stream, or `signal`, ends the read under way; `over` is called once, when no read follows.
 */
export function pulledStream(
  span: Span,
  read: Read,
  signal?: AbortSignal,
  over: () => void = () => undefined,
): ReadableStream<Uint8Array> {
  const cut = new AbortController();
  const follow = (): void => cut.abort(signal?.reason);
  let at = span.start;
  let released = false;
  const release = (): void => {
    if (released) return;
    released = true;
    signal?.removeEventListener('abort', follow);
    over();
  };
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      cut.signal.addEventListener(
        'abort',
        () => {
          release();
          controller.error(new GyreError('ABORTED', 'Cancelled.', { cause: cut.signal.reason }));
        },
        { once: true },
      );
      if (signal?.aborted) follow();
      else signal?.addEventListener('abort', follow, { once: true });
    },
    pull: async (controller) => {
      if (at < span.end) {
        try {
          const length = span.end - at;
          const piece = await read(at, Math.min(length, PIECE_BYTES), cut.signal);
          if (piece.byteLength === 0 || piece.byteLength > length) {
            throw new GyreError('INTERNAL', `A read of ${length} bytes returned ${piece.byteLength}.`);
          }
          if (cut.signal.aborted) return;
          at += piece.byteLength;
          controller.enqueue(piece);
        } catch (thrown) {
          release();
          if (!cut.signal.aborted) controller.error(GyreError.from(thrown));
          return;
        }
      }
      if (at >= span.end) {
        release();
        controller.close();
      }
    },
    cancel: (reason) => {
      release();
      cut.abort(reason);
    },
  });
}

/** Bytes asked for at a time: four chunks, the most that one read of the node returns. */
const PIECE_BYTES = 1024 * 1024;
