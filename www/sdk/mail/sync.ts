/**
 * What the machines of one person tell each other beside the letters: petnames, settings, drafts, and what was
 * read, starred and moved.
 *
 * Each machine says all of it at once, so whoever hears the last word knows everything. Of what two
 * machines have changed the later change counts.
 */

import type { Box, Edit } from './box.js';
import type { StoredMail, StoredThread } from './records.js';
import type { Contact, MailSettings, PlainFolder } from './types.js';

/** What one machine says. */
export interface Shared {
  readonly version: 1;
  readonly settings: (Pick<MailSettings, 'readReceipts' | 'stampBits' | 'strangers'> & { readonly at: number }) | null;
  readonly contacts: readonly { readonly id: string; readonly petname: string | null; readonly state: Contact['state']; readonly met: Contact['met'] }[];
  readonly threads: readonly SharedThread[];
  /** None of a machine that does not tell of them yet. */
  readonly drafts?: readonly SharedDraft[];
}

/** A draft as it is on a machine, or that it is over. */
export interface SharedDraft {
  readonly id: string;
  /** Number of the change. */
  readonly at: number;
  readonly draft: (DraftWords & {
    /** What is attached, wherever it lies. */
    readonly parts: readonly { readonly name: string; readonly type: string; readonly size: number }[];
  }) | null;
}

/** A draft without what is attached. */
export interface DraftWords {
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html: string | null;
  readonly thread: string | null;
  readonly inReplyTo: string | null;
  readonly time: number;
}

/** What the person did to a thread. */
export interface SharedThread {
  readonly id: string;
  readonly at: number;
  /** All mails up to this time are read. */
  readonly readUntil: number;
  readonly starred: boolean;
  readonly folder: PlainFolder;
  /** Time of the mail that the person marked as unread, if that was the last word of it. */
  readonly unread?: number;
}

/** As bytes, with as many threads as fit, the last touched first. */
export async function packShared(shared: Shared): Promise<Uint8Array> {
  let { threads, drafts = [] } = shared;
  for (;;) {
    const packed = await through(new TextEncoder().encode(JSON.stringify({ ...shared, threads, drafts })), new CompressionStream('gzip'), Infinity);
    if (packed.byteLength <= MAX_PACKED || threads.length + drafts.length === 0) return packed;
    threads = threads.slice(0, Math.floor(threads.length / 2));
    if (threads.length === 0) drafts = drafts.slice(0, Math.floor(drafts.length / 2));
  }
}

/** `null` for what is none: another version said it. */
export async function readShared(bytes: Uint8Array): Promise<Shared | null> {
  try {
    const text = new TextDecoder().decode(await through(bytes, new DecompressionStream('gzip'), MAX_UNPACKED));
    const value = JSON.parse(text) as Partial<Shared> | null;
    if (value?.version !== 1 || !Array.isArray(value.contacts) || !Array.isArray(value.threads)) return null;
    return { version: 1, settings: isSettings(value.settings) ? value.settings : null, contacts: value.contacts.filter(isContact), threads: value.threads.filter(isThread), drafts: Array.isArray(value.drafts) ? value.drafts.filter(isDraft).slice(0, MAX_DRAFTS) : [] };
  } catch {
    return null;
  }
}

/** Applies what another machine did to a thread; `false` if it is not here, or was changed later here. */
export async function applyThread(edit: Edit, said: SharedThread): Promise<boolean> {
  const thread = await edit.thread(said.id);
  if (!thread || thread.touched > said.at) return false;
  const mails = await edit.mails(said.id);
  // Of two changes with one number all machines choose alike.
  if (thread.touched === said.at && rankOf(said) <= rankOf(saidOf(thread, mails))) return false;
  Object.assign(thread, { starred: said.starred, folder: said.folder, touched: said.at });
  if (said.unread === undefined) delete thread.marked;
  else thread.marked = said.unread;
  const changed = mails.flatMap((mail) => {
    const read = mail.own || (mail.time !== said.unread && (mail.read || mail.time <= said.readUntil));
    return read === mail.read ? [] : [{ ...mail, read }];
  });
  await edit.change(changed);
  return true;
}

/** Notes with the edit what another machine said of threads: it counts for letters that come later, too. */
export async function remember(edit: Edit, threads: readonly SharedThread[]): Promise<void> {
  if (threads.length === 0) return;
  const heard = { ...((await edit.value<Heard>(HEARD)) ?? {}) };
  for (const said of threads) if ((heard[said.id]?.at ?? 0) < said.at) heard[said.id] = said;
  const kept = Object.values(heard).sort((a, b) => b.at - a.at).slice(0, MAX_THREADS);
  edit.set(HEARD, Object.fromEntries(kept.map((said) => [said.id, said])));
}

/** What another machine has said of the thread of a letter that comes now, if it has seen that letter. */
export async function heardOf(edit: Edit, thread: string, time: number): Promise<SharedThread | null> {
  const said = (await edit.value<Heard>(HEARD))?.[thread];
  return said && (time <= said.readUntil || time === said.unread) ? said : null;
}

