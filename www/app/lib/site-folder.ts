/** A version of a site as a folder, so that it can be published again: that is how one goes back. */

import type { SiteAnswer, SiteFileInfo } from 'gyre';
import type { Folder, FoundFile } from './folder.js';

/** What is asked of the version. */
export interface OldVersion {
  files(offset?: number, limit?: number): Promise<SiteFileInfo[]>;
  request(target: string): Promise<SiteAnswer>;
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
}

/** The files of a version, as they were served. Their bytes come when they are read, from here or from others. */
export async function folderOf(site: OldVersion, name: string, onFound: (files: number) => void = () => {}): Promise<Folder> {
  const files: FoundFile[] = [];
  for (;;) {
    const some = await site.files(files.length, SOME);
    for (const { path, size, type } of some) {
      const { cache, csp } = await site.request(`/${path.split('/').map(encodeURIComponent).join('/')}`);
      const served = { type, ...(cache === null ? {} : { cache }), ...(csp === null ? {} : { csp }) };
      files.push({ path, size, served, open: async () => bytes(site, path, size) });
    }
    onFound(files.length);
    if (some.length < SOME) break;
  }
  return { name, files, bytes: files.reduce((sum, { size }) => sum + size, 0), leftOut: [] };
}

function bytes(site: OldVersion, path: string, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      if (at >= size) return controller.close();
      const piece = await site.read(path, at, PIECE);
      at += piece.byteLength;
      controller.enqueue(piece);
    },
  });
}

/** Files asked for at once. */
const SOME = 500;
/** Bytes of one read. */
const PIECE = 1 << 20;
