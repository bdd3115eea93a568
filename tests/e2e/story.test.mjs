// The main story, in every pairing of browsers: one shares a file, another gets it straight from the first, the first goes,
// a third gets it from the second.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds, until } from './lib/browser.mjs';
import { cidOf, hashOf, Scene, Visitor } from './lib/app.mjs';
import { startRelay } from './lib/relay.mjs';

const SIZE = 5_000_000;

for (const from of kinds) {
  for (const to of kinds) {
    test(`a file goes from ${from} to ${to}, and on to a third browser`, { timeout: 600_000 }, async (t) => {
      const scene = new Scene(t);
      const relay = await scene.add(startRelay());
      const file = scene.file('holiday film.bin', SIZE);

      const first = await scene.add(Visitor.arrive(from, relay));
      const link = await first.share(file);
      assert.ok(link.startsWith(relay.url), `the link ${link} leads to another host`);
      assert.match(link, /#\/f\/b[a-z2-7]{58}\?k=/, 'a CIDv1 in base32, and a key');

      const second = await scene.add(Visitor.arrive(to, relay, { hash: hashOf(link) }));
      await second.complete(link);
      assert.equal(await second.sha256(link), file.sha256);
      assert.equal(await second.text('file-name'), file.name);
      await second.see('file-save');
      const sender = await first.peerId();
      const seen = (await second.peers()).find((peer) => peer.peerId === sender);
      assert.equal(seen?.via, 'direct', `the second browser saw ${JSON.stringify(seen)}`);
      // The figures are brought up to date a few times a second.
      await until('the first browser to have sent the file', async () => (await first.node((gyre) => gyre.stats().up)) >= SIZE, { timeout: 10_000 });
      await second.allowUpload();
      first.quiet();
      await first.leave();

      const third = await scene.add(Visitor.arrive(from, relay, { hash: hashOf(link) }));
      await third.complete(link);
      assert.equal(await third.sha256(link), file.sha256);
      const giver = await second.peerId();
      assert.equal((await third.peers()).find((peer) => peer.peerId === giver)?.via, 'direct');
      assert.ok((await second.node((gyre, cid) => gyre.swarms().find((swarm) => swarm.cid === cid).up, cidOf(link))) > 0);
      second.quiet();
      third.quiet();
    });
  }
}

test('a public file keeps its plain BLAKE3 address and needs no key', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('open data.csv', 700_001);
  const first = await scene.add(Visitor.arrive('chromium', relay));
  const [link, again] = await first.node(async (gyre, size) => {
    const bytes = new Uint8Array(size).map((_, i) => i % 251);
    await gyre.setUpload(true);
    const share = await gyre.share(bytes, { name: 'open data.csv', type: 'text/csv', public: true });
    return [share.link, (await gyre.share(bytes, { name: 'open data.csv', type: 'text/csv', public: true })).link];
  }, file.size);
  assert.equal(cidOf(`${again}?`), cidOf(`${link}?`), 'the same bytes have the same address');
  const second = await scene.add(Visitor.arrive('chromium', relay));
  const right = await second.node(async (gyre, url, size) => {
    const bytes = new Uint8Array(await (await gyre.open(url)).arrayBuffer());
    return bytes.length === size && bytes.every((byte, i) => byte === i % 251);
  }, link, file.size);
  assert.equal(right, true);
  second.quiet();
});
