/** Attachments of letters that are to be fetched before anybody asks: their senders do not stay. */

import type { GyreNode } from '../node.js';
import { keepSealed } from './blobs.js';
import type { Box, Edit } from './box.js';

/** What has yet to be found; once a fetch has begun the node goes on with it by itself. */
export class Wanted {
  readonly #box: Box;
  readonly #node: GyreNode;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #trying: Promise<void> | null = null;
  #stopped = false;

  constructor(box: Box, node: GyreNode) {
    this.#box = box;
    this.#node = node;
  }

  /** Notes blobs with the edit that brings their letter. */
  async add(edit: Edit, hashes: readonly string[]): Promise<void> {
    if (hashes.length === 0) return;
    const before = (edit.changes.values.get(KEY) as string[] | undefined) ?? (await this.#hashes());
    edit.set(KEY, [...new Set([...before, ...hashes])].slice(-MAX_WANTED));
  }

  /** Tries all of them now, and those that nobody has again later. */
  try(): void {
    this.#trying ??= this.#run().finally(() => (this.#trying = null));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer);
    const found = new Set<string>();
    const hashes = await this.#hashes();
    const queue = [...hashes];
    const worker = async (): Promise<void> => {
      for (let hash = queue.pop(); hash !== undefined && !this.#stopped; hash = queue.pop()) {
        await keepSealed(this.#node, hash).then(
          () => found.add(hash),
          () => undefined,
        );
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (this.#stopped) return;
    if (found.size > 0) {
      await this.#box.edit(async (edit) => edit.set(KEY, (await this.#hashes()).filter((hash) => !found.has(hash))));
    }
    if (found.size < hashes.length) this.#timer = setTimeout(() => this.try(), AGAIN_MS);
  }

  async #hashes(): Promise<string[]> {
    return (await this.#box.value<string[]>(KEY)) ?? [];
  }
}

const KEY = 'wanted';
/** Blobs that wait to be found; beyond it the oldest are fetched when they are opened. */
const MAX_WANTED = 4_096;
const AT_ONCE = 4;
/** Milliseconds until what nobody had is looked for again. */
const AGAIN_MS = 60_000;
