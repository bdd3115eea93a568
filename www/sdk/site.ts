/**
 * A site, opened at one of its versions.
 *
 * Nothing is held open at the node: every call names the version, and the node keeps the lists of files
 * that were read last. So a site outlives the tab that ran the node, and works the same in every tab.
 */

import { GyreError, guarded, throwIfAborted } from './errors.js';
import { siteFileLink } from './link.js';
import type { GyreNode } from './node.js';
import { pulledStream } from './pulled.js';
import type { KeepProgress, SiteAnswer, SiteEventMap, SiteFileInfo, SiteHead, SiteInfo, SiteOwner, SiteVersionInfo } from './site-types.js';
import { siteResponse } from './site-response.js';
import type { Head } from './wasm/gyre.js';

/** What stands behind a site. @internal */
export interface SiteAt {
  readonly address: string;
  readonly head: SiteHead | null;
  readonly cid: string;
}

/** One opened version of a site; from {@link Gyre.site}. */
export class Site extends EventTarget {
  /** What it was opened by: a name, or a version's CID. */
  readonly address: string;
  /** The head that led here; `null` if it was opened by the CID of a version. */
  readonly head: SiteHead | null;
  /** CID of the version. */
  readonly cid: string;
  readonly #node: () => GyreNode;
  readonly #closed = new AbortController();

  /** @internal */
  constructor(at: SiteAt, node: () => GyreNode, follow: boolean) {
    super();
    this.address = at.address;
    this.head = at.head;
    this.cid = at.cid;
    this.#node = node;
    if (follow && at.head) this.#follow(at.head);
  }

