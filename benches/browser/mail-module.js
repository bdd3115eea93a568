// In the page: two people on the mail module as it ships, and a custodian that is a list. Bundled by mail.mjs.

import { blake3 } from '@noble/hashes/blake3.js';
import { base36 } from 'multiformats/bases/base36';
import load, { Mime, Post, StampSearch } from '/gyre_mail.js';

// As in docs/custody.md.
const [CHALLENGE, PUT, LIST, LISTING, GET, LETTER, NEW] = [1, 2, 5, 6, 7, 8, 15];
const [TERMS, EXPIRY, SIGNATURE, STAMP, HASH] = [69, 4, 64, 8, 32];
const CONTACTS = 1;
const ENVELOPE = 16_384;
const ATTACHMENT = 4_000;

const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const derive = (name, ...parts) => blake3(join(...parts), { context: new TextEncoder().encode(`gyre 2026-11-22 mailbox ${name}`) });
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const random = (length) => crypto.getRandomValues(new Uint8Array(length));

await load({ module_or_path: new URL('/gyre_mail_bg.wasm', location.href) });

let now = Date.now();
const records = new Map();
const custodian = random(HASH);
/** Deposits, by the hex of their tags. */
const boxes = new Map();

function person(name, number) {
  const one = { post: new Post(new Uint8Array(32).fill(number), [], random(32), 0, now), letters: [] };
  drain(one);
  one.post.begin(name, now);
  drain(one);
  tell(one, { kind: 'policy', stampBits: 4, readReceipts: false, open: true, mailboxRelays: new Uint8Array() });
  return one;
}

/** Tells the module something and does what it asks; resolves with what it said in the first place, and the time for that. */
function tell(one, input) {
  now += 1;
  const began = performance.now();
  one.post.handle(input, now);
  const said = polled(one);
  const took = performance.now() - began;
  for (const output of said) answer(one, output);
  return { said, took };
}

function polled(one) {
  const said = [];
  for (let output = one.post.poll(); output; output = one.post.poll()) said.push(output);
  return said;
}

function drain(one) {
  for (const output of polled(one)) answer(one, output);
}

function answer(one, output) {
  if (output.do === 'letter') {
    one.letters.push(output);
    tell(one, { kind: 'stored', message: output.message });
  }
  if (output.do === 'get') looked.push(tell(one, { kind: 'records', key: output.key, values: [records.get(hex(output.key))].filter(Boolean) }).took);
  if (output.do === 'put') {
    records.set(hex(output.key), output.value);
    tell(one, { kind: 'put', key: output.key, holders: 4 });
  }
  if (output.do === 'nearest') tell(one, { kind: 'nearest', tag: output.tag, peers: custodian });
  if (output.do === 'open') tell(one, { kind: 'answer', peer: custodian, message: join([CHALLENGE], random(16)) });
  if (output.do === 'ask') asked(one, output.message);
  if (output.do === 'stamp') {
    const search = new StampSearch(output.prefix, output.bits);
    let nonce;
    while (nonce === undefined) nonce = search.step(1000);
    tell(one, { kind: 'stamped', job: output.job, nonce });
  }
}

function asked(one, message) {
  const says = (bytes) => tell(one, { kind: 'answer', peer: custodian, message: bytes });
  if (message[0] === PUT) {
    const deposit = message.slice(1);
    const tag = derive('tag', deposit.subarray(0, TERMS));
    const envelope = deposit.subarray(deposit.length - ENVELOPE);
    if (deposit.length !== TERMS + EXPIRY + (deposit[0] === CONTACTS ? SIGNATURE : STAMP) + ENVELOPE) throw new Error(`a deposit of ${deposit.length} bytes`);
    boxes.set(hex(tag), [...(boxes.get(hex(tag)) ?? []), { tag, id: derive('message', tag, envelope), deposit }]);
  } else if (message[0] === LIST) {
    const tag = derive('tag', message.subarray(1, 1 + TERMS));
    says(join([LISTING], tag, [0], ...(boxes.get(hex(tag)) ?? []).slice(0, 64).map(({ id }) => id)));
  } else if (message[0] === GET) {
    const tag = message.subarray(1, 1 + HASH);
    for (let at = 1 + HASH; at < message.length; at += HASH) {
      const id = hex(message.subarray(at, at + HASH));
      const found = boxes.get(hex(tag))?.find((one) => hex(one.id) === id);
      if (found) opened.push(says(join([LETTER], found.deposit)));
    }
  }
}

let opened = [];
/** How long each record that was found took, in milliseconds. */
let looked = [];

/** Brings what lies in all mailboxes to whoever reads them. */
function brought(...people) {
  for (const [, box] of boxes) for (const { tag, id } of box) for (const one of people) tell(one, { kind: 'answer', peer: custodian, message: join([NEW], tag, id) });
}

let written = 0;

function write(from, to) {
  const at = performance.now();
  const mime = Mime.build({
    from: { name: '', address: `${from.post.id}@dmail.invalid` }, to: [{ name: '', address: `${to.post.id}@dmail.invalid` }], subject: 'A letter', text: 'Some words.',
    messageId: `${(written += 1)}@dmail.invalid`, dateMs: now, parts: [{ name: 'a.bin', type: 'application/octet-stream', content: random(ATTACHMENT) }],
  });
  const building = performance.now() - at;
  const { said, took } = tell(from, { kind: 'send', draft: { to: [to.post.id], mime, enclosures: [] }, token: `token ${written}` });
  if (!said.some((output) => output.do === 'sent')) throw new Error('the letter was not taken');
  return building + took;
}

/** Times for `count` letters between two who know each other, in milliseconds; 200 at most, as this custodian keeps all it has listed. */
window.letters = (count) => {
  const [ada, bob] = [person('Ada', 1), person('Bob', 2)];
  tell(bob, { kind: 'contact', id: ada.post.id, state: 'accepted' });
  write(ada, bob);
  brought(bob);
  write(bob, ada);
  brought(ada);
  if (ada.letters.length !== 1 || bob.letters.length !== 1) throw new Error(`acquaintance: ${ada.letters.length} and ${bob.letters.length} letters`);
  boxes.clear();
  opened = [];
  const sealed = Array.from({ length: count }, () => {
    const took = write(ada, bob);
    brought(bob);
    boxes.clear();
    return took;
  });
  const times = opened.filter(({ said }) => said.some((output) => output.do === 'letter')).map(({ took }) => took);
  if (bob.letters.length !== count + 1 || times.length !== count) throw new Error(`${bob.letters.length - 1} letters of ${count}, ${times.length} times`);
  return { sealed, opened: times };
};

/** The name of a site: libp2p's CID of an Ed25519 key. */
const siteName = (key) => base36.encode(Uint8Array.from([0x01, 0x72, 0x00, 0x24, 0x08, 0x01, 0x12, 0x20, ...key]));

/** Times for a stranger's identity of `count` operations more than at its beginning, and of none more, in milliseconds. */
window.chains = (count, rounds) => {
  const eve = person('Eve', 3);
  const readers = Array.from({ length: 2 * rounds }, (_, at) => person('Reader', 10 + at));
  const read = (reader) => {
    looked = [];
    write(reader, eve);
    if (looked.length === 0) throw new Error('the identity was not looked up');
    return Math.max(...looked);
  };
  const none = readers.slice(0, rounds).map(read);
  for (let at = 0; at < count; at++) {
    eve.post.setSite(at % 8, siteName(derive('a site of the bench', [at])), (now += 1));
    drain(eve);
  }
  return { none, more: readers.slice(rounds).map(read) };
};
