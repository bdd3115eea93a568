import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchBootstrap } from '../sdk/bootstrap.js';
import { RelayMemory, type TextStorage } from '../sdk/memory.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const SOURCE = 'https://relay.example/bootstrap.json';
const SAID = { relays: ['/dns4/a/tcp/1/ws'], stun: ['stun:a:1'] };
const NOTHING = { relays: [], stun: [] };

/** A `localStorage` of one entry. */
function storageOf(text: string | null = null): TextStorage & { text: string | null } {
  return {
    text,
    getItem() {
      return this.text;
    },
    setItem(_key, value) {
      this.text = value;
    },
  };
}

const answering = (body: unknown): typeof fetch => () => Promise.resolve(new Response(JSON.stringify(body)));
const failing: typeof fetch = () => Promise.reject(new TypeError('no network'));
const silent: typeof fetch = (_, init) =>
  new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('cut'))));

test('a source that answered once need not answer again to join', async () => {
  const storage = storageOf();
  const memory = (): RelayMemory => new RelayMemory(storage);
  assert.deepEqual(await fetchBootstrap([SOURCE], { fetch: answering(SAID), memory: memory() }), SAID);
  assert.deepEqual(await fetchBootstrap([SOURCE], { fetch: failing, memory: memory() }), SAID);
  assert.deepEqual(await fetchBootstrap([SOURCE], { fetch: silent, memory: memory(), timeout: 20 }), SAID);
  assert.deepEqual(await fetchBootstrap([new URL(SOURCE)], { fetch: answering({ relays: [] }), memory: memory() }), SAID);
  await assert.rejects(fetchBootstrap(['https://other.example/'], { fetch: failing, memory: memory() }), {
    code: 'NO_RELAY',
  });
});

test('what a source says now wins over what it said before', async () => {
  const storage = storageOf();
  const memory = new RelayMemory(storage);
  memory.remember(SOURCE, SAID);
  const fresh = { relays: ['/dns4/b/tcp/1/ws'], stun: [] };
  assert.deepEqual(await fetchBootstrap([SOURCE], { fetch: answering(fresh), memory }), fresh);
  assert.deepEqual(memory.recall([SOURCE]), fresh);
  memory.remember(SOURCE, NOTHING);
  assert.deepEqual(memory.recall([SOURCE]), fresh, 'an empty list teaches nothing');
});

test('a list that nobody confirmed for a month is forgotten, and so is one from the future', () => {
  const storage = storageOf();
  const at = 1_700_000_000_000;
  new RelayMemory(storage, () => at).remember(SOURCE, SAID);
  const recall = (now: number): unknown => new RelayMemory(storage, () => now).recall([SOURCE]);
  assert.deepEqual(recall(at + 29 * DAY_MS), SAID);
  assert.deepEqual(recall(at + 31 * DAY_MS), NOTHING);
  assert.deepEqual(recall(at - 1), NOTHING);
});

test('what is remembered is bounded: the oldest sources and surplus addresses go', () => {
  const storage = storageOf();
  let now = 0;
  const memory = new RelayMemory(storage, () => now);
  const many = Array.from({ length: 100 }, (_, i) => `/dns4/${i}/tcp/1/ws`);
  for (now = 1; now <= 40; now += 1) memory.remember(`https://${now}.example/`, { relays: many, stun: [] });
  assert.deepEqual(memory.recall(['https://1.example/']), NOTHING);
  assert.equal(memory.recall(['https://40.example/']).relays.length, 16);
  assert.equal((JSON.parse(storage.text ?? '') as unknown[]).length, 16);
});

test('whatever stands in the storage, nothing but addresses comes out', () => {
  const now = 1_700_000_000_000;
  const entry = { source: SOURCE, at: now, ...SAID };
  const broken = ['', '{', 'null', '5', '"x"', '{}', '[null, 5, "x", []]', '[{}]'];
  const odd: unknown[] = [
    [{ ...entry, at: 'now' }],
    [{ ...entry, at: null }],
    [{ ...entry, source: 5 }],
    [{ ...entry, relays: 'no', stun: { a: 1 } }],
    [{ ...entry, relays: ['javascript:alert(1)', 7, null, `/${'x'.repeat(5_000)}`], stun: [[]] }],
  ];
  for (const text of [...broken, ...odd.map((value) => JSON.stringify(value))]) {
    assert.deepEqual(new RelayMemory(storageOf(text), () => now).recall([SOURCE]), NOTHING, text);
  }
});

test('a storage that is missing, full or forbidden costs nothing but the memory', () => {
  const forbidden: TextStorage = {
    getItem: () => {
      throw new DOMException('no', 'SecurityError');
    },
    setItem: () => {
      throw new DOMException('no', 'QuotaExceededError');
    },
  };
  for (const storage of [null, forbidden]) {
    const memory = new RelayMemory(storage);
    memory.remember(SOURCE, SAID);
    assert.deepEqual(memory.recall([SOURCE]), NOTHING);
  }
});
