/**
 * What a mailbox stores, and what follows of it: the summary of a thread, and the lists in which it stands.
 *
 * A thread stands in every list under a key that orders it, latest first, so that a page of a list is one
 * range of an index.
 */

import type { Stats } from '../types.js';
import type { Folder, Mail, PlainFolder, SendStatus } from './types.js';

/** Somebody as a mail names them; petnames are put in when it is shown. */
export interface Who {
  readonly id: string | null;
  readonly name: string;
  readonly address: string | null;
}

/** An enclosure as JSON can hold it. */
export interface StoredEnclosure {
  readonly hash: string;
  /** Hex. */
  readonly key: string;
  readonly size: number;
  readonly name: string;
  readonly type: string;
}

/** An attachment in the swarm, or the part of the raw mail with this index. */
export interface StoredAttachment {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly enclosure: StoredEnclosure | null;
  readonly part: number | null;
  /** Of an inline part; of enclosures, and of parts stored before, there is none. */
  readonly contentId?: string | null;
}

/** One mail. The raw one lies beside it. */
export interface StoredMail {
  readonly id: string;
  readonly thread: string;
  readonly time: number;
  readonly from: Who;
  readonly to: readonly Who[];
  readonly subject: string;
  readonly text: string;
  readonly html: string | null;
  readonly attachments: readonly StoredAttachment[];
  readonly own: boolean;
  read: boolean;
  status: readonly SendStatus[];
  readonly verified: Mail['verified'];
  readonly messageId: string | null;
  /** The long body that has yet to be fetched. */
  readonly pending: StoredEnclosure | null;
  /** Of one's own: something of it lies in the swarm, so that it waits until this machine may send. */
  readonly enclosed?: boolean;
}

/** A thread, as its mails make it, and what the person did to it. */
export interface StoredThread {
  readonly id: string;
  subject: string;
  snippet: string;
  from: readonly Who[];
  to: readonly Who[];
  time: number;
  unread: number;
  count: number;
  starred: boolean;
  attachments: number;
  folder: PlainFolder;
  /** Of a stranger who has not been answered or accepted. */
  request: boolean;
  received: boolean;
  sent: boolean;
  lastOwn: { readonly id: string; readonly time: number; readonly enclosed?: boolean } | null;
  status: SendStatus | null;
  /** When the person last changed what the other devices are to know. */
  touched: number;
  /** Time of the mail that the person marked as unread, if that was their last word of it. */
  marked?: number;
}

/** A thread without mails. */
export function emptyThread(id: string): StoredThread {
  return {
    id,
    subject: '',
    snippet: '',
    from: [],
    to: [],
    time: -1,
    unread: 0,
    count: 0,
    starred: false,
    attachments: 0,
    folder: 'inbox',
    request: false,
    received: false,
    sent: false,
    lastOwn: null,
    status: null,
    touched: 0,
  };
}

/** Counts a mail in that the thread does not have yet. */
export function addToThread(thread: StoredThread, mail: StoredMail): void {
  thread.count += 1;
  if (!mail.read) thread.unread += 1;
  thread.attachments += mail.attachments.length;
  if (thread.subject === '' || mail.time < thread.time) thread.subject ||= mail.subject;
  if (mail.own) {
    thread.sent = true;
    thread.to = together(thread.to, mail.to);
    if (!thread.lastOwn || mail.time >= thread.lastOwn.time) {
      thread.lastOwn = { id: mail.id, time: mail.time, ...(mail.enclosed ? { enclosed: true } : {}) };
      thread.status = furthestBehind(mail.status);
    }
  } else {
    thread.received = true;
    thread.from = together(thread.from, [mail.from]);
  }
  if (mail.time >= thread.time) {
    thread.time = mail.time;
    thread.snippet = snippetOf(mail.text);
  }
}

/** A thread made anew of its mails, oldest first; what the person did to it stays. */
export function rebuilt(thread: StoredThread, mails: readonly StoredMail[]): StoredThread {
  const { starred, folder, request, touched, marked } = thread;
  const made = { ...emptyThread(thread.id), starred, folder, request, touched, ...(marked === undefined ? {} : { marked }) };
  for (const mail of mails) addToThread(made, mail);
  return made;
}

/** The lists in which it stands. */
export function foldersOf(thread: StoredThread): Folder[] {
  if (thread.folder === 'trash') return ['trash'];
  const folders: Folder[] = thread.sent ? ['sent'] : [];
  if (thread.request && !thread.sent) return [...folders, 'requests'];
  if (thread.received || thread.folder === 'archive') folders.push(thread.folder);
  return folders;
}

/** Keys of the thread in the index of lists. */
export function placesOf(thread: StoredThread): string[] {
  const folders = foldersOf(thread);
  const places = folders.map((folder) => placeKey(folder, thread.time, thread.id));
  if (thread.unread > 0 && folders.includes('inbox')) places.push(placeKey('unread', thread.time, thread.id));
  return places;
}

/** Keys with a later time sort first. */
export function placeKey(list: Folder | 'unread', time: number, id: string): string {
  const at = Math.min(Math.max(0, Math.trunc(time)), LAST_TIME);
  return `${list} ${String(LAST_TIME - at).padStart(16, '0')} ${id}`;
}

/** The recipient that is furthest behind; trouble counts as furthest. */
export function furthestBehind(statuses: readonly SendStatus[]): SendStatus | null {
  let behind: SendStatus | null = null;
  for (const status of statuses) if (!behind || ORDER.indexOf(status.state) < ORDER.indexOf(behind.state)) behind = status;
  return behind;
}

/** A state with why it stays: where nothing may be sent, nobody can fetch what of a letter lies in the swarm. */
export function withHold(status: SendStatus, enclosed: boolean | undefined, hold: Stats['uploadHold']): SendStatus {
  if (!enclosed || !hold || status.code !== null || !HELD.includes(status.state)) return status;
  return { ...status, code: hold === 'unasked' || hold === 'refused' ? 'UPLOADS_OFF' : 'UPLOADS_HELD' };
}

/** The beginning of a text on one line, without what is quoted. */
export function snippetOf(text: string): string {
  const own = text.slice(0, 4 * SNIPPET_LENGTH).replace(/^>.*$/gm, '');
  return [...own.replace(/\s+/g, ' ').trim()].slice(0, SNIPPET_LENGTH).join('');
}

/** Whether two stand for one. */
export function sameWho(a: Who, b: Who): boolean {
  if (a.id !== null || b.id !== null) return a.id === b.id;
  return (a.address ?? a.name) === (b.address ?? b.name);
}

/** Those of before and those who come, each once, the latest last. */
function together(before: readonly Who[], more: readonly Who[]): readonly Who[] {
  const kept = before.filter((one) => !more.some((other) => sameWho(one, other)));
  return [...kept, ...more].slice(-MAX_PEOPLE);
}

const ORDER: readonly SendStatus['state'][] = [
  'failed',
  'refused',
  'expired',
  'waiting',
  'uploading',
  'looking',
  'stamping',
  'stored',
  'delivered',
  'read',
];
/** Not stored yet. */
const HELD: readonly SendStatus['state'][] = ['waiting', 'looking', 'uploading', 'stamping'];
/** Characters of a snippet: two lines of a wide list. */
const SNIPPET_LENGTH = 160;
/** People that a summary names; a list shows three. */
const MAX_PEOPLE = 8;
/** The latest time that a `Date` can hold. */
const LAST_TIME = 8_640_000_000_000_000;
