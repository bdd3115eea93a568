/** Hands a file of a mail to the person's disk. */

import { safeName } from './attach.js';

/** Through the browser's own downloads. */
export function handOver(content: Blob, name: string): void {
  // The type is left out on purpose: an address of this origin must never open as a page.
  const url = URL.createObjectURL(new Blob([content], { type: 'application/octet-stream' }));
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = safeName(name);
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
}

/** The bytes as a `data:` address. */
export function dataAddress(content: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(String(reader.result)));
    reader.addEventListener('error', () => reject(reader.error ?? new Error('not readable')));
    reader.readAsDataURL(content);
  });
}

/** Milliseconds until the browser has surely taken it. */
const REVOKE_MS = 60_000;
