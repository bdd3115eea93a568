/** A mailbox in memory: what the page is developed and tested against, beside the real one. Nothing leaves it; letters come and go as a test says. */

import { GyreError } from '../sdk/errors.js';
import type {
  Contact,
  Draft,
  Folder,
  FoundThreads,
  IdentityStep,
  Mail,
  Mailbox,
  MailboxEventMap,
  MailSettings,
  MailState,
  MailWork,
  Person,
  PlainFolder,
  Recovered,
  SendStatus,
  ThreadPage,
  ThreadSummary,
} from '../sdk/mail/types.js';

/** What is kept of a thread beside its mails. */
interface Flags {
  folder: PlainFolder;
  starred: boolean;
}

export const ME = 'y'.repeat(52);

export class FakeMailbox extends EventTarget implements Mailbox {
  now: MailState = { state: 'none', id: null, name: null, link: null, unread: 0, requests: 0, devices: [], forked: false, concurrent: null, sites: [], standing: 'in', onPaper: false, findable: true, network: 'online' };
  mails: Mail[] = [];
  people: Contact[] = [];
  chosen: MailSettings = { readReceipts: false, stampBits: 20, strangers: 'ask', notifications: false };
  steps: IdentityStep[] = [{ act: 'begin', time: 0 }, { act: 'add', time: 1000 }];
  files = new Map<string, Blob[]>();
  /** What was asked, in order. */
  calls: string[] = [];
  /** What the next call of this name fails with. */
  faults = new Map<string, GyreError>();
  /** Resolves before a call of this name goes on. */
  gates = new Map<string, Promise<void>>();
  /** What a recovery finds. */
  elsewhere: Recovered = { found: false, mails: 0, contacts: 0 };
  readonly drafts = new Map<string, Draft>();
  readonly #flags = new Map<string, Flags>();
  #ids = 0;

  async state(): Promise<MailState> {
    const threads = this.#threads();
    const of = (folder: Folder): number => threads.filter((thread) => thread.folder === folder && thread.unread).length;
    return { ...this.now, unread: of('inbox'), requests: threads.filter(({ folder }) => folder === 'requests').length };
  }

  async start(): Promise<void> {
    await this.#called('start');
    this.setState({ state: 'ready' });
  }

  async create(name: string): Promise<void> {
    await this.#called(`create ${name}`);
    this.setState({ state: 'ready', id: ME, name, link: `https://host.example/#/m/${ME}`, devices: [{ key: 'a1b2c3d4e5f6', me: true, since: 0 }] });
  }

  async recover(options: MailWork = {}): Promise<Recovered> {
    await this.#called('recover', options);
    options.onProgress?.({ done: 1, total: 2 });
    if (this.elsewhere.found) this.setState({ state: 'ready', id: ME, name: 'Ada', link: `https://host.example/#/m/${ME}`, devices: [{ key: 'a1b2c3d4e5f6', me: true, since: 0 }] });
    return this.elsewhere;
  }

  async list(folder: Folder, { before, limit = 50 }: { before?: string; limit?: number } = {}): Promise<ThreadPage> {
    await this.#called(`list ${folder}`);
    const all = folder === 'drafts' ? this.#draftThreads() : this.#threads().filter((thread) => (folder === 'sent' ? this.mails.some(({ own, thread: id }) => own && id === thread.id) && thread.folder !== 'trash' : thread.folder === folder));
    const start = before === undefined ? 0 : all.findIndex(({ id }) => id === before) + 1;
    const threads = all.slice(start, start + limit);
    return { threads, next: start + limit < all.length ? (threads.at(-1)?.id ?? null) : null, total: all.length };
  }

  async thread(id: string): Promise<Mail[]> {
    await this.#called(`thread ${id}`);
    return this.mails.filter(({ thread }) => thread === id).sort((a, b) => a.time - b.time);
  }

