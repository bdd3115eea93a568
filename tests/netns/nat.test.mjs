// Browsers behind NATs, as people's are: which pairs link directly, and what the others get.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf } from '../e2e/lib/app.mjs';
import { until } from '../e2e/lib/browser.mjs';
import { obstacle } from './lib/net.mjs';
import { NetScene } from './lib/scene.mjs';

const skip = obstacle() ?? false;
const MIB = 1024 * 1024;

/** Makes one share a file that the other fetches, and resolves with both and the link. */
async function pass(scene, from, to, size) {
  const file = scene.file('a.bin', size);
  const giver = await scene.visitor(from);
  const link = await giver.share(file);
  const taker = await scene.visitor(to, { hash: hashOf(link) });
  return { file, giver, taker, link };
}

async function received({ file, taker, link }) {
  await taker.complete(link);
  assert.equal(await taker.sha256(link), file.sha256);
}

/** How the taker is linked to the giver. */
async function via({ giver, taker }) {
  const id = await giver.peerId();
  return (await taker.peers()).find((peer) => peer.peerId === id)?.via;
}

for (const kind of ['port', 'address']) {
  test(`two browsers behind NATs that keep the port and filter by ${kind} link directly`, { skip }, async (t) => {
    const scene = new NetScene(t);
    await scene.relay();
    const homes = [scene.internet.home(kind), scene.internet.home(kind)];
    const pair = await pass(scene, scene.internet.machine(homes[0]), scene.internet.machine(homes[1]), 3 * MIB);
    await received(pair);
    assert.equal(await via(pair), 'direct');
    for (const home of homes) assert.ok(home.media() > 3 * MIB, `the NAT passed ${home.media()} bytes only`);
  });
}

test('two browsers in one home never leave it', { skip }, async (t) => {
  const scene = new NetScene(t);
  await scene.relay();
  const home = scene.internet.home('port');
  const pair = await pass(scene, scene.internet.machine(home), scene.internet.machine(home), 3 * MIB);
  await received(pair);
  assert.equal(await via(pair), 'direct');
  assert.ok(home.media() < 64 * 1024, `${home.media()} bytes passed the NAT`);
});

test('two browsers behind symmetric NATs get a small file through the relay, and the page says so', { skip }, async (t) => {
  const scene = new NetScene(t);
  await scene.relay();
  const homes = [scene.internet.home('symmetric'), scene.internet.home('symmetric')];
  const pair = await pass(scene, scene.internet.machine(homes[0]), scene.internet.machine(homes[1]), 700_000);
  await received(pair);
  const id = await pair.giver.peerId();
  const peer = (await pair.taker.peers()).find(({ peerId }) => peerId === id);
  assert.equal(peer.via, 'relayed');
  assert.match(peer.detail, /through the relay, slow/);
  assert.match(await bodyText(pair.taker), /Through the relay, slow/);
  for (const home of homes) assert.ok(home.media() < 64 * 1024, `${home.media()} bytes passed a NAT directly`);
});

test('a symmetric NAT and one that filters by address link directly', { skip }, async (t) => {
  const scene = new NetScene(t);
  await scene.relay();
  const homes = ['symmetric', 'address'].map((kind) => scene.internet.home(kind));
  const pair = await pass(scene, scene.internet.machine(homes[0]), scene.internet.machine(homes[1]), MIB);
  await received(pair);
  assert.equal(await via(pair), 'direct');
});

test('a transfer goes on when a browser moves to another network', { skip }, async (t) => {
  const scene = new NetScene(t);
  await scene.relay();
  const homes = ['port', 'port', 'port'].map((kind) => scene.internet.home(kind));
  // Slow enough that the move comes in the middle.
  homes[0].limit('8mbit');
  const machine = scene.internet.machine(homes[1]);
  const pair = await pass(scene, scene.internet.machine(homes[0]), machine, 12 * MIB);
  await until('the first megabytes', async () => (await pair.taker.swarm(pair.link))?.have > 2 * MIB);
  machine.join(homes[2]);
  const [before, moved] = [(await pair.taker.swarm(pair.link)).have, performance.now()];
  assert.ok(before < 10 * MIB, 'it was still going on');
  await until('more after the move', async () => (await pair.taker.swarm(pair.link)).have > before + MIB, { timeout: 90_000 });
  t.diagnostic(`went on ${((performance.now() - moved) / 1000).toFixed(1)} s after the move`);
  await received(pair);
  assert.equal(await via(pair), 'direct');
  assert.ok(homes[2].media() > MIB, 'it went on in the new network');
});

/** All text of the page, shadow roots included. */
function bodyText(visitor) {
  return visitor.page.evaluate(() => {
    const text = (node) => (node.shadowRoot ? text(node.shadowRoot) : '') + [...node.childNodes].map((child) => (child.nodeType === Node.TEXT_NODE ? child.data : text(child))).join(' ');
    return text(document.body).replace(/\s+/g, ' ');
  });
}
