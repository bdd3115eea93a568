/**
 * One publication, from the choice of a folder to the moment when others have it: what the publish page shows and does.
 *
 * It lives outside the page, so that somebody may look at another page meanwhile. What was stored stays when it is cancelled or
 * broken off; the same folder chosen again is read again, and only what is missing is stored.
 */

import type { FileEntry, GyreError, KeeperWord, PublishOptions, PublishProgress, SiteChange, SiteInfo, SiteVersion } from 'gyre';
import { ownershipOf, vouch, withClaim, type Claiming, type Ownership, type Vouching } from './claim.js';
import { FolderError, within, type Folder } from './folder.js';
import type { GatherOptions } from './folder-sources.js';
import { Kept, ownStorage, type KeptStorage } from './kept.js';
import { earlierOf, type MySite, type MySites } from './my-sites.js';
import { changeWarnings, isSame, type KeeperState } from './publish-words.js';
import { Eta, RateMeter } from './rate.js';
import { planOf, type SitePlan } from './site-plan.js';

/** How far it is. */
export type Stage = 'choose' | 'gathering' | 'plan' | 'keys' | 'storing' | 'review' | 'signing' | 'done';

/** What is asked of the peer. */
export interface Publisher extends Vouching {
  publish(files: AsyncIterable<FileEntry>, options: PublishOptions): Promise<SiteVersion>;
  site(address: string, options?: { follow?: boolean; signal?: AbortSignal }): Promise<OpenedSite>;
  askKeepers(address: string, options?: { signal?: AbortSignal }): Promise<KeeperWord | null>;
  readonly keys: { state(): Promise<{ state: 'missing' | 'locked' | 'unlocked' }>; siteName(site: number): Promise<string> };
}

/** What the peer failed with. */
export type Trouble = Pick<GyreError, 'code' | 'message'>;

/** A site that was opened. */
export interface OpenedSite extends Claiming {
  readonly cid: string;
  readonly head: { readonly sequence: number } | null;
  info(): Promise<SiteInfo>;
}

/** How the identity's own word stands. */
export type Vouched = 'asking' | 'here' | 'moved' | Trouble;

/** What was being published when the page was closed. */
export interface Interrupted {
  readonly title: string;
  readonly folder: string;
  readonly site: number | null;
}

/** Fires `change` whenever something that is shown has changed. */
export class Publication extends EventTarget {
  stage: Stage = 'choose';
  /** Which of the person's sites gets a new version; `null` for a new one. */
  site: number | null = null;
  folder: Folder | null = null;
  plan: SitePlan | null = null;
  /** What the site will be called. */
  title = '';
  /** The page of an application that routes by itself, if it is one. */
  fallback: string | null = null;
  /** Whom it can name as its owner; `null` if nobody, or that is not known yet. */
  ownership: Ownership | null = null;
  /** Whether it says that it is theirs. */
  claimed = false;
  /** How the identity's own word for it stands; `null` if none is given. */
  vouched: Vouched | null = null;
  /** What is published: the choice, and what is added to it. */
  whole: Folder | null = null;
  /** Files found so far. */
  found = 0;
  /** `null` while the peer is not there yet. */
  progress: PublishProgress | null = null;
  /** Seconds left, `null` if unknown. */
  eta: number | null = null;
  change: SiteChange | null = null;
  version: SiteVersion | null = null;
  info: SiteInfo | null = null;
  /** How asking keepers for the version stands. */
  keeper: KeeperState = null;
  problem: Trouble | FolderError | null = null;
  /** It was cancelled: what was stored so far stays. */
  cancelled = false;
  readonly #ready: (signal?: AbortSignal) => Promise<Publisher>;
  readonly #read: (thrown: unknown) => Trouble;
  readonly #mine: MySites;
  readonly #interrupted: Kept<Interrupted>;
  #abort: AbortController | null = null;
  #answer: ((agreed: boolean) => void) | null = null;
  #announced = false;
  #askedAt = 0;
  #decided = false;