  async search(query: string, { limit = 50 }: { limit?: number } = {}): Promise<FoundThreads> {
    await this.#called(`search ${query}`);
    const words = query.toLowerCase().split(/\s+/);
    const has = (thread: ThreadSummary): boolean => {
      const text = this.mails.filter((mail) => mail.thread === thread.id).map((mail) => `${mail.subject} ${mail.text} ${mail.from.name} ${mail.from.petname ?? ''}`).join(' ').toLowerCase();
      return words.every((word) => text.includes(word));
    };
    return { threads: this.#threads().filter((thread) => thread.folder !== 'trash' && has(thread)).slice(0, limit), complete: true };
  }

  async send(draft: Draft, options: MailWork = {}): Promise<{ message: string; thread: string }> {
    const total = draft.attachments.reduce((sum, { size }) => sum + size, 0);
    options.onProgress?.({ done: 0, total });
    await this.#called('send', options);
    options.onProgress?.({ done: total, total });
    const message = this.#id('m');
    const thread = draft.thread ?? this.#id('t');
    if (draft.id !== undefined) this.drafts.delete(draft.id);
    const to = draft.to.map((id): Person => ({ id, name: '', petname: this.people.find((one) => one.id === id)?.petname ?? null, address: null }));
    this.files.set(message, [...draft.attachments]);
    this.put({
      id: message, thread, to, subject: draft.subject, text: draft.text, own: true, read: true,
      from: { id: ME, name: this.now.name ?? '', petname: null, address: null },
      attachments: draft.attachments.map((file) => ({ name: file instanceof File ? file.name : '', type: file.type, size: file.size, here: true })),
      status: draft.to.map((id) => ({ message, to: id, state: 'waiting', peers: 0, relays: 0, progress: null, code: null })),
    });
    return { message, thread };
  }

  async cancel(message: string): Promise<void> {
    await this.#called(`cancel ${message}`);
    this.advance(message, { state: 'failed', code: 'CANCELLED' });
  }

  async retry(message: string): Promise<void> {
    await this.#called(`retry ${message}`);
    this.advance(message, { state: 'waiting', code: null });
  }

  async saveDraft(draft: Draft): Promise<string> {
    await this.#called('saveDraft');
    const id = draft.id ?? this.#id('d');
    this.drafts.set(id, { ...draft, id });
    this.#changed([id]);
    return id;
  }

  async draft(id: string): Promise<Draft> {
    const draft = this.drafts.get(id);
    if (!draft) throw new GyreError('NOT_FOUND', 'There is no such draft.');
    return draft;
  }

  async deleteDraft(id: string): Promise<void> {
    await this.#called(`deleteDraft ${id}`);
    this.drafts.delete(id);
    this.#changed([id]);
  }

  async mark(threads: readonly string[], flags: { read?: boolean; starred?: boolean; folder?: PlainFolder }): Promise<void> {
    await this.#called(`mark ${threads.join(' ')} ${JSON.stringify(flags)}`);
    for (const id of threads) {
      const before = this.#flagsOf(id);
      this.#flags.set(id, { folder: flags.folder ?? before.folder, starred: flags.starred ?? before.starred });
    }
    const { read } = flags;
    if (read !== undefined) this.mails = this.mails.map((mail) => (threads.includes(mail.thread) && !mail.own ? { ...mail, read } : mail));
    this.#changed(threads);
  }

  async remove(threads: readonly string[]): Promise<void> {
    await this.#called(`remove ${threads.join(' ')}`);
    this.mails = this.mails.filter(({ thread }) => !threads.includes(thread));
    this.#changed(threads);
  }

  async attachment(message: string, index: number, options: MailWork = {}): Promise<Blob> {
    await this.#called(`attachment ${message} ${index}`, options);
    const file = this.files.get(message)?.[index];
    if (!file) throw new GyreError('NOT_FOUND', 'Nobody who has it is reachable.');
    return file;
  }

  async contacts(): Promise<Contact[]> {
    return this.people;
  }

  async addContact(cardOrLink: string, petname: string): Promise<Contact> {
    await this.#called(`addContact ${petname}`);
    const { id } = await this.resolve(cardOrLink);
    const contact = person(id, petname, { met: 'link' });
    this.people = [...this.people.filter((one) => one.id !== id), contact];
    this.dispatchEvent(new Event('contacts'));
    return contact;
  }

  async setContact(id: string, change: { petname?: string; state?: Contact['state'] }): Promise<void> {
    await this.#called(`setContact ${id.slice(0, 4)} ${JSON.stringify(change)}`);
    const before = this.people.find((one) => one.id === id) ?? person(id, null, { state: 'request', met: 'mail' });
    this.people = [...this.people.filter((one) => one.id !== id), { ...before, ...change }];
    this.mails = this.mails.map((mail) => (mail.from.id === id ? { ...mail, from: { ...mail.from, petname: change.petname ?? mail.from.petname } } : mail));
    this.dispatchEvent(new Event('contacts'));
    this.#changed([]);
  }

  async resolve(text: string): Promise<{ id: string; contact: Contact | null }> {
    await this.#called(`resolve ${text}`);
    const id = /([ybndrfg8ejkmcpqxot1uwisza345h769]{52})/.exec(text)?.[1];
    if (id === undefined) throw new GyreError('BAD_LINK', 'This is no link to a person.');
    return { id, contact: this.people.find((one) => one.id === id) ?? null };
  }

  async card(): Promise<{ link: string; text: string; safety: string }> {
    return { link: this.now.link ?? '', text: `dmail:${ME}`, safety: '10203 40506 70809 11213 14151 61718' };
  }

  async settings(): Promise<MailSettings> {
    return this.chosen;
  }

  async set(settings: Partial<MailSettings>): Promise<void> {
    await this.#called(`set ${JSON.stringify(settings)}`);
    this.chosen = { ...this.chosen, ...settings };
  }

  async import(file: Blob, options: MailWork = {}): Promise<{ mails: number; skipped: number }> {
    options.onProgress?.({ done: file.size, total: file.size });
    await this.#called('import', options);
    return { mails: 12, skipped: 1 };
  }

  async export(format: 'mbox' | 'eml', options: MailWork & { threads?: readonly string[] } = {}): Promise<Blob> {
    await this.#called(`export ${format}`, options);
    return new Blob(['From somebody']);
  }

  async recoveryWords(): Promise<string> {
    await this.#called('recoveryWords');
    return `${'abandon '.repeat(23)}art`;
  }

  async changeKeys({ words, next, keep }: { words?: string; next: string; keep?: number }): Promise<void> {
    await this.#called(`changeKeys ${words ?? '-'} > ${next}${keep === undefined ? '' : ` after ${keep}`}`);
    this.setState({ onPaper: true, standing: 'in' });
  }

  async rejoin(words: string): Promise<void> {
    await this.#called(`rejoin ${words}`);
    this.setState({ standing: 'in' });
  }

  async giveUp(words?: string): Promise<void> {
    await this.#called(`giveUp ${words ?? '-'}`);
    this.setState({ standing: 'ended' });
  }

  async setSite(site: number, name: string | null): Promise<void> {
    await this.#called(`setSite ${site} ${name}`);
    const others = this.now.sites.filter((one) => one.site !== site);
    this.setState({ sites: [...others, ...(name === null ? [] : [{ site, name }])].sort((a, b) => a.site - b.site) });
  }

  async history(): Promise<IdentityStep[]> {
    return this.steps;
  }

  async removeDevice(key: string): Promise<void> {
    await this.#called(`removeDevice ${key}`);
    this.setState({ devices: this.now.devices.filter((device) => device.key !== key) });
  }

  async kept(): Promise<{ envelopes: number; bytes: number; attachments: number; attachmentBytes: number }> {
    return { envelopes: 214, bytes: 214 * 16_384, attachments: 0, attachmentBytes: 0 };
  }

  // What a test brings about.

  setState(change: Partial<MailState>): void {
    this.now = { ...this.now, ...change };
    this.dispatchEvent(new Event('state'));
  }

  /** A mail is here, as if it had just come. */
  put(mail: Partial<Mail> & { readonly from: Person }): Mail {
    const whole: Mail = {
      id: this.#id('m'), thread: this.#id('t'), to: [{ id: ME, name: this.now.name ?? '', petname: null, address: null }], time: Date.now(), subject: '', text: '', html: null,
      attachments: [], own: false, read: false, status: [], verified: 'device', ...mail,
    };
    this.mails = [...this.mails, whole];
    this.#changed([whole.thread]);
    return whole;
  }

  /** New mail arrives while the page is open. */
  arrive(mail: Partial<Mail> & { readonly from: Person }): void {
    const { thread } = this.put(mail);
    const summary = this.#threads().find(({ id }) => id === thread)!;
    this.dispatchEvent(new CustomEvent<ThreadSummary>('mail', { detail: summary }));
  }

  /** A letter comes further, for all its recipients. */
  advance(message: string, change: Partial<SendStatus>): void {
    this.mails = this.mails.map((mail) => (mail.id === message ? { ...mail, status: mail.status.map((one) => ({ ...one, ...change })) } : mail));
    for (const detail of this.mails.find(({ id }) => id === message)?.status ?? []) this.dispatchEvent(new CustomEvent<SendStatus>('status', { detail }));
  }

  #threads(): ThreadSummary[] {
    const groups = new Map<string, Mail[]>();
    for (const mail of this.mails) groups.set(mail.thread, [...(groups.get(mail.thread) ?? []), mail]);
    return [...groups]
      .map(([id, mails]): ThreadSummary => {
        const sorted = mails.sort((a, b) => a.time - b.time);
        const last = sorted.at(-1)!;
        const { folder, starred } = this.#flagsOf(id);
        const stranger = sorted.every(({ from, own }) => !own && !this.#isKnown(from));
        const from = new Map(sorted.filter(({ own }) => !own).map((mail) => [mail.from.id ?? mail.from.name, mail.from]));
        return {
          id, subject: sorted[0]!.subject, snippet: last.text.replace(/\s+/g, ' ').slice(0, 120), from: from.size > 0 ? [...from.values()] : [...last.to], time: last.time,
          unread: sorted.some(({ read, own }) => !read && !own), count: sorted.length, starred, attachments: sorted.reduce((sum, { attachments }) => sum + attachments.length, 0),
          folder: folder === 'inbox' && stranger ? 'requests' : folder === 'inbox' && sorted.every(({ own }) => own) ? 'sent' : folder,
          status: sorted.findLast(({ own }) => own)?.status[0] ?? null,
        };
      })
      .sort((a, b) => b.time - a.time);
  }

  #draftThreads(): ThreadSummary[] {
    return [...this.drafts].map(([id, { subject, text, to, attachments }]) => ({
      id, subject, snippet: text.slice(0, 80), from: to.map((one): Person => ({ id: one, name: '', petname: this.people.find((other) => other.id === one)?.petname ?? null, address: null })),
      time: Date.now(), unread: false, count: 1, starred: false, attachments: attachments.length, folder: 'drafts', status: null,
    }));
  }

