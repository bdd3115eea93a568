import assert from 'node:assert/strict';
import { test } from 'node:test';
import 'fake-indexeddb/auto';
import { Box } from '../sdk/mail/box.js';
import { foldersOf, furthestBehind, placeKey, snippetOf, emptyThread, type StoredMail } from '../sdk/mail/records.js';
import { Drafts } from '../sdk/mail/drafts.js';
import { Seal } from '../sdk/mail/seal.js';
import { applyThread, heardOf, remember, touch, touchedThreads, type SharedDraft, type SharedThread } from '../sdk/mail/sync.js';
import { crc32, Zip } from '../sdk/mail/zip.js';
import type { SendStatus } from '../sdk/mail/types.js';

let boxes = 0;
const SECRET = new Uint8Array(32).fill(1);

async function openBox(database = `box-${(boxes += 1)}`): Promise<{ box: Box; database: string; seal: Seal }> {
  const seal = await Seal.of(SECRET);
  return { box: await Box.open(database, seal), database, seal };
}

function mail(id: string, change: Partial<StoredMail> = {}): StoredMail {
  const who = { id: null, name: 'Ada', address: 'ada@example.org' };
  return {
    id,
    thread: id,
    time: 1_000,
    from: who,
    to: [],
    subject: `subject of ${id}`,
    text: `text of ${id}`,
    html: null,
    attachments: [],
    own: false,
    read: false,
    status: [],
    verified: 'device',
    messageId: `${id}@example.org`,
    pending: null,
    ...change,
  };
}

const keep = (): void => undefined;

test('a page of a list is in order, names the next, and never mixes folders', async () => {
  const { box } = await openBox();
  await box.edit(async (edit) => {
    for (let at = 0; at < 25; at++) await edit.add(mail(`m${String(at).padStart(2, '0')}`, { time: at * 10 }), null, keep);
    await edit.add(mail('mine', { own: true, time: 5_000 }), null, keep);
    await edit.add(mail('asks', { time: 6_000 }), null, (thread) => (thread.request = true));
  });
  const seen: string[] = [];
  let before: string | undefined;
  for (;;) {
    const page = await box.list('inbox', before, 10);
    assert.equal(page.total, 25);
    seen.push(...page.threads.map(({ id }) => id));
    if (page.next === null) break;
    before = page.next;
  }
  assert.deepEqual(seen, Array.from({ length: 25 }, (_, at) => `m${String(24 - at).padStart(2, '0')}`));
  assert.deepEqual((await box.list('sent', undefined, 10)).threads.map(({ id }) => id), ['mine']);
  assert.deepEqual((await box.list('requests', undefined, 10)).threads.map(({ id }) => id), ['asks']);
  assert.equal((await box.list('sent', before, 10)).threads.length, 1, 'a key of another list is no place in this one');
  assert.deepEqual([await box.count('unread'), await box.count('trash')], [25, 0]);
  box.close();
});

test('a mail is taken in once, and its thread goes with the last one', async () => {
  const { box } = await openBox();
  const first = mail('a', { thread: 't', time: 1 });
  const second = mail('b', { thread: 't', time: 2, attachments: [{ name: 'x', type: '', size: 1, enclosure: null, part: 0 }] });
  assert.equal(await box.edit((edit) => edit.add(first, new Uint8Array([1]), keep)), true);
  assert.equal(await box.edit((edit) => edit.add(first, new Uint8Array([2]), keep)), false);
  assert.deepEqual(await box.raw('a'), new Uint8Array([1]));
  await box.edit((edit) => edit.add(second, null, keep));
  const thread = await box.thread('t');
  assert.deepEqual([thread?.count, thread?.unread, thread?.attachments, thread?.snippet], [2, 2, 1, 'text of b']);
  assert.deepEqual((await box.mails('t')).map(({ id }) => id), ['a', 'b']);
  assert.deepEqual(await box.named('b@example.org'), { id: 'b', thread: 't' });
  await box.edit((edit) => edit.remove([second]));
  assert.deepEqual([(await box.thread('t'))?.count, await box.named('b@example.org')], [1, null]);
  await box.edit((edit) => edit.remove([first]));
  assert.deepEqual([await box.thread('t'), await box.raw('a'), await box.count('inbox')], [null, null, 0]);
  box.close();
});

test('arrivals count up over edits, and a changed mail keeps its place', async () => {
  const { box } = await openBox();
  await box.edit(async (edit) => {
    await edit.add(mail('a'), null, keep);
    await edit.add(mail('b'), null, keep);
  });
  await box.edit((edit) => edit.change([mail('a', { read: true })]));
  await box.edit((edit) => edit.add(mail('c'), null, keep));
  assert.deepEqual(await box.arrivals(0, 10), [
    { id: 'a', arrival: 1 },
    { id: 'b', arrival: 2 },
    { id: 'c', arrival: 3 },
  ]);
  assert.deepEqual((await box.arrived(1, 10)).map(({ mail: { id } }) => id), ['b', 'c']);
  box.close();
});

