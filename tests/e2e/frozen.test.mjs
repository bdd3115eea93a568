// A tab in the background that the browser freezes in the middle of a transfer, and wakes again.
//
// FROZEN_SECONDS says for how long; browsers freeze tabs after five minutes (FROZEN_SECONDS=300).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf, Scene, Visitor } from './lib/app.mjs';
import { until, wait } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';

const MB = 1_000_000;
/** Longer than the 30 s for which a peer that says nothing keeps its link. */
const FROZEN_MS = 1_000 * Number(process.env.FROZEN_SECONDS ?? 40);
/** Sent in bytes per second until the tab is frozen: slow enough to be in the middle of a transfer then, on any machine. */
const RATE = 200_000;
const SIZE = 20 * MB;
const TIMEOUT = 600_000 + 2 * FROZEN_MS;

/** Freezes a visitor's tab behind an empty one; `wake` resolves with the longest time in which none of its timers fired. */
async function freeze(visitor) {
  await visitor.page.evaluate(() => {
    window.longestPause = 0;
    let last = performance.now();
    setInterval(() => {
      const now = performance.now();
      window.longestPause = Math.max(window.longestPause, now - last);
      last = now;
    }, 100);
  });
  const front = await visitor.browser.page('about:blank');
  await front.bringToFront();
  await until('the tab to be in the background', () => visitor.page.evaluate(() => document.visibilityState === 'hidden'));
  const session = await visitor.page.createCDPSession();
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  return async () => {
    await session.send('Page.setWebLifecycleState', { state: 'active' });
    await visitor.page.bringToFront();
    await front.close();
    return until('a timer after the pause', () => visitor.page.evaluate(() => window.longestPause > 1_000 && window.longestPause));
  };
}

async function stage(t) {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('slow.bin', SIZE);
  const seed = await scene.add(Visitor.arrive('chromium', relay));
  await seed.node((gyre, upRate) => gyre.setLimits({ upRate }), RATE);
  const link = await seed.share(file);
  return { scene, relay, file, seed, link };
}

/** The transfer is far from its end when the tab falls asleep, and may be quick from then on. */
async function midway(visitor, seed, link) {
  const { have } = await visitor.swarm(link);
  assert.ok(have < SIZE / 2, `${have} bytes were there already`);
  const wake = await freeze(visitor);
  await seed.node((gyre) => gyre.setLimits({ upRate: null }));
  return wake;
}

/** Only the fragment changes: the tab and its node stay. */
const fetches = (visitor, link) => visitor.page.evaluate((hash) => { window.location.hash = hash; }, hashOf(link));
const begun = (visitor, link) => until('the first chunks', async () => (await visitor.swarm(link))?.have > 0, { timeout: 120_000, every: 50 });

test('a tab that fetches is frozen: the others finish without it, and it finishes once it wakes', { timeout: TIMEOUT }, async (t) => {
  const { scene, relay, file, seed, link } = await stage(t);
  const [sleeper, other] = [await scene.add(Visitor.arrive('chromium', relay)), await scene.add(Visitor.arrive('chromium', relay))];
  for (const visitor of [sleeper, other]) {
    await visitor.node((gyre) => gyre.setUpload(true));
    await fetches(visitor, link);
  }
  await begun(sleeper, link);
  const wake = await midway(sleeper, seed, link);
  const asleep = performance.now();
  await other.complete(link);
  t.diagnostic(`the other had everything ${((performance.now() - asleep) / 1000).toFixed(1)} s after the freeze`);
  await wait(Math.max(0, asleep + FROZEN_MS - performance.now()));
  const slept = performance.now() - asleep;
  const pause = await wake();
  assert.ok(pause > slept * 0.8, `its timers stood still for ${(pause / 1000).toFixed(1)} of ${(slept / 1000).toFixed(1)} s`);
  const woken = performance.now();
  await sleeper.complete(link);
  t.diagnostic(`it had everything ${((performance.now() - woken) / 1000).toFixed(1)} s after it woke from ${(slept / 1000).toFixed(0)} s`);
  await sleeper.joined();
  assert.equal(await sleeper.sha256(link), file.sha256);
  assert.equal(await other.sha256(link), file.sha256);
  seed.quiet();
  other.quiet();
});

test('the only tab that has a file is frozen: the others wait, and get it once it wakes', { timeout: TIMEOUT }, async (t) => {
  const { scene, relay, file, seed, link } = await stage(t);
  const leech = await scene.add(Visitor.arrive('chromium', relay));
  await fetches(leech, link);
  await begun(leech, link);
  const wake = await freeze(seed);
  const asleep = performance.now();
  await wait(FROZEN_MS);
  const slept = performance.now() - asleep;
  assert.notEqual((await leech.swarm(link))?.state, 'complete', 'the rest was with the frozen one');
  const pause = await wake();
  assert.ok(pause > slept * 0.8, `its timers stood still for ${(pause / 1000).toFixed(1)} of ${(slept / 1000).toFixed(1)} s`);
  const woken = performance.now();
  await seed.node((gyre) => gyre.setLimits({ upRate: null }));
  await seed.joined();
  // The leech may have given up by now and then offers to try again.
  const retry = await leech.find('file-retry');
  if (retry && (await retry.isVisible())) await leech.click('file-retry');
  await leech.complete(link);
  t.diagnostic(`the other had everything ${((performance.now() - woken) / 1000).toFixed(1)} s after it woke from ${(slept / 1000).toFixed(0)} s`);
  assert.equal(await leech.sha256(link), file.sha256);
  leech.quiet();
});