  #isKnown({ id }: Person): boolean {
    return id === null || this.people.some((one) => one.id === id && one.state !== 'request');
  }

  #flagsOf(id: string): Flags {
    return this.#flags.get(id) ?? { folder: 'inbox', starred: false };
  }

  #id(kind: string): string {
    this.#ids += 1;
    return `${kind}${this.#ids}`;
  }

  #changed(threads: readonly string[]): void {
    this.dispatchEvent(new CustomEvent('change', { detail: { threads } }));
    this.dispatchEvent(new Event('state'));
  }

  async #called(call: string, { signal }: MailWork = {}): Promise<void> {
    this.calls.push(call);
    const name = call.split(' ')[0]!;
    const fault = this.faults.get(name);
    this.faults.delete(name);
    if (fault) throw fault;
    const gate = this.gates.get(name);
    if (!gate) return;
    await Promise.race([gate, new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new GyreError('ABORTED', 'Cancelled.'))))]);
  }

  declare addEventListener: <K extends keyof MailboxEventMap>(type: K | string, listener: ((event: MailboxEventMap[K]) => void) | EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions) => void;
}

/** A contact. */
export function person(id: string, petname: string | null, change: Partial<Contact> = {}): Contact {
  return { id, petname, name: petname, state: 'accepted', met: 'card', since: 0, safety: '31415 92653 58979 32384 62643 38327', forked: false, ended: false, ...change };
}

/** An id that can be told from others. */
export function idOf(letter: string): string {
  return letter.repeat(52);
}

/** Somebody in a header. */
export function from(contact: Contact): Person {
  return { id: contact.id, name: contact.name ?? '', petname: contact.petname, address: null };
}
