import assert from 'node:assert/strict';
import { test } from 'node:test';
import 'fake-indexeddb/auto';
import { openDB } from 'idb';
import { Box } from '../sdk/mail/box.js';
import { blocksFor, entries, inBlocks, matching, type Part, type Postings } from '../sdk/mail/postings.js';
import type { StoredMail } from '../sdk/mail/records.js';
import { Search } from '../sdk/mail/search.js';
import { Seal } from '../sdk/mail/seal.js';
import { asked, mayBegin, weighed } from '../sdk/mail/words.js';

const SECRET = new Uint8Array(32).fill(9);
let boxes = 0;

/** Numbers that follow from a seed (mulberry32). */
function numbers(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function mail(id: string, change: Partial<StoredMail> = {}): StoredMail {
  const from = { id: null, name: 'Ada', address: 'ada@example.org' };
  return {
    id, thread: id, time: 1_000, from, to: [], subject: '', text: '', html: null, attachments: [], own: false, read: true, status: [],
    verified: 'device', messageId: null, pending: null, ...change,
  };
}

const keep = (): void => undefined;

async function opened(database = `search-${(boxes += 1)}`): Promise<{ box: Box; search: Search; database: string; read: () => number; more: () => number }> {
  const box = await Box.open(database, await Seal.of(SECRET));
  let read = 0;
  const arrived = box.arrived.bind(box);
  box.arrived = async (after, limit) => {
    const mails = await arrived(after, limit);
    read += mails.length;
    return mails;
  };
  let more = 0;
  return { box, search: new Search(box, () => (more += 1)), database, read: () => read, more: () => more };
}

async function put(box: Box, mails: readonly StoredMail[]): Promise<void> {
  for (let at = 0; at < mails.length; at += 100) {
    await box.edit(async (edit) => {
      for (const one of mails.slice(at, at + 100)) await edit.add(one, null, keep);
    });
  }
}

async function found(search: Search, query: string): Promise<string[]> {
  for (;;) {
    const { threads, complete } = await search.find(query, 10_000);
    if (complete) return threads.sort();
    await search.settled();
  }
}

/** What is to be found, from the mails themselves. */
function having(mails: Iterable<StoredMail>, query: string): string[] {
  const words = asked(query);
  const all = [...mails].filter((one) => {
    const has = [...weighed(one).keys()];
    return words.every((word) => has.some((other) => (mayBegin(word) ? other.startsWith(word) : other === word)));
  });
  return [...new Set(all.map(({ thread }) => thread))].sort();
}

test('words are found whatever their script, case and accents, and addresses as one', () => {
  const words = (text: string): string[] => [...weighed(mail('m', { text, from: { id: null, name: '', address: null } })).keys()].sort();
  assert.deepEqual(words('Crème brûlée, İstanbul; 東京'), ['brulee', 'creme', 'istanbul', '東京']);
  assert.deepEqual(words('To a.b@example.org!'), ['a', 'a.b@example.org!', 'b', 'example', 'org', 'to']);
  assert.deepEqual(asked('CRÈME  a.b@example.org creme'), ['creme', 'a.b@example.org']);
  assert.deepEqual(asked(' … '), []);
  const [subject, text] = [weighed(mail('m', { subject: 'plan' })).get('plan')!, weighed(mail('m', { text: 'plan' })).get('plan')!];
  assert.ok(subject > text && text >= 1 && subject <= 255, `${subject} and ${text}`);
});

test('an address finds the mails that have it, not those that have its words', async () => {
  const { box, search } = await opened();
  const from = (name: string, address: string | null) => ({ from: { id: null, name, address } });
  await put(box, [
    mail('a', from('Ada', 'ada@mail.example.org')),
    mail('b', from('Bob', 'bob@mail.example.org')),
    mail('c', { ...from('Bob', null), text: 'Ask ada about mail at example org.' }),
    mail('d', { ...from('Bob', null), text: 'Her address is <ada@mail.example.org>, I think.' }),
  ]);
  const wanted = { 'ada@mail.example.org': ['a', 'd'], 'bob@mail': ['b'], 'address ada@mail.example.org': ['d'], 'example org': ['a', 'b', 'c', 'd'], ada: ['a', 'c', 'd'] };
  for (const [query, threads] of Object.entries(wanted)) assert.deepEqual(await found(search, query), threads, query);
  search.stop();
});

test('what is found first has the word itself, in its subject, and few others do', async () => {
  const { box, search } = await opened();
  const filler = Array.from({ length: 40 }, (_, at) => mail(`f${at}`, { text: 'planning of usual things' }));
  await put(box, [...filler, mail('text', { text: `${'word '.repeat(200)} plan` }), mail('subject', { subject: 'The plan' }), mail('rare', { subject: 'plan', text: 'zebra' })]);
  await search.settled();
  assert.deepEqual((await search.find('plan', 3)).threads.sort(), ['rare', 'subject', 'text']);
  assert.equal((await search.find('plan', 3)).threads.at(-1), 'text');
  assert.deepEqual((await search.find('plan zebra', 3)).threads, ['rare']);
  search.stop();
});

test('blocks hold what was put into them, and name where a word can be', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const below = numbers(seed);
    const postings: Postings = new Map();
    for (let count = 1 + below(900); count > 0; count--) {
      const word = Array.from({ length: 1 + below(4) }, () => 'abcd\u00df\u6771'[below(6)]).join('');
      let arrival = 0;
      postings.set(word, Array.from({ length: 1 + below(60) }, () => [(arrival += 1 + below(50)), 1 + below(255)]).flat());
    }
    const written = [...inBlocks(postings)].map(({ first, value }, row) => ({ first, row, value: JSON.parse(JSON.stringify(value)) as typeof value }));
    assert.deepEqual(new Map(written.flatMap(({ value }) => [...entries(value)])), new Map([...postings].sort(([a], [b]) => (a < b ? -1 : 1))), `seed ${seed}`);
    const part: Part = { after: 0, to: 9_999, mails: 60, blocks: written };
    for (const word of [...postings.keys()].flatMap((one) => [one, one.slice(0, 1), `${one}a`, 'zz', '0'])) {
      for (const beginning of [true, false]) {
        const there = blocksFor(part, word, beginning).flatMap(({ row }) => matching(written[row]!.value, word, beginning));
        const wanted = [...postings].filter(([other]) => (beginning ? other.startsWith(word) : other === word));
        assert.deepEqual(new Map(there), new Map(wanted), `seed ${seed}, ${word}`);
        assert.equal(there.length, wanted.length);
      }
    }
  }
});

