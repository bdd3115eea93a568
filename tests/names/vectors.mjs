// Records as the npm package `ipns` makes and judges them, and keys and words as others derive them: what ours are compared
// with, byte for byte.
//
// `node tests/names/vectors.mjs` writes vectors.json anew.

import { writeFileSync } from 'node:fs';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { blake3 } from '@noble/hashes/blake3.js';
import { entropyToMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { createIPNSRecordWithExpiration, marshalIPNSRecord, multihashToIPNSRoutingKey } from 'ipns';
import { ipnsSelector } from 'ipns/selector';
import { base36 } from 'multiformats/bases/base36';

export const file = new URL('vectors.json', import.meta.url);

const END = '2033-05-18T03:33:20.000000000Z';
const SITE = '/ipfs/bafyr4ihkr4ld3m4gqkjf4reryxsy2s5tkbxprqkow6fin2iiyvreuzzab4';

/** Each: the seed's byte, the value, the number, the end, the hint in nanoseconds, whether version 1 stands beside version 2. */
const drafts = [
  { seed: 0, value: SITE, sequence: '0', validity: END, ttl: '300000000000' },
  { seed: 1, value: SITE, sequence: '1', validity: '2100-02-28T23:59:59.999999999Z', ttl: '0' },
  { seed: 2, value: SITE, sequence: '23', validity: END, ttl: '23' },
  { seed: 3, value: SITE, sequence: '24', validity: END, ttl: '255' },
  { seed: 4, value: SITE, sequence: '256', validity: END, ttl: '65535' },
  { seed: 5, value: SITE, sequence: '65536', validity: END, ttl: '4294967295' },
  { seed: 6, value: SITE, sequence: '4294967296', validity: '9999-12-31T23:59:59.000000000Z', ttl: '3600000000000' },
  { seed: 7, value: SITE, sequence: '18446744073709551615', validity: END, ttl: '18446744073709551615' },
  { seed: 8, value: '/ipns/k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r', sequence: '2', validity: END, ttl: '60000000000' },
  { seed: 9, value: '/dnslink/example.org', sequence: '3', validity: END, ttl: '60000000000' },
  { seed: 10, value: SITE, sequence: '11', validity: END, ttl: '300000000000', both: true },
  { seed: 11, value: SITE, sequence: '0', validity: END, ttl: '0', both: true },
];

/** Pairs of one name of which one is to be chosen: number and end of each. */
const pairs = [
  [['1', END], ['2', END]],
  [['2', '2031-01-01T00:00:00.000000000Z'], ['1', '2032-01-01T00:00:00.000000000Z']],
  [['5', '2031-01-01T00:00:00.000000000Z'], ['5', '2031-01-01T00:00:01.000000000Z']],
  [['18446744073709551615', END], ['9007199254740993', END]],
];

/** The byte that a root secret repeats, and the number of a site. */
const numbers = [[7, 0], [7, 1], [7, 4294967295], [8, 0]];

/** Root secrets: the extremes, and some with all kinds of bytes. */
const secrets = [
  ...[0, 0x7f, 0x80, 0xff].map((byte) => new Uint8Array(32).fill(byte)),
  ...[1, 31, 97, 211].map((step) => Uint8Array.from({ length: 32 }, (_, at) => at * step + step)),
];

export async function vectors() {
  return {
    records: await Promise.all(drafts.map(async ({ both = false, ...draft }) => {
      const { key, bytes } = await made({ ...draft, both });
      return {
        ...draft,
        both,
        name: key.publicKey.toCID().toString(base36),
        peerId: key.publicKey.toString(),
        routingKey: hex(multihashToIPNSRoutingKey(key.publicKey.toMultihash())),
        record: hex(bytes),
      };
    })),
    choices: await Promise.all(pairs.map(async (pair) => {
      const two = await Promise.all(pair.map(([sequence, validity]) => made({ seed: 0, value: SITE, sequence, validity, ttl: '0' })));
      const chosen = ipnsSelector(multihashToIPNSRoutingKey(two[0].key.publicKey.toMultihash()), two.map(({ bytes }) => bytes));
      return { records: two.map(({ bytes }) => hex(bytes)), chosen };
    })),
    keys: await Promise.all(numbers.map(async ([root, number]) => {
      const material = new Uint8Array(36).fill(root, 0, 32);
      new DataView(material.buffer).setUint32(32, number, true);
      const seed = blake3(material, { context: new TextEncoder().encode('gyre 2026-11-22 site publishing key') });
      const key = await generateKeyPairFromSeed('Ed25519', seed);
      return { root, number, seed: hex(seed), name: key.publicKey.toCID().toString(base36) };
    })),
    phrases: secrets.map((secret) => ({ secret: hex(secret), words: entropyToMnemonic(secret, wordlist) })),
  };
}

async function made({ seed, value, sequence, validity, ttl, both = false }) {
  const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(seed));
  const record = await createIPNSRecordWithExpiration(key, value, BigInt(sequence), validity, { ttlNs: BigInt(ttl), v1Compatible: both });
  return { key, bytes: marshalIPNSRecord(record) };
}

export const hex = (bytes) => Buffer.from(bytes).toString('hex');
export const text = (all) => `${JSON.stringify(all, null, 1)}\n`;

if (process.argv[1] === new URL(import.meta.url).pathname) writeFileSync(file, text(await vectors()));
