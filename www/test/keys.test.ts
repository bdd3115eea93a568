import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stretch } from '../sdk/argon2.js';
import { GyreError } from '../sdk/errors.js';
import { Keys, type KeyEdges, type PassphraseLock } from '../sdk/keys.js';
import { LocalNode } from '../sdk/node.js';
import { SiteNode } from './fake-sites.js';

function keysOf(edges: Partial<KeyEdges> = {}): { node: SiteNode; keys: Keys; stretched: string[] } {
  const node = new SiteNode();
  const local = new LocalNode(node.asWasm());
  const stretched: string[] = [];
  const all: KeyEdges = {
    words: async () => 'the list',
    stretch: async (passphrase, { memory, passes, lanes, salt }) => {
      stretched.push(`${memory} ${passes} ${lanes} ${salt.byteLength}`);
      return new TextEncoder().encode(passphrase);
    },
    makePasskey: async (salt) => salt.slice(0, 3),
    askPasskey: async (salt) => salt.slice(0, 3),
    ...edges,
  };
  return { node, keys: new Keys(() => local, all), stretched };
}

test('a passphrase locks and unlocks, and costs what is recommended', async () => {
  const { node, keys, stretched } = keysOf();
  await assert.rejects(keys.unlock('x'), { code: 'NO_KEYS' });
  await keys.create();
  await assert.rejects(keys.create(), { code: 'KEYS_EXIST' });
  await assert.rejects(keys.setPassphrase(''), { code: 'BAD_OPTIONS' });
  await keys.setPassphrase('secret');
  assert.deepEqual(stretched, ['65536 3 4 16']);
  await keys.lock();
  assert.equal((await keys.state()).state, 'locked');
  await assert.rejects(keys.unlock('wrong'), { code: 'WRONG_PASSPHRASE' });
  await assert.rejects(keys.siteName(0), { code: 'LOCKED' });
  await keys.unlock('secret');
  assert.match(await keys.siteName(0), /^k51/);
  for (const number of [-1, 1.5, 2 ** 32]) await assert.rejects(keys.siteName(number), { code: 'BAD_OPTIONS' });
  await keys.setPassphrase('another');
  await keys.setPassphrase(null);
  assert.deepEqual(node.calls.filter((call) => call.startsWith('lock')), ['lock passphrase false', 'lock passphrase false', 'lock none false']);
});

test('a passkey stands beside a passphrase', async () => {
  const { node, keys } = keysOf();
  await assert.rejects(keys.addPasskey(), { code: 'NO_KEYS' });
  await keys.create();
  await keys.addPasskey();
  await keys.lock();
  await assert.rejects(keys.addPasskey(), { code: 'LOCKED' });
  await assert.rejects(keys.unlock('none was set'), { code: 'WRONG_PASSPHRASE' });
  await keys.unlockWithPasskey();
  await keys.setPassphrase('secret');
  await keys.addPasskey();
  assert.deepEqual(node.calls.filter((call) => call.startsWith('lock')), ['lock external false', 'lock passphrase true', 'lock external true']);
  const none = keysOf({ askPasskey: async () => Promise.reject(new GyreError('UNSUPPORTED', 'none')) });
  none.node.locks = [{ kind: 'external', salt: new Uint8Array(16) }];
  await assert.rejects(none.keys.unlockWithPasskey(), { code: 'UNSUPPORTED' });
});

test('words and files carry the keys', async () => {
  const { node, keys, stretched } = keysOf();
  await keys.create();
  assert.equal(await keys.phrase(), 'words of the list');
  await keys.restore('abandon zoo');
  const file = await keys.export('secret');
  await keys.import(file, 'secret');
  assert.deepEqual(node.calls, ['restore the list abandon zoo', `import 1,2,3 ${new TextEncoder().encode('secret')}`]);
  const lock = node.locks[0] as PassphraseLock;
  const before = stretched.length;
  for (const greedy of [{ memory: 1 << 20 }, { passes: 99 }, { lanes: 17 }, { passes: 0 }, { memory: 8 }]) {
    node.locks = [{ ...lock, ...greedy }];
    await assert.rejects(keys.import(file, 'secret'), { code: 'BAD_KEY_FILE' });
  }
  assert.equal(stretched.length, before, 'a file that asks for too much is refused before any work');
});

test('argon2id is that of the node', async () => {
  // src/proto/keys/passphrase.rs holds the same vector against the crate that the node uses natively.
  const key = await stretch('a passphräse', { kind: 'passphrase', salt: new Uint8Array(16).fill(1), memory: 64, passes: 3, lanes: 4 });
  assert.equal(Buffer.from(key).toString('hex'), 'cf6de170aee24016fa3f6354e3c904de5de5e00e749b0b87719e0456f343783a');
});
