// A site that only its readers have: its publisher has gone, and the relay that introduced everybody too.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { relayGone, Scene, Visitor } from './lib/app.mjs';
import { launch, until, wait } from './lib/browser.mjs';
import { holdsAll, pages } from './lib/publishing.mjs';
import { startRelay } from './lib/relay.mjs';
import { placeOf, publish } from './lib/sites.mjs';

/** Files of several chunks each, beside the small ones. */
const LARGE = 6;

test('three readers in browsers keep a site up for a fourth, without its publisher and without a relay', { timeout: 900_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const chromium = await scene.add(launch('chromium'));
  /** Somebody with storage of their own, in one browser for the sake of the machine. */
  const person = async () => scene.add(Visitor.arrive('chromium', relay, { browser: await chromium.context() }));
  const publisher = await person();
  const files = pages('Von Lesern');
  for (let i = 0; i < LARGE; i++) files[`groß/${i}.bin`] = randomBytes(1_000_000);
  const { name, cid } = await publish(publisher, files, { site: 0, name: 'A site' });

  const readers = [await person(), await person(), await scene.add(Visitor.arrive('firefox', relay))];
  for (const reader of readers) {
    await reader.node((gyre) => gyre.setUpload(true));
    assert.equal(await holdsAll(reader, name, files), cid);
  }
  const fourth = await person();
  await fourth.node((gyre) => gyre.setUpload(true));
  const ids = await Promise.all(readers.map((reader) => reader.peerId()));
  const linked = async () => (await fourth.peers()).filter(({ peerId, via }) => ids.includes(peerId) && via === 'direct');
  await until(async () => `a link to a reader; there are ${JSON.stringify(await fourth.peers())}`, async () => (await linked()).length > 0, { timeout: 240_000 });
  assert.deepEqual(await fourth.node((gyre) => gyre.swarms().length), 0, 'it has nothing of the site');

  // Meanwhile the app loads what shows a site, as it does once it has joined.
  await wait(15_000);
  publisher.quiet();
  await publisher.leave();
  await relay.kill();
  await until('the fourth to notice', async () => (await fourth.node((gyre) => gyre.stats().state)) !== 'joined', { timeout: 120_000 });
  t.diagnostic(`linked to ${(await linked()).length} of the readers; ${await fourth.node((gyre) => gyre.stats().state)}`);

  // As a person does who tries again when told that nobody was found.
  const began = performance.now();
  const held = await until('the fourth to have all of the site', async () => {
    try {
      return await holdsAll(fourth, name, files);
    } catch (error) {
      if (/NOT_FOUND|NO_RELAY|Nobody|relay/i.test(error.message)) t.diagnostic(`once more: ${error.message.split('\n')[0]}`);
      else throw error;
    }
  }, { timeout: 300_000, every: 1_000 });
  assert.equal(held, cid);
  t.diagnostic(`all of it after ${((performance.now() - began) / 1000).toFixed(1)} s`);

  // The host of the app has gone as well, and with it the loader of sites: shown is what needs none.
  await fourth.page.evaluate((hash) => { location.hash = hash; }, placeOf(name, '/vögel/eule.html'));
  const screen = () => fourth.page.evaluate(() => document.body.innerText.slice(0, 600));
  const sheet = await until(async () => `the page on paper; it shows ${await screen()}`, () => fourth.find('site-paper'), { timeout: 120_000 });
  const paper = await sheet.contentFrame();
  await until('the page', () => paper.evaluate(() => document.title === 'Eule').catch(() => false));
  for (const visitor of [...readers, fourth]) visitor.quiet(relayGone, /localhost/);
});
