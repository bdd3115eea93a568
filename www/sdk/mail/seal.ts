/**
 * How the mailbox is sealed on its own machine: AES-256-GCM, under a key that follows from the person's keys.
 *
 * Each value is bound to the place where it lies, so that values cannot be exchanged for one another. What a
 * record needs to be found by stands outside; docs/mailbox.md lists it.
 */

import { GyreError } from '../errors.js';

/** Seals and opens what one mailbox stores. */
export class Seal {
  /** 16 hex digits that tell mailboxes of different keys apart and say nothing of the keys. */
  readonly fingerprint: string;
  readonly #key: CryptoKey;

  private constructor(key: CryptoKey, fingerprint: string) {
    this.#key = key;
    this.fingerprint = fingerprint;
  }

  /** `secret` is the node's 32 bytes for mail; they are not kept. */
  static async of(secret: Uint8Array): Promise<Seal> {
    const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
    if (!subtle) throw new GyreError('UNSUPPORTED', 'Mail needs a page that was loaded over https.');
    const base = await subtle.importKey('raw', secret as BufferSource, 'HKDF', false, ['deriveKey', 'deriveBits']);
    const from = (info: string): HkdfParams => ({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: TEXT.encode(info) });
    const [key, mark] = await Promise.all([
      subtle.deriveKey(from(KEY_INFO), base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']),
      subtle.deriveBits(from(MARK_INFO), base, 64),
    ]);
    return new Seal(key, hex(new Uint8Array(mark)));
  }

  /** Seals bytes for the place `at`. */
  async seal(at: string, bytes: Uint8Array): Promise<Uint8Array> {
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const sealed = await crypto.subtle.encrypt(this.#how(at, iv), this.#key, bytes as BufferSource);
    const whole = new Uint8Array(1 + IV_BYTES + sealed.byteLength);
    whole[0] = VERSION;
    whole.set(iv, 1);
    whole.set(new Uint8Array(sealed), 1 + IV_BYTES);
    return whole;
  }

  /** @throws GyreError `STORE_FAILED` if they were changed, moved, or sealed under another key. */
  async open(at: string, sealed: Uint8Array): Promise<Uint8Array> {
    if (sealed[0] !== VERSION) throw damaged();
    const iv = sealed.slice(1, 1 + IV_BYTES);
    const plain = await crypto.subtle
      .decrypt(this.#how(at, iv), this.#key, sealed.subarray(1 + IV_BYTES) as BufferSource)
      .catch((cause: unknown) => {
        throw damaged(cause);
      });
    return new Uint8Array(plain);
  }

  /** Seals what JSON can hold. */
  sealValue(at: string, value: unknown): Promise<Uint8Array> {
    return this.seal(at, TEXT.encode(JSON.stringify(value)));
  }

  async openValue<T>(at: string, sealed: Uint8Array): Promise<T> {
    return JSON.parse(new TextDecoder().decode(await this.open(at, sealed))) as T;
  }

  #how(at: string, iv: Uint8Array): AesGcmParams {
    return { name: 'AES-GCM', iv: iv as BufferSource, additionalData: TEXT.encode(at) as BufferSource };
  }
}

/** Lower-case hex. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The bytes of lower-case hex; empty for what is none. */
export function unhex(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/.test(text)) return new Uint8Array();
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

function damaged(cause?: unknown): GyreError {
  return new GyreError('STORE_FAILED', 'Part of this mailbox cannot be read: it is damaged, or of other keys.', { cause });
}

const TEXT = new TextEncoder();
const KEY_INFO = 'gyre mailbox store 1';
const MARK_INFO = 'gyre mailbox name 1';
const VERSION = 1;
const IV_BYTES = 12;
