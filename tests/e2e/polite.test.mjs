// A polite host, as a person sees it: the caps hold in a real page, over real WebRTC, and survive a reload.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Scene, Visitor, cidOf, hashOf } from './lib/app.mjs';
import { until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';

const CAP = 3_000_000;
const DAY = 20_000_000;

test('a cap on sending holds between two pages, and the day’s amount outlives a reload', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('capped.bin', 30_000_000);
  const first = await scene.add(Visitor.arrive('chromium', relay));
  const link = await first.share(file, { allow: false });
  await first.node((gyre, limits) => gyre.setLimits(limits), { upRate: CAP, upPerDay: DAY });
  const second = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assert.equal(await second.node((gyre) => gyre.stats().down), 0, 'nothing before consent');
  await first.allowUpload();

  const down = () => second.node((gyre) => ({ bytes: gyre.stats().down, at: performance.now() }));
  const start = await until('the first chunks', async () => {
    const now = await down();
    return now.bytes > 0 ? now : null;
  }, { timeout: 60_000 });
  const end = await until('half of the day’s amount', async () => {
    const now = await down();
    return now.bytes > DAY / 2 ? now : null;
  }, { timeout: 120_000 });
  const rate = ((end.bytes - start.bytes) * 1000) / (end.at - start.at);
  t.diagnostic(`${(rate / 1e6).toFixed(2)} MB/s under a cap of ${CAP / 1e6} MB/s`);
  // Two chunks may have been on their way already when the first reading was taken.
  assert.ok(rate <= CAP * 1.05 + (2 * 262_144 * 1000) / (end.at - start.at), `${rate} bytes a second`);

  const stats = () => first.node((gyre) => gyre?.stats() ?? null);
  await until('the day’s amount to be used up', async () => (await stats()).uploadHold === 'day', { timeout: 120_000 });
  const { today } = await stats();
  assert.ok(today.up <= DAY && today.up >= DAY * 0.95, `${today.up} of ${DAY}`);
  await until('the page to say so', async () => /today/.test(await first.text('sending')));
  await first.page.reload();
  await first.joined();
  const again = await stats();
  assert.equal(again.uploadHold, 'day');
  assert.equal(again.limits.upRate, CAP);
  // A page that is reloaded has no time to write the exact figure; what it had booked counts as sent.
  assert.ok(again.today.up >= today.up && again.today.up <= DAY, `${again.today.up} after ${today.up}`);
  assert.equal(again.up, 0);

  await first.node((gyre) => gyre.setLimits({ upRate: null, upPerDay: null }));
  await second.complete(link);
  assert.equal(await second.sha256(link), file.sha256);
  first.quiet();
  second.quiet();
});

test('a file is exported and brought back elsewhere, and the settings take figures', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('kept elsewhere.bin', 700_000);
  const first = await scene.add(Visitor.arrive('chromium', relay));
  const link = await first.share(file);
  assert.equal((await first.swarm(link)).pinned, true, 'what a person shares is kept');
  await first.see('export');
  const bytes = await first.node(async (gyre, cid) => {
    const { name, stream } = await gyre.export(cid);
    const whole = new Uint8Array(await new Response(stream).arrayBuffer());
    return { name, base64: btoa(Array.from(whole, (byte) => String.fromCharCode(byte)).join('')) };
  }, cidOf(link));
  assert.equal(bytes.name, 'kept elsewhere.bin.gyre');
  await first.leave();

  const exported = scene.file(bytes.name, 1);
  writeFileSync(exported.path, Buffer.from(bytes.base64, 'base64'));
  const second = await scene.add(Visitor.arrive('chromium', relay));
  const back = await second.share(exported);
  assert.equal(hashOf(back), hashOf(link));
  assert.equal(await second.sha256(back), file.sha256);

  await second.click('settings-button');
  const field = await second.see('limit-upRate');
  await field.type('0,5');
  await field.evaluate((element) => element.dispatchEvent(new Event('change', { bubbles: true })));
  await until('the cap to hold', async () => (await second.node((gyre) => gyre.stats().limits.upRate)) === 500_000);
  await second.click('settings-hideAddress');
  await until('the switch to hold', () => second.node((gyre) => gyre.stats().limits.hideAddress));
  second.quiet();
});

test('in a page that hides its address no candidate is gathered', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('hidden.bin', 300_000);
  const first = await scene.add(Visitor.arrive('chromium', relay));
  const link = await first.share(file);
  const second = await scene.add(Visitor.arrive('chromium', relay));
  await watchCandidates(second);
  await second.node((gyre) => gyre.setLimits({ hideAddress: true }));
  await second.node((gyre, url) => void gyre.open(url).catch(() => {}), link);
  await until('an attempt to link', () => second.page.evaluate(() => (globalThis.made ?? 0) > 0));
  // What the relay allows a pair without a path is enough for so little.
  await second.complete(link);
  assert.equal(await second.sha256(link), file.sha256);
  assert.deepEqual(await second.page.evaluate(() => globalThis.candidates), []);
  const peers = await second.peers();
  assert.ok(!peers.some(({ via }) => via === 'direct'), JSON.stringify(peers));

  const third = await scene.add(Visitor.arrive('chromium', relay));
  await watchCandidates(third);
  await third.node((gyre, url) => void gyre.open(url).catch(() => {}), link);
  await third.complete(link);
  assert.ok((await third.page.evaluate(() => globalThis.candidates)).length > 0, 'the test would have seen one');
});

/** Keeps what the platform tells a page of its addresses from now on. */
function watchCandidates(visitor) {
  return visitor.page.evaluate(() => {
    globalThis.candidates = [];
    const Original = globalThis.RTCPeerConnection;
    globalThis.RTCPeerConnection = class extends Original {
      constructor(...options) {
        super(...options);
        globalThis.made = (globalThis.made ?? 0) + 1;
        this.addEventListener('icecandidate', ({ candidate }) => candidate?.candidate && globalThis.candidates.push(candidate.candidate));
      }
    };
  });
}
