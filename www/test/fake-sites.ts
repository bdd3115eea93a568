/** A node that keeps sites, names and keys in memory, with the shape of the wasm module. */

import { GyreError } from '../sdk/errors.js';
import type { HeldSite, KeepProgress, KeyLock, KeyState, SiteAnswer, SiteChange, SiteFileInfo, SiteInfo, SiteOwner } from '../sdk/site-types.js';
import type { Head, KeyUnlock, SitePiece, WasmFile, WasmPublishOptions, Work } from '../sdk/wasm/gyre.js';
import { FakeFile, FakeNode } from './fake-node.js';

/** One file as it was taken. */
export interface TakenFile {
  readonly path: string;
  readonly type: string | null;
  readonly cache: string | null;
  readonly csp: string | null;
  readonly bytes: Uint8Array;
}

interface FakeSite {
  readonly title: string;
  readonly previous: string | null;
  readonly files: TakenFile[];
  pinned: boolean;
}

export const NAME = `k51${'q'.repeat(59)}`;
export const siteCid = (number: number): string => `bafyr4i${String.fromCharCode(97 + number).repeat(52)}`;

export class SiteNode extends FakeNode {
  readonly kept = new Map<string, FakeSite>();
  readonly heads = new Map<string, Head>();
  readonly watchers = new Set<(head: Head) => void>();
  readonly opened: FakeFile[] = [];
  held: string[] = [];
  /** Resolves names no sooner. */
  gate: Promise<void> = Promise.resolve();
  state_: KeyState['state'] = 'missing';
  locks: KeyLock[] = [];
  /** Keys that open the locks, in hex. */
  opens = new Set<string>();

  async publishSite(reader: ReadableStreamDefaultReader<SitePiece>, options: WasmPublishOptions): Promise<SiteChange> {
    const files: TakenFile[] = [];
    let bytes = 0;
    for (;;) {
      options.signal?.throwIfAborted();
      const { done, value } = await reader.read();
      if (done) break;
      const last = files.at(-1);
      if (!(value instanceof Uint8Array)) files.push({ ...value });
      else if (last) files[files.length - 1] = { ...last, bytes: Uint8Array.from([...last.bytes, ...value]) };
      bytes = files.reduce((sum, file) => sum + file.bytes.byteLength, 0);
      options.onProgress?.({ files: files.length, bytes, newFiles: files.length, newBytes: bytes });
    }
    const cid = siteCid(this.kept.size);
    const previous = options.previous ?? null;
    this.kept.set(cid, { title: options.name ?? '', previous, files, pinned: true });
    const none = { changed: [], removed: [], changedCount: 0, removedCount: 0, sameButForCase: [], skippedRedirects: [], skippedHeaders: [] };
    return { cid, previous, added: files.map(({ path }) => path), addedCount: files.length, newBytes: bytes, files: files.length, bytes, ...none };
  }

  siteInfo = async (cid: string, work: Work<never> = {}): Promise<SiteInfo> => {
    work.signal?.throwIfAborted();
    const { title, files, previous, pinned } = this.site(cid);
    const here = { files: files.length, bytes: sizeOf(files) };
    return { cid, title, ...here, previous, time: 1_000, index: 'index.html', fallback: null, pinned, here, holders: 1, keepers: 0, seenHour: 2, seenDay: 3 };
  };

  /** Whose sites are, by CID. */
  readonly owners = new Map<string, SiteOwner>();
  siteOwner = async (cid: string): Promise<SiteOwner | undefined> => this.owners.get(cid);
  siteFiles = async (cid: string, offset: number, limit: number): Promise<SiteFileInfo[]> =>
    this.site(cid)
      .files.slice(offset, offset + limit)
      .map(({ path, type, bytes }) => ({ path, size: bytes.byteLength, type: type ?? 'text/html', hash: '00' }));

  siteAnswer = async (cid: string, target: string): Promise<SiteAnswer> => {
    const none = { path: null, size: 0, type: '', etag: null, location: null, cache: null, csp: null };
    const path = decodeURIComponent(target.split('?')[0]!.slice(1)) || 'index.html';
    if (path === 'moved') return { ...none, kind: 'redirect', status: 301, location: '/elsewhere' };
    const file = this.site(cid).files.find((one) => one.path === path);
    const shown = file ?? this.site(cid).files.find((one) => one.path === '404.html');
    if (!shown) return { ...none, kind: 'missing', status: 404 };
    const { type, cache, csp, bytes } = shown;
    return { ...none, kind: 'file', status: file ? 200 : 404, path: shown.path, size: bytes.byteLength, type: type ?? 'text/html', etag: `"${shown.path}"`, cache, csp };
  };

  siteRead = async (cid: string, path: string, offset: number, length: number, work: Work<never> = {}): Promise<Uint8Array> => {
    work.signal?.throwIfAborted();
    this.calls.push(`read ${path} ${offset} ${length}`);
    const file = this.site(cid).files.find((one) => one.path === path);
    if (!file) throw new GyreError('BAD_OPTIONS', 'no such file');
    return file.bytes.slice(offset, offset + length);
  };

