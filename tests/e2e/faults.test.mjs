// What goes wrong in real life: links that lead nowhere, full storage, tabs and relays that vanish.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until, wait } from './lib/browser.mjs';
import { changed, cidOf, hashOf, relayGone, Scene, Visitor } from './lib/app.mjs';
import { startRelay } from './lib/relay.mjs';

/** How long "nobody has it" may take to be said, in milliseconds. */
const NOT_FOUND_TIMEOUT_MS = 75_000;
const MB = 1_000_000;

/** A relay, and a first browser that shares one file. */
async function stage(t, size, { name = 'file.bin', kind = 'chromium', profile } = {}) {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file(name, size);
  const first = await scene.add(Visitor.arrive(kind, relay, { profile }));
  const link = await first.share(file);
  return { scene, relay, file, first, link };
}

test('the relay is killed after two tabs are linked: the transfer goes on', { timeout: 600_000 }, async (t) => {
  // The larger sizes are for machines on which 20 MB are there before the relay is gone.
  for (const size of [20 * MB, 100 * MB, 400 * MB]) {
    const { scene, relay, file, first, link } = await stage(t, size);
    const second = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link), join: false }));
    await until('the first bytes', async () => (await second.swarm(link))?.have > 0, { timeout: 60_000, every: 10 });
    await relay.kill();
    const atKill = (await second.swarm(link)).have;
    await second.complete(link);
    assert.equal(await second.sha256(link), file.sha256);
    first.quiet(relayGone);
    second.quiet(relayGone);
    await scene.end();
    if (atKill < size) return;
  }
  assert.fail('even the largest file was there before the relay was gone');
});

test('the relay is restarted: both join again and a new peer gets the file', { timeout: 600_000 }, async (t) => {
  const { scene, relay, file, first, link } = await stage(t, 2 * MB);
  await relay.kill();
  await until('the page to notice', () => first.node((gyre) => gyre.stats().state !== 'joined'), { timeout: 60_000 });
  await wait(2_000);
  await relay.start();
  await first.joined(90_000);
  const second = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
  await second.complete(link);
  assert.equal(await second.sha256(link), file.sha256);
  first.quiet(relayGone);
  second.quiet();
});

test('a tab is killed between chunks 20 times: its store stays consistent and the file completes', { timeout: 900_000 }, async (t) => {
  const { scene, relay, file, link } = await stage(t, 200 * MB);
  const profile = scene.profile();
  let before = 0;
  let midway = 0;
  // Where a whole round trip is quicker than a kill, the blob is dropped and fetched anew: 20 kills must hit an unfinished one.
  for (let round = 0; midway < 20; round++) {
    assert.ok(round < 60, `only ${midway} of ${round} kills hit an unfinished blob`);
    const second = await Visitor.arrive('chromium', relay, { hash: hashOf(link), profile, join: false });
    try {
      const resumed = await until('the blob to be known again', () => second.swarm(link), { timeout: 60_000, every: 20 });
      assert.ok(resumed.have >= before, `round ${round}: ${before} bytes were stored, ${resumed.have} are left`);
      const now = await until('more chunks', async () => {
        const swarm = await second.swarm(link);
        return swarm.chunksHave > resumed.chunksHave || swarm.state === 'complete' ? swarm : null;
      }, { timeout: 90_000, every: 10 });
      before = now.have;
      if (now.state === 'complete') {
        await second.node((gyre, url) => gyre.remove(url), link);
        before = 0;
      } else {
        midway++;
        // Half of the tabs close, half die with their browser.
        if (midway % 2 === 0) await second.page.close({ runBeforeUnload: false });
      }
      second.quiet();
    } finally {
      await second.kill();
    }
  }
  const last = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link), profile }));
  await last.complete(link, 240_000);
  assert.equal(await last.sha256(link), file.sha256);
  last.quiet();
});

