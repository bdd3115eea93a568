// Browsers and a keeper: a page's site is taken by it, and read from it alone when its publisher is gone.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { kinds, until } from './lib/browser.mjs';
import { choose, folderOn, holdsAll, makeKeys, other, pages, published, standing } from './lib/publishing.mjs';
import { startRelay } from './lib/relay.mjs';
import { barSays, clickIn, placeOf, siteShows } from './lib/sites.mjs';

/** Files of a megabyte: together far more than a websocket may hold unread. */
const LARGE = 48;

for (const kind of kinds) {
  test(`in ${kind} a site is published to a keeper, and read from it when its publisher is gone`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay({ args: ['--keep', '1GB'] }));
    const files = pages('Die erste');
    for (let i = 0; i < LARGE; i++) files[`groß/${i}.bin`] = randomBytes(1_000_000);
    const me = await scene.add(Visitor.arrive(kind, relay, { hash: '#/publish' }));
    await choose(me, folderOn(scene.profile(), 'site', files));
    await me.click('publish-button');
    await makeKeys(me);
    const site = await published(me);
    await me.click('share-allow');
    await standing(me, true);
    assert.match(await me.text('standing'), /1 other peer has all of it.* It is kept by 1 keeper/s);
    assert.equal(await (await me.find('standing')).evaluate((note) => note.dataset.keepers), '1');
    me.quiet();
    await me.leave();

    const reader = await scene.add(Visitor.arrive(other(kind), relay, { hash: placeOf(site.name) }));
    await reader.node((gyre) => gyre.setUpload(true));
    await siteShows(reader, site.name, 'the first page', () => document.querySelector('h1')?.textContent === 'Die erste');
    await clickIn(reader, site.name, 'a');
    await siteShows(reader, site.name, 'the second page', () => document.title === 'Eule');
    await barSays(reader, '/vögel/eule.html');
    assert.equal(await holdsAll(reader, site.link, files), site.cid);
    const from = (await reader.peers()).filter(({ via }) => via !== 'connecting' && via !== 'failed');
    assert.ok(from.some(({ role, via }) => role === 'browser' && via === 'websocket'), JSON.stringify(from));
    assert.ok(from.every(({ via }) => via === 'websocket'), `nobody but relay and keeper: ${JSON.stringify(from)}`);
    // The keeper counts what it has sent.
    const sent = await until('the keeper to have counted', async () => {
      const metrics = await (await fetch(`${relay.url}metrics`)).text();
      const found = Number(/^gyre_relay_keeper_sent_bytes_total (\d+)/m.exec(metrics)?.[1]);
      return found > LARGE * 1_000_000 && found;
    });
    t.diagnostic(`the keeper has sent ${(sent / 1e6).toFixed(1)} MB`);
    reader.quiet();
  });
}

test('without a keeper the page says so, and who needs to stay', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const me = await scene.add(Visitor.arrive('chromium', relay, { hash: '#/publish' }));
  await choose(me, folderOn(scene.profile(), 'site', pages('Eine')));
  await me.click('publish-button');
  await makeKeys(me);
  await published(me);
  await me.click('share-allow');
  await until('the page to say that no keeper answers', async () => (await (await me.see('keeper-word')).evaluate((word) => word.dataset.keeper)) === 'none', { timeout: 240_000 });
  await standing(me, false);
  assert.match(await me.text('standing'), /You still need to stay.*No keeper answers/s);
  me.quiet();
});
