/**
 * What one page of a site needs and the next one needs again: small parts, in the worker's memory.
 *
 * Browsers cache nothing that a worker answers, and a question to the app for each style, script and picture of each page is most of
 * what a further page takes. A version of a site never changes, so what it answered once it answers always. The memory is the worker's own: unlike a
 * `Cache` the site's code cannot reach into it, and it goes when the worker is stopped.
 */

/** One whole answer. */
export interface KeptAnswer {
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array<ArrayBuffer>;
}

export class Kept {
  /** The version that each client was answered with, by the client's id. */
  readonly #versions = new Map<string, string>();
  readonly #answers = new Map<string, KeptAnswer>();
  #bytes = 0;

  /** The page or worker `client` is of this version. */
  note(client: string, version: string): void {
    if (client === '' || version === '') return;
    this.#versions.delete(client);
    this.#versions.set(client, version);
    if (this.#versions.size > MAX_CLIENTS) drop(this.#versions);
  }

  /** What the version of `client` has at `target`, if it is here. */
  find(client: string, target: string): KeptAnswer | null {
    const version = this.#versions.get(client);
    const key = version === undefined ? '' : keyOf(version, target);
    const answer = this.#answers.get(key);
    if (!answer) return null;
    // The map is in the order of use.
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    return answer;
  }

  keep(version: string, target: string, answer: KeptAnswer): void {
    if (version === '' || answer.body.length > MAX_KEPT_PART) return;
    const key = keyOf(version, target);
    this.#bytes += answer.body.length - (this.#answers.get(key)?.body.length ?? 0);
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    while (this.#bytes > MAX_KEPT_BYTES || this.#answers.size > MAX_KEPT) this.#bytes -= drop(this.#answers)?.body.length ?? 0;
  }
}

/** Whether requests for such things may be answered so: parts of pages, in which nothing of a policy has effect. */
export function isKept(method: string, destination: string, headers: Readonly<Record<string, string>>): boolean {
  return method === 'GET' && PARTS.has(destination) && Object.keys(headers).length === 0;
}

function keyOf(version: string, target: string): string {
  return `${version} ${target}`;
}

/** Removes the eldest. */
function drop<T>(map: Map<string, T>): T | undefined {
  for (const [key, value] of map) {
    map.delete(key);
    return value;
  }
  return undefined;
}

const PARTS: ReadonlySet<string> = new Set(['script', 'style', 'font', 'image']);
/** Pages and workers whose version is known; one beyond them asks the app. */
const MAX_CLIENTS = 500;
/** Bytes of one part: most styles and scripts of pages; what is larger is rarely on every page. */
export const MAX_KEPT_PART = 1024 * 1024;
/** Bytes of all parts of one site together. */
export const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** Parts, however small. */
const MAX_KEPT = 2_000;
