/** Attachments that an HTML mail shows within its text. */

import type { Mail } from 'gyre';

/** One of them. */
export interface InlinePicture {
  readonly index: number;
  readonly contentId: string;
  readonly type: string;
}

/** Those that are here and small enough to stand in the document itself. */
export function inlinePictures(mail: Mail): InlinePicture[] {
  const found: InlinePicture[] = [];
  let bytes = 0;
  for (const [index, { contentId, type, size, here }] of mail.attachments.entries()) {
    if (!contentId || !here || !KINDS.has(type.toLowerCase()) || found.length >= MAX_PICTURES || bytes + size > MAX_BYTES) continue;
    found.push({ index, contentId, type: type.toLowerCase() });
    bytes += size;
  }
  return found;
}

/** A content id without its angle brackets, decoded: as headers write it and as addresses do, they are the same. */
export function bareContentId(cid: string): string {
  let plain = cid;
  try {
    plain = decodeURIComponent(cid);
  } catch {
    // It was not encoded.
  }
  return plain.trim().replace(/^<|>$/g, '');
}

/** Pictures without scripts. */
const KINDS: ReadonlySet<string> = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
/** Pictures within one mail. */
const MAX_PICTURES = 32;
/** Bytes of them together: they are held in memory, a third larger. */
const MAX_BYTES = 8 * 1024 * 1024;
