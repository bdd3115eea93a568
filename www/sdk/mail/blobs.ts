/**
 * Attachments and long bodies in the swarm: sealed piece by piece on their way in, opened on their way out.
 *
 * The sealed blob is public: whoever has its address can keep it, and nobody reads it without the key in
 * the letter.
 */

import { GyreError, throwIfAborted } from '../errors.js';
import type { GyreNode } from '../node.js';
import { MAX_ENCLOSED_BYTES, SEALED_CHUNK, type Enclosure, type MailModule } from './module.js';
import type { StoredEnclosure } from './records.js';
import { hex, unhex } from './seal.js';

/** Seals content and shares it; resolves when the blob is stored here and kept. */
export async function shareSealed(
  node: GyreNode,
  module: MailModule,
  content: Blob,
  named: { name: string; type: string },
  work: { signal?: AbortSignal | undefined; onBytes?: (done: number) => void },
): Promise<Enclosure> {
  throwIfAborted(work.signal);
  if (content.size > MAX_ENCLOSED_BYTES) throw new GyreError('BAD_OPTIONS', 'This attachment is too large.');
  const sealer = new module.EnclosureSealer(crypto.getRandomValues(new Uint8Array(KEY_BYTES)), content.size);
  let enclosure: Enclosure | null = null;
  let sealedSize = 0;
  const reader = content.stream().getReader();
  let done = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        for (;;) {
          const { value } = await reader.read();
          const chunks: Uint8Array[] = [];
          if (value) {
            chunks.push(...sealer.push(value));
            work.onBytes?.((done += value.byteLength));
          } else {
            const last = sealer.finish(named.name, named.type);
            ({ enclosure, sealedSize } = last);
            chunks.push(...last.chunks);
          }
          for (const chunk of chunks) if (chunk.byteLength > 0) controller.enqueue(chunk);
          if (!value) return controller.close();
          if (chunks.length > 0) return;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  const source = { name: BLOB_NAME, type: BLOB_TYPE, size: null, stream: () => stream, blob: () => null };
  const made = await node.importSource(source, { public: true, ...(work.signal ? { signal: work.signal } : {}) });
  const sealed = enclosure as Enclosure | null;
  if (!sealed || cidOf(sealed.hash) !== made.cid || made.size !== sealedSize) {
    throw new GyreError('INTERNAL', 'What was shared is not what was sealed.');
  }
  await node.call('pin', made.cid);
  return sealed;
}

/** Fetches a blob and opens it. @throws GyreError `NOT_FOUND`, `WRONG_KEY` if it is damaged, `ABORTED`. */
export async function openSealed(
  node: GyreNode,
  module: MailModule,
  enclosure: StoredEnclosure,
  work: { signal?: AbortSignal | undefined; onBytes?: (done: number) => void } = {},
): Promise<Blob> {
  throwIfAborted(work.signal);
  const options = work.signal ? { signal: work.signal } : {};
  const file = await node.openLink(linkOf(enclosure.hash), options);
  const opener = new module.EnclosureOpener(revived(enclosure));
  try {
    if (file.size !== opener.sealedSize) throw broken();
    const parts: Uint8Array[] = [];
    let done = 0;
    for (let index = 0; index < opener.chunks; index++) {
      const at = index * SEALED_CHUNK;
      const sealed = new Uint8Array(Math.min(SEALED_CHUNK, file.size - at));
      for (let have = 0; have < sealed.byteLength; ) {
        const piece = await file.read(at + have, sealed.byteLength - have, options);
        if (piece.byteLength === 0) throw broken();
        sealed.set(piece, have);
        have += piece.byteLength;
      }
      const content = opened(opener, index, sealed);
      if (content.byteLength > 0) parts.push(content);
      work.onBytes?.((done += content.byteLength));
    }
    return new Blob(parts as BlobPart[], { type: enclosure.type });
  } finally {
    opener.free();
    file.free();
  }
}

/** Fetches a blob, and keeps it; resolves when all of it is stored. */
export async function fetchSealed(node: GyreNode, hash: string, signal: AbortSignal): Promise<void> {
  const file = await node.openLink(linkOf(hash), { signal });
  try {
    await keepSealed(node, hash);
    // A byte of each chunk: a read waits until its chunk is stored.
    for (let at = 0; at < file.size; at += SEALED_CHUNK) await file.read(at, 1, { signal });
  } finally {
    file.free();
  }
}

/** Keeps a blob that is here, or on its way. */
export async function keepSealed(node: GyreNode, hash: string): Promise<void> {
  await node.call('pin', cidOf(hash));
}

/** The CID of a blob: version 1, raw bytes, BLAKE3, in base32. */
export function cidOf(hash: string): string {
  let bits = '';
  for (const byte of [...CID_HEAD, ...unhex(hash)]) bits += byte.toString(2).padStart(8, '0');
  const letters = bits.match(/.{1,5}/g) ?? [];
  return `b${letters.map((five) => BASE32[Number.parseInt(five.padEnd(5, '0'), 2)]).join('')}`;
}

/** As JSON can hold it. */
export function stored({ hash, key, size, name, type }: Enclosure): StoredEnclosure {
  return { hash, key: hex(key), size, name, type };
}

function revived(enclosure: StoredEnclosure): Enclosure {
  return { ...enclosure, key: unhex(enclosure.key) };
}

function linkOf(hash: string): string {
  return `#/f/${cidOf(hash)}?${new URLSearchParams({ n: BLOB_NAME, t: BLOB_TYPE })}`;
}

function opened(opener: InstanceType<MailModule['EnclosureOpener']>, index: number, sealed: Uint8Array): Uint8Array {
  try {
    return opener.open(index, sealed);
  } catch (cause) {
    throw new GyreError('WRONG_KEY', 'This attachment is damaged.', { cause });
  }
}

function broken(): GyreError {
  return new GyreError('WRONG_KEY', 'This attachment is not what the letter says.');
}

/** What such a blob is called in the list of files; its real name is in the letter. */
export const BLOB_NAME = 'mail';
export const BLOB_TYPE = 'application/vnd.gyre.mail';
const KEY_BYTES = 32;
const CID_HEAD = [0x01, 0x55, 0x1e, 0x20];
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
