/** Folders that were dropped anywhere on the page, on their way to where they are published. */

class Dropped extends EventTarget {
  #entries: readonly FileSystemEntry[] = [];

  put(entries: readonly FileSystemEntry[]): void {
    if (entries.length === 0) return;
    this.#entries = entries;
    this.dispatchEvent(new Event('change'));
  }

  /** What was dropped last; once. */
  take(): readonly FileSystemEntry[] {
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }
}

export const dropped = new Dropped();
