/** An opened file that outlives the node it was opened at: the next node opens it again when it is read. */

import type { GyreNode } from '../node.js';
import type { WasmFile } from '../wasm/gyre.js';

/** Runs work at the node of the moment, again at the next one if that is lost. */
export type Attempt = <T>(work: (node: GyreNode) => Promise<T>, signal: AbortSignal | undefined) => Promise<T>;

/** A file of a node that may change. */
export class SharedFile implements WasmFile {
  readonly cid: string;
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly #link: string;
  readonly #attempt: Attempt;
  /** Where it is open now, or is being opened. */
  #at: { node: GyreNode; file: Promise<WasmFile> };
  #freed = false;

  constructor(link: string, node: GyreNode, file: WasmFile, attempt: Attempt) {
    this.cid = file.cid;
    this.name = file.name;
    this.type = file.type;
    this.size = file.size;
    this.#link = link;
    this.#attempt = attempt;
    this.#at = { node, file: Promise.resolve(file) };
  }

  read(offset: number, length: number, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return this.#attempt(async (node) => {
      const file = await this.#openAt(node);
      return file.read(offset, length, options);
    }, options.signal);
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#at.file.then((file) => file.free()).catch(() => undefined);
  }

  #openAt(node: GyreNode): Promise<WasmFile> {
    if (this.#at.node !== node) {
      const file = this.#reopened(node);
      this.#at = { node, file };
      // Tried anew by the next read.
      file.catch(() => {
        if (this.#at.file === file) this.#at = { node: NOWHERE, file };
      });
    }
    return this.#at.file;
  }

  async #reopened(node: GyreNode): Promise<WasmFile> {
    // Opening goes on with a fetch; what the person has stopped stays stopped.
    const paused = node.swarms().find((swarm) => swarm.cid === this.cid)?.state === 'paused';
    const file = await node.openLink(this.#link);
    if (paused) await node.call('pause', this.cid);
    if (this.#freed) file.free();
    return file;
  }
}

/** No node: whatever comes next is another one. */
const NOWHERE = {} as GyreNode;
