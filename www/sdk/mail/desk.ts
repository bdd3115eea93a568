/**
 * An open mailbox: the module with its courier, the box on the disk, and what the person does with both.
 *
 * What the module says is put into the box in the turn in which it is said (keep); what the person does is
 * put into the box first and then said to the module. docs/mailbox.md has the order of things after a crash.
 */

import { GyreError } from '../errors.js';
import type { GyreNode } from '../node.js';
import type { Progress } from '../types.js';
import { cidOf, keepSealed, openSealed } from './blobs.js';
import type { Box, Edit } from './box.js';
import { Courier, type CustodyNode } from './courier.js';
import { Drafts } from './drafts.js';
import { ofLetter, partContent, withBody } from './incoming.js';
import type { IdentitySaid, Input, Letter, MailModule, Output, Post, StatusSaid } from './module.js';
import { Outgoing } from './outgoing.js';
import { People } from './people.js';
import { withHold, type StoredAttachment, type StoredMail, type StoredThread } from './records.js';
import { Search } from './search.js';
import { hex, unhex } from './seal.js';
import { searchStamp } from './stamp.js';
import { applyThread, heardOf, packShared, readShared, remember, touch, touchedThreads } from './sync.js';
import type { Contact, MailSettings, SendStatus } from './types.js';
import { Wanted } from './wanted.js';

/** What a desk is given. */
export interface DeskParts {
  readonly box: Box;
  readonly module: MailModule;
  readonly post: Post;
  readonly node: GyreNode;
  readonly custody: CustodyNode;
  readonly news: DeskNews;
  readonly now: () => number;
}

/** What a desk tells. */
export interface DeskNews {
  state(): void;
  changed(threads: readonly string[]): void;
  status(status: SendStatus): void;
  contacts(): void;
  mail(mail: StoredMail): void;
  /** It cannot go on, and is to be opened again. */
  broken(error: GyreError): void;
}

/** The mailbox of one run. */
/** What the keys of mail records begin with (docs/mail.md). */
const MAIL_RECORD = new TextEncoder().encode('/gyre/mail/');

export class Desk {
  readonly box: Box;
  readonly module: MailModule;
  readonly people: People;
  readonly drafts: Drafts;
  readonly outgoing: Outgoing;
  readonly search: Search;
  readonly courier: Courier;
  readonly #wanted: Wanted;
  readonly #parts: DeskParts;
  #identity: IdentitySaid = { do: 'identity', state: 'none', devices: [], sites: [], forks: 0, open: 0, settled: 0, onPaper: false, name: '' };
  #settings: MailSettings;
  readonly #identityHeard = new Set<() => void>();
  readonly #bodies = new Map<string, { retry: ReturnType<typeof setTimeout> | undefined; tries: number }>();
  #relays: Uint8Array;
  #syncing: ReturnType<typeof setTimeout> | undefined;
  #syncDue = 0;
  /** Letters and contacts that came in this run. */
  came = { mails: 0, at: 0 };
  /** Whether others can look this mailbox up: its record was taken by somebody, in this run or one before. */
  findable = false;
  #closed = new AbortController();
  /** How far the stamps are that are searched now, by message and recipient. */
  readonly #stamps = new Map<string, number>();

  private constructor(parts: DeskParts, settings: MailSettings, relays: Uint8Array, met: readonly (readonly [string, Contact['met']])[]) {
    const { box, module, post, node, custody, news, now } = parts;
    this.#parts = parts;
    this.#settings = settings;
    this.#relays = relays;
    this.box = box;
    this.module = module;
    this.people = new People(module, post, met);
    this.drafts = new Drafts(box, now);
    this.search = new Search(box, () => news.changed([]));
    this.#wanted = new Wanted(box, node, (message) => void this.#whole(message).catch(() => undefined));
    this.courier = new Courier(post, custody, {
      keep: (outputs) => this.#keep(outputs),
      stamp: (job, signal, onTried) => searchStamp(module, job, signal, onTried),
      stamping: ({ message, to }, part) => this.#stampingNow(message, to, part),
      found: (key) => this.#found(key),
      broken: (error) => news.broken(error),
      now,
    });
    const { people, drafts } = this;
    this.outgoing = new Outgoing({ box, node, module, post, people, drafts, courier: () => this.courier, now });
  }

