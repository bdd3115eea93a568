/** Mails that are being written, kept with their attachments. */

import { GyreError } from '../errors.js';
import type { Box, Edit } from './box.js';
import { snippetOf } from './records.js';
import type { Draft, Person, ThreadSummary } from './types.js';

interface StoredDraft {
  readonly id: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html: string | null;
  readonly thread: string | null;
  readonly inReplyTo: string | null;
  readonly time: number;
  readonly parts: readonly Part[];
}

interface Part {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  /** Of a file; `null` of a blob, which is written each time. */
  readonly modified: number | null;
}

/** The drafts of one box. */
export class Drafts {
  readonly #box: Box;

  constructor(box: Box) {
    this.#box = box;
  }

  /** Keeps a draft under this id; attachments that have not changed are not written again. */
  async save(id: string, draft: Draft, now: number): Promise<string> {
    checkId(id);
    const parts = draft.attachments.map(partOf);
    if (parts.length > MAX_PARTS || parts.reduce((sum, { size }) => sum + size, 0) > MAX_BYTES) {
      throw new GyreError('BAD_OPTIONS', 'A draft has at most 16 attachments and 25 MiB.');
    }
    const before = await this.#box.value<StoredDraft>(keyOf(id));
    if (!before && (await this.#box.keys(KEYS)).length >= MAX_DRAFTS) throw new GyreError('BAD_OPTIONS', 'There are too many drafts.');
    const changed = new Map<number, Uint8Array>();
    for (const [at, part] of parts.entries()) {
      if (!same(before?.parts[at], part)) changed.set(at, new Uint8Array(await draft.attachments[at]!.arrayBuffer()));
    }
    const { to, subject, text, html = null, thread = null, inReplyTo = null } = draft;
    const kept: StoredDraft = { id, to: [...to], subject, text, html, thread, inReplyTo, time: now, parts };
    await this.#box.edit((edit) => {
      edit.set(keyOf(id), kept);
      for (const [at, bytes] of changed) edit.set(partKey(id, at), bytes);
      for (let at = parts.length; at < (before?.parts.length ?? 0); at++) edit.set(partKey(id, at), null);
    });
    return id;
  }

  /** @throws GyreError `NOT_FOUND`. */
  async get(id: string): Promise<Draft> {
    const draft = await this.#box.value<StoredDraft>(keyOf(checkId(id)));
    if (!draft) throw new GyreError('NOT_FOUND', 'This draft is gone.');
    const { to, subject, text, html, thread, inReplyTo } = draft;
    const attachments = await Promise.all(
      draft.parts.map(async ({ name, type, modified }, at) => {
        const bytes = (await this.#box.bytes(partKey(id, at))) ?? new Uint8Array();
        return new File([bytes as BlobPart], name, { type, ...(modified === null ? {} : { lastModified: modified }) });
      }),
    );
    return {
      id,
      to,
      subject,
      text,
      attachments,
      ...(html === null ? {} : { html }),
      ...(thread === null ? {} : { thread }),
      ...(inReplyTo === null ? {} : { inReplyTo }),
    };
  }

  /** Removes a draft with the edit; nothing if there is none. */
  async remove(edit: Edit, id: string): Promise<void> {
    const draft = await this.#box.value<StoredDraft>(keyOf(checkId(id)));
    if (!draft) return;
    edit.set(keyOf(id), null);
    for (const at of draft.parts.keys()) edit.set(partKey(id, at), null);
  }

  /** As a list shows them, latest first. */
  async list(person: (id: string) => Person): Promise<ThreadSummary[]> {
    const drafts = await Promise.all((await this.#box.keys(KEYS)).map((key) => this.#box.value<StoredDraft>(key)));
    return drafts
      .filter((draft) => draft !== null)
      .sort((a, b) => b.time - a.time)
      .map(({ id, subject, text, to, time, parts }) => ({
        id,
        subject,
        snippet: snippetOf(text),
        from: to.map(person),
        time,
        unread: false,
        count: 1,
        starred: false,
        attachments: parts.length,
        folder: 'drafts',
        status: null,
      }));
  }
}

function partOf(blob: File | Blob): Part {
  const { type, size } = blob;
  const isFile = typeof File !== 'undefined' && blob instanceof File;
  return { name: isFile ? blob.name : 'attachment', type, size, modified: isFile ? blob.lastModified : null };
}

function same(before: Part | undefined, now: Part): boolean {
  if (!before || now.modified === null) return false;
  return before.name === now.name && before.size === now.size && before.modified === now.modified;
}

function checkId(id: string): string {
  if (/^[0-9a-z-]{1,64}$/.test(id)) return id;
  throw new GyreError('BAD_OPTIONS', 'This is not the id of a draft.');
}

function keyOf(id: string): string {
  return `${KEYS}${id}`;
}

function partKey(id: string, at: number): string {
  return `draft-part ${id} ${at}`;
}

const KEYS = 'draft ';
/** Drafts of one mailbox: the list of them is not paged. */
const MAX_DRAFTS = 500;
/** As of a letter. */
const MAX_PARTS = 16;
const MAX_BYTES = 25 * 1024 * 1024;
