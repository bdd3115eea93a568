/**
 * The mailbox of this browser's person, in the tab that runs the node.
 *
 * All tabs call it by the names of {@link Mailbox} (tabs/ carries the calls); this file opens and closes the
 * desk (desk.ts) as keys come and go, and says what is shown. Everything is loaded when mail is used first.
 */

import { GyreError, throwIfAborted } from '../errors.js';
import { englishWords } from '../keys.js';
import type { GyreNode } from '../node.js';
import type { Progress, Stats } from '../types.js';
import type { WasmNode } from '../wasm/gyre.js';
import { cidOf } from './blobs.js';
import { Box } from './box.js';
import type { MailCall, MailOffice, MailWorkOf, OfficeCall } from './calls.js';
import type { CustodyNode } from './courier.js';
import { Desk } from './desk.js';
import { identityCalls } from './identity.js';
import { loadMailModule, type MailModule } from './module.js';
import type { People } from './people.js';
import { foldersOf, type StoredMail, type StoredThread } from './records.js';
import { Seal } from './seal.js';
import { exportFile, importFile, type TransferParts } from './transfer.js';
import type { Draft, Folder, Mail, Mailbox, MailSettings, MailState, ThreadSummary } from './types.js';

/** What the node has for mail. */
export type MailNode = CustodyNode & Pick<WasmNode, 'keyState' | 'mailSecret' | 'puzzleBits'>;

/** What an office is given. */
export interface OfficeParts {
  readonly node: GyreNode;
  readonly custody: MailNode;
  /** Name of the node's database. */
  readonly database: string;
  /** The page that opens links. */
  readonly linkBase: string;
  /** Events of a {@link Mailbox}, for all tabs. */
  readonly tell: (type: string, detail: unknown) => void;
  readonly module?: () => Promise<MailModule>;
  /** The list of words of a paper. */
  readonly words?: () => Promise<string>;
  readonly now?: () => number;
}

/** Fetches all that an open mailbox needs, so that the page can go on without where it came from. */
export async function prepareMail(): Promise<void> {
  await loadMailModule();
}

