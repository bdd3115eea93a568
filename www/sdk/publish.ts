/** Files on their way into a site: one after the other, piece by piece, whatever they come as. */

import { GyreError } from './errors.js';
import type { SiteSource } from './node.js';
import { openSource } from './source.js';
import type { FileEntry } from './site-types.js';
import type { SitePiece } from './wasm/gyre.js';

/** What {@link Gyre.publish} takes. */
export type SiteFiles = Iterable<FileEntry> | AsyncIterable<FileEntry>;

/** The pieces of the files; `reading` hears which file is read, `null` at the end. @internal */
export function siteSource(files: SiteFiles, reading: (path: string | null) => void): SiteSource {
  const repeatable =
    Array.isArray(files) && (files as FileEntry[]).every(({ content }) => !(content instanceof ReadableStream));
  return { repeatable, stream: () => streamOf(piecesOf(files, reading)) };
}

async function* piecesOf(files: SiteFiles, reading: (path: string | null) => void): AsyncGenerator<SitePiece, void> {
  for await (const file of files) {
    reading(file.path);
    const about = {
      path: file.path,
      type: file.type ?? null,
      cache: file.cache ?? null,
      csp: file.csp ?? null,
    };
    if (typeof about.path !== 'string') throw new GyreError('BAD_OPTIONS', 'A file of a site needs a path.');
    const reader = openSource(file.content, {}).stream().getReader();
    try {
      const first = await reader.read();
      yield { ...about, bytes: first.value ?? new Uint8Array() };
      for (let next = first; !next.done; ) {
        next = await reader.read();
        if (next.value) yield next.value;
      }
    } finally {
      // After the end this does nothing.
      await reader.cancel().catch(() => undefined);
    }
  }
  reading(null);
}

function streamOf(pieces: AsyncGenerator<SitePiece, void>): ReadableStream<SitePiece> {
  return new ReadableStream<SitePiece>(
    {
      pull: async (controller) => {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => {
        await pieces.return();
      },
    },
    // The next file is opened while the node works on this one.
    { highWaterMark: 4 },
  );
}
