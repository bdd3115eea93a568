/**
 * From a draft to a letter in the module's outbox.
 *
 * Attachments that do not fit into the envelope are sealed and shared first. Then the module takes the letter, and what it keeps, the mail
 * in the box and the end of the draft are one transaction. A call that is made again after the tab that
 * ran the mailbox has gone has the same token: what was sent before is not sent again.
 */

import { GyreError, throwIfAborted } from '../errors.js';
import type { GyreNode } from '../node.js';
import type { Progress } from '../types.js';
import { cidOf, shareSealed, stored } from './blobs.js';
import type { Box, Edit } from './box.js';
import type { Courier } from './courier.js';
import type { Drafts } from './drafts.js';
import { partsIn } from './incoming.js';
import { MAX_ENCLOSED_BYTES, MAX_ENCLOSURES, MAX_RECIPIENTS, type Enclosure, type MailModule, type MimeDraft, type Output, type Post } from './module.js';
import type { People } from './people.js';
import type { StoredMail } from './records.js';
import type { Draft } from './types.js';

/** What {@link Outgoing} works with. */
export interface OutgoingParts {
  readonly box: Box;
  readonly node: GyreNode;
  readonly module: MailModule;
  readonly post: Post;
  readonly people: People;
  readonly drafts: Drafts;
  readonly courier: () => Courier;
  readonly now: () => number;
}

/** What a letter came to. */
export interface Sent {
  readonly message: string;
  readonly thread: string;
}

/** The way out of one mailbox. */
export class Outgoing {
  readonly #parts: OutgoingParts;
  readonly #ready = new Map<string, Ready>();
  readonly #running = new Map<string, Promise<Sent>>();

  constructor(parts: OutgoingParts) {
    this.#parts = parts;
  }

  /** Sends a draft once for each token. */
  send(
    token: string,
    draft: Draft,
    work: { signal?: AbortSignal | undefined; onProgress?: ((progress: Progress) => void) | undefined },
  ): Promise<Sent> {
    const running = this.#running.get(token);
    if (running) return running;
    const sending = this.#send(token, draft, work).finally(() => this.#running.delete(token));
    this.#running.set(token, sending);
    return sending;
  }

