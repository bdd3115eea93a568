// The mailbox of the package with the mail module as it ships, in Node: a node that reaches nobody, a database in memory.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import 'fake-indexeddb/auto';
import { root } from '../../scripts/lib/places.mjs';

let Office;
let module;
let databases = 0;
const english = readFileSync(join(root, 'src/proto/keys/english.txt'), 'utf8');

before(async () => {
  module = await import(join(root, 'pkg/wasm/gyre_mail.js'));
  await module.default({ module_or_path: readFileSync(join(root, 'pkg/wasm/gyre_mail_bg.wasm')) });
  ({ Office } = await import(join(root, 'pkg/mail/office.js')));
});

const open = new Set();
after(() => Promise.all([...open].map((office) => office.stop())));

/** A machine: its calls, and what it was asked of the network. */
function machine(secret = crypto.getRandomValues(new Uint8Array(32)), database = `module-${(databases += 1)}`) {
  const asked = [];
  const blobs = new Map();
  const nobody = (what, answer) => async () => (asked.push(what), answer);
  const custody = {
    keyState: async () => ({ state: 'unlocked', locks: [] }),
    mailSecret: async () => secret.slice(),
    puzzleBits: () => 0,
    custodyStats: () => ({ envelopes: 0, bytes: 0, blobs: 0, blobBytes: 0 }),
    custodyNearest: nobody('nearest', new Uint8Array()),
    custodyRelays: nobody('relays', new Uint8Array()),
    custodyOpen: () => asked.push('open'),
    custodySend: () => asked.push('send'),
    setCustodyListener: () => undefined,
    recordGet: nobody('get', []),
    recordPut: nobody('put', 0),
  };
  let expected = '';
  const { EnclosureSealer } = module;
  const sealing = {
    ...module,
    // The blob has the name that the sealer gives it; that it is its hash is the node's affair.
    EnclosureSealer: class {
      constructor(...args) {
        this.inner = new EnclosureSealer(...args);
      }
      push(plain) {
        return this.inner.push(plain);
      }
      finish(...args) {
        const made = this.inner.finish(...args);
        expected = cidOf(made.enclosure.hash);
        return made;
      }
    },
  };
  const node = {
    stats: () => ({ state: 'offline' }),
    swarms: () => [...blobs.keys()].map((cid) => ({ cid, state: 'complete' })),
    call: async (name, cid) => void (name === 'remove' && blobs.delete(cid)),
    importSource: async (source) => {
      const bytes = new Uint8Array(await new Response(source.stream()).arrayBuffer());
      blobs.set(expected, bytes);
      return { cid: expected, size: bytes.length, fragment: '' };
    },
    openLink: async (link) => {
      const bytes = blobs.get(/#\/f\/(\w+)/.exec(link)[1]);
      return { size: bytes.length, read: async (at, length) => bytes.slice(at, at + Math.min(length, 100_000)), free: () => undefined };
    },
  };
  const office = new Office({ node, custody, database, linkBase: 'https://host.example/', tell: () => undefined, module: async () => sealing, words: async () => english });
  open.add(office);
  let calls = 0;
  const call = (name, ...args) => office.call(name, args, { token: `token-of-call-${String((calls += 1)).padStart(8, '0')}` });
  return { call, asked, blobs, stop: () => office.stop(), again: () => machine(secret, database) };
}

/** Version 1, raw, BLAKE3, base32. */
function cidOf(hash) {
  const bits = [...Buffer.from(`01551e20${hash}`, 'hex')].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return `b${bits.match(/.{1,5}/g).map((five) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five.padEnd(5, '0'), 2)]).join('')}`;
}

test('an identity is made, shown to others, and there in the next run', async () => {
  const here = machine();
  assert.equal((await here.call('state')).state, 'none');
  assert.deepEqual(here.asked, [], 'who has no mailbox asks nobody');
  await here.call('create', 'Ada');
  const state = await here.call('state');
  assert.deepEqual([state.state, state.name, state.devices.length, state.forked], ['ready', 'Ada', 1, false]);
  assert.match(state.id, /^[a-z1-9]{52}$/);
  const card = await here.call('card');
  assert.ok(card.text.startsWith(`dmail:${state.id}`) && card.link.startsWith(`https://host.example/#/m/${state.id}`));

  const there = machine();
  await there.call('create', 'Bob');
  for (const text of [card.link, card.text]) assert.equal((await there.call('resolve', text)).id, state.id);
  const contact = await there.call('addContact', card.link, 'my Ada');
  assert.deepEqual([contact.petname, contact.name, contact.state, contact.met], ['my Ada', 'Ada', 'accepted', 'link']);
  assert.match(contact.safety, /^\d{5}( \d{5}){5}$/);
  assert.equal((await there.call('resolve', 'MY ada')).id, state.id);
  await here.stop();
  const again = here.again();
  assert.equal((await again.call('state')).id, state.id);
  await Promise.all([again.stop(), there.stop()]);
});

test('the keys of an identity go on paper, are changed with it, and end it, also in the next run', async () => {
  let here = machine();
  await here.call('create', 'Ada');
  const state = async () => {
    const { standing, onPaper, id } = await here.call('state');
    return { standing, onPaper, id };
  };
  const acts = async () => (await here.call('history')).map(({ act }) => act);
  const before = await state();
  assert.deepEqual([before.standing, before.onPaper], ['in', false]);
  const [first, second] = [await here.call('recoveryWords'), await here.call('recoveryWords')];
  assert.notEqual(first, second);
  assert.equal(first.split(' ').length, 24);
  await assert.rejects(here.call('changeKeys', { next: first.replace(/ \w+$/, '') }), { code: 'BAD_PHRASE' });
  await here.call('changeKeys', { next: first });
  assert.equal((await state()).onPaper, true);
  await here.stop();
  here = here.again();
  await assert.rejects(here.call('changeKeys', { next: second }), { code: 'BAD_PHRASE' }, 'the machine alone changes nothing any more');
  await assert.rejects(here.call('giveUp'), { code: 'BAD_PHRASE' });
  await assert.rejects(here.call('changeKeys', { words: second, next: second }), { code: 'BAD_PHRASE' });
  assert.deepEqual(await acts(), ['begin', 'add', 'mail', 'rotate']);
  await here.call('changeKeys', { words: first, next: second });
  assert.deepEqual(await acts(), ['begin', 'add', 'mail', 'rotate', 'rotate', 'mail']);
  await here.stop();
  here = here.again();
  const name = 'k51qzi5uqu5dlsm4k5jyxx7djjc35v2vgc50emgce8qu6l94qu3mu0rm1sgmof';
  await here.call('setSite', 0, name);
  assert.equal((await acts()).at(-1), 'site', 'the keys of the epoch are there in the next run');
  await assert.rejects(here.call('setSite', 0, 'nonsense'), { code: 'BAD_NAME' });
  await here.call('setSite', 7, name);
  const named = async () => (await here.call('state')).sites;
  assert.deepEqual(await named(), [{ site: 0, name }, { site: 7, name }]);
  await here.call('setSite', 0, null);
  assert.deepEqual(await named(), [{ site: 7, name }]);
  await here.stop();
  here = here.again();
  assert.deepEqual(await named(), [{ site: 7, name }], 'also in the next run');
  assert.equal((await here.call('state')).concurrent, null);
  assert.deepEqual(await state(), { standing: 'in', onPaper: true, id: before.id });
  await here.call('giveUp', second);
  assert.deepEqual(await state(), { standing: 'ended', onPaper: true, id: before.id });
  await assert.rejects(here.call('changeKeys', { words: second, next: first }), { code: 'BAD_OPTIONS' });
  await here.stop();
  here = here.again();
  assert.equal((await state()).standing, 'ended');
  await here.stop();
});

test('a letter without a connection waits in the outbox, with its attachment, and is sent once', async () => {
  const [here, there] = [machine(), machine()];
  await here.call('create', 'Ada');
  await there.call('create', 'Bob');
  const { link } = await there.call('card');
  const { id } = await here.call('addContact', link, 'Bob');
  const bytes = crypto.getRandomValues(new Uint8Array(600_000).subarray(0, 60_000));
  const file = new File(Array(10).fill(bytes), 'ten.bin', { type: 'application/x-ten' });
  const { message, thread } = await here.call('send', { to: [id], subject: 'Grüße', text: 'Für dich\n', html: '<p>Für dich</p>', attachments: [file] });
  assert.match(`${message}${thread}`, /^[0-9a-f]{64}$/);
  const [mail] = await here.call('thread', thread);
  assert.deepEqual([mail.id, mail.status[0].state, mail.attachments[0].here, mail.to[0].petname], [message, 'waiting', true, 'Bob']);
  const content = await here.call('attachment', message, 0);
  assert.deepEqual([content.type, Buffer.compare(Buffer.from(await content.arrayBuffer()), Buffer.from(await file.arrayBuffer()))], ['application/x-ten', 0]);
  for (const sealed of here.blobs.values()) assert.ok(!Buffer.from(sealed).includes(Buffer.from(bytes.subarray(0, 64))), 'what is shared is sealed');
  // A body that no envelope holds goes into the swarm as well.
  const long = await here.call('send', { to: [id], subject: 'long', text: 'word '.repeat(20_000), attachments: [], thread, inReplyTo: message });
  assert.equal(long.thread, thread);
  assert.equal(here.blobs.size, 2);
  await here.stop();
  const again = here.again();
  assert.deepEqual((await again.call('thread', thread)).map(({ subject }) => subject), ['Grüße', 'long']);
  assert.deepEqual([(await again.call('search', 'grusse')).threads.length, (await again.call('search', 'GRUßE')).threads.length], [0, 1], 'case and accents do not count, spelling does');
  assert.equal((await again.call('search', 'grüße dich')).threads[0].id, thread);
  const eml = await again.call('export', 'mbox');
  const parsed = module.Mime.parse(new Uint8Array(await eml.slice((await eml.text()).indexOf('\n') + 1).arrayBuffer()));
  assert.deepEqual([parsed.subject, parsed.from[0].name], ['Grüße', 'Ada']);
  await again.call('remove', [thread]);
  assert.deepEqual([(await again.call('list', 'sent')).total, (await again.call('search', 'grüße')).threads.length], [0, 0]);
  await Promise.all([again.stop(), there.stop()]);
});

const corpus = join(root, 'tests/mail/corpus');

/** Mails as the world writes them, as Latin-1: those of the module's own tests, and some more. */
const shapes = {
  ...Object.fromEntries(readdirSync(corpus).filter((name) => name.endsWith('.eml')).map((name) => [name, readFileSync(join(corpus, name), 'latin1')])),
  plain: 'From: A <a@example.org>\nSubject: plain\nMessage-ID: <1@example.org>\nDate: Thu, 01 Jan 2026 00:00:00 +0000\n\nhello\nFrom here on\n',
  crlf: 'From: A <a@example.org>\r\nSubject: =?iso-8859-1?Q?gr=FC=DFe?=\r\nMessage-ID: <2@example.org>\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=FC=DFe=\r\n und mehr\r\n',
  nested: `From: A <a@example.org>\nSubject: nested\nMessage-ID: <3@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=i\n\n--i\nContent-Type: text/plain\n\ntext\n--i\nContent-Type: text/html\n\n<p>html</p>\n--i--\n--o\nContent-Type: application/pdf; name="a.pdf"\nContent-Disposition: attachment; filename="a.pdf"\nContent-Transfer-Encoding: base64\n\n${Buffer.alloc(5000, 7).toString('base64')}\n--o--\n`,
  broken: 'From: A <a@example.org>\nSubject: broken\nMessage-ID: <4@example.org>\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: image/png\nContent-Disposition: attachment; filename=b.png\nContent-Transfer-Encoding: base64\n\n!!!! not base64 %%%\n',
  headless: 'just a text without any header\nand another line\n',
  huge: `From: A <a@example.org>\nReceived: ${'by somebody; '.repeat(8000)}\nSubject: huge\nMessage-ID: <6@example.org>\n\nsmall\n`,
  bytes: 'From: A <a@example.org>\nSubject: bytes\nMessage-ID: <7@example.org>\nContent-Type: text/plain; charset=windows-1251\n\n\xcf\xf0\xe8\xe2\xe5\xf2\n',
};

test('mails of every shape come in and go out byte for byte', async () => {
  const here = machine();
  await here.call('create', 'Ada');
  const shown = new Map();
  for (const [name, text] of Object.entries(shapes)) {
    const raw = Buffer.from(text, 'latin1');
    assert.deepEqual(await here.call('import', new Blob([raw])), { mails: 1, skipped: 0 }, name);
    assert.deepEqual(await here.call('import', new Blob([raw])), { mails: 0, skipped: 1 }, name);
    const known = new Set([...shown.values()].map(({ id }) => id));
    const { threads } = await here.call('list', 'archive');
    const mails = (await Promise.all(threads.map(({ id }) => here.call('thread', id)))).flat();
    const mail = mails.find(({ id }) => !known.has(id));
    shown.set(name, mail);
    // A mail that answers another stands in a thread with it, and goes out with it.
    const out = Buffer.from(await (await here.call('export', 'eml', { threads: [mail.thread] })).arrayBuffer());
    assert.ok(out.includes(raw), `${name} goes out as it came`);
    for (const [index, { size }] of mail.attachments.entries()) assert.equal((await here.call('attachment', mail.id, index)).size, size, `${name}, attachment ${index}`);
  }
  assert.deepEqual([shown.get('crlf').subject, shown.get('crlf').text.trim()], ['grüße', 'grüße und mehr']);
  assert.deepEqual([shown.get('nested').text.trim(), shown.get('nested').html.trim(), shown.get('nested').attachments], ['text', '<p>html</p>', [{ name: 'a.pdf', type: 'application/pdf', size: 5000, here: true, contentId: null }]]);
  assert.equal(shown.get('bytes').text.trim(), 'Привет');
  assert.equal(shown.get('headless').verified, 'imported');
  for (const [name, said] of Object.entries(JSON.parse(readFileSync(join(root, 'tests/mail/charsets.json'), 'utf8')))) {
    const { id, from, to, subject, text, attachments } = shown.get(`${name}.eml`);
    assert.deepEqual([from.name, to[0].name, subject, text.replaceAll('\r\n', '\n').trimEnd()], [said.from, said.to ?? 'to@example.org', said.subject, said.text], name);
    assert.deepEqual(attachments.map((one) => one.name), said.attachments.map(([one]) => one), name);
    for (const [index, [, content]] of said.attachments.entries()) if (content) assert.equal(await (await here.call('attachment', id, index)).text(), content, name);
  }
  const mbox = await here.call('export', 'mbox');
  const there = machine();
  await there.call('create', 'Bob');
  assert.deepEqual(await there.call('import', mbox), { mails: Object.keys(shapes).length, skipped: 0 });
  assert.equal((await there.call('search', 'привет')).threads.length, 2);
  await Promise.all([here.stop(), there.stop()]);
});
