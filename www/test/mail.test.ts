import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import 'fake-indexeddb/auto';
import { Gyre } from '../sdk/gyre.js';
import { Office, type MailNode } from '../sdk/mail/office.js';
import { cidOf } from '../sdk/mail/blobs.js';
import type { Mailbox, MailState, SendStatus, ThreadSummary } from '../sdk/mail/types.js';
import { LocalNode, type OfficeMaker } from '../sdk/node.js';
import { SharedNode, type Starter } from '../sdk/tabs/shared.js';
import type { SwarmInfo } from '../sdk/types.js';
import type { WasmFile, WasmImportOptions, WasmShare } from '../sdk/wasm/gyre.js';
import { FakeCustody, fakeModule, idOf, World } from './fake-mail.js';
import { FakeFile, FakeNode, swarmInfo } from './fake-node.js';
import { FakeBrowser, type Tab } from './fake-tabs.js';

let databases = 0;

/** A node whose blobs are those of the world. */
class BlobNode extends FakeNode {
  constructor(readonly world: World) {
    super();
    this.state = 'joined';
  }

  override async importStream(reader: ReadableStreamDefaultReader<Uint8Array>, options: WasmImportOptions): Promise<WasmShare> {
    const parts: Uint8Array[] = [];
    for (;;) {
      const { done, value } = await reader.read();
      if (this.fault) throw this.fault;
      if (done) break;
      parts.push(value);
    }
    const bytes = new Uint8Array(Buffer.concat(parts));
    const hash = [...bytes.slice(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    // The fake sealer adds of its key what makes hashes differ.
    const cid = this.naming?.(hash) ?? '';
    this.world.blobs.set(cid, bytes);
    this.list.push(swarmInfo({ cid, state: 'complete', name: options.name }));
    return { cid, fragment: `#/f/${cid}`, size: bytes.byteLength };
  }

  naming: ((hash: string) => string) | null = null;

  override async openLink(link: string): Promise<WasmFile> {
    const cid = /#\/f\/(\w+)/.exec(link)?.[1] ?? '';
    const bytes = this.world.blobs.get(cid);
    if (!bytes) throw Object.assign(new Error('nobody has it'), { code: 'NOT_FOUND' });
    if (!this.list.some((swarm) => swarm.cid === cid)) this.list.push(swarmInfo({ cid, state: 'complete' }));
    return new FakeFile(bytes, 100_000).asWasm();
  }

  custodyStats = () => ({ envelopes: 3, bytes: 49_152, blobs: 0, blobBytes: 0 });
  override remove = async (cid: string): Promise<void> => void (this.list = this.list.filter((swarm: SwarmInfo) => swarm.cid !== cid));
}

/** One person's browser: its tabs, and what lies on its disk. */
class Place {
  readonly browser = new FakeBrowser(false);
  readonly database = `mail-${(databases += 1)}`;
  readonly custody: FakeCustody;
  readonly gyres: { tab: Tab; gyre: Gyre }[] = [];
  readonly node: BlobNode;

  constructor(
    test: TestContext,
    readonly world: World,
    readonly secret: Uint8Array,
  ) {
    this.custody = new FakeCustody(world, secret);
    this.node = new BlobNode(world);
    test.after(() => Promise.all(this.gyres.map(({ gyre }) => gyre.leave())));
  }

  async open(): Promise<{ tab: Tab; gyre: Gyre; mail: Mailbox }> {
    const tab = this.browser.open();
    const office: OfficeMaker = async (node, _, tell) =>
      new Office({ node, custody: this.custody as MailNode, database: this.database, linkBase: 'https://host.example/', tell, module: async () => fakeSealing(this.node) });
    const starter: Starter = {
      database: this.database,
      start: async () => ({ node: new LocalNode(this.node.asWasm(), null, office), network: { relays: [], stun: [] } }),
      prepare: async () => undefined,
    };
    const gyre = new Gyre(await SharedNode.join(starter, tab.platform), 'https://host.example/');
    this.gyres.push({ tab, gyre });
    return { tab, gyre, mail: gyre.mail };
  }

  get id(): string {
    return idOf(this.secret);
  }
}

/** The node names a blob as the sealer did. */
function fakeSealing(node: BlobNode): typeof fakeModule {
  const Sealer = fakeModule.EnclosureSealer;
  return {
    ...fakeModule,
    EnclosureSealer: class extends Sealer {
      override finish(name: string, type: string) {
        const made = super.finish(name, type);
        node.naming = () => cidOf(made.enclosure.hash);
        return made;
      }
    },
  };
}

async function until<T>(what: string, ask: () => Promise<T | null | undefined | false> | T | null | undefined | false): Promise<T> {
  const end = performance.now() + 30_000;
  for (;;) {
    const found = await ask();
    if (found) return found;
    assert.ok(performance.now() < end, `waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const secret = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const draft = (to: string, change: object = {}) => ({ to: [to], subject: 'Hello', text: 'How are you?', attachments: [], ...change });
const inbox = async (mail: Mailbox, folder: 'inbox' | 'requests' = 'inbox'): Promise<ThreadSummary[]> => [...(await mail.list(folder)).threads];

/** What a search finds once all mail was looked through. */
async function found(mail: Mailbox, query: string): Promise<readonly ThreadSummary[]> {
  for (;;) {
    const { threads, complete } = await mail.search(query);
    if (complete) return threads;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a mailbox begins, is the same in the next run, and is shut with its keys', async (t) => {
  const place = new Place(t, new World(), secret(1));
  const { mail, gyre } = await place.open();
  assert.equal((await mail.state()).state, 'none');
  await assert.rejects(mail.start(), { code: 'NO_IDENTITY' });
  await assert.rejects(mail.create('  '), { code: 'BAD_OPTIONS' });
  await mail.create('Ada');
  await assert.rejects(mail.create('Ada'), { code: 'MAIL_EXISTS' });
  const expected: Partial<MailState> = { state: 'ready', id: place.id, name: 'Ada', link: `https://host.example/#/m/${place.id}`, unread: 0, network: 'online' };
  const state = await mail.state();
  for (const [key, value] of Object.entries(expected)) assert.deepEqual(state[key as keyof MailState], value, key);
  await gyre.leave();
  const again = await place.open();
  assert.equal((await again.mail.state()).name, 'Ada', 'no call is needed to open it again');
  place.custody.keys = 'locked';
  const changed = new Promise((heard) => again.mail.addEventListener('state', heard, { once: true }));
  (place.node as unknown as { lockKeys(): void }).lockKeys = () => undefined;
  await again.gyre.keys.lock();
  await changed;
  assert.equal((await again.mail.state()).state, 'locked');
  await assert.rejects(again.mail.list('inbox'), { code: 'LOCKED' });
  place.custody.keys = 'missing';
  await assert.rejects(again.mail.start(), { code: 'NO_KEYS' });
});

test('two people who are never there together write to each other, with attachments', async (t) => {
  const world = new World();
  const [a, b] = [new Place(t, world, secret(1)), new Place(t, world, secret(2))];
  let ada = await a.open();
  await ada.mail.create('Ada');
  await ada.mail.addContact(`https://host.example/#/m/${b.id}`, 'Bob');
  const statuses: SendStatus[] = [];
  ada.mail.addEventListener('status', ({ detail }) => statuses.push(detail));
  const long = 'x'.repeat(40_000);
  const file = new File([new Uint8Array(700_000).fill(3)], 'three.bin', { type: 'application/x-three' });
  const progress: number[] = [];
  const sent = await ada.mail.send(draft(b.id, { text: long, attachments: [file] }), { onProgress: ({ done }) => progress.push(done) });
  assert.equal(progress.at(-1), 740_000 - 40_000 > 0 ? progress.at(-1) : 0);
  assert.ok(progress.length > 0);
  await until('its deposit', () => statuses.some(({ message, state, peers }) => message === sent.message && state === 'stored' && peers === 1));
  const [own] = await ada.mail.thread(sent.thread);
  assert.deepEqual([own?.own, own?.status[0]?.state, own?.attachments[0]?.here, own?.from.name], [true, 'stored', true, 'Ada']);
  await ada.gyre.leave();

  const bob = await b.open();
  const news: ThreadSummary[] = [];
  bob.mail.addEventListener('mail', ({ detail }) => news.push(detail));
  await bob.mail.create('Bob');
  const [request] = await until('the letter', async () => (await inbox(bob.mail, 'requests')).filter(({ subject }) => subject === 'Hello').slice(0, 1).length === 1 && (await inbox(bob.mail, 'requests')));
  assert.deepEqual([request?.unread, request?.count, request?.attachments, request?.from[0]?.id], [true, 1, 1, a.id]);
  assert.equal((await bob.mail.state()).requests, 1);
  const [letter] = await bob.mail.thread(request!.id);
  assert.equal(letter?.text, long, 'a long body came through the swarm');
  const content = await bob.mail.attachment(letter!.id, 0);
  assert.deepEqual([content.type, content.size], ['application/x-three', 700_000]);
  assert.ok(new Uint8Array(await content.arrayBuffer()).every((byte) => byte === 3));
  await until('its end at the custodians', () => world.box(b.id).size === 0);
  assert.equal(news.length, 1);
  await bob.mail.setContact(a.id, { state: 'accepted', petname: 'Ada L' });
  await until('the thread in the inbox', async () => (await inbox(bob.mail)).length === 1);
  await bob.mail.send({ ...draft(a.id), text: 'Fine.', thread: request!.id, inReplyTo: letter!.id });
  await until('its deposit', () => world.box(a.id).size === 1);
  assert.equal((await bob.mail.list('sent')).threads[0]?.from[0]?.petname, 'Ada L');
  await bob.gyre.leave();

  ada = await a.open();
  await ada.mail.start();
  const thread = await until('the answer', async () => (await ada.mail.thread(sent.thread)).length === 2 && (await ada.mail.thread(sent.thread)));
  assert.deepEqual(thread.map(({ text, own }) => [text.length, own]), [[40_000, true], [5, false]]);
  assert.equal((await ada.mail.state()).unread, 1);
  await ada.mail.mark([sent.thread], { read: true });
  assert.equal((await ada.mail.state()).unread, 0);
});

test('mail of the muted comes without a word, short or long, and the SDK shows no notification of any', async (t) => {
  const shown: string[] = [];
  const notification = class {
    static readonly permission = 'granted';
    constructor(title: string) {
      shown.push(title);
    }
  };
  Object.assign(globalThis, { Notification: notification });
  t.after(() => void Reflect.deleteProperty(globalThis, 'Notification'));
  const world = new World();
  const [a, b] = [new Place(t, world, secret(1)), new Place(t, world, secret(2))];
  const [ada, bob] = [await a.open(), await b.open()];
  await ada.mail.create('Your bank');
  await bob.mail.create('Bob');
  await bob.mail.set({ notifications: true });
  const told: string[] = [];
  bob.mail.addEventListener('mail', ({ detail }) => told.push(detail.subject));
  const arrives = async (subject: string, folder: 'inbox' | 'requests' | 'archive', text = 'words'): Promise<void> => {
    await ada.mail.send(draft(b.id, { subject, text }));
    await until(subject, async () => (await bob.mail.list(folder)).threads.some((thread) => thread.subject === subject));
    // A long text is here, and the letter done with, when its custodians have nothing of it any more.
    await until(`the end of ${subject}`, () => world.box(b.id).size === 0);
  };
  await arrives('a stranger', 'requests');
  await until('the event', () => told.length === 1);
  await bob.mail.setContact(a.id, { state: 'muted' });
  await arrives('quiet', 'archive');
  await arrives('long and quiet', 'archive', 'x'.repeat(40_000));
  await bob.mail.setContact(a.id, { state: 'accepted' });
  await arrives('loud', 'inbox');
  await until('the event', () => told.includes('loud'));
  assert.deepEqual(told, ['a stranger', 'loud']);
  assert.deepEqual(shown, []);
});

test('a letter whose attachments may not be sent from here says so, and nothing more when they may', async (t) => {
  const [a, b] = [new Place(t, new World(), secret(1)), secret(2)];
  a.custody.online = false;
  const { mail } = await a.open();
  await mail.create('Ada');
  await mail.addContact(idOf(b), 'Bob');
  const file = (bytes: number): File => new File([new Uint8Array(bytes)], 'file.bin');
  const large = await mail.send(draft(idOf(b), { attachments: [file(300_000)] }));
  const small = await mail.send(draft(idOf(b), { attachments: [file(300)] }));
  const codes = async (): Promise<unknown[]> => {
    const listed = (await mail.list('sent')).threads;
    const told = async ({ thread }: { thread: string }): Promise<unknown> => [(await mail.thread(thread))[0]?.status[0]?.code, listed.find(({ id }) => id === thread)?.status?.code];
    return Promise.all([told(large), told(small)]);
  };
  const nothing = [null, null];
  a.node.uploadHold = 'refused';
  assert.deepEqual(await codes(), [['UPLOADS_OFF', 'UPLOADS_OFF'], nothing]);
  a.node.uploadHold = 'metered';
  a.node.emit({ type: 'state' });
  assert.deepEqual(await codes(), [['UPLOADS_HELD', 'UPLOADS_HELD'], nothing]);
  const changed = new Promise<readonly string[]>((resolve) => mail.addEventListener('change', ({ detail }) => resolve(detail.threads), { once: true }));
  a.node.uploadHold = null;
  a.node.emit({ type: 'state' });
  assert.deepEqual(await changed, [], 'any of them');
  assert.deepEqual(await codes(), [nothing, nothing]);
});

test('what could not be made durable is neither answered nor deleted, and comes again', async (t) => {
  const world = new World();
  const [a, b] = [new Place(t, world, secret(1)), new Place(t, world, secret(2))];
  const ada = await a.open();
  await ada.mail.create('Ada');
  const bob = await b.open();
  await bob.mail.create('Bob');
  const put = IDBObjectStore.prototype.put;
  let refused = 0;
  IDBObjectStore.prototype.put = function (this: IDBObjectStore, ...args: Parameters<typeof put>) {
    if (this.transaction.db.name.startsWith(b.database) && this.name === 'mails' && refused < 2) {
      refused += 1;
      throw new DOMException('full', 'QuotaExceededError');
    }
    return put.apply(this, args);
  };
  t.after(() => void (IDBObjectStore.prototype.put = put));
  await ada.mail.send(draft(b.id));
  await until('a refusal', () => refused === 2);
  assert.equal(world.box(b.id).size, 1, 'it still lies with the custodians');
  const page = await until('the letter', async () => (await inbox(bob.mail, 'requests')).length === 1 && inbox(bob.mail, 'requests'));
  assert.equal(page[0]?.count, 1, 'it is there once');
  await until('its end', () => world.box(b.id).size === 0);
});

test('a call that is made again at another tab does nothing twice, and every tab hears', async (t) => {
  const world = new World();
  const [a, b] = [new Place(t, world, secret(1)), new Place(t, world, secret(2))];
  const leader = await a.open();
  const follower = await a.open();
  assert.deepEqual([leader.gyre.runsHere, follower.gyre.runsHere], [true, false]);
  await follower.mail.create('Ada');
  const heard: string[] = [];
  leader.mail.addEventListener('change', () => heard.push('leader'));
  follower.mail.addEventListener('change', () => heard.push('follower'));
  const { thread } = await follower.mail.send(draft(b.id, { attachments: [new File(['abc'], 'a.txt')] }));
  await until('both tabs to hear', () => heard.includes('leader') && heard.includes('follower'));
  // The leader dies while it works for the other tab.
  const sends = Array.from({ length: 5 }, (_, at) => follower.mail.send(draft(b.id, { subject: `number ${at}`, attachments: [new File([`${at}`], 'n.txt')] })));
  await new Promise((go) => setTimeout(go, 5));
  leader.tab.kill();
  const sent = await Promise.all(sends);
  assert.equal(follower.gyre.runsHere, true);
  const { threads, total } = await follower.mail.list('sent');
  assert.equal(total, 6, threads.map(({ subject }) => subject).join());
  assert.equal(new Set([thread, ...sent.map((one) => one.thread)]).size, 6);
  await until('all deposits', () => world.box(b.id).size === 6);
});

test('drafts keep their attachments, and end when they are sent', async (t) => {
  const place = new Place(t, new World(), secret(1));
  const { mail } = await place.open();
  await mail.create('Ada');
  place.custody.online = false;
  const file = new File(['one'], 'one.txt', { type: 'text/plain', lastModified: 5 });
  const id = await mail.saveDraft({ to: ['not yet anybody'], subject: 'S', text: 'T', attachments: [file, new Blob(['two'])] });
  assert.equal(await mail.saveDraft({ ...(await mail.draft(id)), text: 'longer T' }), id);
  const saved = await mail.draft(id);
  assert.deepEqual([saved.to, saved.text, saved.attachments.map((blob) => blob.size)], [['not yet anybody'], 'longer T', [3, 3]]);
  assert.equal(await saved.attachments[0]!.text(), 'one');
  const [shown] = (await mail.list('drafts')).threads;
  assert.deepEqual([shown?.id, shown?.subject, shown?.attachments], [id, 'S', 2]);
  await assert.rejects(mail.send(saved), { code: 'BAD_LINK' });
  // Nothing of the network is needed to send.
  const { message } = await mail.send({ ...saved, to: [idOf(secret(2))] });
  assert.equal((await mail.list('drafts')).total, 0);
  await assert.rejects(mail.draft(id), { code: 'NOT_FOUND' });
  assert.equal((await mail.thread((await mail.list('sent')).threads[0]!.id))[0]?.id, message);
});

test('drafts and what was read, starred and moved are the same on both machines of a person', async (t) => {
  const world = new World();
  const [here, there] = await Promise.all([1, 2].map(async () => {
    const { mail } = await new Place(t, world, secret(1)).open();
    await mail.create('Ada');
    for (const n of [1, 2]) await mail.import(new Blob([`Subject: number${n}\nMessage-ID: <${n}@x>\nFrom: C <c@x>\n\ntext${n}`]));
    return mail;
  }));
  const [first, second] = (await here!.list('archive')).threads;
  const file = new File([new Uint8Array(9)], 'nine.bin');
  const id = await here!.saveDraft({ to: [], subject: 'half', text: 'a mail', attachments: [file] });
  await here!.mark([first!.id], { starred: true, folder: 'inbox' });
  await here!.mark([second!.id], { read: false });
  await until('the draft', async () => (await there!.list('drafts')).total === 1);
  const { subject, attachments, elsewhere } = await there!.draft(id);
  assert.deepEqual([subject, attachments, elsewhere], ['half', [], ['nine.bin']]);
  const [moved] = (await there!.list('inbox')).threads;
  assert.deepEqual([moved?.id, moved?.starred], [first!.id, true]);
  assert.deepEqual((await there!.list('archive')).threads.map(({ id, unread }) => [id, unread]), [[second!.id, true]]);
  await assert.rejects(there!.send({ id, to: [idOf(secret(2))], subject, text: '', attachments }), { code: 'BAD_OPTIONS' });
  // Changed there, it keeps here what is attached; and what is over there is over here.
  await there!.saveDraft({ id, to: [], subject: 'whole', text: 'a mail', attachments: [] });
  await there!.mark([second!.id], { read: true });
  await there!.set({ readReceipts: true });
  await until('the change', async () => (await here!.draft(id)).subject === 'whole');
  const whole = await here!.draft(id);
  assert.deepEqual([whole.attachments.map(({ size }) => size), whole.elsewhere], [[9], undefined]);
  assert.equal((await here!.list('archive')).threads[0]?.unread, false);
  await here!.deleteDraft(id);
  await here!.set({ readReceipts: false });
  await until('its end', async () => (await there!.list('drafts')).total === 0);
});

test('a letter that is given up leaves nothing behind', async (t) => {
  const place = new Place(t, new World(), secret(1));
  const { mail } = await place.open();
  await mail.create('Ada');
  const abort = new AbortController();
  const sending = mail.send(draft(idOf(secret(2)), { attachments: [new File(['one'], '1'), new File([new Uint8Array(3_000_000)], '2')] }), {
    signal: abort.signal,
    onProgress: ({ done }) => done > 3 && abort.abort(),
  });
  await assert.rejects(sending, { code: 'ABORTED' });
  await until('the end of what was shared', () => place.node.list.length === 0);
  assert.equal((await mail.list('sent')).total, 0);
  await mail.addContact(`dmail:${idOf(secret(2))}`, 'Bob');
  await mail.setContact(idOf(secret(2)), { state: 'blocked' });
  await assert.rejects(mail.send(draft('bob')), { code: 'BAD_OPTIONS' });
  await assert.rejects(mail.send(draft('nobody')), { code: 'BAD_LINK' });
  await assert.rejects(mail.send({ ...draft('x'), to: [] }), { code: 'BAD_OPTIONS' });
});

test('mails come from files once, in threads, and go out as they came', async (t) => {
  const place = new Place(t, new World(), secret(1));
  const { mail } = await place.open();
  await mail.create('Ada');
  const raws = Array.from({ length: 120 }, (_, at) => {
    const answers = at % 3 === 0 ? '' : `In-Reply-To: <${at - 1}@example.org>\n`;
    return `From: Carl <carl@example.org>\nTo: Ada <ada@example.org>\nSubject: mail ${at}\nMessage-ID: <${at}@example.org>\n${answers}Date: Thu, 01 Jan 2026 00:0${Math.floor(at / 60)}:${String(at % 60).padStart(2, '0')} GMT\n\nWord${at} and\nFrom here on\n`;
  });
  const file = new Blob(raws.map((raw) => `From carl@example.org Thu Jan 1 00:00:00 2026\n${raw.replace(/^From here/m, '>From here')}\n`));
  const progress: number[] = [];
  assert.deepEqual(await mail.import(file, { onProgress: ({ done }) => progress.push(done) }), { mails: 120, skipped: 0 });
  assert.equal(progress.at(-1), file.size);
  assert.deepEqual(await mail.import(file), { mails: 0, skipped: 120 });
  const { threads, total, next } = await mail.list('archive');
  assert.deepEqual([total, threads.length, threads[0]?.count, threads[0]?.unread, next === null], [40, 40, 3, false, true]);
  const [first] = await mail.thread(threads[0]!.id);
  assert.deepEqual([first?.verified, first?.from.address, first?.subject], ['imported', 'carl@example.org', 'mail 117']);

  const out = await mail.export('mbox');
  assert.equal((await out.text()).split(/^From carl@example\.org/m).length, 121);
  const other = new Place(t, new World(), secret(2));
  const there = await other.open();
  await there.mail.create('Bob');
  assert.deepEqual(await there.mail.import(out), { mails: 120, skipped: 0 });
  assert.equal(await (await there.mail.export('eml', { threads: [(await found(there.mail, 'Word60'))[0]!.id] })).slice(0, 4).text(), 'PK\u0003\u0004');
  const [single] = (await found(there.mail, '"Word0"')).filter(({ count }) => count === 3);
  assert.ok(single);
  assert.deepEqual((await found(there.mail, 'word119 here')).map(({ id }) => id), [threads[0]!.id]);
  assert.deepEqual(await found(there.mail, 'word119 absent'), []);

  const abort = new AbortController();
  abort.abort();
  await assert.rejects(mail.export('mbox', { signal: abort.signal }), { code: 'ABORTED' });
  await assert.rejects(mail.import(file, { signal: abort.signal }), { code: 'ABORTED' });
});

test('what the owner does to threads stays, and what is removed is found no more', async (t) => {
  const place = new Place(t, new World(), secret(1));
  const { mail, gyre } = await place.open();
  await mail.create('Ada');
  const eml = (n: number): Blob => new Blob([`Subject: number${n}\nMessage-ID: <${n}@x>\nFrom: C <c@x>\n\ntext${n}`]);
  for (const n of [1, 2, 3]) await mail.import(eml(n));
  const ids = (await mail.list('archive')).threads.map(({ id }) => id);
  assert.equal(ids.length, 3);
  await mail.mark([ids[0]!], { starred: true, read: false, folder: 'inbox' });
  await mail.mark([ids[1]!], { folder: 'trash' });
  assert.equal((await found(mail, 'text1 OR')).length, 0);
  assert.equal((await found(mail, 'number')).length, 2, 'the trash is not searched');
  await mail.remove([ids[2]!]);
  assert.equal((await found(mail, 'number')).length, 1);
  await gyre.leave();
  const again = (await place.open()).mail;
  const [starred] = (await again.list('inbox')).threads;
  assert.deepEqual([starred?.id, starred?.starred, starred?.unread], [ids[0], true, true]);
  assert.deepEqual([(await again.list('trash')).total, (await again.list('archive')).total], [1, 0]);
  assert.deepEqual(await again.kept(), { envelopes: 3, bytes: 49_152, attachments: 0, attachmentBytes: 0 });
  await again.set({ readReceipts: true });
  assert.deepEqual(await again.settings(), { readReceipts: true, stampBits: 22, strangers: 'ask', notifications: false });
  await assert.rejects(again.set({ stampBits: 99 }), { code: 'BAD_OPTIONS' });
  const card = await again.card();
  assert.deepEqual(card, { link: `https://host.example/#/m/${place.id}`, text: `dmail:${place.id}`, safety: '12345 12345 12345 12345 12345 12345' });
  assert.deepEqual((await again.resolve(card.link)).id, place.id);
  await assert.rejects((again as unknown as { nothing(): Promise<void> }).nothing(), { code: 'BAD_OPTIONS' });
});