  /** The module has taken a letter: puts the mail into the box with the edit. */
  async sent(edit: Edit, { token, message, thread }: Extract<Output, { do: 'sent' }>): Promise<StoredMail | null> {
    const ready = this.#ready.get(token);
    if (!ready || (await edit.mail(message))) return null;
    const mail: StoredMail = {
      ...ready.mail,
      id: message,
      thread,
      status: ready.mail.to.map(({ id }) => ({ message, to: id ?? '', state: 'waiting', peers: 0, relays: 0, progress: null, code: null })),
    };
    await edit.add(mail, ready.raw, (of) => {
      // Whom one answers is no stranger.
      of.request = false;
      if (of.folder === 'trash') of.folder = 'inbox';
    });
    edit.set(sentKey(token), { message, thread, at: this.#parts.now() });
    edit.set(sealingKey(token), null);
    if (ready.draft) await this.#parts.drafts.remove(edit, ready.draft);
    ready.resolve({ message, thread });
    return mail;
  }

  /** The module has refused a letter. */
  failed({ token, code }: Extract<Output, { do: 'failed' }>): void {
    const message = REFUSED[code] ?? `The letter could not be sent (${code}).`;
    this.#ready.get(token)?.reject(new GyreError('BAD_OPTIONS', message, { cause: Object.assign(new Error(code), { code }) }));
  }

  /** Removes what a run before has sealed and nobody came back for, and forgets old tokens. */
  async tidy(): Promise<void> {
    const { box, node, now } = this.#parts;
    for (const key of await box.keys('sealing ')) {
      const begun = await box.value<{ at: number; blobs: string[] }>(key);
      if (!begun || now() - begun.at < FORGOTTEN_MS) continue;
      for (const hash of begun.blobs) await node.call('remove', cidOf(hash)).catch(() => undefined);
      await box.edit((edit) => edit.set(key, null));
    }
    for (const key of await box.keys('sent ')) {
      const sent = await box.value<{ at: number }>(key);
      if (sent && now() - sent.at >= FORGOTTEN_MS) await box.edit((edit) => edit.set(key, null));
    }
  }

  async #send(
    token: string,
    draft: Draft,
    { signal, onProgress }: { signal?: AbortSignal | undefined; onProgress?: ((progress: Progress) => void) | undefined },
  ): Promise<Sent> {
    const { box, module, node, post, people, drafts, now } = this.#parts;
    const before = await box.value<Sent>(sentKey(token));
    if (before) return { message: before.message, thread: before.thread };
    throwIfAborted(signal);
    const away = draft.elsewhere ?? (draft.id === undefined ? [] : await drafts.elsewhere(draft.id));
    const to = checked({ ...draft, elsewhere: away }, (text) => people.resolve(text));
    const total = draft.attachments.reduce((sum, { size }) => sum + size, 0);
    const begun = (await box.value<Begun>(sealingKey(token))) ?? { at: now(), blobs: [], enclosures: [] };
    const shared: Enclosure[] = begun.enclosures.map((enclosure) => ({ ...enclosure, key: Uint8Array.from(enclosure.key) }));
    let done = 0;
    const share = async (content: Blob, name: string): Promise<Enclosure> => {
      const enclosure = await shareSealed(node, module, content, { name, type: content.type }, {
        signal,
        onBytes: (bytes) => onProgress?.({ done: done + bytes, total }),
      });
      shared.push(enclosure);
      const kept = { at: begun.at, blobs: shared.map(({ hash }) => hash), enclosures: shared.map((one) => ({ ...one, key: [...one.key] })) };
      await box.edit((edit) => edit.set(sealingKey(token), kept));
      return enclosure;
    };
    try {
      const answered = draft.inReplyTo === undefined ? null : await box.mail(draft.inReplyTo);
      const messageId = `${token}@dmail.invalid`;
      const dateMs = now();
      const build = (parts: MimeDraft['parts']): Uint8Array => module.Mime.build({
        from: people.mimePerson(people.me),
        to: to.map((id) => people.mimePerson(id)),
        subject: draft.subject,
        text: draft.text,
        ...(draft.html === undefined ? {} : { html: draft.html }),
        messageId,
        ...(answered?.messageId ? { inReplyTo: answered.messageId, references: [answered.messageId] } : {}),
        dateMs,
        parts,
      });
      // What fits into the envelope goes along, and is there whoever else is.
      const along = shared.length === 0 && total > 0 && total <= ALONG_MAX ? build(await partsOf(draft.attachments)) : null;
      const isAlong = along !== null && along.byteLength <= post.room({ to, enclosures: [] });
      if (!isAlong) {
        for (const [at, content] of draft.attachments.entries()) {
          if (!shared[at]) await share(content, nameOf(content, at));
          done += content.size;
        }
      }
      const enclosures = isAlong ? [] : shared.slice(0, draft.attachments.length);
      const raw = isAlong ? along : build([]);
      const fits = isAlong || raw.byteLength <= post.room({ to, enclosures });
      const body = fits ? null : (shared[draft.attachments.length] ?? (await share(new Blob([raw as BlobPart], { type: 'message/rfc822' }), '')));
      throwIfAborted(signal);
      const mail: StoredMail = {
        id: '',
        thread: '',
        time: dateMs,
        from: people.who(people.me),
        to: to.map((id) => people.who(id)),
        subject: draft.subject.replace(/\s+/g, ' ').trim(),
        text: draft.text,
        html: draft.html ?? null,
        attachments: isAlong ? partsIn(module, raw) : enclosures.map((enclosure) => {
          const { name, type, size } = enclosure;
          return { name, type, size, enclosure: stored(enclosure), part: null };
        }),
        own: true,
        read: true,
        status: [],
        verified: 'device',
        messageId,
        pending: null,
        ...(body || enclosures.length > 0 ? { enclosed: true } : {}),
      };
      const letter = {
        to,
        ...(draft.thread === undefined ? {} : { thread: draft.thread }),
        ...(answered && answered.verified === 'device' ? { inReplyTo: answered.id } : {}),
        ...(body ? { body } : { mime: raw }),
        enclosures,
      };
      return await this.#handOver(token, { mail, raw, draft: draft.id ?? null }, letter);
    } catch (thrown) {
      // Another run may come back for what this one has shared, but only if it was not told.
      if (!lost(thrown)) {
        for (const { hash } of shared) await node.call('remove', cidOf(hash)).catch(() => undefined);
        await box.edit((edit) => edit.set(sealingKey(token), null)).catch(() => undefined);
      }
      throw thrown;
    }
  }

  async #handOver(token: string, about: Pick<Ready, 'mail' | 'raw' | 'draft'>, draft: Parameters<typeof sendInput>[1]): Promise<Sent> {
    const taken = new Promise<Sent>((resolve, reject) => this.#ready.set(token, { ...about, resolve, reject }));
    taken.catch(() => undefined);
    try {
      await this.#parts.courier().told(sendInput(token, draft));
      // What came of it was in the same turn, and is durable.
      return await Promise.race([taken, unanswered()]);
    } finally {
      this.#ready.delete(token);
    }
  }
}

interface Ready {
  /** Without id, thread and status. */
  readonly mail: StoredMail;
  readonly raw: Uint8Array;
  /** The draft that it was. */
  readonly draft: string | null;
  resolve(sent: Sent): void;
  reject(error: GyreError): void;
}

interface Begun {
  readonly at: number;
  readonly blobs: string[];
  readonly enclosures: (Omit<Enclosure, 'key'> & { key: number[] })[];
}

function sendInput(token: string, draft: Extract<Parameters<Post['handle']>[0], { kind: 'send' }>['draft']) {
  return { kind: 'send', draft, token } as const;
}

function unanswered(): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(new GyreError('INTERNAL', 'The letter was neither taken nor refused.'))));
}

