/**
 * Reads ZIP archives without unpacking them: the list of files first, each file's bytes as they are asked for.
 *
 * An archive says how large its files are; no file becomes larger than it says, and the sum of what is said is bounded where the
 * files are gathered. So nothing that a few bytes could blow up does. Archives in archives stay what they are.
 */

import { BlobReader, configure, ZipReader, type FileEntry } from '@zip.js/zip.js/lib/zip-core-custom.js';
import { FolderError, type FoundFile } from './folder.js';

/** The files of an archive. */
export async function* unpack(archive: Blob): AsyncGenerator<FoundFile> {
  // The page's policy allows no workers of other origins than its own, and the browser inflates by itself.
  configure({ useWebWorkers: false });
  const reader = new ZipReader(new BlobReader(archive), { checkOverlappingEntry: true, checkSignature: true });
  try {
    for await (const entry of reader.getEntriesGenerator()) {
      if (entry.directory) continue;
      if (entry.encrypted) throw new FolderError('This archive is protected by a password. Unpack it first, then choose the folder.');
      if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED) {
        throw new FolderError('This archive is packed in a way that browsers cannot read. Unpack it first, then choose the folder.');
      }
      const size = entry.uncompressedSize;
      yield { path: entry.filename.replaceAll('\\', '/'), size, open: async () => bytes(entry, size) };
    }
  } catch (thrown) {
    if (thrown instanceof FolderError) throw thrown;
    throw new FolderError(`This archive cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

/** The bytes of one file: as many as it says, or an error. */
function bytes(entry: FileEntry, size: number): ReadableStream<Uint8Array> {
  const name = entry.filename;
  let left = size;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      left -= piece.byteLength;
      if (left < 0) controller.error(new FolderError(`${name} is larger than the archive says.`));
      else controller.enqueue(piece);
    },
    flush(controller) {
      if (left > 0) controller.error(new FolderError(`${name} is smaller than the archive says.`));
    },
  });
  entry.getData(counted.writable).catch((thrown: unknown) => {
    // The reader hears of it through the stream; one that went away needs to hear nothing.
    counted.writable.abort(new FolderError(`${name} cannot be unpacked: ${thrown instanceof Error ? thrown.message : 'it is damaged'}`)).catch(() => {});
  });
  return counted.readable;
}

const STORED = 0;
const DEFLATED = 8;
