// The swarm of a file, as people watch it: the drawings and the table say what the node knows, in either browser; who wants
// no motion gets none; and nothing is asked of the node once nobody looks.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds, until, wait } from './lib/browser.mjs';
import { cidOf, Scene, Visitor } from './lib/app.mjs';
import { startRelay } from './lib/relay.mjs';

const SIZE = 30_000_000;
const CHUNKS = Math.ceil(SIZE / 262_144);
/** Bytes a second that each of the givers may send: slow enough to watch. */
const CAP = 700_000;

const other = (kind) => kinds.find((name) => name !== kind);

/** How each browser is told that a person wants no motion. */
const still = {
  chromium: { args: ['--force-prefers-reduced-motion'] },
  firefox: { preferences: { 'ui.prefersReducedMotion': 1 } },
};

/** Opens the view as a person does who has the address. */
async function watch(visitor, link) {
  await goTo(visitor, link);
  await visitor.see('chunk-map');
}

const goTo = (visitor, link) => visitor.page.evaluate((address) => { location.hash = address; }, `#/swarm/${cidOf(link)}`);

/** Starts to fetch, without going to the page of the file. */
const fetchIt = (visitor, link) => visitor.node((gyre, url) => void gyre.open(url).catch(() => {}), link);

/** The rows of the table: who, how linked, how much they have. */
const rows = (visitor) => visitor.page.$$eval('[data-testid="swarm-row"]', (found) => found.map((row) => ({
  peer: row.dataset.peer,
  via: row.dataset.via,
  has: Number.parseInt(row.querySelector('[data-testid="swarm-has"]').textContent, 10),
  text: row.textContent,
})));

/** Squares of the map that are wholly here. */
const storedCells = (visitor) => visitor.page.$$eval('[data-testid="chunk-map"] [data-state="stored"]', (cells) => cells.length);

/** Counts frames asked for and charts drawn from now on. */
const count = (visitor) => visitor.page.evaluate(() => {
  globalThis.counted = { frames: 0, charts: 0 };
  const ask = globalThis.requestAnimationFrame.bind(globalThis);
  globalThis.requestAnimationFrame = (callback) => {
    globalThis.counted.frames += 1;
    return ask(callback);
  };
  const chart = globalThis.gyre.chart.bind(globalThis.gyre);
  globalThis.gyre.chart = (link) => {
    globalThis.counted.charts += 1;
    return chart(link);
  };
});
const counted = (visitor) => visitor.page.evaluate(() => ({ ...globalThis.counted }));

