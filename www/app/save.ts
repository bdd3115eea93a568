/** Hands a file to the person's disk. */

import type { GyreFile } from 'gyre';

/**
 * Saves a file: through the ordinary download, or, when it is large and the browser can, straight
 * to a place the person picks, without holding it in memory.
 *
 * Returns false if the person closed the picker.
 */
export async function saveFile(file: GyreFile, onProgress: (done: number) => void): Promise<boolean> {
  if (file.size >= STREAM_BYTES && typeof window.showSaveFilePicker === 'function')
    return saveStreaming(file, onProgress);
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
  return true;
}

async function saveStreaming(file: GyreFile, onProgress: (done: number) => void): Promise<boolean> {
  let handle: FileSystemFileHandle;
  try {
    handle = await window.showSaveFilePicker!({ suggestedName: file.name || file.cid });
  } catch (thrown) {
    if ((thrown as DOMException).name === 'AbortError') return false;
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
  return true;
}

/** Bytes from which on a file goes straight to disk. */
const STREAM_BYTES = 256 * 1024 * 1024;
/** Milliseconds; browsers have taken the blob over by then. */
const REVOKE_MS = 60_000;

declare global {
  interface Window {
    showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
  }
}
