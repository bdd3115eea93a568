/**
 * Mails that are being written, kept with their attachments, and what the other machines of this person are told of them.
 *
 * Of a draft the last change counts, whichever machine made it: its number is the time, or one more than the number before where a
 * clock is behind. Attachments stay where they were put in; the other machines know their names.
 */

import { GyreError } from '../errors.js';
import type { Box, Edit } from './box.js';
import { snippetOf } from './records.js';
import type { DraftWords, SharedDraft } from './sync.js';
import type { Draft, Person, ThreadSummary } from './types.js';

interface StoredDraft extends DraftWords {
  readonly id: string;
  readonly parts: readonly Part[];
  /** Number of the change that made it so; none of before drafts were told. */
  readonly at?: number;
  /** Attachments that lie on another machine. */
  readonly elsewhere?: readonly Named[];
}

type Named = Pick<Part, 'name' | 'type' | 'size'>;

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
  readonly #now: () => number;

  constructor(box: Box, now: () => number = Date.now) {
    this.#box = box;
    this.#now = now;
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
    await this.#box.edit(async (edit) => {
      const latest = await edit.value<StoredDraft>(keyOf(id));
      const at = Math.max(now, (latest?.at ?? 0) + 1, ((await this.#gone(edit))[id] ?? 0) + 1);
      const named = draft.elsewhere ? (latest?.elsewhere ?? []).filter(({ name }) => draft.elsewhere?.includes(name)) : (latest?.elsewhere ?? []);
      const kept: StoredDraft = { id, to: [...to], subject, text, html, thread, inReplyTo, time: now, parts, at, ...(named.length > 0 ? { elsewhere: named } : {}) };
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
      ...(draft.elsewhere ? { elsewhere: draft.elsewhere.map(({ name }) => name) } : {}),
    };
  }

  /** Names of attachments of a draft that lie on another machine. */
  async elsewhere(id: string): Promise<string[]> {
    const draft = ID.test(id) ? await this.#box.value<StoredDraft>(keyOf(id)) : null;
    return (draft?.elsewhere ?? []).map(({ name }) => name);
  }

  /** Removes a draft with the edit; nothing if there is none. */
  async remove(edit: Edit, id: string): Promise<void> {
    const draft = await edit.value<StoredDraft>(keyOf(checkId(id)));
    if (!draft) return;
    this.#drop(edit, draft);
    await this.#bury(edit, id, Math.max(this.#now(), (draft.at ?? 0) + 1));
  }

  /** What the other machines are told, the last changed first; one that is too long for that stays here. */
  async shared(): Promise<SharedDraft[]> {
    const drafts = await Promise.all((await this.#box.keys(KEYS)).map((key) => this.#box.value<StoredDraft>(key)));
    const gone = Object.entries((await this.#box.value<Gone>(GONE)) ?? {}).map(([id, at]): SharedDraft => ({ id, at, draft: null }));
    const here = drafts.filter((draft) => draft !== null).map(toldOf).filter((told) => JSON.stringify(told).length <= MAX_TOLD);
    const all = [...here, ...gone].sort((a, b) => b.at - a.at);
    let room = MAX_ALL_TOLD;
    return all.filter((told) => (room -= JSON.stringify(told).length) >= 0);
  }

  /** Takes over what another machine says of a draft; `false` if what is here was changed later. */
  async hear(edit: Edit, said: SharedDraft): Promise<boolean> {
    const { id, at, draft } = said;
    if (!ID.test(id)) return false;
    const before = await edit.value<StoredDraft>(keyOf(id));
    const gone = (await this.#gone(edit))[id] ?? 0;
    if (gone >= at) return false;
    if (before && !isLater(said, toldOf(before))) return false;
    if (!draft) {
      if (before) this.#drop(edit, before);
      await this.#bury(edit, id, at);
      return before !== null;
    }
    if (!before && (await this.#box.keys(KEYS)).length >= MAX_DRAFTS) return false;
    // What of the attachments is here stays here.
    const parts: Part[] = [];
    const elsewhere: Named[] = [];
    for (const named of draft.parts) {
      const from = before?.parts.findIndex((part) => part.name === named.name && part.size === named.size) ?? -1;
      if (from < 0) elsewhere.push(named);
      else {
        if (from !== parts.length) edit.set(partKey(id, parts.length), await this.#box.bytes(partKey(id, from)));
        parts.push(before!.parts[from]!);
      }
    }
    for (let old = parts.length; old < (before?.parts.length ?? 0); old++) edit.set(partKey(id, old), null);
    const { to, subject, text, html, thread, inReplyTo, time } = draft;
    edit.set(keyOf(id), { id, to, subject, text, html, thread, inReplyTo, time, parts, at, ...(elsewhere.length > 0 ? { elsewhere } : {}) } satisfies StoredDraft);
    return true;
  }

  #drop(edit: Edit, { id, parts }: StoredDraft): void {
    edit.set(keyOf(id), null);
    for (const at of parts.keys()) edit.set(partKey(id, at), null);
  }

  async #bury(edit: Edit, id: string, at: number): Promise<void> {
    const gone = Object.entries({ ...(await this.#gone(edit)), [id]: at }).sort(([, a], [, b]) => b - a);
    edit.set(GONE, Object.fromEntries(gone.slice(0, MAX_DRAFTS)));
  }

  async #gone(edit: Edit): Promise<Gone> {
    return (await edit.value<Gone>(GONE)) ?? {};
  }

  /** As a list shows them, latest first. */
  async list(person: (id: string) => Person): Promise<ThreadSummary[]> {
    const drafts = await Promise.all((await this.#box.keys(KEYS)).map((key) => this.#box.value<StoredDraft>(key)));
    return drafts
      .filter((draft) => draft !== null)
      .sort((a, b) => b.time - a.time)
      .map(({ id, subject, text, to, time, parts, elsewhere }) => ({
        id,
        subject,
        snippet: snippetOf(text),
        from: to.map(person),
        time,
        unread: false,
        count: 1,
        starred: false,
        attachments: parts.length + (elsewhere?.length ?? 0),
        folder: 'drafts',
        status: null,
      }));
  }
}

function toldOf({ id, at = 0, to, subject, text, html, thread, inReplyTo, time, parts, elsewhere = [] }: StoredDraft): SharedDraft {
  const named = [...parts, ...elsewhere].map(({ name, type, size }) => ({ name, type, size }));
  return { id, at, draft: { to, subject, text, html, thread, inReplyTo, time, parts: named } };
}

/** Whether one counts more than the other; of two changes with one number the machines choose alike. */
function isLater(one: SharedDraft, other: SharedDraft): boolean {
  if (one.at !== other.at) return one.at > other.at;
  return one.draft === null || (other.draft !== null && wordsOf(one.draft) > wordsOf(other.draft));
}

function wordsOf({ to, subject, text, html, thread, inReplyTo, time, parts }: NonNullable<SharedDraft['draft']>): string {
  return JSON.stringify([to, subject, text, html, thread, inReplyTo, time, parts.map(({ name, size }) => [name, size]).sort()]);
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
  if (ID.test(id)) return id;
  throw new GyreError('BAD_OPTIONS', 'This is not the id of a draft.');
}

function keyOf(id: string): string {
  return `${KEYS}${id}`;
}

function partKey(id: string, at: number): string {
  return `draft-part ${id} ${at}`;
}

type Gone = Record<string, number>;

const ID = /^[0-9a-z-]{1,64}$/;
const KEYS = 'draft ';
/** Drafts that are over, with the numbers of their ends. */
const GONE = 'drafts-gone';
/** Characters of a draft that is told, and of all of them: what is told in all has 196,608 bytes when packed. */
const MAX_TOLD = 40_000;
const MAX_ALL_TOLD = 120_000;
/** Drafts of one mailbox: the list of them is not paged. */
const MAX_DRAFTS = 500;
/** As of a letter. */
const MAX_PARTS = 16;
const MAX_BYTES = 25 * 1024 * 1024;
