import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kept } from '../app/lib/kept.js';
import { MySites, type MySite } from '../app/lib/my-sites.js';
import { readPetname, shortAddress, siteLabel, petnames } from '../app/lib/petnames.js';

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