test('a search finds what the mails have, while mails come, change, go, and visits end', async () => {
  for (const seed of [1, 2, 3]) {
    const below = numbers(seed);
    const word = (): string => Array.from({ length: 1 + below(5) }, () => 'aeiours'[below(7)]).join('');
    const text = (count: number): string => Array.from({ length: count }, word).join(' ');
    const { database, ...first } = await opened();
    let { box, search } = first;
    const mails = new Map<string, StoredMail>();
    for (let round = 0; round < 12; round++) {
      const fresh = Array.from({ length: below(round === 3 ? 700 : 90) }, (_, at) => {
        const id = `${seed}-${round}-${at}`;
        const thread = below(3) === 0 && mails.size > 0 ? [...mails.values()][below(mails.size)]!.thread : id;
        return mail(id, { thread, subject: text(3), text: text(20), pending: below(20) === 0 ? { hash: '', key: '', size: 1, name: '', type: '' } : null });
      });
      await put(box, fresh);
      for (const one of fresh) mails.set(one.id, one);
      search.note();
      if (below(2) === 0) await search.settled();
      // A long body has come.
      for (const one of [...mails.values()].filter(({ pending }) => pending !== null && below(2) === 0)) {
        const whole = { ...one, pending: null, text: text(40) };
        await box.edit((edit) => edit.complete(whole, new Uint8Array()));
        mails.set(one.id, whole);
        search.note();
      }
      if (round % 3 === 1) {
        const gone = [...mails.values()].filter(() => below(4) === 0);
        await box.edit((edit) => edit.remove(gone));
        for (const { id } of gone) mails.delete(id);
        search.forget();
      }
      for (let question = 0; question < 6; question++) {
        const query = text(1 + below(2));
        assert.deepEqual(await found(search, query), having(mails.values(), query), `seed ${seed}, round ${round}, ${query}`);
      }
      if (below(3) > 0) continue;
      search.stop();
      box.close();
      ({ box, search } = await opened(database));
    }
    search.stop();
    box.close();
  }
});

test('a visit begins with what the one before has written', async () => {
  const { box, search, database } = await opened();
  await put(box, Array.from({ length: 700 }, (_, at) => mail(`m${at}`, { text: `common number${at}` })));
  await search.settled();
  assert.equal((await found(search, 'common')).length, 700);
  search.stop();
  box.close();
  const again = await opened(database);
  await put(again.box, [mail('late', { text: 'common late' })]);
  assert.deepEqual(await found(again.search, 'number699'), ['m699']);
  assert.equal((await found(again.search, 'common')).length, 701);
  assert.ok(again.read() < 64, `${again.read()} mails were read again`);
});

