/**
 * Mails in and out of files: mbox and `.eml`.
 *
 * Files are read and written piece by piece. A mail that came as a file goes out byte for byte as it came;
 * one's own and received letters go out with those of their attachments that can be had.
 */

import { GyreError, throwIfAborted } from '../errors.js';
import type { Progress } from '../types.js';
import type { Box } from './box.js';
import { ofFile } from './incoming.js';
import type { MailModule } from './module.js';
import type { People } from './people.js';
import type { StoredAttachment, StoredMail } from './records.js';
import { Zip } from './zip.js';

/** What the transfers work with. */
export interface TransferParts {
  readonly box: Box;
  readonly module: MailModule;
  readonly people: People;
  /** An attachment that lies in the swarm. */
  readonly content: (attachment: StoredAttachment, signal: AbortSignal | undefined) => Promise<Blob>;
  /** Mails came. */
  readonly came: (mails: readonly StoredMail[]) => void;
}

interface TransferWork {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** Takes the mails of a file; what came before it was given up stays. */
export async function importFile(
  { box, module, people, came }: TransferParts,
  file: Blob,
  { signal, onProgress }: TransferWork,
): Promise<{ mails: number; skipped: number }> {
  throwIfAborted(signal);
  const counts = { mails: 0, skipped: 0 };
  let batch: Uint8Array[] = [];
  const take = async (): Promise<void> => {
    const raws = batch;
    batch = [];
    const taken = await box.edit(async (edit) => {
      const names = new Map<string, string>();
      const added: StoredMail[] = [];
      for (const raw of raws) {
        const mail = await ofFile(module, people, raw, async (id) => names.get(id) ?? (await box.named(id))?.thread ?? null);
        // The same mail may have come as a letter, under an id of its own.
        const known = mail.messageId !== null && (names.has(mail.messageId) || (await box.named(mail.messageId)) !== null);
        const isNew = !known && (await edit.add(mail, raw, (thread, fresh) => {
          if (fresh) thread.folder = 'archive';
        }));
        if (mail.messageId) names.set(mail.messageId, mail.thread);
        if (isNew) added.push(mail);
      }
      return added;
    });
    counts.mails += taken.length;
    counts.skipped += raws.length - taken.length;
    came(taken);
    await new Promise((go) => setTimeout(go));
    throwIfAborted(signal);
  };
  const queue = async (raws: readonly Uint8Array[]): Promise<void> => {
    for (const raw of raws) {
      if (raw.byteLength > MAX_MAIL) counts.skipped += 1;
      else batch.push(raw);
      if (batch.length >= BATCH) await take();
    }
  };
  const start = new TextDecoder('latin1').decode(await file.slice(0, 5).arrayBuffer());
  if (start !== 'From ') {
    if (file.size > MAX_MAIL) throw new GyreError('BAD_OPTIONS', 'This file is too large for one mail.');
    await queue([new Uint8Array(await file.arrayBuffer())]);
  } else {
    const reader = new module.MboxReader();
    try {
      for (let at = 0; at < file.size; at += SLICE) {
        throwIfAborted(signal);
        await queue(reader.push(new Uint8Array(await file.slice(at, at + SLICE).arrayBuffer())));
        onProgress?.({ done: Math.min(at + SLICE, file.size), total: file.size });
      }
      await queue(reader.finish());
    } finally {
      reader.free();
    }
  }
  if (batch.length > 0) await take();
  onProgress?.({ done: file.size, total: file.size });
  return counts;
}

/** Mails as one file; of all threads but those in the trash if none are named. */
export async function exportFile(
  parts: TransferParts,
  format: 'mbox' | 'eml',
  threads: readonly string[] | undefined,
  { signal, onProgress }: TransferWork,
): Promise<Blob> {
  throwIfAborted(signal);
  const ids = threads ? await ofThreads(parts.box, threads) : await allIds(parts.box);
  if (format === 'eml' && ids.length === 1) {
    const mail = await parts.box.mail(ids[0]!);
    if (mail) return new Blob([(await whole(parts, mail, signal)) as BlobPart], { type: 'message/rfc822' });
  }
  const trash = new Map<string, boolean>();
  const inTrash = async (thread: string): Promise<boolean> => {
    if (threads) return false;
    if (!trash.has(thread)) trash.set(thread, (await parts.box.thread(thread))?.folder === 'trash');
    return trash.get(thread) ?? false;
  };
  const zip = new Zip();
  const done: Blob[] = [];
  let held: Uint8Array[] = [];
  let size = 0;
  const spill = (): void => {
    done.push(new Blob(held as BlobPart[]));
    held = [];
    size = 0;
  };
  for (const [at, id] of ids.entries()) {
    throwIfAborted(signal);
    const mail = await parts.box.mail(id);
    if (!mail || (await inTrash(mail.thread))) continue;
    const raw = await whole(parts, mail, signal);
    if (format === 'eml') {
      if (!zip.takes(raw.byteLength)) throw new GyreError('BAD_OPTIONS', 'This is too much for one archive. Export it as mbox.');
      zip.add({ name: fileName(mail, at), content: raw, time: mail.time });
    } else {
      const entry = parts.module.mboxEntry(raw, mail.from.address ?? `${mail.from.id ?? 'unknown'}@dmail.invalid`, mail.time);
      held.push(entry);
      if ((size += entry.byteLength) >= SPILL) spill();
    }
    onProgress?.({ done: at + 1, total: ids.length });
    await new Promise((go) => setTimeout(go));
  }
  if (format === 'eml') return zip.blob();
  spill();
  return new Blob(done, { type: 'application/mbox' });
}

/** The raw mail; of a letter one with its attachments in it, where they can be had. */
async function whole({ box, module, people, content }: TransferParts, mail: StoredMail, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const raw = await box.raw(mail.id);
  const outside = mail.attachments.filter(({ enclosure }) => enclosure !== null);
  if (raw && outside.length === 0) return raw;
  const parts: { name: string; type: string; content: Uint8Array }[] = [];
  for (const attachment of outside) {
    const found = await content(attachment, signal).catch(() => null);
    throwIfAborted(signal);
    const { name, type } = attachment;
    parts.push(
      found
        ? { name, type, content: new Uint8Array(await found.arrayBuffer()) }
        : { name: `${name}.txt`, type: 'text/plain', content: new TextEncoder().encode(MISSING) },
    );
  }
  const mime = ({ id, name, address }: StoredMail['from']) => (id === null ? { name, address: address ?? '' } : { ...people.mimePerson(id), name });
  return module.Mime.build({
    from: mime(mail.from),
    to: mail.to.map(mime),
    subject: mail.subject,
    text: mail.text,
    ...(mail.html === null ? {} : { html: mail.html }),
    messageId: mail.messageId ?? `${mail.id}@dmail.invalid`,
    dateMs: mail.time,
    parts,
  });
}

async function ofThreads(box: Box, threads: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const thread of threads) for (const { id } of await box.mails(thread)) ids.push(id);
  return ids;
}

async function allIds(box: Box): Promise<string[]> {
  return (await box.arrivals(0, Infinity)).map(({ id }) => id);
}

function fileName({ subject, time }: StoredMail, at: number): string {
  const date = new Date(time).toISOString().slice(0, 10);
  const name = subject.replace(/[\u0000-\u001f/\\:*?"<>|]+/g, ' ').trim().slice(0, 60);
  return `${String(at + 1).padStart(5, '0')} ${date} ${name || 'mail'}.eml`;
}

const MISSING = 'This attachment was not on this machine when the mail was exported.\n';
/** The largest mail that is taken: what large providers let through, with what base64 adds. */
const MAX_MAIL = 64 * 1024 * 1024;
/** Bytes of a file read at once. */
const SLICE = 1024 * 1024;
/** Mails of one transaction. */
const BATCH = 50;
/** Bytes after which parts become a `Blob`, which browsers may move out of memory. */
const SPILL = 32 * 1024 * 1024;