test('an edit that fails changes nothing, and those after it go on', async () => {
  const { box } = await openBox();
  const broken = box.edit(async (edit) => {
    await edit.add(mail('a'), null, keep);
    throw new Error('no');
  });
  const next = box.edit((edit) => edit.add(mail('b'), null, keep));
  await assert.rejects(broken, /no/);
  assert.equal(await next, true);
  assert.deepEqual((await box.arrivals(0, 10)).map(({ id }) => id), ['b']);
  box.close();
});

test('what lies on the disk is sealed, and opens only where it was put and with its keys', async () => {
  const { box, database, seal } = await openBox();
  await box.edit(async (edit) => {
    await edit.add(mail('a', { subject: 'a secret subject', text: 'a secret text' }), new TextEncoder().encode('a secret raw mail'), keep);
    edit.set('settings', { secret: 'a secret setting' });
    edit.post('key', new TextEncoder().encode('sealed by the module'));
  });
  box.close();
  const raw = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open(`${database}-mail-${seal.fingerprint}`);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  let all = '';
  const rows: Record<string, unknown[]> = {};
  for (const name of raw.objectStoreNames) {
    rows[name] = await new Promise((resolve) => {
      const reading = raw.transaction(name).objectStore(name).getAll();
      reading.onsuccess = () => resolve(reading.result);
    });
    all += JSON.stringify(rows[name], (_, held) => (held instanceof Uint8Array ? Buffer.from(held).toString('latin1') : held));
  }
  assert.ok(all.length > 500, 'there is something to look at');
  for (const word of ['secret', 'Ada', 'example.org']) assert.ok(!all.includes(word), `${word} stands there in clear`);
  raw.close();
  const sealed = await seal.sealValue('mail a', { x: 1 });
  assert.deepEqual(await seal.openValue('mail a', sealed), { x: 1 });
  const coded = (error: { code?: string }): boolean => error.code === 'STORE_FAILED';
  await assert.rejects(seal.openValue('mail b', sealed), coded);
  await assert.rejects((await Seal.of(new Uint8Array(32))).openValue('mail a', sealed), coded);
  sealed[sealed.length - 1]! ^= 1;
  await assert.rejects(seal.openValue('mail a', sealed), coded);
  assert.notEqual((await Seal.of(new Uint8Array(32))).fingerprint, seal.fingerprint);
});

test('a mailbox of a newer version is not touched', async () => {
  const { box, database, seal } = await openBox();
  box.close();
  await new Promise<void>((resolve, reject) => {
    const opening = indexedDB.open(`${database}-mail-${seal.fingerprint}`, 99);
    opening.onsuccess = () => (opening.result.close(), resolve());
    opening.onerror = () => reject(opening.error);
  });
  await assert.rejects(Box.open(database, seal), { code: 'STORE_NEWER' });
});

test('a thread stands where its mails and its owner put it', () => {
  const thread = (change: object) => foldersOf({ ...emptyThread('t'), ...change });
  assert.deepEqual(thread({ received: true }), ['inbox']);
  assert.deepEqual(thread({ received: true, sent: true, folder: 'archive' }), ['sent', 'archive']);
  assert.deepEqual(thread({ sent: true }), ['sent']);
  assert.deepEqual(thread({ received: true, request: true }), ['requests']);
  assert.deepEqual(thread({ received: true, request: true, sent: true }), ['sent', 'inbox']);
  assert.deepEqual(thread({ received: true, request: true, folder: 'trash' }), ['trash']);
  assert.ok(placeKey('inbox', 2, 'a') < placeKey('inbox', 1, 'a'), 'later comes first');
  assert.ok(placeKey('inbox', Number.MAX_SAFE_INTEGER, 'a') <= placeKey('inbox', 8_640_000_000_000_000, 'a'));
});

test('a snippet is one line without quotations, and the worst state counts', () => {
  assert.equal(snippetOf('> you said\n  I say\n\n this'), 'I say this');
  assert.equal([...snippetOf('🙂'.repeat(500))].length, 160);
  const status = (state: SendStatus['state']): SendStatus => ({ message: '', to: '', state, peers: 0, relays: 0, progress: null, code: null });
  assert.equal(furthestBehind([status('read'), status('waiting'), status('delivered')])?.state, 'waiting');
  assert.equal(furthestBehind([]), null);
});