test('whoever searches while many mails are taken in is told that there may be more, and then of more', async () => {
  const { box, search, more } = await opened();
  await put(box, Array.from({ length: 1_500 }, (_, at) => mail(`m${at}`, { text: `common ${Array.from({ length: 60 }, (_, n) => `w${at}x${n}`).join(' ')}` })));
  const early = await search.find('common', 10_000);
  assert.equal(early.complete, false);
  assert.ok(early.threads.length < 1_500);
  await search.settled();
  assert.ok(more() >= 1);
  const late = await search.find('common', 10_000);
  assert.deepEqual([late.threads.length, late.complete], [1_500, true]);
  search.stop();
});

test('the words of a deleted mail leave the disk, and none lies there in clear', async () => {
  const { box, search, database } = await opened();
  await put(box, Array.from({ length: 200 }, (_, at) => mail(`m${at}`, { text: at === 77 ? 'xylophone' : `ordinary ${at}` })));
  await search.settled();
  const rows = async (): Promise<unknown[]> => Promise.all((await box.keys('words')).map((key) => box.value(key)));
  assert.match(JSON.stringify(await rows()), /xylophone/);
  const db = await openDB(`${database}-mail-${(await Seal.of(SECRET)).fingerprint}`);
  for (const value of (await db.getAll('values')) as Uint8Array[]) assert.doesNotMatch(Buffer.from(value).toString('latin1'), /xylophone|ordinary/);
  db.close();
  await box.edit((edit) => edit.remove([mail('m77')]));
  search.forget();
  await search.settled();
  assert.doesNotMatch(JSON.stringify(await rows()), /xylophone/);
  assert.equal((await found(search, 'ordinary')).length, 199);
  search.stop();
});

test('an index that is damaged, or of another version, is made anew', async () => {
  const damages: ((box: Box, database: string) => Promise<unknown>)[] = [
    (box) => box.edit((edit) => edit.set('words', { version: 0 })),
    (box) => box.edit((edit) => edit.set('words 1', null)),
    async (_, database) => {
      const db = await openDB(`${database}-mail-${(await Seal.of(SECRET)).fingerprint}`);
      const sealed = (await db.get('values', 'words 1')) as Uint8Array;
      sealed[sealed.length - 1]! ^= 1;
      await db.put('values', sealed, 'words 1');
      db.close();
    },
  ];
  for (const damage of damages) {
    const { box, search, database } = await opened();
    await put(box, Array.from({ length: 100 }, (_, at) => mail(`m${at}`, { text: `ordinary ${at}` })));
    await search.settled();
    search.stop();
    await damage(box, database);
    box.close();
    const again = await opened(database);
    assert.equal((await found(again.search, 'ordinary')).length, 100);
    again.search.stop();
  }
});

test('the number of threads of a list is kept, also of mailboxes that did not keep it', async () => {
  const below = numbers(5);
  const { box, database } = await opened();
  const check = async (): Promise<void> => {
    for (const list of ['inbox', 'sent', 'archive', 'trash', 'requests'] as const) {
      const threads = (await box.list(list, undefined, 500)).threads.length;
      assert.equal(await box.count(list), threads, list);
    }
  };
  for (let round = 0; round < 40; round++) {
    await box.edit(async (edit) => {
      for (let count = below(5); count > 0; count--) {
        const id = `m${below(60)}`;
        const [at] = await edit.mails(id);
        const what = below(5);
        const thread = await edit.thread(id);
        if (!at) await edit.add(mail(id, { own: below(3) === 0, read: below(2) === 0 }), null, (made) => (made.request = below(4) === 0));
        else if (what === 0) await edit.remove([at]);
        else if (what === 1 && thread) thread.folder = 'trash';
        else if (what === 2 && thread) thread.folder = 'archive';
        else if (what === 3 && thread) thread.folder = 'inbox';
        else await edit.change([{ ...at, read: !at.read }]);
      }
    });
    if (round % 3 === 0) await check();
  }
  await check();
  await assert.rejects(box.edit(async (edit) => {
    await edit.add(mail('never'), null, keep);
    throw new Error('given up');
  }));
  await check();
  // As it was before there were counts.
  const unread = await box.count('unread');
  const name = `${database}-mail-${(await Seal.of(SECRET)).fingerprint}`;
  const db = await openDB(name);
  await db.clear('counts');
  db.close();
  assert.equal(await box.count('unread'), unread);
  await check();
  box.close();
});

test('the number of an arrival is not given twice', async () => {
  const { box } = await opened();
  await put(box, [mail('a'), mail('b')]);
  const [, last] = await box.arrived(0, 9);
  await box.edit((edit) => edit.remove([mail('b')]));
  await put(box, [mail('c')]);
  assert.deepEqual((await box.arrived(last!.arrival, 9)).map(({ mail: { id } }) => id), ['c']);
});
