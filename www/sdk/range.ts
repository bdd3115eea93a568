/** Byte ranges: those of `GyreFile.stream` and those of HTTP (RFC 9110, section 14). */

import { GyreError } from './errors.js';
import type { ByteRange } from './types.js';

/** A checked range: `start <= end <= size`, `end` exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Checks a range against a file of `size` bytes; ends are clamped, nonsense is `BAD_OPTIONS`. */
export function resolveRange(range: ByteRange | undefined, size: number): Span {
  const start = range?.start ?? 0;
  const end = Math.min(range?.end ?? size, size);
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || start > end) {
    throw new GyreError(
      'BAD_OPTIONS',
      `The range ${start}–${range?.end ?? size} does not fit a file of ${size} bytes.`,
    );
  }
  return { start, end };
}

/**
 * Reads a `Range` header.
 *
 * Returns `null` where RFC 9110 lets a server ignore the header (absent, another unit, malformed,
 * several ranges), and `'unsatisfiable'` where the answer is 416.
 */
export function parseRangeHeader(header: string | null, size: number): Span | null | 'unsatisfiable' {
  const match = header === null ? null : /^\s*bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i.exec(header);
  if (!match) return null;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return null;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return null;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) };
}
