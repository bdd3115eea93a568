/** What becomes of a letter that came, or of a mail from a file. */

import { GyreError } from '../errors.js';
import { stored } from './blobs.js';
import type { Letter, MailModule, MimeMail } from './module.js';
import type { People } from './people.js';
import type { StoredAttachment, StoredMail, Who } from './records.js';
import { hex } from './seal.js';

/** A letter as it is stored; without a body where that has yet to be fetched. */
export function ofLetter(module: MailModule, people: People, letter: Letter): StoredMail {
  const { message, thread, timeMs, from, to, mime, body, enclosures, own, origin } = letter;
  const parsed = mime ? module.Mime.parse(mime) : null;
  const named = parsed?.from[0]?.name ?? '';
  const attached = enclosures.map((enclosure): StoredAttachment => {
    const { name, type, size } = enclosure;
    return { name, type, size, enclosure: stored(enclosure), part: null };
  });
  const bare: StoredMail = {
    id: message,
    thread,
    time: timeMs,
    from: { ...people.who(from), name: named || people.who(from).name },
    to: to.map((id) => people.who(id)),
    subject: '',
    text: '',
    html: null,
    attachments: attached,
    own,
    read: own,
    status: [],
    // The module lets nothing in that a device of the sender has not signed; of what is passed on it proves who passed it on.
    verified: origin === undefined ? 'device' : 'bridge',
    messageId: null,
    pending: body ? stored(body) : null,
  };
  return parsed ? withBody(bare, parsed) : bare;
}

/** A letter with the text of its MIME entity. */
export function withBody(mail: StoredMail, parsed: MimeMail): StoredMail {
  const { subject, text, html, messageId, from } = parsed;
  const inside = parsed.attachments.map(partOf);
  const kept = mail.attachments.filter(({ part }) => part === null);
  return {
    ...mail,
    from: mail.verified === 'bridge' ? outside(mail.from, from[0]) : { ...mail.from, name: from[0]?.name || mail.from.name },
    subject: line(subject),
    text,
    html,
    messageId,
    attachments: [...kept, ...inside],
    pending: null,
  };
}

/** Who wrote a mail that a bridge passed on: the bridge, and whom it names. */
function outside(bridge: Who, author: MimeMail['from'][number] | undefined): Who {
  const address = author?.address ?? '';
  return { ...bridge, name: author?.name || address, address };
}

/** A mail of a file; its thread is that of what it answers. */
export async function ofFile(
  module: MailModule,
  people: People,
  raw: Uint8Array,
  threadOf: (messageId: string) => Promise<string | null>,
): Promise<StoredMail> {
  const parsed = module.Mime.parse(raw);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', raw as BufferSource));
  const id = hex(digest.subarray(0, ID_BYTES));
  let thread: string | null = null;
  for (const answered of [...parsed.inReplyTo, ...[...parsed.references].reverse()].slice(0, MAX_ANSWERED)) {
    thread ??= await threadOf(answered);
  }
  const from: Who = parsed.from[0] ? people.ofMime(parsed.from[0]) : { id: null, name: '', address: null };
  return {
    id,
    thread: thread ?? id,
    time: parsed.dateMs ?? 0,
    from,
    to: [...parsed.to, ...parsed.cc].slice(0, MAX_PEOPLE).map((person) => people.ofMime(person)),
    subject: line(parsed.subject),
    text: parsed.text,
    html: parsed.html,
    attachments: parsed.attachments.map(partOf),
    own: from.id !== null && from.id === people.me,
    read: true,
    status: [],
    verified: 'imported',
    messageId: parsed.messageId,
    pending: null,
  };
}

/** The attachments that are parts of a raw mail. */
export function partsIn(module: MailModule, raw: Uint8Array): StoredAttachment[] {
  return module.Mime.parse(raw).attachments.map(partOf);
}

/** The content of an attachment that is part of the raw mail. */
export function partContent(module: MailModule, raw: Uint8Array, { part, type }: StoredAttachment): Blob {
  try {
    return new Blob([module.Mime.attachment(raw, part ?? -1) as BlobPart], { type });
  } catch (cause) {
    throw new GyreError('NOT_FOUND', 'This attachment is not in the mail.', { cause });
  }
}

function partOf({ name, type, size, index, contentId }: MimeMail['attachments'][number]): StoredAttachment {
  return { name: name || `attachment-${index + 1}`, type, size, enclosure: null, part: index, ...(contentId ? { contentId } : {}) };
}

function line(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, MAX_SUBJECT);
}

/** 16 bytes, as the ids of letters. */
const ID_BYTES = 16;
/** Message-IDs that are looked up to find the thread of a mail. */
const MAX_ANSWERED = 20;
/** People of one mail that are stored; the raw mail has all. */
const MAX_PEOPLE = 200;
/** Characters of a subject, the longest line of RFC 5322. */
const MAX_SUBJECT = 998;
