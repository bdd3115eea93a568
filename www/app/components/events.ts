/** Requests that any element may send up to the shell. */

/** Opens the settings. */
export function openSettings(from: EventTarget): void {
  from.dispatchEvent(new CustomEvent('gyre-settings', { bubbles: true }));
}

/** Asks the shell to share files. */
export function shareFiles(from: EventTarget, files: readonly File[]): void {
  from.dispatchEvent(new CustomEvent('gyre-files', { bubbles: true, detail: files }));
}

/** Tells that a peer is looked at in a drawing, or none any more. */
export function lookAt(from: EventTarget, peerId: string | null): void {
  from.dispatchEvent(new CustomEvent('gyre-look', { bubbles: true, detail: peerId }));
}