test('a link with a wrong key, a truncated CID and an unknown CID each say so', { timeout: 600_000 }, async (t) => {
  const { scene, relay, link } = await stage(t, 1 * MB);
  const broken = {
    WRONG_KEY: changed(link, { key: (key) => (key.startsWith('A') ? 'B' : 'A') + key.slice(1) }),
    BAD_LINK: changed(link, { cid: (cid) => cid.slice(0, -6) }),
    NOT_FOUND: changed(link, { cid: (cid) => `${cid.slice(0, 20)}aaaaaaaaaa${cid.slice(30)}` }),
  };
  for (const [code, url] of Object.entries(broken)) {
    const visitor = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(url), join: false }));
    await visitor.told(code, NOT_FOUND_TIMEOUT_MS);
    if (code === 'NOT_FOUND') await visitor.see('file-retry');
    visitor.quiet();
    await visitor.leave();
  }
});

test('a file whose only holder has gone is found again once the holder is back', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('late.bin', 1 * MB);
  const profile = scene.profile();
  const first = await scene.add(Visitor.arrive('chromium', relay, { profile }));
  const link = await first.share(file);
  await first.leave();

  const second = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
  await second.told('NOT_FOUND', NOT_FOUND_TIMEOUT_MS);
  await scene.add(Visitor.arrive('chromium', relay, { profile }));
  await second.complete(link);
  assert.equal(await second.sha256(link), file.sha256);
});

test('storage that is full stops the fetch with a message; with more of it the fetch goes on by itself', { timeout: 600_000 }, async (t) => {
  const { scene, relay, file, link } = await stage(t, 20 * MB);
  const second = await scene.add(Visitor.arrive('chromium', relay));
  await second.node((gyre, quota) => gyre.setQuota(quota), 4 * MB);
  // Only the fragment changes: the tab and its node stay.
  await second.page.evaluate((hash) => { window.location.hash = hash; }, hashOf(link));
  await second.told('QUOTA_EXCEEDED', 60_000);
  const { used } = await second.node((gyre) => gyre.stats().storage);
  assert.ok(used <= 5 * MB, `${used} bytes are stored under a cap of ${4 * MB}`);
  await second.node((gyre, quota) => gyre.setQuota(quota), 1_000 * MB);
  await second.complete(link);
  assert.equal(await second.sha256(link), file.sha256);
});

test('nothing is uploaded before the person has agreed', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('mine.bin', 2 * MB);
  const first = await scene.add(Visitor.arrive('chromium', relay));
  const link = await first.share(file, { allow: false });
  await first.see('consent-allow');
  const second = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
  await wait(10_000);
  assert.equal(await first.node((gyre) => gyre.stats().up), 0);
  assert.equal((await second.swarm(link))?.have ?? 0, 0);
  await first.allowUpload();
  // The second may have given up by now and then offers to try again.
  const retry = await second.find('file-retry');
  if (retry && (await retry.isVisible())) await second.click('file-retry');
  await second.complete(link);
  assert.equal(await second.sha256(link), file.sha256);
});

test('after a reload a tab resumes what it fetched and serves what it holds', { timeout: 600_000 }, async (t) => {
  const { scene, relay, file, first, link } = await stage(t, 60 * MB);
  const second = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link), join: false }));
  await until('the first bytes', async () => (await second.swarm(link))?.have > 0, { timeout: 60_000, every: 10 });
  await second.page.reload({ waitUntil: 'domcontentloaded' });
  await second.joined();
  await second.complete(link);
  assert.equal(await second.sha256(link), file.sha256);
  await second.allowUpload();

  await second.page.goto('about:blank');
  await second.page.goto(relay.url, { waitUntil: 'domcontentloaded' });
  await second.joined();
  assert.equal((await second.swarm(link))?.state, 'complete', 'what was complete is complete after the reload');
  await first.leave();

  const third = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
  await third.complete(link);
  assert.equal(await third.sha256(link), file.sha256);
  assert.ok((await second.node((gyre, cid) => gyre.swarms().find((swarm) => swarm.cid === cid).up, cidOf(link))) > 0);
});