test('a ZIP archive is one for others, too', async () => {
  assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf4_3926);
  const zip = new Zip();
  zip.add({ name: 'ä.eml', content: new TextEncoder().encode('one'), time: Date.UTC(2026, 0, 2, 3, 4, 6) });
  zip.add({ name: 'b.eml', content: new Uint8Array(70_000).fill(7), time: 0 });
  const { BlobReader, TextWriter, Uint8ArrayWriter, ZipReader } = await import('@zip.js/zip.js/lib/zip-core-custom.js');
  const reader = new ZipReader(new BlobReader(zip.blob()), { checkSignature: true });
  const [first, second] = await reader.getEntries();
  assert.ok(first && !first.directory && second && !second.directory);
  assert.deepEqual([first.filename, second.filename, second.uncompressedSize], ['ä.eml', 'b.eml', 70_000]);
  assert.equal(await first.getData(new TextWriter()), 'one');
  assert.deepEqual(await second.getData(new Uint8ArrayWriter()), new Uint8Array(70_000).fill(7));
  await reader.close();
});

test('machines that hear of each other in whatever order come to the same drafts and threads', async () => {
  const seed = Math.trunc(Math.random() * 2 ** 31);
  let state = seed;
  const below = (n: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % n;
  };
  let clock = 1_000;
  const machines = await Promise.all([1, 2, 3].map(async () => {
    const { box } = await openBox();
    await box.edit(async (edit) => {
      for (const id of ['a', 'b']) for (const at of [1, 2]) await edit.add(mail(`${id}${at}`, { thread: id, time: at }), null, keep);
    });
    // Clocks differ, and often say the same.
    const behind = below(4);
    return { box, drafts: new Drafts(box, () => clock - behind), now: () => clock - behind };
  }));
  type Machine = (typeof machines)[number];
  const act = async ({ box, drafts, now }: Machine): Promise<void> => {
    const id = ['x', 'y', 'z'][below(3)]!;
    switch (below(4)) {
      case 0:
        return void (await drafts.save(id, { to: [], subject: `${below(100)}`, text: '', attachments: [new Blob(['1'.repeat(below(3))])] }, now()));
      case 1:
        return box.edit((edit) => drafts.remove(edit, id));
      default:
        return box.edit(async (edit) => {
          const thread = (await edit.thread(['a', 'b'][below(2)]!))!;
          thread.starred = below(2) === 0;
          thread.folder = (['inbox', 'archive', 'trash'] as const)[below(3)]!;
          thread.touched = Math.max(now(), thread.touched + 1);
          const mails = await edit.mails(thread.id);
          const read = below(2) === 0;
          if (read) delete thread.marked;
          else thread.marked = mails.at(-1)!.time;
          await edit.change(read ? mails.map((one) => ({ ...one, read })) : mails.slice(-1).map((one) => ({ ...one, read })));
          await touch(box, edit, [thread.id], thread.touched);
        });
    }
  };
  const says = async ({ box, drafts }: Machine): Promise<[SharedThread[], SharedDraft[]]> => [await touchedThreads(box), await drafts.shared()];
  const hears = ({ box, drafts }: Machine, [threads, told]: [SharedThread[], SharedDraft[]]): Promise<void> =>
    box.edit(async (edit) => {
      for (const thread of threads) await applyThread(edit, thread);
      for (const draft of told) await drafts.hear(edit, draft);
    });
  for (let round = 0; round < 60; round++) {
    clock += below(3);
    await act(machines[below(3)]!);
    if (below(3) === 0) await hears(machines[below(3)]!, await says(machines[below(3)]!));
  }
  const last = async (): Promise<unknown[]> =>
    Promise.all(machines.map(async ({ box, drafts }) => {
      const threads = await box.threads(['a', 'b']);
      const mails = (await Promise.all(['a', 'b'].map((id) => box.mails(id)))).flat();
      return [threads.map(({ id, starred, folder, touched }) => [id, starred, folder, touched]), mails.map(({ id, read }) => [id, read]), (await drafts.shared()).filter(({ draft }) => draft).map(({ id, at, draft }) => [id, at, draft!.subject]).sort()];
    }));
  const all = await Promise.all(machines.map(says));
  for (const [at, machine] of machines.entries()) for (const step of [1, 2]) await hears(machine, all[(at + step) % 3]!);
  const [one, two, three] = await last();
  assert.deepEqual(two, one, `seed ${seed}`);
  assert.deepEqual(three, one, `seed ${seed}`);
});

test('what another machine said of a thread counts for a letter that comes later', async () => {
  const { box } = await openBox();
  const said: SharedThread = { id: 't', at: 50, readUntil: 10, starred: true, folder: 'archive', unread: 9 };
  await box.edit(async (edit) => {
    await remember(edit, [said]);
    await remember(edit, [{ ...said, id: 'u' }]);
  });
  await box.edit((edit) => remember(edit, [{ ...said, at: 40, starred: false }]));
  await box.edit(async (edit) => {
    assert.deepEqual([await heardOf(edit, 't', 10), (await heardOf(edit, 'u', 9))?.unread], [said, 9]);
    assert.deepEqual([await heardOf(edit, 't', 11), await heardOf(edit, 'v', 1)], [null, null]);
  });
});
