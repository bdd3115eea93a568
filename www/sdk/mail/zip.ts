/** A ZIP archive of files that are stored as they are (APPNOTE 6.3.10, without ZIP64). */

/** A file of an archive. */
export interface ZipFile {
  readonly name: string;
  readonly content: Uint8Array;
  readonly time: number;
}

/** Puts files into an archive one by one. */
export class Zip {
  readonly #parts: BlobPart[] = [];
  readonly #directory: Uint8Array[] = [];
  #size = 0;

  /** Whether one more of this size still fits what the format can say. */
  takes(bytes: number): boolean {
    return this.#directory.length < MAX_FILES && this.#size + bytes < MAX_BYTES;
  }

  add({ name, content, time }: ZipFile): void {
    const path = new TextEncoder().encode(name);
    const about = fields([
      [2, 20],
      [2, UTF8_NAMES],
      [2, 0],
      [4, dosTime(time)],
      [4, crc32(content)],
      [4, content.byteLength],
      [4, content.byteLength],
      [2, path.byteLength],
      [2, 0],
    ]);
    this.#directory.push(joined(fields([[4, 0x02014b50], [2, 20]]), about, fields([[2, 0], [2, 0], [2, 0], [4, 0], [4, this.#size]]), path));
    const head = joined(fields([[4, 0x04034b50]]), about, path);
    this.#parts.push(new Blob([head as BlobPart, content as BlobPart]));
    this.#size += head.byteLength + content.byteLength;
  }

  /** The archive. */
  blob(): Blob {
    const size = this.#directory.reduce((sum, entry) => sum + entry.byteLength, 0);
    const count = this.#directory.length;
    const end = fields([[4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, this.#size], [2, 0]]);
    return new Blob([...this.#parts, ...(this.#directory as BlobPart[]), end as BlobPart], { type: 'application/zip' });
  }
}

/** CRC-32 as in ISO 3309. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffff_ffff) >>> 0;
}

/** Little-endian numbers of so many bytes. */
function fields(numbers: readonly (readonly [number, number])[]): Uint8Array {
  return Uint8Array.from(numbers.flatMap(([bytes, value]) => Array.from({ length: bytes }, (_, at) => Math.floor(value / 2 ** (8 * at)) & 0xff)));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** Local time in steps of two seconds since 1980. */
function dosTime(time: number): number {
  const at = new Date(Math.max(time, FIRST_TIME));
  const date = ((at.getFullYear() - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate();
  return date * 0x1_0000 + ((at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1));
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  return crc;
});
const UTF8_NAMES = 0x0800;
/** 16 bits of count, 32 of size, with room for the directory. */
const MAX_FILES = 0xffff;
const MAX_BYTES = 0xff00_0000;
const FIRST_TIME = Date.UTC(1980, 0, 2);