  /** Begins where the run before has ended. */
  static async open(parts: DeskParts): Promise<Desk> {
    const settings = { ...DEFAULTS, ...((await parts.box.value<Partial<MailSettings>>('settings')) ?? {}) };
    const relays = (await parts.box.bytes('relays')) ?? new Uint8Array();
    const desk = new Desk(parts, settings, relays, (await parts.box.value<[string, Contact['met']][]>('met')) ?? []);
    desk.findable = (await parts.box.value<boolean>('findable')) ?? false;
    await desk.courier.start();
    return desk;
  }

  /** Somebody holds a record of ours; the one that letters are sealed to is the last that is needed. */
  #found(key: Uint8Array): void {
    if (this.findable || !MAIL_RECORD.every((byte, at) => key[at] === byte)) return;
    this.findable = true;
    void this.box.edit((edit) => edit.set('findable', true)).catch(() => undefined);
    this.#parts.news.state();
  }

  /** Goes to work: the policy, the network, the index of words. */
  async work(online: boolean): Promise<void> {
    this.#tellPolicy();
    await this.network(online);
    this.search.prepare();
    void this.outgoing.tidy().catch(() => undefined);
  }

  /** A state with what is known of this moment: how far its work is, and why it stays. */
  live(status: SendStatus, enclosed: boolean | undefined): SendStatus {
    const progress = status.state === 'stamping' ? this.#stamps.get(`${status.message} ${status.to}`) : undefined;
    return withHold(progress === undefined ? status : { ...status, progress }, enclosed, this.#parts.node.stats().uploadHold);
  }

  /** A stamp is searched, or not any more. */
  #stampingNow(message: string, to: string, part: number | null): void {
    if (part === null) return void this.#stamps.delete(`${message} ${to}`);
    this.#stamps.set(`${message} ${to}`, part);
    void this.box.mail(message).then((mail) => {
      const status = mail?.status.find((one) => one.to === to);
      if (mail && status?.state === 'stamping') this.#parts.news.status(this.live(status, mail.enclosed));
    }, () => undefined);
  }

  get identity(): IdentitySaid {
    return this.#identity;
  }

  get settings(): MailSettings {
    return this.#settings;
  }

  /** Resolves when the module says one of these states, or `null` after so many milliseconds. */
  identityIs(states: readonly IdentitySaid['state'][], patience: number, signal?: AbortSignal): Promise<IdentitySaid | null> {
    return new Promise((resolve) => {
      const end = (found: IdentitySaid | null): void => {
        clearTimeout(late);
        this.#identityHeard.delete(look);
        resolve(found);
      };
      const look = (): void => void (states.includes(this.#identity.state) && end(this.#identity));
      const late = setTimeout(() => end(null), patience);
      signal?.addEventListener('abort', () => end(null), { once: true });
      this.#identityHeard.add(look);
      look();
    });
  }

  /** The network came, went or changed. */
  async network(online: boolean): Promise<void> {
    const relays = await this.courier.network(online);
    if (relays) await this.#choose(relays);
    if (!online) return;
    for (const id of this.#bodies.keys()) this.#fetchBody(id, 0);
    this.#wanted.try();
  }

  async set(change: Partial<MailSettings>): Promise<void> {
    const settings = { ...this.#settings, ...change };
    const shared = Object.keys(change).some((key) => key !== 'notifications');
    await this.box.edit((edit) => {
      edit.set('settings', settings);
      if (shared) edit.set('settings-at', this.#parts.now());
    });
    this.#settings = settings;
    this.#tellPolicy();
    if (shared) this.syncSoon();
  }

  /** Marks, moves, stars. */
  async mark(threads: readonly string[], flags: { read?: boolean; starred?: boolean; folder?: StoredThread['folder'] }): Promise<void> {
    const read: string[] = [];
    await this.box.edit(async (edit) => {
      read.length = 0;
      for (const id of threads) {
        const thread = await edit.thread(id);
        if (!thread) continue;
        if (flags.starred !== undefined) thread.starred = flags.starred;
        if (flags.folder !== undefined) thread.folder = flags.folder;
        // A clock that is behind makes no change the earlier one.
        thread.touched = Math.max(this.#parts.now(), thread.touched + 1);
        if (flags.read === undefined) continue;
        const mails = (await edit.mails(id)).filter((mail) => !mail.own);
        const changed = flags.read ? mails.filter((mail) => !mail.read) : mails.slice(-1);
        const marked = flags.read ? undefined : changed[0]?.time;
        if (marked === undefined) delete thread.marked;
        else thread.marked = marked;
        if (flags.read) read.push(...changed.filter((mail) => mail.verified === 'device').map((mail) => mail.id));
        if (changed.length > 0) await edit.change(changed.map((mail) => ({ ...mail, read: flags.read ?? mail.read })));
      }
      await touch(this.box, edit, threads, this.#parts.now());
    });
    for (const message of read) this.courier.tell({ kind: 'read', message });
    this.#parts.news.changed(threads);
    this.#parts.news.state();
    this.syncSoon();
  }

  /** Deletes for good. */
  async remove(threads: readonly string[]): Promise<void> {
    const mails = (await Promise.all(threads.map((thread) => this.box.mails(thread)))).flat();
    // Said first: what is gone here can be said no more.
    for (const { id, verified } of mails) if (verified === 'device') await this.courier.told({ kind: 'remove', message: id });
    await this.box.edit(async (edit) => {
      await edit.remove((await Promise.all(threads.map((thread) => edit.mails(thread)))).flat());
      for (const thread of threads) await this.drafts.remove(edit, thread);
    });
    await this.#drop(mails);
    this.#parts.news.changed(threads);
    this.#parts.news.state();
  }

  /** The content of an attachment. */
  async content(attachment: StoredAttachment, raw: () => Promise<Uint8Array | null>, work: { signal?: AbortSignal | undefined; onProgress?: ((progress: Progress) => void) | undefined }): Promise<Blob> {
    const { node } = this.#parts;
    if (!attachment.enclosure) return partContent(this.module, (await raw()) ?? new Uint8Array(), attachment);
    const total = attachment.size;
    const { hash } = attachment.enclosure;
    const content = await openSealed(node, this.module, attachment.enclosure, { signal: work.signal, onBytes: (done) => work.onProgress?.({ done, total }) });
    // Nobody else may have it next time.
    await keepSealed(node, hash).then(() => this.#wanted.got(hash)).catch(() => undefined);
    return content;
  }

  /** One's own card. */
  card(): string {
    return this.#parts.post.card();
  }

  /** Whom a card, a link or an id names is a contact from now on. */
  async addContact(text: string, petname: string): Promise<Contact> {
    const { id } = this.people.read(text);
    if (id === this.people.me) throw new GyreError('BAD_OPTIONS', 'This is your own address.');
    this.people.met.set(id, /^\s*https?:|#\/m\//.test(text) ? 'link' : 'card');
    await this.box.edit((edit) => edit.set('met', [...this.people.met]));
    const named = petname.trim().slice(0, MAX_PETNAME);
    // What follows the id is the rest of a card, in whichever form it came.
    const rest = /\?.*$/.exec(text.trim())?.[0];
    const card = rest ? { card: `dmail:${id}${rest}` } : {};
    await this.courier.told({ kind: 'contact', id, state: 'accepted', ...(named ? { petname: named } : {}), ...card });
    this.people.refresh();
    this.syncSoon();
    const contact = this.people.contact(id);
    if (!contact) throw new GyreError('INTERNAL', 'The contact was not kept.');
    return contact;
  }

  async setContact(id: string, change: { petname?: string; state?: Contact['state'] }): Promise<void> {
    this.people.refresh();
    const known = this.people.contact(id);
    if (!known) throw new GyreError('NOT_FOUND', 'This person is no contact.');
    const state = change.state ?? known.state;
    const petname = (change.petname ?? known.petname ?? '').trim().slice(0, MAX_PETNAME);
    if (state === 'request') {
      if (change.state !== undefined && known.state !== 'request') throw new GyreError('BAD_OPTIONS', 'Nobody is made a request.');
      throw new GyreError('BAD_OPTIONS', 'Accept or block this person first.');
    }
    await this.courier.told({ kind: 'contact', id, state, petname });
    this.people.refresh();
    this.syncSoon();
  }

  /** Tells the other machines of this person how things are here, once for all changes of a while. */
  syncSoon(wait = SYNC_MS): void {
    const due = performance.now() + wait;
    if (this.#syncing !== undefined && this.#syncDue <= due) return;
    clearTimeout(this.#syncing);
    this.#syncDue = due;
    this.#syncing = setTimeout(() => {
      this.#syncing = undefined;
      void this.#sync().catch((error: unknown) => console.error('mail: the other machines were not told', error));
    }, wait);
  }

  /** The same for drafts, which change with every few words. */
  draftsChanged(): void {
    this.syncSoon(SYNC_DRAFTS_MS);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#syncing);
    for (const { retry } of this.#bodies.values()) clearTimeout(retry);
    this.#bodies.clear();
    this.search.stop();
    this.#wanted.stop();
    await this.courier.stop();
    await this.box.settled();
    this.#parts.post.free();
    this.box.close();
  }

  // ── what the module says ──

  async #keep(outputs: readonly Output[]): Promise<Input[]> {
    const kept = outputs.filter((output) => DURABLE.has(output.do));
    const after: (() => void)[] = [];
    const answers: Input[] = [];
    if (kept.length > 0) {
      // Names in letters are those of the moment.
      if (kept.some((output) => output.do === 'contact')) this.people.refresh();
      await this.box.edit(async (edit) => {
        for (const output of kept) await this.#take(edit, output, after, answers);
      });
    }
    for (const tell of after) tell();
    return answers;
  }

  async #take(edit: Edit, output: Output, after: (() => void)[], answers: Input[]): Promise<void> {
    const { news } = this.#parts;
    switch (output.do) {
      case 'save':
        return edit.post(output.key, output.value ?? null);
      case 'letter':
        return this.#letter(edit, output, after, answers);
      case 'status':
        return this.#status(edit, output, after);
      case 'sent': {
        const mail = await this.outgoing.sent(edit, output);
        if (mail) after.push(() => (this.#arrived([mail]), this.draftsChanged()));
        return;
      }
      case 'failed':
        return void after.push(() => this.outgoing.failed(output));
      case 'contact':
        if (output.state === 'accepted' || output.state === 'blocked') await this.#judged(edit, output.id, output.state, after);
        return void after.push(() => (this.people.refresh(), news.contacts()));
      case 'identity':
        this.#identity = output;
        this.people.name = output.name;
        return void after.push(() => {
          for (const look of [...this.#identityHeard]) look();
          news.state();
        });
      case 'gone': {
        const mail = await edit.mail(output.message);
        if (!mail) return;
        await edit.remove([mail]);
        return void after.push(() => void this.#drop([mail]).then(() => news.changed([mail.thread])));
      }
      case 'sync':
        return this.#heard(edit, output.data, after, answers);
      default:
    }
  }

  async #letter(edit: Edit, letter: Letter, after: (() => void)[], answers: Input[]): Promise<void> {
    const { message, body, request, own, muted } = letter;
    const before = await edit.mail(message);
    if (before && !before.pending) {
      // What is attached may still be on its way.
      if (!(await this.#wanted.waits(message))) answers.push({ kind: 'stored', message });
      return;
    }
    if (!before) {
      const fresh = ofLetter(this.module, this.people, letter);
      // On another machine the person may have seen it.
      const seen = await heardOf(edit, fresh.thread, fresh.time);
      const mail = seen ? { ...fresh, read: own || fresh.time !== seen.unread } : fresh;
      await edit.add(mail, letter.mime ?? null, (thread, isNew) => {
        if (isNew) thread.request = request;
        else if (!request) thread.request = false;
        if (!seen && !own && !muted && thread.folder !== 'inbox') thread.folder = 'inbox';
        if (isNew && muted) thread.folder = 'archive';
        if (seen && thread.touched < seen.at) {
          Object.assign(thread, { starred: seen.starred, folder: seen.folder, touched: seen.at, ...(seen.unread === undefined ? {} : { marked: seen.unread }) });
        }
      });
      after.push(() => {
        this.came = { mails: this.came.mails + 1, at: this.#parts.now() };
        this.#arrived([mail]);
        if (!mail.read && !muted && !body) this.#parts.news.mail(mail);
        if (!request) this.#wanted.try();
      });
      await this.#wanted.add(edit, message, letter.enclosures.map(({ hash }) => hash), !request);
    }
    if (body) after.push(() => this.#fetchBody(message, 0));
    else if (letter.enclosures.length === 0) answers.push({ kind: 'stored', message });
  }

  /** A long body is fetched before the letter counts as received. */
  #fetchBody(id: string, tries: number): void {
    const waiting = this.#bodies.get(id);
    clearTimeout(waiting?.retry);
    if (waiting && waiting.retry === undefined) return;
    this.#bodies.set(id, { retry: undefined, tries });
    this.#body(id)
      .then(() => this.#bodies.delete(id))
      .catch(() => {
        if (this.#closed.signal.aborted) return;
        const wait = Math.min(BODY_RETRY_MS * 2 ** tries, MAX_BODY_RETRY_MS);
        this.#bodies.set(id, { tries: tries + 1, retry: setTimeout(() => this.#fetchBody(id, tries + 1), wait) });
      });
  }

  async #body(id: string): Promise<void> {
    const { node, news } = this.#parts;
    const mail = await this.box.mail(id);
    if (mail?.pending) {
      const blob = await openSealed(node, this.module, mail.pending, { signal: this.#closed.signal });
      const raw = new Uint8Array(await blob.arrayBuffer());
      const parsed = this.module.Mime.parse(raw);
      const whole = await this.box.edit(async (edit) => {
        const now = await edit.mail(id);
        if (!now?.pending) return null;
        const made = withBody(now, parsed);
        await edit.complete(made, raw);
        return made;
      });
      if (whole) {
        this.#arrived([whole]);
        const { id: from } = whole.from;
        if (!whole.read && !(from !== null && this.people.contact(from)?.state === 'muted')) news.mail(whole);
        await node.call('remove', cidOf(mail.pending.hash)).catch(() => undefined);
      }
    }
    await this.#whole(id);
  }

  /** A letter counts as received, and is deleted at its custodians, when its text and all that is attached are here. */
  async #whole(message: string): Promise<void> {
    const mail = await this.box.mail(message);
    if (mail?.pending || (await this.#wanted.waits(message)) || this.#closed.signal.aborted) return;
    this.courier.tell({ kind: 'stored', message });
  }

  async #status(edit: Edit, { message, to, state, peers, relays, progress, why }: StatusSaid, after: (() => void)[]): Promise<void> {
    const mail = await edit.mail(message);
    if (!mail?.own) return;
    const status: SendStatus = { message, to, state, peers, relays, progress: progress ?? null, code: why ?? null };
    const others = mail.status.filter((other) => other.to !== to);
    await edit.change([{ ...mail, status: [...others, status] }]);
    after.push(() => {
      this.#parts.news.status(this.live(status, mail.enclosed));
      this.#parts.news.changed([mail.thread]);
    });
  }

  /** The person has accepted or blocked somebody, here or elsewhere: their requests are no more. */
  async #judged(edit: Edit, id: string, state: 'accepted' | 'blocked', after: (() => void)[]): Promise<void> {
    const changed: string[] = [];
    if (state === 'accepted') {
      await this.#wanted.ask(edit, async (message) => (await edit.mail(message))?.from.id === id);
      after.push(() => this.#wanted.try());
    }
    const { threads } = await this.box.list('requests', undefined, MAX_REQUESTS);
    for (const { id: at, from } of threads) {
      if (!from.some((who) => who.id === id)) continue;
      const thread = await edit.thread(at);
      if (!thread) continue;
      thread.request = false;
      if (state === 'blocked') thread.folder = 'trash';
      changed.push(at);
    }
    if (changed.length > 0) after.push(() => (this.#parts.news.changed(changed), this.#parts.news.state()));
  }

  /** Another machine of this person has spoken. */
  async #heard(edit: Edit, data: Uint8Array, after: (() => void)[], answers: Input[]): Promise<void> {
    const shared = await readShared(data);
    if (!shared) return;
    const changed: string[] = [];
    for (const thread of shared.threads) if (await applyThread(edit, thread)) changed.push(thread.id);
    await remember(edit, shared.threads);
    for (const draft of shared.drafts ?? []) if (await this.drafts.hear(edit, draft)) changed.push(draft.id);
    for (const { id, petname, state, met } of shared.contacts) {
      this.people.met.set(id, met);
      if (state === 'request' || this.people.contact(id)) continue;
      answers.push({ kind: 'contact', id, state, ...(petname === null ? {} : { petname }) });
    }
    edit.set('met', [...this.people.met]);
    const since = (await this.box.value<number>('settings-at')) ?? 0;
    if (shared.settings && shared.settings.at > since) {
      const { at, ...settings } = shared.settings;
      this.#settings = { ...this.#settings, ...settings };
      edit.set('settings', this.#settings);
      edit.set('settings-at', at);
      after.push(() => this.#tellPolicy());
    }
    after.push(() => {
      this.came = { ...this.came, at: this.#parts.now() };
      if (changed.length > 0) this.#parts.news.changed(changed);
      this.#parts.news.state();
    });
  }

  async #sync(): Promise<void> {
    if (this.#closed.signal.aborted || this.#identity.state !== 'ready') return;
    const { readReceipts, stampBits, strangers } = this.#settings;
    const at = (await this.box.value<number>('settings-at')) ?? 0;
    const data = await packShared({
      version: 1,
      settings: at > 0 ? { readReceipts, stampBits, strangers, at } : null,
      contacts: this.people.contacts().map(({ id, petname, state, met }) => ({ id, petname, state, met })),
      // Also for a machine that came without this one knowing.
      threads: await touchedThreads(this.box),
      drafts: await this.drafts.shared(),
    });
    this.courier.tell({ kind: 'sync', data });
  }

  /** Mail is left at the relays of before for as long as one of them is there. */
  async #choose(connected: Uint8Array): Promise<void> {
    const there = peersOf(connected);
    const kept = peersOf(this.#relays).filter((peer) => there.includes(peer));
    if (there.length === 0 || (kept.length > 0 && kept.length === Math.min(MAX_MAILBOX_RELAYS, there.length))) return;
    const chosen = [...new Set([...kept, ...there])].slice(0, MAX_MAILBOX_RELAYS);
    this.#relays = unhex(chosen.join(''));
    await this.box.edit((edit) => edit.set('relays', this.#relays));
    this.#tellPolicy();
  }

  #tellPolicy(): void {
    const { stampBits, readReceipts, strangers } = this.#settings;
    this.courier.tell({ kind: 'policy', stampBits, readReceipts, open: strangers === 'ask', mailboxRelays: this.#relays });
  }

  #arrived(mails: readonly StoredMail[]): void {
    this.search.note();
    this.#parts.news.changed([...new Set(mails.map((mail) => mail.thread))]);
    this.#parts.news.state();
  }

  /** Lets go of what belonged to mails that are gone. */
  async #drop(mails: readonly StoredMail[]): Promise<void> {
    this.search.forget();
    await this.#wanted.forget(mails.map(({ id }) => id));
    for (const mail of mails) {
      for (const { enclosure } of mail.attachments) {
        if (enclosure) await this.#parts.node.call('remove', cidOf(enclosure.hash)).catch(() => undefined);
      }
    }
  }

  /** Mails came from a file. */
  imported(mails: readonly StoredMail[]): void {
    if (mails.length > 0) this.#arrived(mails);
  }
}

/** Public keys in hex. */
function peersOf(keys: Uint8Array): string[] {
  return Array.from({ length: Math.floor(keys.byteLength / PEER_BYTES) }, (_, at) => hex(keys.subarray(at * PEER_BYTES, (at + 1) * PEER_BYTES)));
}

/** What has to be durable before anything after it is done. */
const DURABLE: ReadonlySet<Output['do']> = new Set(['save', 'letter', 'status', 'sent', 'failed', 'contact', 'identity', 'gone', 'sync']);
/** 22 bits take a page a second or two (docs/custody.md). */
const DEFAULTS: MailSettings = { readReceipts: false, stampBits: 22, strangers: 'ask', notifications: false };
/** Mailbox relays that one's record names, as in the module. */
const MAX_MAILBOX_RELAYS = 2;
const PEER_BYTES = 32;
/** Milliseconds until a body that could not be fetched is asked for again, and the longest such wait. */
const BODY_RETRY_MS = 15_000;
const MAX_BODY_RETRY_MS = 1_800_000;
/** Milliseconds in which changes are gathered before the other machines are told. */
const SYNC_MS = 5_000;
const SYNC_DRAFTS_MS = 20_000;
/** Requests that are looked through when somebody is judged; the module lets fewer wait. */
const MAX_REQUESTS = 1_000;
/** Characters of a petname. */
const MAX_PETNAME = 100;
