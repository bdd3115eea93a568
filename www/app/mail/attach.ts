/** The files of a mail that is being written: how many, how large, what is refused. */

import { formatBytes } from '../lib/format.js';

/** What became of files that were added. */
export interface Added {
  readonly files: readonly File[];
  /** Why some were not taken; empty if all were. */
  readonly refused: string;
}

/** Adds files to those that are there, as far as a mail has room. A file that is there already is taken once. */
export function addFiles(present: readonly File[], more: readonly File[]): Added {
  const files = [...present];
  const tooLarge: string[] = [];
  let bytes = totalBytes(files);
  for (const file of more) {
    if (files.some((other) => sameFile(other, file))) continue;
    if (files.length >= MAX_FILES) return { files, refused: `A mail takes ${MAX_FILES} files. Put more of them into one archive.` };
    if (bytes + file.size > MAX_BYTES) tooLarge.push(file.name);
    else {
      files.push(file);
      bytes += file.size;
    }
  }
  if (tooLarge.length === 0) return { files, refused: '' };
  const names = tooLarge.map((name) => `“${name}”`).join(', ');
  return { files, refused: `${names} would be too much: a mail takes ${formatBytes(MAX_BYTES)} in all. Share larger files from the start page and put the link into the mail.` };
}

/** All of them together. */
export function totalBytes(files: readonly Blob[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

/** What was kept in a draft, as files with names. */
export function asFiles(kept: readonly (File | Blob)[]): File[] {
  return kept.map((blob, i) => (blob instanceof File ? blob : new File([blob], `attachment-${i + 1}`, { type: blob.type })));
}

/** A name that any disk takes, from one that somebody else chose. */
export function safeName(name: string, fallback = 'attachment'): string {
  const bare = name
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '')
    .replace(/[/\\:*?"<>|]/g, '_')
    .replace(/^[.\s]+|[.\s]+$/g, '');
  return [...bare].slice(0, MAX_NAME).join('') || fallback;
}

function sameFile(a: File, b: File): boolean {
  return a.name === b.name && a.size === b.size && a.lastModified === b.lastModified && a.type === b.type;
}

/** Files of one mail, docs/mail.md. */
export const MAX_FILES = 16;
/** Bytes of all files of one mail, docs/mail.md. */
export const MAX_BYTES = 25 * 1024 * 1024;
/** Characters of a file's name; common file systems take 255 bytes. */
const MAX_NAME = 120;
