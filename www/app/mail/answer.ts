/** Drafts that begin with another mail: reply, reply to all, forward. */

import type { Draft, Mail, Person } from 'gyre';
import { personName } from './people.js';
import { fullTime } from './words.js';

/** How one goes on from a mail. */
export type AnswerKind = 'reply' | 'replyAll' | 'forward';

/** What a compose form starts with; attachments of a forwarded mail are fetched by whoever shows it. */
export interface Begun {
  readonly draft: Draft;
  /** What is quoted; added under the text when it is sent, unless it is taken off. */
  readonly quote: string;
  /** The mail whose attachments go along. */
  readonly carries: Mail | null;
}

/** An answer to `mail` by `me`, the person's own id. */
export function answer(mail: Mail, kind: AnswerKind, me: string | null): Begun {
  const base = { text: '', attachments: [], to: kind === 'forward' ? [] : recipients(mail, kind, me) };
  if (kind === 'forward') {
    return { draft: { ...base, subject: prefixed('Fwd', mail.subject) }, quote: forwarded(mail), carries: mail.attachments.length > 0 ? mail : null };
  }
  return { draft: { ...base, subject: prefixed('Re', mail.subject), thread: mail.thread, inReplyTo: mail.id }, quote: quoted(mail), carries: null };
}

/** Whether an answer to all would reach somebody whom an answer would not. */
export function hasOthers(mail: Mail, me: string | null): boolean {
  return recipients(mail, 'replyAll', me).length > recipients(mail, 'reply', me).length;
}

/** The subject with one prefix, whatever it had before. */
export function prefixed(prefix: 'Re' | 'Fwd', subject: string): string {
  const bare = subject.replace(/^(?:\s*(?:re|aw|sv|antw|fwd?|wg|tr)(?:\[\d+\])?\s*:)+\s*/i, '');
  return `${prefix}: ${bare.trim()}`.trim();
}

/** The text that is sent: one's own, then what is quoted. */
export function withQuote(text: string, quote: string): string {
  if (quote === '') return text;
  return text.trim() === '' ? quote : `${text.replace(/\s+$/, '')}\n\n${quote}`;
}

function recipients(mail: Mail, kind: 'reply' | 'replyAll', me: string | null): string[] {
  // Who goes on from their own mail writes to the same people again.
  // Who wrote from outside is not the bridge that passed it on.
  const author = mail.verified === 'bridge' ? { ...mail.from, id: null } : mail.from;
  const first: readonly Person[] = mail.own ? mail.to : [author];
  const all = kind === 'replyAll' ? [...first, ...mail.to] : first;
  const ids = all.map(({ id, address }) => id ?? address).filter((id) => id !== null);
  const others = [...new Set(ids)].filter((id) => id !== me);
  return others.length > 0 || me === null || !ids.includes(me) ? others : [me];
}

function quoted(mail: Mail): string {
  const lines = mail.text.slice(0, MAX_QUOTE).replace(/\s+$/, '').split('\n');
  return [`On ${fullTime(mail.time)}, ${personName(mail.from)} wrote:`, ...lines.map((line) => (line.startsWith('>') ? `>${line}` : `> ${line}`))].join('\n');
}

function forwarded(mail: Mail): string {
  return [
    '---------- Forwarded mail ----------',
    `From: ${personName(mail.from)}`,
    `Date: ${fullTime(mail.time)}`,
    `Subject: ${mail.subject}`,
    `To: ${mail.to.map(personName).join(', ')}`,
    '',
    mail.text.slice(0, MAX_QUOTE),
  ].join('\n');
}

/** Characters that are quoted of a mail. */
const MAX_QUOTE = 100_000;
