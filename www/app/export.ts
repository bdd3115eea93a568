/** A held file, with its link, as one file on the person's disk. */

import type { Gyre } from 'gyre';

/**
 * Exports a file that is here whole. A large one goes straight to the place that the person picks,
 * where the browser can. Returns false if the person closed the picker.
 */
export async function exportFile(gyre: Gyre, cid: string): Promise<boolean> {
  const { name, size, stream } = await gyre.export(cid);
  if (size >= STREAM_BYTES && typeof window.showSaveFilePicker === 'function') {
    let handle: FileSystemFileHandle;
    try {
      handle = await window.showSaveFilePicker({ suggestedName: name });
    } catch (thrown) {
      if ((thrown as DOMException).name === 'AbortError') return false;
      throw thrown;
    }
    await stream.pipeTo(await handle.createWritable());
    return true;
  }
  const blob = await new Response(stream).blob();
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
  return true;
}

/** Bytes from which on a file goes straight to disk. */
const STREAM_BYTES = 256 * 1024 * 1024;
/** Milliseconds; browsers have taken the blob over by then. */
const REVOKE_MS = 60_000;