/** The one mailbox of an origin and a database. */
export class Office implements MailOffice {
  readonly #parts: OfficeParts;
  readonly #now: () => number;
  #desk: Desk | null = null;
  #opening: Promise<Desk> | null = null;
  #changed: Set<string> | null = null;
  #stateSaid = '';
  #online = false;
  #hold: Stats['uploadHold'] = null;
  #again: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(parts: OfficeParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
  }

  async call(name: MailCall, args: readonly unknown[], work: MailWorkOf): Promise<unknown> {
    if (this.#stopped) throw new GyreError('CLOSED', 'The mailbox was closed.');
    const calls = this.#calls(work) as unknown as Record<string, (...args: readonly unknown[]) => Promise<unknown>>;
    const run = Object.hasOwn(calls, name) ? calls[name] : undefined;
    if (!run) throw new GyreError('BAD_OPTIONS', `A mailbox has no ${String(name)}.`);
    return run(...args);
  }

  /** The node has told something of itself. */
  nodeChanged(): void {
    const online = this.#network() === 'online';
    const came = online && !this.#online;
    this.#online = online;
    const { uploadHold } = this.#parts.node.stats();
    // What is attached to letters that wait goes out now, or does not any more.
    if (this.#hold !== uploadHold && this.#desk) this.#tellChanged([]);
    this.#hold = uploadHold;
    void this.#desk?.network(came).catch(() => undefined);
    if (this.#desk) this.#tellState();
  }

  async locked(): Promise<void> {
    await this.#close();
    this.#stateSaid = '';
    this.#parts.tell('state', null);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#again);
    await this.#close();
  }

  #calls(work: MailWorkOf): Calls {
    const { linkBase } = this.#parts;
    const { token, signal, onProgress } = work;
    const open = (): Promise<Desk> => this.#ready();
    return {
      state: () => this.#state(),
      start: async () => void (await open()),
      create: (name) => this.#create(name),
      recover: () => this.#recover(signal, onProgress),
      list: async (folder, { before, limit = PAGE } = {}) => {
        const { box, drafts, people } = await open();
        if (folder === 'drafts') return draftPage(await drafts.list((id) => people.person(people.who(id))), before, limit);
        const page = await box.list(checkFolder(folder), before, Math.min(Math.max(1, limit), MAX_PAGE));
        return { ...page, threads: page.threads.map((thread) => this.#summary(thread, people, folder)) };
      },
      thread: async (id) => {
        const desk = await open();
        const { box, people } = desk;
        const live = desk.live.bind(desk);
        const here = this.#here();
        return (await box.mails(id)).map((mail) => shown(mail, people, here, live));
      },
      search: async (query, { limit = PAGE } = {}) => {
        const { box, people, search } = await open();
        const { threads, complete } = await search.find(query, 2 * Math.min(Math.max(1, limit), MAX_PAGE));
        const found = (await box.threads(threads)).filter(({ folder }) => folder !== 'trash').slice(0, limit);
        return { threads: found.map((thread) => this.#summary(thread, people)), complete };
      },
      send: async (draft) => (await open()).outgoing.send(token, checkDraft(draft), { signal, onProgress }),
      cancel: async (message) => (await open()).courier.told({ kind: 'cancel', message }),
      retry: async (message) => (await open()).courier.told({ kind: 'retry', message }),
      saveDraft: async (draft) => {
        const desk = await open();
        const id = await desk.drafts.save(draft.id ?? token, checkDraft(draft), this.#now());
        desk.draftsChanged();
        this.#tellChanged([id]);
        return id;
      },
      draft: async (id) => (await open()).drafts.get(id),
      deleteDraft: async (id) => {
        const desk = await open();
        await desk.box.edit((edit) => desk.drafts.remove(edit, id));
        desk.draftsChanged();
        this.#tellChanged([id]);
      },
      mark: async (threads, flags) => (await open()).mark(threads, flags),
      remove: async (threads) => (await open()).remove(threads),
      attachment: async (message, index) => {
        const desk = await open();
        const attachment = (await desk.box.mail(message))?.attachments[index];
        if (!attachment) throw new GyreError('NOT_FOUND', 'There is no such attachment.');
        return desk.content(attachment, () => desk.box.raw(message), { signal, onProgress });
      },
      contacts: async () => (await open()).people.contacts(),
      addContact: async (text, petname) => (await open()).addContact(text, petname),
      setContact: async (id, change) => (await open()).setContact(id, change),
      resolve: async (text) => {
        const { people } = await open();
        const id = people.resolve(text);
        return { id, contact: people.contact(id) };
      },
      card: async () => {
        const desk = await open();
        const text = desk.card();
        return { link: linkTo(linkBase, text.replace(/^dmail:/, '')), text, safety: desk.module.safety(desk.people.me) };
      },
      settings: async () => (await open()).settings,
      set: async (settings) => (await open()).set(checkSettings(settings)),
      import: async (file) => {
        const desk = await open();
        return importFile(this.#transfer(desk), file, { signal, onProgress });
      },
      export: async (format, { threads } = {}) => {
        const desk = await open();
        return exportFile(this.#transfer(desk), format, threads, { signal, onProgress });
      },
      removeDevice: async (key) => (await open()).courier.told({ kind: 'removeDevice', key }),
      ...identityCalls(open, this.#parts.words ?? englishWords),
    };
  }

  // ── opening ──

  /** The desk with an identity. @throws GyreError `LOCKED`, `NO_KEYS`, `NO_IDENTITY`. */
  async #ready(): Promise<Desk> {
    const desk = await this.#open();
    if (!HAVE.has(desk.identity.state)) throw new GyreError('NO_IDENTITY', 'There is no mailbox here yet.');
    return desk;
  }

  #open(): Promise<Desk> {
    if (this.#desk) return Promise.resolve(this.#desk);
    this.#opening ??= this.#begin().finally(() => (this.#opening = null));
    return this.#opening;
  }

  async #begin(): Promise<Desk> {
    const { node, custody } = this.#parts;
    clearTimeout(this.#again);
    const seal = await this.#seal();
    const box = await Box.open(this.#parts.database, seal.seal);
    let desk: Desk;
    try {
      const module = await (this.#parts.module ?? loadMailModule)();
      const entries = await box.entries();
      const seed = crypto.getRandomValues(new Uint8Array(SEED_BYTES));
      const post = new module.Post(seal.secret, entries, seed, custody.puzzleBits(), this.#now());
      desk = await Desk.open({
        box,
        module,
        post,
        node,
        custody,
        now: this.#now,
        news: {
          state: () => this.#tellState(),
          changed: (threads) => this.#tellChanged(threads),
          status: (status) => this.#parts.tell('status', status),
          contacts: () => this.#parts.tell('contacts', null),
          mail: (mail) => void this.#announce(mail).catch(() => undefined),
          broken: (error) => this.#broken(error),
        },
      });
    } catch (thrown) {
      box.close();
      throw thrown;
    }
    if (this.#stopped) {
      await desk.close();
      throw new GyreError('CLOSED', 'The mailbox was closed.');
    }
    this.#desk = desk;
    this.#online = this.#network() === 'online';
    this.#hold = this.#parts.node.stats().uploadHold;
    await desk.work(this.#online);
    this.#tellState();
    return desk;
  }

  async #seal(): Promise<{ seal: Seal; secret: Uint8Array }> {
    const { custody } = this.#parts;
    if (typeof custody.mailSecret !== 'function' || typeof indexedDB === 'undefined') {
      throw new GyreError('UNSUPPORTED', 'This browser cannot keep a mailbox.');
    }
    const secret = await custody.mailSecret();
    return { seal: await Seal.of(secret), secret };
  }

  async #close(): Promise<void> {
    await this.#opening?.catch(() => undefined);
    const desk = this.#desk;
    this.#desk = null;
    await desk?.close();
  }

  #broken(error: GyreError): void {
    const taken = error.code === 'INTERRUPTED';
    if (!taken) console.error('mail: the mailbox is opened again', error);
    void this.#close().finally(() => {
      if (!this.#stopped && !taken) this.#again = setTimeout(() => void this.#open().catch(() => undefined), AGAIN_MS);
    });
  }

  async #create(name: string): Promise<void> {
    const called = name.trim();
    if (called === '' || called.length > MAX_NAME) throw new GyreError('BAD_OPTIONS', `A name has 1 to ${MAX_NAME} characters.`);
    const desk = await this.#open();
    if (HAVE.has(desk.identity.state)) throw new GyreError('MAIL_EXISTS', 'There is a mailbox here already.');
    await desk.courier.with((post, now) => post.begin(called, now));
    if (!HAVE.has(desk.identity.state)) throw new GyreError('INTERNAL', 'The mailbox could not be made.');
    this.#tellState();
  }

  async #recover(signal: AbortSignal | undefined, onProgress: ((progress: Progress) => void) | undefined): Promise<{ found: boolean; mails: number; contacts: number }> {
    throwIfAborted(signal);
    const desk = await this.#open();
    desk.came = { mails: 0, at: this.#now() };
    if (!HAVE.has(desk.identity.state)) await desk.courier.with((post, now) => post.recover('', now));
    const found = await desk.identityIs(['ready', 'forked', 'lost', 'removed', 'ended'], RECOVER_MS, signal);
    throwIfAborted(signal);
    if (!found || !HAVE.has(found.state)) return { found: false, mails: 0, contacts: 0 };
    const end = this.#now() + RECOVER_MS;
    desk.came.at = this.#now();
    while (this.#now() < end && this.#now() - desk.came.at < QUIET_MS) {
      await new Promise((go) => setTimeout(go, LOOK_MS));
      throwIfAborted(signal);
      onProgress?.({ done: desk.came.mails, total: null });
    }
    return { found: true, mails: desk.came.mails, contacts: desk.people.contacts().length };
  }

  // ── what is said ──

  async #state(): Promise<MailState> {
    const nothing = { id: null, name: null, link: null, unread: 0, requests: 0, devices: [], forked: false, concurrent: null, sites: [], standing: 'in', onPaper: false, findable: false, network: this.#network() } as const;
    if (!this.#desk) {
      const { state: keys, locks } = await this.#parts.custody.keyState();
      if (keys === 'missing') return { ...nothing, state: 'none' };
      // Keys without a lock are unlocked by their use.
      if (keys === 'locked' && !locks.some(({ kind }) => kind === 'none')) return { ...nothing, state: 'locked' };
      try {
        // Nothing is loaded for who has no mailbox.
        const { seal } = await this.#seal();
        if (!(await Box.begun(this.#parts.database, seal))) return { ...nothing, state: 'none' };
      } catch (thrown) {
        const { code } = GyreError.from(thrown);
        if (code === 'UNSUPPORTED') return { ...nothing, state: 'unsupported' };
        if (code === 'LOCKED') return { ...nothing, state: 'locked' };
        throw thrown;
      }
      await this.#open();
    }
    const desk = this.#desk;
    if (!desk) return { ...nothing, state: 'starting' };
    const { state, name, forks, open, settled, devices, sites, onPaper } = desk.identity;
    if (state === 'none' || state === 'lost') return { ...nothing, state: 'none' };
    const [unread, requests] = await Promise.all([desk.box.count('unread'), desk.box.count('requests')]);
    const id = desk.people.me;
    return {
      state: state === 'looking' ? 'starting' : 'ready',
      id,
      name: name || null,
      link: linkTo(this.#parts.linkBase, id),
      unread,
      requests,
      devices: devices.map(({ key, me, since }) => ({ key, me, since })),
      forked: forks > 0,
      concurrent: open > 0 ? 'open' : settled > 0 ? 'settled' : null,
      sites,
      standing: state === 'ended' ? 'ended' : state === 'removed' ? 'out' : 'in',
      onPaper,
      findable: desk.findable,
      network: this.#network(),
    };
  }

  #network(): MailState['network'] {
    const { state } = this.#parts.node.stats();
    if (state === 'joined' || state === 'peers') return 'online';
    return state === 'connecting' ? 'searching' : 'offline';
  }

  /** Says that the state is another, if it is. */
  #tellState(): void {
    const desk = this.#desk;
    if (!desk) return;
    void Promise.all([desk.box.count('unread'), desk.box.count('requests')]).then((counts) => {
      const said = JSON.stringify([counts, desk.identity, desk.findable, this.#network()]);
      if (said === this.#stateSaid || this.#stopped) return;
      this.#stateSaid = said;
      this.#parts.tell('state', null);
    }, () => undefined);
  }

  /** Gathers changes for a moment; none are any. */
  #tellChanged(threads: readonly string[]): void {
    if (!this.#changed) {
      const gathered = (this.#changed = new Set());
      setTimeout(() => {
        this.#changed = null;
        if (!this.#stopped) this.#parts.tell('change', { threads: gathered.has(ANY) || gathered.size > MAX_TOLD ? [] : [...gathered] });
      }, GATHER_MS);
    }
    if (threads.length === 0) this.#changed.add(ANY);
    for (const thread of threads) this.#changed.add(thread);
  }

  /** Tells of new mail. How it is shown, and whether the person wants that, is for the page: it knows what is looked at. */
  async #announce(mail: StoredMail): Promise<void> {
    const desk = this.#desk;
    const thread = await desk?.box.thread(mail.thread);
    if (desk && thread) this.#parts.tell('mail', this.#summary(thread, desk.people));
  }

  #summary(thread: StoredThread, people: People, shownIn?: Folder): ThreadSummary {
    const { status, lastOwn } = thread;
    return summary({ ...thread, status: status && (this.#desk?.live(status, lastOwn?.enclosed) ?? status) }, people, shownIn);
  }

  #here(): (hash: string) => boolean {
    const complete = new Set(this.#parts.node.swarms().filter(({ state }) => state === 'complete').map(({ cid }) => cid));
    return (hash) => complete.has(cidOf(hash));
  }

  #transfer(desk: Desk): TransferParts {
    const here = this.#here();
    return {
      box: desk.box,
      module: desk.module,
      people: desk.people,
      content: (attachment, signal) =>
        attachment.enclosure && here(attachment.enclosure.hash)
          ? desk.content(attachment, async () => null, { signal })
          : Promise.reject(new GyreError('NOT_FOUND', 'It is not here.')),
      came: (mails) => desk.imported(mails),
    };
  }
}

/** The calls of a mailbox without what belongs to events and to work. */
type Calls = { [K in OfficeCall]: (...args: Parameters<Mailbox[K]>) => Promise<Awaited<ReturnType<Mailbox[K]>>> };

function summary(thread: StoredThread, people: People, shownIn?: Folder): ThreadSummary {
  const { id, subject, snippet, from, to, time, unread, count, starred, attachments, status } = thread;
  const folder = shownIn ?? foldersOf(thread).at(-1) ?? 'inbox';
  const who = folder === 'sent' || from.length === 0 ? to : from;
  return { id, subject, snippet, from: who.map((one) => people.person(one)), time, unread: unread > 0, count, starred, attachments, folder, status };
}

function shown(mail: StoredMail, people: People, here: (hash: string) => boolean, live: Desk['live']): Mail {
  const { id, thread, from, to, time, subject, text, html, attachments, own, read, status, verified } = mail;
  return {
    id,
    thread,
    from: people.person(from),
    to: to.map((one) => people.person(one)),
    time,
    subject,
    text,
    html,
    attachments: attachments.map(({ name, type, size, enclosure, contentId }) => ({ name, type, size, here: enclosure === null || here(enclosure.hash), contentId: contentId ?? null })),
    own,
    read,
    status: status.map((one) => live(one, mail.enclosed)),
    verified,
  };
}

function draftPage(drafts: readonly ThreadSummary[], before: string | undefined, limit: number): { threads: ThreadSummary[]; next: string | null; total: number } {
  const at = before === undefined ? 0 : drafts.findIndex(({ id }) => id === before) + 1;
  const threads = drafts.slice(at, at + limit);
  return { threads, next: at + limit < drafts.length ? (threads.at(-1)?.id ?? null) : null, total: drafts.length };
}

function linkTo(base: string, who: string): string {
  return `${new URL(base).href.replace(/#.*$/, '')}#/m/${who}`;
}

function checkFolder(folder: Folder): Folder {
  if (['inbox', 'requests', 'sent', 'archive', 'trash'].includes(folder)) return folder;
  throw new GyreError('BAD_OPTIONS', 'There is no such folder.');
}

function checkDraft(draft: Draft): Draft {
  const texts = [draft.subject, draft.text].every((text) => typeof text === 'string');
  const lists = Array.isArray(draft.to) && Array.isArray(draft.attachments) && draft.attachments.every((blob) => blob instanceof Blob);
  if (texts && lists) return draft;
  throw new GyreError('BAD_OPTIONS', 'This is no draft.');
}

function checkSettings({ readReceipts, stampBits, strangers, notifications }: Partial<MailSettings>): Partial<MailSettings> {
  if (stampBits !== undefined && !(Number.isInteger(stampBits) && stampBits >= 0 && stampBits <= MAX_STAMP_BITS)) {
    throw new GyreError('BAD_OPTIONS', `Stamps have 0 to ${MAX_STAMP_BITS} bits.`);
  }
  return {
    ...(readReceipts === undefined ? {} : { readReceipts }),
    ...(stampBits === undefined ? {} : { stampBits }),
    ...(strangers === undefined ? {} : { strangers }),
    ...(notifications === undefined ? {} : { notifications }),
  };
}

/** With these there is an identity on this machine. */
const HAVE: ReadonlySet<string> = new Set(['ready', 'forked', 'removed', 'ended']);
const SEED_BYTES = 32;
/** Threads of a page of a list, if nothing is said, and at most. */
const PAGE = 50;
const MAX_PAGE = 500;
/** Milliseconds in which changes are gathered: five events a second, as of the node. */
const GATHER_MS = 200;
/** No thread has this id. */
const ANY = '';
/** Threads that one event names; more are any. */
const MAX_TOLD = 100;
/** Milliseconds until a mailbox that could not be written is opened again. */
const AGAIN_MS = 5_000;
/** The longest that a recovery looks, how long it waits for more, and how often it says how far it is. */
const RECOVER_MS = 90_000;
const QUIET_MS = 6_000;
const LOOK_MS = 250;
/** Characters of one's own name, as in the module. */
const MAX_NAME = 64;
/** The most that a tag can say (docs/custody.md). */
const MAX_STAMP_BITS = 32;
