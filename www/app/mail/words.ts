/** The states of mail in words, and its times. A word never says more than is known. */

import type { Folder, MailState, SendStatus, ThreadSummary } from 'gyre';
import { count } from '../lib/format.js';
import { nameList } from './people.js';

/** A state for a list: short; for a mail: whole. `tone` colours the dot beside it. */
export interface StatusWords {
  readonly short: string;
  readonly long: string;
  readonly tone: 'busy' | 'good' | 'warm' | 'bad';
}

/** How far a letter has come. */
export function statusWords(status: SendStatus, to = 'them'): StatusWords {
  const { state, peers, relays, code, progress } = status;
  if (isHeld(status)) return { short: 'Held back', long: code === 'UPLOADS_OFF' ? HELD_OFF : HELD_NOW, tone: 'warm' };
  const part = progress === null ? '' : ` ${Math.floor(progress * 100)} %${progress > 1 ? ' of what it usually takes' : ''}`;
  switch (state) {
    case 'waiting':
      return { short: 'Waiting', long: waiting(code), tone: 'warm' };
    case 'uploading':
      return { short: 'Sending attachments', long: `Kept on ${places(peers, relays)}. Passing on the attachments…${part}`, tone: 'busy' };
    case 'looking':
      return { short: 'Sending', long: 'Looking for machines to keep it until it is fetched…', tone: 'busy' };
    case 'stamping':
      return { short: 'Working', long: `Doing the work that ${to} asks of strangers…${part}`, tone: 'busy' };
    case 'stored':
      return { short: 'Stored', long: `Stored on ${places(peers, relays)}, waiting for ${to} to fetch it`, tone: 'good' };
    case 'delivered':
      return { short: 'Delivered', long: `Delivered to ${to}`, tone: 'good' };
    case 'read':
      return { short: 'Read', long: `Read by ${to}`, tone: 'good' };
    case 'expired':
      return { short: 'Expired', long: `Not fetched in time. Nobody keeps it any more; it can be sent again`, tone: 'bad' };
    case 'refused':
      if (code === 'MAIL_CANCELLED') return { short: 'Not sent', long: failed(code), tone: 'bad' };
      return { short: 'Refused', long: refused(code, to), tone: 'bad' };
    case 'failed':
      return { short: 'Not sent', long: failed(code), tone: 'bad' };
  }
}

/** Whether a letter waits because nothing may be sent from here. */
export function isHeld({ code }: SendStatus): boolean {
  return code === 'UPLOADS_OFF' || code === 'UPLOADS_HELD';
}

/** Whether a letter is still on its way, so that it can be stopped. */
export function isUnderway({ state }: SendStatus): boolean {
  return state === 'waiting' || state === 'uploading' || state === 'looking' || state === 'stamping' || state === 'stored';
}

/** Whether it can be tried again. */
export function canRetry({ state }: SendStatus): boolean {
  return state === 'expired' || state === 'failed' || state === 'refused';
}

/** `5 machines`, `5 machines and 1 mailbox relay`. */
export function places(peers: number, relays: number): string {
  const machines = count(peers, 'machine');
  if (relays === 0) return machines;
  const mailboxes = count(relays, 'mailbox relay');
  return peers === 0 ? mailboxes : `${machines} and ${mailboxes}`;
}

/** The time of a mail in a list: today its hour, this year its day, else its date. */
export function listTime(time: number, now: number, locale?: string): string {
  const [then, today] = [new Date(time), new Date(now)];
  if (then.toDateString() === today.toDateString()) return then.toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit' });
  if (then.getFullYear() === today.getFullYear()) return then.toLocaleDateString(locale, { day: 'numeric', month: 'short' });
  return then.toLocaleDateString(locale, { day: 'numeric', month: 'short', year: 'numeric' });
}

/** The whole of it. */
export function fullTime(time: number, locale?: string): string {
  return new Date(time).toLocaleString(locale, { dateStyle: 'full', timeStyle: 'short' });
}

export function folderName(folder: Folder): string {
  return FOLDER_NAMES[folder];
}

/** What an empty folder says. */
export function emptyFolder(folder: Folder): string {
  return EMPTY[folder];
}

/** What a screen reader says of a row, in the order in which eyes take it in. */
export function rowLabel(thread: ThreadSummary, now: number): string {
  const { unread, from, subject, count: mails, status, attachments, starred, time } = thread;
  return [
    unread ? 'Unread' : '',
    nameList(from) || 'Nobody yet',
    subject || 'No subject',
    mails > 1 ? count(mails, 'mail') : '',
    attachments > 0 ? count(attachments, 'attachment') : '',
    starred ? 'starred' : '',
    status === null ? '' : statusWords(status).short.toLowerCase(),
    listTime(time, now),
  ]
    .filter((part) => part !== '')
    .join(', ');
}

/** A sentence for a connection that is not there; empty while it is. */
export function networkNote(network: MailState['network']): string {
  if (network === 'offline') return 'You are offline. You can read and write; what you send waits here and goes out by itself.';
  if (network === 'searching') return 'Looking for others. What you send waits here until somebody is found.';
  return '';
}

/** The title of the window. */
export function windowTitle(what: string, unread: number): string {
  return `${unread > 0 ? `(${unread}) ` : ''}${what} – Gyre`;
}

function waiting(code: string | null): string {
  if (code === 'NO_IDENTITY' || code === 'NO_RECORD') return 'Waiting: nobody reachable knows their keys yet. It goes out when somebody does.';
  return 'Waiting for a connection. It goes out by itself; this page must be open for that.';
}

function refused(given: string | null, to: string): string {
  const code = given?.replace(/^MAIL_/, '') ?? null;
  if (code === 'CLOSED' || code === 'STRANGERS_CLOSED') return `Refused: ${to} takes no mail from people they do not know`;
  if (code === 'ENDED') return `Refused: ${to} has given this identity up`;
  if (code === 'FULL' || code === 'OVER_QUOTA') return `Refused: the mailbox of ${to} is full`;
  return `Refused${code === null ? '' : ` (${code})`}`;
}

function failed(code: string | null): string {
  if (code === 'MAIL_CANCELLED' || code === 'ABORTED') return 'Stopped by you. It can be sent again';
  return `Not sent${code === null ? '' : ` (${code})`}. It can be tried again`;
}

const HELD_OFF = 'Held back: what is attached lies in this browser, and it may not send. The mail goes out when you allow that, while this page is open.';
const HELD_NOW = 'Held back: what is attached lies in this browser, and your limits let nothing be sent now. The mail goes out when they do, while this page is open.';
const FOLDER_NAMES: Record<Folder, string> = { inbox: 'Inbox', requests: 'Requests', sent: 'Sent', drafts: 'Drafts', archive: 'Archive', trash: 'Trash' };
const EMPTY: Record<Folder, string> = {
  inbox: 'No mail here. What people send you arrives while this page is open, and what came before is fetched when you come back.',
  requests: 'Nobody is waiting. First letters of people you do not know are shown here, and nowhere else until you accept them.',
  sent: 'Nothing sent yet.',
  drafts: 'No drafts. A mail is kept here while you write it.',
  archive: 'Nothing archived. What you archive leaves the inbox and can still be found.',
  trash: 'The trash is empty.',
};