function checked(draft: Draft, resolve: (text: string) => string): string[] {
  const to = [...new Set(draft.to.map(resolve))];
  if (to.length === 0) throw new GyreError('BAD_OPTIONS', 'Say to whom this mail goes.');
  if (to.length > MAX_RECIPIENTS) throw new GyreError('BAD_OPTIONS', `A mail goes to at most ${MAX_RECIPIENTS} people.`);
  if (draft.elsewhere && draft.elsewhere.length > 0) throw new GyreError('BAD_OPTIONS', `On another of your machines: ${draft.elsewhere.join(', ')}. Attach it here, or leave it out.`);
  if (draft.attachments.length > MAX_ENCLOSURES) throw new GyreError('BAD_OPTIONS', `A mail has at most ${MAX_ENCLOSURES} attachments.`);
  const bytes = draft.attachments.reduce((sum, { size }) => sum + size, 0) + 2 * (draft.text.length + (draft.html?.length ?? 0));
  if (bytes > MAX_ENCLOSED_BYTES) throw new GyreError('BAD_OPTIONS', 'A mail has at most 25 MiB with its attachments.');
  return to;
}

function nameOf(content: File | Blob, at: number): string {
  return (typeof File !== 'undefined' && content instanceof File && content.name) || `attachment-${at + 1}`;
}

/** Whether the mailbox went away meanwhile, so that the same call comes again. */
function lost(thrown: unknown): boolean {
  return ['CLOSED', 'INTERRUPTED', 'STORE_FAILED'].includes(GyreError.from(thrown).code);
}

function sentKey(token: string): string {
  return `sent ${token}`;
}

/** Bytes of attachments that may fit into an envelope: as base64 they become a third longer. */
const ALONG_MAX = 10_500;

async function partsOf(attachments: readonly Blob[]): Promise<MimeDraft['parts']> {
  return Promise.all(attachments.map(async (content, at) => ({
    name: nameOf(content, at), type: content.type || 'application/octet-stream', content: new Uint8Array(await content.arrayBuffer()),
  })));
}

function sealingKey(token: string): string {
  return `sealing ${token}`;
}

const REFUSED: { readonly [code: string]: string } = {
  MAIL_BLOCKED: 'You have blocked one of the recipients.',
  MAIL_OUTBOX_FULL: 'Too many letters wait to be delivered. Try again when some are.',
  MAIL_NOT_READY: 'The mailbox is not ready yet.',
  MAIL_TOO_LONG: 'This mail is too long.',
  MAIL_TOO_MANY: 'This mail has too many recipients or attachments.',
};
/** Milliseconds after which nobody comes back for a call: a day. */
const FORGOTTEN_MS = 86_400_000;
