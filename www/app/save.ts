/** Hands a file to the person's disk. */

import { GyreError, type GyreFile } from 'gyre';
import { fileServer } from './files.js';

/** How a file was handed over: written out, given to the browser's own download list, or the person closed the picker. */
export type Saved = 'written' | 'downloading' | 'declined';

/**
 * Saves a file. A small one that is here goes through the ordinary download of a blob. A large one, or one that is still
 * arriving, goes piece by piece to the place that the person picks, or to the browser's own downloads; neither holds it
 * in memory.
 */
export async function saveFile(file: GyreFile, whole: boolean, onProgress: (done: number) => void): Promise<Saved> {
  if (!whole || file.size >= STREAM_BYTES) {
    if (typeof window.showSaveFilePicker === 'function') return saveToPicked(file, onProgress);
    const server = await fileServer();
    if (server) return saveInBrowser(server.downloadUrl(file));
  }
  // The type is left out on purpose: a blob address must never open as a page of this origin.
  const blob = await file.blob({ type: 'application/octet-stream', onProgress: ({ done }) => onProgress(done) });
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = file.name || file.cid;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
  return 'written';
}

async function saveToPicked(file: GyreFile, onProgress: (done: number) => void): Promise<Saved> {
  let handle: FileSystemFileHandle;
  try {
    handle = await window.showSaveFilePicker!({ suggestedName: file.name || file.cid });
  } catch (thrown) {
    if ((thrown as DOMException).name === 'AbortError') return 'declined';
    throw thrown;
  }
  let done = 0;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      done += piece.byteLength;
      controller.enqueue(piece);
      onProgress(done);
    },
  });
  await file
    .stream()
    .pipeThrough(counted)
    .pipeTo(await handle.createWritable());
  return 'written';
}

/** Opens the address in a frame nobody sees: the browser makes a download of it, and a page only of an error. */
function saveInBrowser(url: string): Promise<Saved> {
  const frame = document.createElement('iframe');
  frame.hidden = true;
  frame.title = 'Saving';
  return new Promise((resolve, reject) => {
    frame.addEventListener('load', () => {
      // Some browsers tell of the empty page that is there before the address is asked for.
      const said = frame.contentDocument?.body?.textContent?.trim();
      if (frame.contentDocument && !said) return;
      frame.remove();
      reject(new GyreError('NOT_FOUND', said || 'The file could not be read.'));
    });
    frame.src = url;
    document.body.append(frame);
    setTimeout(() => resolve('downloading'), STARTED_MS);
  });
}

/** Bytes from which on a file goes straight to disk. */
const STREAM_BYTES = 256 * 1024 * 1024;
/** Milliseconds; browsers have taken the blob over by then. */
const REVOKE_MS = 60_000;
/** Milliseconds without an error after which the download counts as begun; there is no event for it. */
const STARTED_MS = 3_000;

declare global {
  interface Window {
    showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
  }
}
