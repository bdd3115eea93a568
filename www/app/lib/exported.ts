/** How to tell a file that was exported from here or elsewhere. */

/** Whether a file begins as an exported one does. */
export async function isExported(file: Blob): Promise<boolean> {
  const first = new Uint8Array(await file.slice(0, MARK.length).arrayBuffer());
  return first.length === MARK.length && first.every((byte, at) => byte === MARK[at]);
}

/** The first bytes of an exported file; `docs/storage.md` has the format. */
const MARK = [0x89, 0x47, 0x59, 0x52, 0x45, 0x0d, 0x0a, 0x01];