function saidOf({ id, touched, starred, folder, unread, time, marked }: StoredThread, mails: readonly StoredMail[]): SharedThread {
  const read = mails.filter((mail) => mail.read).map((mail) => mail.time);
  return { id, at: touched, readUntil: unread > 0 ? read.reduce((latest, at) => Math.max(latest, at), 0) : time, starred, folder, ...(marked === undefined ? {} : { unread: marked }) };
}

function rankOf({ starred, folder, readUntil, unread }: SharedThread): string {
  return `${starred} ${folder} ${readUntil} ${unread ?? ''}`;
}

/** The threads that the person did something to, the last touched first. */
export async function touchedThreads(box: Box): Promise<SharedThread[]> {
  const log = (await box.value<Touched>(TOUCHED)) ?? {};
  const ids = Object.entries(log).sort(([, a], [, b]) => b - a).slice(0, MAX_THREADS).map(([id]) => id);
  const threads = await box.threads(ids);
  const said: SharedThread[] = [];
  for (const thread of threads) said.push(saidOf(thread, thread.unread > 0 ? await box.mails(thread.id) : []));
  return said;
}

/** Notes with the edit that the person did something to threads. */
export async function touch(box: Box, edit: Edit, threads: readonly string[], now: number): Promise<void> {
  const log = { ...((await box.value<Touched>(TOUCHED)) ?? {}) };
  for (const id of threads) log[id] = now;
  const kept = Object.entries(log).sort(([, a], [, b]) => b - a).slice(0, MAX_THREADS);
  edit.set(TOUCHED, Object.fromEntries(kept));
}

type Touched = Record<string, number>;
type Heard = Record<string, SharedThread>;

async function through(bytes: Uint8Array, stream: GenericTransformStream, most: number): Promise<Uint8Array> {
  const reader = (new Blob([bytes as BlobPart]).stream().pipeThrough(stream) as ReadableStream<Uint8Array>).getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { value } = await reader.read();
    if (!value) return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
    parts.push(value);
    if ((size += value.byteLength) > most) throw new RangeError('more than any machine says');
  }
}

function isContact(value: unknown): value is Shared['contacts'][number] {
  const { id, petname, state, met } = (value ?? {}) as Record<string, unknown>;
  const named = petname === null || (typeof petname === 'string' && petname.length <= MAX_NAME);
  return typeof id === 'string' && named && STATES.includes(state) && MEETINGS.includes(met);
}

function isThread(value: unknown): value is SharedThread {
  const { id, at, readUntil, starred, folder } = (value ?? {}) as Record<string, unknown>;
  const { unread } = (value ?? {}) as Record<string, unknown>;
  const times = Number.isSafeInteger(at) && Number.isSafeInteger(readUntil) && (unread === undefined || Number.isSafeInteger(unread));
  return typeof id === 'string' && times && typeof starred === 'boolean' && FOLDERS.includes(folder);
}

function isDraft(value: unknown): value is SharedDraft {
  const { id, at, draft } = (value ?? {}) as Record<string, unknown>;
  if (typeof id !== 'string' || !Number.isSafeInteger(at)) return false;
  if (draft === null) return true;
  const { to, subject, text, html, thread, inReplyTo, time, parts } = (draft ?? {}) as Record<string, unknown>;
  const isText = (one: unknown): boolean => typeof one === 'string';
  const isTextOrNone = (one: unknown): boolean => one === null || isText(one);
  const isPart = (one: unknown): boolean => {
    const { name, type, size } = (one ?? {}) as Record<string, unknown>;
    return isText(name) && isText(type) && Number.isSafeInteger(size);
  };
  return Array.isArray(to) && to.every(isText) && [subject, text].every(isText) && [html, thread, inReplyTo].every(isTextOrNone) && Number.isSafeInteger(time) && Array.isArray(parts) && parts.length <= MAX_PARTS && parts.every(isPart);
}

function isSettings(value: unknown): value is NonNullable<Shared['settings']> {
  const { readReceipts, stampBits, strangers, at } = (value ?? {}) as Record<string, unknown>;
  return typeof readReceipts === 'boolean' && Number.isInteger(stampBits) && (strangers === 'ask' || strangers === 'closed') && Number.isSafeInteger(at);
}

const TOUCHED = 'touched';
const HEARD = 'heard';
const STATES: readonly unknown[] = ['accepted', 'request', 'blocked', 'muted'];
const MEETINGS: readonly unknown[] = ['card', 'link', 'mail'];
const FOLDERS: readonly unknown[] = ['inbox', 'archive', 'trash'];
/** What the module carries for one machine. */
const MAX_PACKED = 196_608;
/** What it may unpack to, so that little cannot become much. */
const MAX_UNPACKED = 8 * 1024 * 1024;
/** Threads that one machine speaks of: some weeks of a busy person. */
const MAX_THREADS = 2_000;
/** Drafts that one machine speaks of, those that are over included, and attachments of one. */
const MAX_DRAFTS = 1_000;
const MAX_PARTS = 16;
/** Characters of a petname. */
const MAX_NAME = 200;