  /** `read` makes one of the peer's errors of whatever was thrown. */
  constructor(ready: (signal?: AbortSignal) => Promise<Publisher>, mine: MySites, read: (thrown: unknown) => Trouble, storage: KeptStorage | null = ownStorage()) {
    super();
    this.#ready = ready;
    this.#read = read;
    this.#mine = mine;
    this.#interrupted = new Kept('gyre.publishing', readInterrupted, 1, storage);
  }

  /** Whether something would be lost by starting anew. */
  get busy(): boolean {
    return this.stage === 'gathering' || this.stage === 'storing' || this.stage === 'review' || this.stage === 'signing';
  }

  /** The site that gets a new version. */
  get before(): MySite | null {
    return this.site === null ? null : (this.#mine.get(this.site) ?? null);
  }

  /** What was under way when the page was closed, if nothing else is now. */
  get interrupted(): Interrupted | null {
    return this.stage === 'choose' ? (this.#interrupted.get(UNDER_WAY) ?? null) : null;
  }

  /** A new site is wanted, or a new version of one. What is under way, or done, for it is shown on. */
  begin(site: number | null): void {
    if (!this.busy && (this.stage === 'choose' || this.site !== site)) this.#reset(site);
  }

  /** Begins anew, whatever there was. */
  restart(site: number | null): void {
    this.#abort?.abort();
    this.answer(false);
    this.#reset(site);
  }

  /** Forgets what was interrupted. */
  dismissInterrupted(): void {
    this.#interrupted.clear();
    this.#changed();
  }

  /** Looks at a choice. */
  async choose(source: (options: GatherOptions) => Promise<Folder>): Promise<void> {
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#set({ stage: 'gathering', found: 0, problem: null, cancelled: false });
    try {
      const onFound = (found: number): void => {
        this.found = found;
        this.#changed();
      };
      const folder = await source({ signal: abort.signal, onFound });
      if (folder.files.length === 0) throw new FolderError('There is no file in it that can be published.');
      const plan = await planOf(folder);
      abort.signal.throwIfAborted();
      this.#take(folder, plan);
    } catch (thrown) {
      if (abort.signal.aborted) return;
      this.#set({ stage: 'choose', problem: thrown instanceof FolderError ? thrown : this.#read(thrown) });
    }
  }

  /** Publishes only one folder of the choice. */
  async choosePart(inner: string): Promise<void> {
    if (!this.folder) return;
    const part = within(this.folder, inner);
    this.#take(part, await planOf(part));
  }

  /** What the person changes before it is published. */
  edit(change: { title?: string; fallback?: string | null; claimed?: boolean }): void {
    this.#decided ||= change.claimed !== undefined;
    this.#set(change);
  }

  /** Imports and signs. Without usable keys it waits at `keys`: make or unlock them, and call it again. */
  async publish(): Promise<void> {
    const { folder } = this;
    if (!folder || this.busy) return;
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#set({ stage: 'storing', problem: null, cancelled: false, progress: null, change: null, eta: null, whole: null });
    try {
      const peer = await this.#ready(abort.signal);
      const { state } = await peer.keys.state();
      if (state !== 'unlocked') return this.#set({ stage: 'keys' });
      const identity = await peer.keys.siteName(0);
      this.#mine.belongTo(identity, false);
      if (this.site === null && !this.#mine.isWhole(identity)) return this.#set({ stage: 'keys' });
      abort.signal.throwIfAborted();
      const site = this.site ?? this.#mine.next;
      const title = this.title.trim() || folder.name || 'My site';
      this.#interrupted.set(UNDER_WAY, { title, folder: folder.name, site: this.site });
      this.#set({ progress: { files: 0, bytes: 0, newFiles: 0, newBytes: 0, path: null } });
      // With keys that were locked it could not be known before.
      await this.#lookForOwner(peer, folder, abort.signal);
      const ownership = this.claimed && this.ownership ? { ...this.ownership, site: this.ownership.site ?? site } : null;
      const whole = await withClaim(folder, ownership, this.ownership?.id ?? null);
      abort.signal.throwIfAborted();
      this.#set({ whole });
      const version = await peer.publish(entries(whole, abort.signal), this.#options(site, title, whole.bytes, abort.signal));
      this.#done(site, title, version);
      if (ownership) this.#set({ ownership });
      await this.vouch();
    } catch (thrown) {
      if (this.#abort !== abort) return;
      const error = folderErrorIn(thrown) ?? this.#read(thrown);
      const given = abort.signal.aborted || ('code' in error && error.code === 'ABORTED');
      this.#set({ stage: 'plan', problem: given ? null : error, cancelled: given });
      // What was given up on purpose is not offered again.
      if (given) this.#interrupted.clear();
    } finally {
      this.#answer = null;
    }
  }

  /** Answers what was shown at `review`. */
  answer(agreed: boolean): void {
    this.#answer?.(agreed);
    this.#answer = null;
  }

  /** Stops what is under way; what is stored stays. */
  cancel(): void {
    this.#abort?.abort();
    this.answer(false);
    if (this.stage === 'gathering' || this.stage === 'keys') this.#set({ stage: this.folder ? 'plan' : 'choose' });
  }

  /** Looks who has the version that was published. */
  async look(): Promise<void> {
    const { version } = this;
    if (!version) return;
    const peer = await this.#ready();
    const site = await peer.site(version.cid, { follow: false });
    try {
      const info = await site.info();
      if (this.version !== version) return;
      if (info.holders > 0) this.#mine.confirm(version.cid);
      this.#set({ info });
    } finally {
      site.close();
    }
  }

  /** Asks keepers to keep what was published, unless one has taken it, or all said something just now. */
  async askKeepers(now = performance.now()): Promise<void> {
    const { version, keeper, info } = this;
    if (!version || keeper === 'asking' || keeper === 'taken') return;
    if (keeper !== null && ((info?.holders ?? 0) > 0 || now - this.#askedAt < ASK_AGAIN_MS)) return;
    this.#askedAt = now;
    this.#set({ keeper: 'asking' });
    let word: KeeperState = 'none';
    try {
      const peer = await this.#ready();
      word = (await peer.askKeepers(version.name ?? version.cid)) ?? 'none';
    } catch {
      // Nobody waits for it: it is asked again.
    }
    if (this.version === version) this.#set({ keeper: word });
  }

  /** Has the person's identity name the site, if that says that it is theirs; again if it failed. */
  async vouch(): Promise<void> {
    const { version, ownership, claimed } = this;
    if (!version?.name || !claimed || !ownership?.signs || ownership.site === null || this.vouched === 'asking') return;
    const { site, before } = ownership;
    this.#set({ vouched: 'asking' });
    const vouched: Vouched = await this.#ready().then((peer) => vouch(peer, version.name ?? '', { site, before })).catch(this.#read);
    if (this.version === version) this.#set({ vouched });
  }

  /** Looks whom the site can name as its owner. Until the person decides, it goes on saying what it says. */
  async #lookForOwner(peer: Publisher, folder: Folder, signal?: AbortSignal): Promise<void> {
    const { stage } = this;
    if (this.ownership?.signs) return;
    const ownership = await ownershipOf(peer, folder, this.before?.cid ?? null, signal);
    // An answer that comes late would be of what is stored already.
    if (ownership && this.folder === folder && this.stage === stage) this.#set({ ownership, claimed: this.#decided ? this.claimed : ownership.before });
  }

  #options(site: number, title: string, bytes: number, signal: AbortSignal): PublishOptions {
    const { fallback, before } = this;
    const meter = new RateMeter();
    const eta = new Eta();
    return {
      site,
      name: title,
      ...(fallback === null ? {} : { fallback }),
      // A name that nobody can have heard of is not asked for.
      ...(before === null && this.site === null ? { previous: null } : {}),
      signal,
      onProgress: (progress) => {
        const now = performance.now();
        meter.note(progress.bytes, now);
        this.#set({ progress, eta: eta.note(progress.bytes, bytes, meter.rate, now) });
      },
      review: async (change) => {
        if (this.#abort?.signal !== signal) return false;
        // Of a first version there is nothing to compare; the plan has told all else.
        const agreed = change.previous === null && changeWarnings(change).length === 0;
        const sure = agreed || isSame(change) || (await new Promise<boolean>((resolve) => {
          this.#answer = resolve;
          this.#set({ stage: 'review', change });
        }));
        if (sure) this.#set({ stage: 'signing', change });
        return sure;
      },
    };
  }

  #take(folder: Folder, plan: SitePlan): void {
    const { before } = this;
    this.#set({ stage: 'plan', folder, plan, title: before?.title || plan.title, fallback: this.#fallbackOf(folder, plan, before), ownership: null });
    // What it can say is asked for beside; without an answer nothing is offered.
    void this.#ready().then((peer) => this.#lookForOwner(peer, folder)).catch(() => undefined);
  }

  /** What was chosen for the version before holds, if the file is still there. */
  #fallbackOf(folder: Folder, plan: SitePlan, before: MySite | null): string | null {
    if (!before) return plan.fallback;
    return before.fallback !== null && folder.files.some(({ path }) => path === before.fallback) ? before.fallback : null;
  }

  #done(site: number, title: string, version: SiteVersion): void {
    const { cid, change, name, sequence } = version;
    const known = this.#mine.get(site);
    const same = known?.cid === cid;
    this.#mine.put({
      site, name: name ?? '', title, cid, sequence: sequence ?? 0, files: change.files, bytes: change.bytes,
      time: same ? known.time : Date.now(), confirmed: same && known.confirmed, fallback: this.fallback,
      earlier: known ? (same ? known.earlier : earlierOf(known)) : [],
    });
    this.#interrupted.clear();
    this.#set({ stage: 'done', site, version, change, info: null, keeper: null });
    this.dispatchEvent(new Event('published'));
  }

  #reset(site: number | null): void {
    this.#abort = null;
    this.#decided = false;
    this.#set({
      stage: 'choose', site, folder: null, plan: null, title: '', fallback: null, ownership: null, claimed: false, vouched: null, whole: null, found: 0, progress: null, eta: null,
      change: null, version: null, info: null, keeper: null, problem: null, cancelled: false,
    });
  }

  #set(change: Partial<Pick<this, 'stage' | 'site' | 'folder' | 'plan' | 'title' | 'fallback' | 'ownership' | 'claimed' | 'vouched' | 'whole' | 'found' | 'progress' | 'eta' | 'change' | 'version' | 'info' | 'keeper' | 'problem' | 'cancelled'>>): void {
    Object.assign(this, change);
    this.#changed();
  }

  #changed(): void {
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      this.dispatchEvent(new Event('change'));
    });
  }
}

/** The files of a folder, opened one after the other as the peer asks for them. */
async function* entries(folder: Folder, signal: AbortSignal): AsyncGenerator<FileEntry> {
  for (const { path, size, open, served } of folder.files) {
    signal.throwIfAborted();
    const content = await open().catch((thrown: unknown) => {
      throw thrown instanceof FolderError ? thrown : new FolderError(`${path} cannot be read: ${(thrown as Error).message}`);
    });
    yield { path, size, content, ...served };
  }
}

/** An error of the peer may carry what a file of the folder failed with. */
function folderErrorIn(thrown: unknown): FolderError | null {
  for (let cause = thrown; cause instanceof Error; cause = cause.cause) if (cause instanceof FolderError) return cause;
  return null;
}

function readInterrupted(value: unknown): Interrupted | null {
  const { title, folder, site } = (value ?? {}) as Partial<Interrupted>;
  if (typeof title !== 'string' || typeof folder !== 'string') return null;
  return { title, folder, site: typeof site === 'number' ? site : null };
}

const UNDER_WAY = 'under-way';
/** Milliseconds until keepers that did not take it are asked once more. */
const ASK_AGAIN_MS = 60_000;
