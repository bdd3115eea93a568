// js-libp2p and our peer, in every pairing and both directions, through our relay.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { kinds, launch, until, wait } from '../e2e/lib/browser.mjs';
import { serveFolder } from '../e2e/lib/files.mjs';
import { relayGone } from '../e2e/lib/app.mjs';
import { startRelay } from '../e2e/lib/relay.mjs';
import { out } from '../../scripts/lib/places.mjs';
import { bundle, bundled } from './bundle.mjs';
import { linkThrough, scenarios } from './scenarios.mjs';

const pages = { js: 'index.html', gyre: 'gyre.html' };
const pairings = [['js', 'js'], ['gyre', 'js'], ['js', 'gyre'], ['gyre', 'gyre']];
/** `INTEROP_PAIRINGS=js-js` runs these alone. */
const wanted = process.env.INTEROP_PAIRINGS?.split(',');
const chosen = pairings.filter(([a, b]) => !wanted || wanted.includes(`${a}-${b}`));

/** rust-libp2p keeps one ping stream open in each direction for as long as the connection lives. */
const STANDING_PINGS = 2;

let server;
const results = [];

before(async () => {
  await bundle({ ours: chosen.flat().includes('gyre') });
  server = await serveFolder(bundled);
}, { timeout: 600_000 });

after(async () => {
  await server?.close();
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'interop-results.json'), `${JSON.stringify(results, null, 2)}\n`);
});

for (const kind of kinds) {
  for (const [dialler, listener] of chosen) {
    test(`${dialler} dials ${listener} in ${kind}`, { timeout: 180_000 }, async (t) => {
      const relay = await startRelay({ app: bundled });
      const browsers = [];
      t.after(async () => {
        await Promise.all(browsers.map((browser) => browser.close()));
        await relay.forget();
      });
      // All settled before one failure is told: a browser that starts late must be closed too.
      const started = await Promise.allSettled([dialler, listener].map(async (implementation) => {
        const browser = await launch(kind);
        browsers.push(browser);
        const page = await browser.page(`${server.url}/${pages[implementation]}`);
        await until('the page to load', () => page.evaluate(() => Boolean(window.peer)));
        await page.evaluate((address) => window.peer.start(address), relay.address);
        return page;
      }));
      const failed = started.find((each) => each.status === 'rejected');
      if (failed) throw failed.reason;
      const [a, b] = started.map((each) => each.value);

      const scenario = async (name, run) => {
        const began = performance.now();
        const result = { browser: kind, dialler, listener, name, passed: false };
        results.push(result);
        await t.test(name, { timeout: 60_000 }, async () => {
          await run();
          result.passed = true;
          result.milliseconds = Math.round(performance.now() - began);
        });
      };

      let peer;
      await scenario('a direct connection through the relay', async () => {
        peer = await linkThrough(a, b, { tries: dialler === 'js' && listener === 'js' ? 4 : 1, log: (line) => t.diagnostic(line) });
      });
      assert.ok(peer, 'without a connection there is nothing more to try');
      for (const { name, run } of scenarios) await scenario(name, () => run(a, peer));
      await scenario('no stream is left open', () => until(
        async () => `streams to close; ${await a.evaluate((id) => window.peer.streams(id), peer)} are open`,
        () => a.evaluate((id, standing) => window.peer.streams(id) <= standing, peer, dialler === 'gyre' && listener === 'gyre' ? STANDING_PINGS : 0),
        { timeout: 20_000 },
      ));
      await scenario('the relay is killed after the upgrade', async () => {
        await relay.kill();
        await wait(1_000);
        assert.equal(await a.evaluate((id) => window.peer.echo(id, 100_000), peer), true);
        assert.ok((await a.evaluate((id) => window.peer.ping(id), peer)) >= 0);
      });
      for (const page of [a, b]) assert.deepEqual(page.complaints.filter((complaint) => !relayGone.test(complaint)), []);
    });
  }
}
