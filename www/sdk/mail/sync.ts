/**
 * What the machines of one person tell each other beside the letters: petnames, settings, and what was
 * read, starred and moved.
 *
 * Each machine says all of it at once, so whoever hears the last word knows everything. Of what two
 * machines have changed the later change counts.
 */

import type { Box, Edit } from './box.js';
import type { Contact, MailSettings, PlainFolder } from './types.js';

/** What one machine says. */
export interface Shared {
  readonly version: 1;
  readonly settings: (Pick<MailSettings, 'readReceipts' | 'stampBits' | 'strangers'> & { readonly at: number }) | null;
  readonly contacts: readonly { readonly id: string; readonly petname: string | null; readonly state: Contact['state']; readonly met: Contact['met'] }[];
  readonly threads: readonly SharedThread[];
}

/** What the person did to a thread. */
export interface SharedThread {
  readonly id: string;
  readonly at: number;
  /** All mails up to this time are read. */
  readonly readUntil: number;
  readonly starred: boolean;
  readonly folder: PlainFolder;
}

/** As bytes, with as many threads as fit, the last touched first. */
export async function packShared(shared: Shared): Promise<Uint8Array> {
  let { threads } = shared;
  for (;;) {
    const packed = await through(new TextEncoder().encode(JSON.stringify({ ...shared, threads })), new CompressionStream('gzip'), Infinity);
    if (packed.byteLength <= MAX_PACKED || threads.length === 0) return packed;
    threads = threads.slice(0, Math.floor(threads.length / 2));
  }
}

/** `null` for what is none: another version said it. */
export async function readShared(bytes: Uint8Array): Promise<Shared | null> {
  try {
    const text = new TextDecoder().decode(await through(bytes, new DecompressionStream('gzip'), MAX_UNPACKED));
    const value = JSON.parse(text) as Partial<Shared> | null;
    if (value?.version !== 1 || !Array.isArray(value.contacts) || !Array.isArray(value.threads)) return null;
    return { version: 1, settings: isSettings(value.settings) ? value.settings : null, contacts: value.contacts.filter(isContact), threads: value.threads.filter(isThread) };
  } catch {
    return null;
  }
}

/** Applies what another machine did to a thread; `false` if it is not here, or was changed later here. */
export async function applyThread(edit: Edit, said: SharedThread): Promise<boolean> {
  const thread = await edit.thread(said.id);
  if (!thread || thread.touched >= said.at) return false;
  Object.assign(thread, { starred: said.starred, folder: said.folder, touched: said.at });
  const unread = (await edit.mails(said.id)).filter((mail) => !mail.read && mail.time <= said.readUntil);
  await edit.change(unread.map((mail) => ({ ...mail, read: true })));
  return true;
}

/** The threads that the person did something to, the last touched first. */
export async function touchedThreads(box: Box): Promise<SharedThread[]> {
  const log = (await box.value<Touched>(TOUCHED)) ?? {};
  const ids = Object.entries(log).sort(([, a], [, b]) => b - a).slice(0, MAX_THREADS).map(([id]) => id);
  const threads = await box.threads(ids);
  const said: SharedThread[] = [];
  for (const { id, touched, starred, folder, unread, time } of threads) {
    let readUntil = time;
    if (unread > 0) {
      const read = (await box.mails(id)).filter((mail) => mail.read);
      readUntil = Math.max(0, ...read.map((mail) => mail.time));
    }
    said.push({ id, at: touched, readUntil, starred, folder });
  }
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
  const times = Number.isSafeInteger(at) && Number.isSafeInteger(readUntil);
  return typeof id === 'string' && times && typeof starred === 'boolean' && FOLDERS.includes(folder);
}

function isSettings(value: unknown): value is NonNullable<Shared['settings']> {
  const { readReceipts, stampBits, strangers, at } = (value ?? {}) as Record<string, unknown>;
  return typeof readReceipts === 'boolean' && Number.isInteger(stampBits) && (strangers === 'ask' || strangers === 'closed') && Number.isSafeInteger(at);
}

const TOUCHED = 'touched';
const STATES: readonly unknown[] = ['accepted', 'request', 'blocked', 'muted'];
const MEETINGS: readonly unknown[] = ['card', 'link', 'mail'];
const FOLDERS: readonly unknown[] = ['inbox', 'archive', 'trash'];
/** What the module carries for one machine. */
const MAX_PACKED = 196_608;
/** What it may unpack to, so that little cannot become much. */
const MAX_UNPACKED = 8 * 1024 * 1024;
/** Threads that one machine speaks of: some weeks of a busy person. */
const MAX_THREADS = 2_000;
/** Characters of a petname. */
const MAX_NAME = 200;
