import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kept } from '../app/lib/kept.js';
import type { KnownSite } from '../app/lib/known-sites.js';
import { MySites, type MySite } from '../app/lib/my-sites.js';
import { readPetname, shortAddress, siteLabel, petnames } from '../app/lib/petnames.js';
import { MAX_SHOWN, startSites } from '../app/lib/start-sites.js';

class MemoryStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);
}

const site = (number: number, change: Partial<MySite> = {}): MySite => ({
  site: number, name: `k51-${number}`, title: `Site ${number}`, cid: `cid-${number}`, sequence: 0, files: 1, bytes: 2, time: 3, confirmed: false, fallback: null, earlier: [], ...change,
});

test('a list keeps what was set last, to its bound, and reads only what it knows', () => {
  const storage = new MemoryStorage();
  const read = (value: unknown): number | null => (typeof value === 'number' ? value : null);
  const list = new Kept('k', read, 3, storage);
  let changes = 0;
  list.addEventListener('change', () => (changes += 1));
  for (const [at, id] of ['a', 'b', 'c', 'a', 'd'].entries()) list.set(id, at);
  assert.deepEqual(list.all(), [['d', 4], ['a', 3], ['c', 2]]);
  assert.equal(changes, 5);
  assert.deepEqual(new Kept('k', read, 3, storage).all(), list.all());
  list.set('a', null);
  assert.equal(list.get('a'), undefined);
  for (const broken of ['{', '{}', '[["x","no number"],["y"],7,["z",1]]']) {
    storage.setItem('k', broken);
    assert.equal(new Kept('k', read, 3, storage).all().length, broken.includes('z') ? 1 : 0);
  }
  const none = new Kept('k', read, 3, null);
  none.set('a', 1);
  none.set('b', 2);
  assert.deepEqual(none.all(), [['b', 2], ['a', 1]], 'for this visit');
  assert.deepEqual(new Kept('k', read, 3, null).all(), []);
});

test('petnames are plain words of a person', () => {
  assert.equal(readPetname('  Ada’s \u202e birds\n '), 'Ada’s birds');
  assert.equal(readPetname(' \u0000 '), null);
  assert.equal([...(readPetname('🦉'.repeat(100)) ?? '')].length, 60);
  const address = `k51${'q'.repeat(59)}`;
  assert.equal(shortAddress(address), 'k51qqqqqqq…qqqqqq');
  assert.equal(siteLabel(address, ''), shortAddress(address));
  assert.equal(siteLabel(address, 'Birds'), 'Birds');
  assert.equal(petnames.get(address), undefined);
});

test('own sites belong to keys, and other keys start anew', () => {
  const sites = new MySites(new MemoryStorage());
  sites.belongTo('me', true);
  assert.equal(sites.isWhole('me'), true);
  sites.put(site(0));
  sites.put(site(4));
  assert.equal(sites.next, 5);
  assert.deepEqual(sites.all().map(({ site: number }) => number), [0, 4]);
  assert.equal(sites.named('k51-4')?.title, 'Site 4');
  sites.confirm('cid-4');
  assert.deepEqual(sites.all().map(({ confirmed }) => confirmed), [false, true]);
  sites.belongTo('me', false);
  assert.equal(sites.isWhole('me'), true, 'the same keys again');
  sites.belongTo('somebody else', false);
  assert.deepEqual([sites.all(), sites.isWhole('somebody else'), sites.next], [[], false, 0]);
});

test('sites of restored keys are found by their numbers, over short gaps', async () => {
  const sites = new MySites(new MemoryStorage());
  const there = new Map([0, 1, 6].map((number) => [number, site(number, { sequence: 5 })]));
  const asked: number[] = [];
  const finder = {
    name: async (number: number): Promise<string> => `k51-${number}`,
    find: async (_name: string, number: number): Promise<MySite | null> => (asked.push(number), there.get(number) ?? null),
  };
  assert.equal(await sites.discover(finder), 3);
  assert.deepEqual(sites.all().map(({ site: number }) => number), [0, 1, 6]);
  assert.deepEqual(asked, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.equal(sites.isWhole('k51-0'), true);
  sites.put(site(1, { sequence: 9, title: 'Newer here' }));
  assert.equal(await sites.discover(finder), 0);
  assert.equal(sites.get(1)?.title, 'Newer here', 'what is newer here stays');

  const offline = new MySites(new MemoryStorage());
  await assert.rejects(offline.discover({ ...finder, find: () => Promise.reject(new Error('offline')) }), /offline/);
  assert.equal(offline.isWhole('k51-0'), false);
});

test('the start page shows some sites of every kind, and none takes the room of another', () => {
  const mine = (count: number): MySite[] => Array.from({ length: count }, (_, number) => site(number, { time: number, confirmed: number !== 2 }));
  const known = (pinned: boolean, count: number): KnownSite[] => Array.from({ length: count }, (_, n) => ({ address: `${pinned ? 'kept' : 'seen'}-${n}`, cid: `${n}`, title: 't', pinned }));
  const shown = (...lists: Parameters<typeof startSites>): string[] => startSites(...lists).map(({ address, alone }) => `${address}${alone ? '!' : ''}`);
  assert.deepEqual(shown([], []), []);
  assert.deepEqual(shown(mine(3), []), ['k51-2!', 'k51-1', 'k51-0'], 'the last published first');
  assert.deepEqual(shown(mine(9), [...known(false, 9), ...known(true, 1)]), ['k51-8', 'k51-7', 'k51-6', 'kept-0', 'seen-0', 'seen-1']);
  assert.deepEqual(shown(mine(1), known(false, 9)), ['k51-0', 'seen-0', 'seen-1', 'seen-2', 'seen-3', 'seen-4']);
  assert.deepEqual(shown([], known(true, 9)).length, MAX_SHOWN);
});