  siteFetch = async (cid: string, work: Work<KeepProgress> = {}): Promise<void> => {
    const { files } = this.site(cid);
    const allBytes = sizeOf(files);
    for (let at = 0; at <= files.length; at++) {
      work.onProgress?.({ files: at, bytes: at === files.length ? allBytes : 0, allFiles: files.length, allBytes });
    }
  };

  pinSite = async (cid: string): Promise<void> => void (this.site(cid).pinned = true);
  unpinSite = async (cid: string): Promise<void> => void (this.site(cid).pinned = false);
  removeSite = async (cid: string): Promise<void> => {
    this.site(cid);
    this.kept.delete(cid);
  };
  sites = async (): Promise<HeldSite[]> =>
    [...this.kept].map(([cid, { title, files, pinned }]) => ({ cid, pinned, title, bytes: sizeOf(files), files: files.length }));

  override async openLink(link: string): Promise<WasmFile> {
    const [, cid = '', path = ''] = /^#\/s\/([^/]+)\/(.*)$/.exec(link) ?? [];
    if (cid === '') return super.openLink(link);
    const file = new FakeFile(this.site(cid).files.find((one) => one.path === decodeURIComponent(path))!.bytes);
    this.opened.push(file);
    return file.asWasm();
  }

  publishName = async (_site: number, cid: string): Promise<Head> => {
    const sequence = (this.heads.get(NAME)?.sequence ?? -1) + 1;
    const head: Head = { name: NAME, cid, value: `/ipfs/${cid}`, sequence, validUntil: 9, holders: 1, record: new Uint8Array(2) };
    this.heads.set(NAME, head);
    for (const tell of this.watchers) tell(head);
    return head;
  };

  resolveName = async (name: string, work: Work<never> = {}): Promise<Head> => {
    await Promise.race([this.gate, new Promise((_, reject) => work.signal?.addEventListener('abort', () => reject(new GyreError('ABORTED', 'x'))))]);
    const head = this.heads.get(name);
    if (!head) throw new GyreError('NOT_FOUND', 'nobody');
    return head;
  };

  knownName = async (name: string): Promise<Head | undefined> => this.heads.get(name);
  holdName = async (name: string, hold: boolean): Promise<void> =>
    void (this.held = [...this.held.filter((one) => one !== name), ...(hold ? [name] : [])]);

  watchName = (name: string, work: Work<Head>): Promise<void> =>
    new Promise((_, reject) => {
      const tell = (head: Head): void => work.onProgress?.(head);
      this.watchers.add(tell);
      const known = this.heads.get(name);
      if (known) tell(known);
      work.signal?.addEventListener('abort', () => {
        this.watchers.delete(tell);
        reject(new GyreError('ABORTED', 'Cancelled.'));
      });
    });

  keyState = async (): Promise<KeyState> => ({ state: this.state_, locks: this.locks });
  createKeys = async (): Promise<void> => {
    if (this.state_ !== 'missing') throw new GyreError('KEYS_EXIST', 'there are keys');
    this.state_ = 'unlocked';
    this.locks = [{ kind: 'none' }];
  };
  keyPhrase = async (list: string): Promise<string> => `words of ${list}`;
  restoreKeys = async (list: string, phrase: string): Promise<void> => void this.calls.push(`restore ${list} ${phrase}`);
  unlockKeys = async (lock: KeyUnlock): Promise<void> => {
    this.calls.push(`unlock ${lock.kind}`);
    if (lock.kind !== 'none' && !this.opens.has(String(lock.key))) throw new GyreError('WRONG_PASSPHRASE', 'wrong');
    this.state_ = 'unlocked';
  };
  lockKeys = (): void => void (this.state_ = 'locked');
  setKeyLock = async (unlock: KeyUnlock, beside: boolean): Promise<void> => {
    this.calls.push(`lock ${unlock.kind} ${beside}`);
    if (!beside) this.opens.clear();
    if (unlock.kind !== 'none') this.opens.add(String(unlock.key));
    this.locks = [...(beside ? this.locks : []), lockOf(unlock)];
  };
  exportKeys = async (unlock: KeyUnlock): Promise<Uint8Array> => {
    this.locks = [lockOf(unlock)];
    return Uint8Array.of(1, 2, 3);
  };
  importKeys = async (file: Uint8Array, unlock: KeyUnlock): Promise<void> =>
    void this.calls.push(`import ${file} ${unlock.kind === 'none' ? '' : unlock.key}`);
  keyFileState = (): KeyState => ({ state: 'locked', locks: this.locks });
  siteName = async (_site: number): Promise<string> => {
    if (this.state_ !== 'unlocked') throw new GyreError(this.state_ === 'missing' ? 'NO_KEYS' : 'LOCKED', 'no');
    return NAME;
  };
  forgetKeys = async (): Promise<void> => void (this.state_ = 'missing');

  private site(cid: string): FakeSite {
    const site = this.kept.get(cid);
    if (!site) throw new GyreError('NOT_FOUND', 'nobody has it');
    return site;
  }
}

function lockOf(unlock: KeyUnlock): KeyLock {
  if (unlock.kind === 'none') return unlock;
  const { key: _, ...lock } = unlock;
  return lock;
}

function sizeOf(files: readonly TakenFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}