for (const kind of kinds) {
  test(`in ${kind} the swarm of three is drawn and told, from the first chunk to the last`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const file = scene.file('watched.bin', SIZE);
    const seed = await scene.add(Visitor.arrive(other(kind), relay));
    const link = await seed.share(file);
    await seed.node((gyre, upRate) => gyre.setLimits({ upRate }), CAP);
    const third = await scene.add(Visitor.arrive('chromium', relay));
    await third.node((gyre) => gyre.setUpload(true));
    await third.node((gyre, upRate) => gyre.setLimits({ upRate }), CAP);
    await fetchIt(third, link);
    const me = await scene.add(Visitor.arrive(kind, relay));
    await me.node((gyre) => gyre.setUpload(true));
    const cid = cidOf(link);

    await goTo(me, link);
    assert.match(await me.text('swarm-absent'), /not held here/, 'what is not here is said not to be');
    await fetchIt(me, link);
    await me.see('chunk-map', 120_000);
    await until('the name', async () => /watched\.bin/.test(await me.text('swarm-name')));
    const ids = [await seed.peerId(), await third.peerId()].sort();
    const seen = await until('both peers in the table', async () => {
      const found = await rows(me);
      return found.length === 2 && found;
    }, { timeout: 120_000 });
    assert.deepEqual(seen.map(({ peer }) => peer).sort(), ids);
    const linked = new Map((await me.peers()).map(({ peerId, via }) => [peerId, via]));
    for (const { peer, via, text } of seen) {
      assert.equal(via, linked.get(peer), text);
      assert.match(text, { direct: /Direct/, relayed: /Via relay/ }[via], 'in words too');
    }
    const source = await seed.peerId();
    await until('the seed to be said to have all of it', async () => (await rows(me)).find(({ peer }) => peer === source)?.has === 100);

    // Cells and chunks are the same thing in a file of this size.
    await until('the map to say what the node says', async () => {
      const [cells, node] = await Promise.all([storedCells(me), me.swarm(link)]);
      return node.chunksHave > 10 && node.chunksHave < CHUNKS && Math.abs(cells - node.chunksHave) <= 6;
    }, { timeout: 120_000 });
    await count(me);
    await wait(3_000);
    const moving = await counted(me);
    assert.ok(moving.frames > 5, `light travels: ${moving.frames} frames in 3 s`);
    assert.ok(moving.charts >= 1 && moving.charts <= 7, `asked at most twice a second: ${moving.charts} times in 3 s`);

    // Each neighbour is reached with the keyboard, and tells about itself.
    const labels = await until('both neighbours in the drawing', async () => {
      const found = await me.page.$$eval('[data-testid="swarm-peer"]', (peers) => peers.map((peer) => {
        peer.focus();
        return [document.activeElement === peer, peer.getAttribute('aria-label')];
      }));
      return found.length === 2 && found;
    });
    for (const [focused, label] of labels) {
      assert.equal(focused, true);
      assert.match(label, /^Peer ….{8}, (Direct|Via relay, slow), has \d+ %, /);
    }
    await until('the map to show what that peer has', () => me.page.$eval('#map-title', (title) => /^What …/.test(title.textContent.trim())));
    await me.page.evaluate(() => document.activeElement.blur());

    for (const giver of [seed, third]) await giver.node((gyre) => gyre.setLimits({ upRate: null }));
    await me.complete(link);
    await until('the map to be full', async () => (await storedCells(me)) === CHUNKS, { timeout: 60_000 });
    assert.equal((await me.swarm(link)).chunksHave, CHUNKS);
    assert.match(await me.text('swarm-summary'), /^You hold all of it/);
    await third.complete(link);
    await until('the others to be said to have all of it too', async () => (await rows(me)).every(({ has }) => has === 100), { timeout: 60_000 });
    const chart = await me.node((gyre, address) => gyre.chart(address).then(({ bringers, chunks }) => ({ bringers, chunks })), cid);
    assert.equal(chart.bringers.reduce((sum, { chunks }) => sum + chunks, 0), CHUNKS, 'each chunk was brought by somebody');
    assert.ok(chart.bringers.every(({ peerId }) => ids.includes(peerId)));
    const status = await me.page.$eval('[data-testid="swarm-status"]', (element) => element.textContent);
    assert.match(status, /You hold all of it|You have \d+ %/);

    // Nothing is asked once the view is left.
    await me.page.evaluate(() => { location.hash = '#/'; });
    await me.see('held-item');
    await count(me);
    await wait(2_000);
    const left = await counted(me);
    assert.deepEqual(left, { frames: 0, charts: 0 });
    me.quiet();
    seed.quiet();
    third.quiet();
  });

  test(`in ${kind} who wants no motion sees the same without any`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const file = scene.file('at rest.bin', SIZE);
    const seed = await scene.add(Visitor.arrive('chromium', relay));
    const link = await seed.share(file);
    await seed.node((gyre, upRate) => gyre.setLimits({ upRate }), CAP);
    const me = await scene.add(Visitor.arrive(kind, relay, still[kind]));
    assert.equal(await me.page.evaluate(() => matchMedia('(prefers-reduced-motion: reduce)').matches), true);
    await fetchIt(me, link);
    await until('the size', async () => (await me.swarm(link))?.chunks > 0);
    await watch(me, link);
    await until('the seed in the table', async () => (await rows(me)).length === 1);
    await count(me);
    const before = await storedCells(me);
    await until('more chunks on the map', async () => (await storedCells(me)) > before + 3, { timeout: 120_000 });
    const { frames, charts } = await counted(me);
    assert.equal(frames, 0, 'no frame is asked for');
    assert.ok(charts > 0, 'and yet it is brought up to date');
    // What the style sheet cuts to nothing may be there for a moment, but nothing goes on.
    const running = await me.page.evaluate(() => document.getAnimations().filter(({ playState, effect }) =>
      playState === 'running' && effect.getComputedTiming().endTime > 50).length);
    assert.equal(running, 0);
    me.quiet();
  });
}

test('a tab that follows another shows the same swarm', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('in two tabs.bin', 2_000_000);
  const away = await scene.add(Visitor.arrive('chromium', relay));
  const link = await away.share(file);
  const first = await scene.add(Visitor.arrive('chromium', relay));
  await fetchIt(first, link);
  await first.complete(link);
  const page = await first.browser.page(relay.url);
  const second = Object.assign(new Visitor(), { kind: 'chromium', relay, browser: first.browser, page });
  await second.joined();
  await watch(second, link);
  assert.equal(await second.node((gyre) => gyre.runsHere), false);
  await until('the map to be full', async () => (await storedCells(second)) === 8, { timeout: 30_000 });
  const [seed] = await until('the seed in the table', async () => {
    const found = await rows(second);
    return found.length === 1 && found;
  });
  assert.equal(seed.peer, await away.peerId());
  second.quiet();
});