  /** What it is, and how much of it is here. */
  async info(options: { signal?: AbortSignal } = {}): Promise<SiteInfo> {
    return guarded(() => this.#node().work('siteInfo', [this.cid], options));
  }

  /**
   * Whose it is: what the site says in `/.well-known/gyre-identity`, held against that identity's chain of operations, which is looked
   * up. `null` if it says nothing, or was opened by the CID of a version. `moved`: its owner has changed the site's key.
   */
  async owner(options: { signal?: AbortSignal } = {}): Promise<SiteOwner | null> {
    return guarded(async () => (this.head && (await this.#node().work('siteOwner', [this.cid, this.head.name], options))) ?? null);
  }

  /** Its files in order of their paths, at most 1000 a call. */
  async files(offset = 0, limit = MAX_LISTED): Promise<SiteFileInfo[]> {
    return guarded(() => {
      checkCount(offset);
      return this.#node().call('siteFiles', this.cid, offset, Math.min(checkCount(limit), MAX_LISTED));
    });
  }

  /**
   * What the site answers to a request for `target`, a path as in an HTTP request line (`/a/b.html?x`). Fetches nothing.
   */
  async request(target: string): Promise<SiteAnswer> {
    return guarded(() => this.#node().call('siteAnswer', this.cid, target));
  }

  /**
   * Bytes of a file, from `offset` at most `length` of them and at most 1 MiB; fewer at its end. Waits until they are verified
   * and stored. `path` as in {@link files}.
   *
   * @throws GyreError `BAD_OPTIONS` if there is no such file, `NOT_FOUND`, `BAD_SITE`, `QUOTA_EXCEEDED`, `ABORTED`, `CLOSED`.
   */
  async read(path: string, offset: number, length: number, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return guarded(() => {
      throwIfAborted(options.signal);
      return this.#node().work('siteRead', [this.cid, path, checkCount(offset), checkCount(length)], options);
    });
  }

  /**
   * Answers a request as a web server of this site would: files, folders, redirects and the page for what is missing; 200, 206 or
   * 416 by `Range`, 304 by `If-None-Match`, 412 by `If-Match`, no body for `HEAD`, 405 for other methods. Of an absolute address
   * path and query count. The body is read as it is pulled.
   *
   * @throws GyreError as {@link read}; once the response is there, its body fails instead.
   */
  async fetch(
    target: string | URL | Request,
    options: { method?: string; headers?: HeadersInit; signal?: AbortSignal } = {},
  ): Promise<Response> {
    return guarded(async () => {
      const request = typeof target === 'object' && 'headers' in target ? target : null;
      const signal = options.signal ?? request?.signal;
      throwIfAborted(signal);
      const headers = new Headers(options.headers ?? request?.headers);
      const method = (options.method ?? request?.method ?? 'GET').toUpperCase();
      const answer = await this.#node().call('siteAnswer', this.cid, targetOf(request?.url ?? (target as string | URL)));
      const { status, headers: said, span } = siteResponse(answer, method, (name) => headers.get(name));
      const body = span && answer.path !== null ? await this.#body(answer.path, answer.size, span, signal) : null;
      return new Response(body, { status, headers: said });
    });
  }

  /**
   * Fetches all of it, keeps it on purpose, and goes on telling others what its name leads to. Given up, what has come stays and
   * counts the next time.
   */
  async keep(options: { signal?: AbortSignal; onProgress?: (progress: KeepProgress) => void } = {}): Promise<void> {
    return guarded(async () => {
      throwIfAborted(options.signal);
      await this.#node().work('siteFetch', [this.cid], options);
      throwIfAborted(options.signal);
      await this.#pin();
    });
  }

  /** Keeps on purpose what of it is here, and goes on telling others what its name leads to. */
  async pin(): Promise<void> {
    return guarded(() => this.#pin());
  }

  /** Lets it be evicted when room is needed. */
  async unpin(): Promise<void> {
    return guarded(async () => {
      await this.#node().call('unpinSite', this.cid);
      await this.#release();
    });
  }

  /** Drops it, and the files that no other site here has. */
  async remove(): Promise<void> {
    return guarded(async () => {
      await this.#node().call('removeSite', this.cid);
      await this.#release();
    });
  }

  /** This version and those before it, newest first, as far as somebody has them; at most 100. */
  async versions(limit = 20, options: { signal?: AbortSignal } = {}): Promise<SiteVersionInfo[]> {
    return guarded(async () => {
      const found: SiteVersionInfo[] = [];
      const seen = new Set<string>();
      const most = Math.min(checkCount(limit), MAX_VERSIONS);
      for (let cid: string | null = this.cid; cid !== null && found.length < most && !seen.has(cid); ) {
        seen.add(cid);
        const info: SiteInfo | null = await this.#versionOf(cid, options.signal);
        if (!info) break;
        found.push({ cid, time: info.time, title: info.title });
        cid = info.previous;
      }
      return found;
    });
  }

  /** Hears of no newer heads any more. What is here stays. */
  close(): void {
    this.#closed.abort();
  }

  #follow(head: SiteHead): void {
    let newest = head.sequence;
    let forked = head.fork;
    const onProgress = (said: Head): void => {
      const next = siteHead(said);
      if (!next || this.#closed.signal.aborted) return;
      if (next.fork && !forked) this.dispatchEvent(new CustomEvent('fork', { detail: next }));
      forked = next.fork;
      if (next.sequence <= newest) return;
      newest = next.sequence;
      if (next.cid !== this.cid) this.dispatchEvent(new CustomEvent('update', { detail: next }));
    };
    // Ends with the site or the peer; until then the next node goes on with it.
    guarded(() => this.#node().work('watchName', [head.name], { signal: this.#closed.signal, onProgress })).catch(
      () => undefined,
    );
  }

  async #pin(): Promise<void> {
    await this.#node().call('pinSite', this.cid);
    if (this.head) await this.#node().call('holdName', this.head.name, true);
  }

  /** Lets go of the name, unless it leads to another version by now, which may be kept. */
  async #release(): Promise<void> {
    if (!this.head) return;
    const known = await this.#node().call('knownName', this.head.name);
    if (!known || known.cid === this.cid) await this.#node().call('holdName', this.head.name, false);
  }

  async #versionOf(cid: string, signal: AbortSignal | undefined): Promise<SiteInfo | null> {
    try {
      return await this.#node().work('siteInfo', [cid], signal ? { signal } : {});
    } catch (thrown) {
      const error = GyreError.from(thrown);
      if (cid !== this.cid && GONE.has(error.code)) return null;
      throw error;
    }
  }

  async #body(
    path: string,
    size: number,
    span: { start: number; end: number },
    signal: AbortSignal | undefined,
  ): Promise<ReadableStream<Uint8Array>> {
    const node = this.#node();
    if (size <= CHUNK_BYTES) {
      const read = (at: number, length: number, cut: AbortSignal): Promise<Uint8Array> =>
        node.work('siteRead', [this.cid, path, at, length], { signal: cut });
      return pulledStream(span, read, signal);
    }
    // What is read on is opened, so that what follows is fetched ahead.
    const file = await node.openLink(siteFileLink(this.cid, path), signal ? { signal } : {});
    return pulledStream(span, (at, length, cut) => file.read(at, length, { signal: cut }), signal, () => file.free());
  }
}

/** Listeners are typed by {@link SiteEventMap}. */
export interface Site {
  addEventListener<K extends keyof SiteEventMap>(
    type: K,
    listener: ((event: SiteEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof SiteEventMap>(
    type: K,
    listener: ((event: SiteEventMap[K]) => void) | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** A head as the page sees it; `null` if it leads to no version of a site. @internal */
export function siteHead(head: Head): SiteHead | null {
  const { name, cid, sequence, validUntil, holders } = head;
  return cid === undefined ? null : { name, cid, sequence, validUntil, fork: head.fork !== undefined, holders };
}

function targetOf(target: string | URL): string {
  const text = String(target);
  if (text.startsWith('/')) return text;
  if (!URL.canParse(text)) throw new GyreError('BAD_OPTIONS', 'A site is asked for a path that begins with a slash.');
  const { pathname, search } = new URL(text);
  return pathname + search;
}

function checkCount(count: number): number {
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new GyreError('BAD_OPTIONS', `${count} is no number of files or bytes.`);
}

/** Files that one call lists, as in the node. */
const MAX_LISTED = 1000;
/** Versions that one call lists. */
const MAX_VERSIONS = 100;
/** Up to here a file is one chunk, and one read. */
const CHUNK_BYTES = 256 * 1024;
/** An older version that nobody has any more is where history ends. */
const GONE: ReadonlySet<string> = new Set(['NOT_FOUND', 'NO_RELAY', 'BAD_SITE']);
