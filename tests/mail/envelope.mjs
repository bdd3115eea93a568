// Seals a letter as docs/mail.md says, with other people's cryptography, into envelope.bin, which the Rust tests open:
// npm install --no-save @noble/post-quantum@0.7 @noble/ciphers@2 && node tests/mail/envelope.mjs

import { writeFileSync } from 'node:fs';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { ed25519 } from '@noble/curves/ed25519.js';
import { blake3 } from '@noble/hashes/blake3.js';
import { expand, extract } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { ml_kem768_x25519 as xWing } from '@noble/post-quantum/hybrid.js';

const ENVELOPE = 16384;
const FIRST_WEEK = 2940;
const WEEK = 2968;
const MILLIS = 1_795_305_600_000n;

const text = (string) => new TextEncoder().encode(string);
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const u16 = (number) => Uint8Array.of(number >> 8, number & 255);
const u32 = (number) => join(u16(number >> 16), u16(number & 0xffff));
const derive = (context, material) => blake3(material, { context: text(context) });

// What follows from the secret of 32 times 01, identity 0.
const secret = (context, number = 0) => derive(context, join(new Uint8Array(32).fill(1), new Uint8Array(4), Uint8Array.of(number, 0, 0, 0)));
const commitment = (key) => derive('gyre 2026-11-22 identity key commitment', ed25519.getPublicKey(key));

// CBOR of a byte string and of a number of 64 bits.
const bytes = (value) => join(value.length < 24 ? [0x40 | value.length] : [0x58, value.length], value);
const number = (value) => join([0x1b], u32(Number(value >> 32n)), u32(Number(value & 0xffff_ffffn)));

const identity = 'gyre 2026-11-22 identity key';
const genesis = join(
  [0x85, 1, 0], bytes(ed25519.getPublicKey(secret(identity))), bytes(commitment(secret(identity, 1))),
  bytes(commitment(secret('gyre 2026-11-22 identity recovery key'))),
);
const id = blake3(genesis);

let state = derive('gyre 2026-11-22 mail ratchet start', secret('gyre 2026-11-22 mailbox secret'));
for (let week = FIRST_WEEK; week < WEEK; week += 1) state = derive('gyre 2026-11-22 mail ratchet next week', state);
const { publicKey } = xWing.keygen(derive('gyre 2026-11-22 mail ratchet key of a week', state));

const device = secret('gyre 2026-11-22 identity device key');
const content = join(
  [0x8f, 1], bytes(id), bytes(ed25519.getPublicKey(device)), bytes(id), [1], [0x19], u16(WEEK),
  bytes(new Uint8Array(16).fill(8)), bytes(new Uint8Array(16).fill(9)), [7], number(MILLIS),
  bytes(text('Subject: x\r\n\r\nhi')), [0x80], [0x80], [0x80], [0x40],
);
const signature = ed25519.sign(join(text('gyre mail message 1:'), content), device);
const message = join([0x82], content, bytes(signature));

const head = join([1], u16(1), u32(WEEK));
const info = join(text('gyre mail envelope:'), head, id);
const { cipherText, sharedSecret } = xWing.encapsulate(publicKey, new Uint8Array(64).fill(3));

// RFC 9180, section 5.1, mode base.
const suite = join(text('HPKE'), u16(0x647a), u16(1), u16(3));
const none = new Uint8Array();
const labeledExtract = (salt, label, material) => extract(sha256, join(text('HPKE-v1'), suite, text(label), material), salt);
const labeledExpand = (key, label, context, length) => expand(sha256, key, join(u16(length), text('HPKE-v1'), suite, text(label), context), length);
const context = join([0], labeledExtract(none, 'psk_id_hash', none), labeledExtract(none, 'info_hash', info));
const scheduled = labeledExtract(sharedSecret, 'secret', none);
const cipher = chacha20poly1305(labeledExpand(scheduled, 'key', context, 32), labeledExpand(scheduled, 'base_nonce', context, 12), head);

const plain = new Uint8Array(ENVELOPE - head.length - cipherText.length - 16);
plain.set(join(u16(message.length), message));
writeFileSync(new URL('envelope.bin', import.meta.url), join(head, cipherText, cipher.encrypt(plain)));
