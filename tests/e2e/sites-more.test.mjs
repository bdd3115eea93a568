// Sites in the hands of people: films, forks, what a person does not want to see, and records that are
// renewed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { Scene, Visitor } from './lib/app.mjs';
import { kinds, until } from './lib/browser.mjs';
import { colourOf, film, shareFilm } from './lib/film.mjs';
import { startRelay } from './lib/relay.mjs';
import { clickIn, inSite, placeOf, publish, siteFrame, siteShows } from './lib/sites.mjs';

const page = (title, body = '') => `<!doctype html><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}`;
const goTo = (visitor, hash) => visitor.page.evaluate((to) => { location.hash = to; }, hash);

/** A relay, and a page that publishes. */
async function stage(t, options = {}) {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay(options));
  const publisher = await scene.add(Visitor.arrive('chromium', relay));
  return { scene, relay, publisher };
}

for (const kind of kinds) {
  test(`${kind} plays a film of a site, and jumps in it`, { timeout: 600_000 }, async (t) => {
    const { scene, relay, publisher } = await stage(t);
    const { cid, size } = await publisher.node(`(gyre, format) => (${shareFilm})(format)`, { ...film, seconds: 24, site: true });
    t.diagnostic(`the film has ${(size / 1e6).toFixed(1)} MB`);
    const viewer = await scene.add(Visitor.arrive(kind, relay, { hash: placeOf(cid) }));
    await siteShows(viewer, cid, 'the page', () => document.title === 'Film');
    const shows = (what, from, colour) => until(`${what} in ${kind}`, async () => {
      const frame = await siteFrame(viewer, cid);
      const seen = await frame.evaluate(`(() => { const video = document.querySelector('video'); return { time: video.currentTime, colour: (${colourOf})(video), duration: video.duration }; })()`).catch(() => null);
      return seen && seen.time >= from && seen.colour === colour && seen;
    }, { timeout: 180_000 });
    await inSite(viewer, cid, () => { void document.querySelector('video').play(); });
    const first = await shows('the first scene', 0.1, 'red');
    assert.ok(Math.abs(first.duration - 24) < 1, `a film of ${first.duration} s`);
    await inSite(viewer, cid, () => { document.querySelector('video').currentTime = 20; });
    await shows('the last scene', 20, 'blue');
    await inSite(viewer, cid, () => { document.querySelector('video').currentTime = 12; });
    await shows('the scene in the middle', 12, 'green');
  });

  test(`in ${kind} what is on a person’s denylist is not opened, and says so`, { timeout: 600_000 }, async (t) => {
    const { scene, relay, publisher } = await stage(t);
    const files = { 'index.html': page('Start', '<a href="secret/a.html">a</a>'), 'secret/a.html': page('Secret'), 'b.html': page('B') };
    const { cid, name } = await publish(publisher, files, { site: 0, name: 'A site' });
    const reader = await scene.add(Visitor.arrive(kind, relay));
    const rules = async (text) => {
      await reader.click('settings-button');
      await reader.see('own-rules');
      await until('the field to be filled', () => reader.page.$eval('[data-testid="own-rules"]', (field) => !field.disabled));
      await reader.page.$eval('[data-testid="own-rules"]', (field, typed) => {
        field.value = typed;
        field.dispatchEvent(new Event('input', { bubbles: true }));
      }, text);
      await reader.click('own-rules-save');
      await until('the rules to be in force', async () => /in force/.test(await reader.text('denylist-note')));
      await reader.page.evaluate(() => document.querySelector('dialog[open]').close());
    };
    await rules(`/ipns/${name}\nnonsense`);
    await reader.click('settings-button');
    assert.match(await reader.text('own-rules-count'), /^1 rule in force · 1 line left out, line 2/);
    await reader.page.evaluate(() => document.querySelector('dialog[open]').close());
    await goTo(reader, placeOf(name));
    await reader.told('DENIED');
    await reader.see('denied-lists');
    const frame = await reader.find('site-frame');
    assert.ok(!frame || !(await frame.isVisible()));

    // It holds after a reload; a rule about a path denies that path alone.
    await reader.page.reload({ waitUntil: 'domcontentloaded', timeout: 120_000 });
    await reader.joined();
    await reader.told('DENIED');
    await rules(`/ipfs/${cid}/secret*`);
    await goTo(reader, '#/');
    await goTo(reader, placeOf(name));
    await siteShows(reader, name, 'the first page', () => document.title === 'Start');
    await clickIn(reader, name, 'a');
    await siteShows(reader, name, 'that it is denied', () => /denylist/.test(document.querySelector('h1')?.textContent ?? ''));
    await reader.click('site-back');
    await siteShows(reader, name, 'the first page', () => document.title === 'Start');
    assert.equal(await inSite(reader, name, async () => (await fetch('/b.html')).status), 200);
    assert.deepEqual(await inSite(reader, name, async () => { const answer = await fetch('/secret/a.html'); return [answer.status, answer.headers.get('gyre-error')]; }), [403, 'DENIED']);

    // A list of a file, then none at all.
    const list = join(scene.profile(), 'others.deny');
    writeFileSync(list, `version: 1\nname: Others\n---\n/ipfs/${cid}\n`);
    await reader.click('settings-button');
    await (await reader.find('denylist-file')).uploadFile(list);
    await until('the list', async () => (await reader.see('denylist')).evaluate((item) => item.dataset.rules === '1' && /others\.deny/.test(item.textContent)));
    assert.equal(await reader.node(async (gyre, address) => gyre.site(address).then(() => 'open', (error) => error.code), cid), 'DENIED');
    await reader.page.$eval('[data-testid="denylist"] button', (button) => button.click());
    await until('the list to be gone', async () => (await reader.find('denylist')) === null);
    assert.equal(await reader.node(async (gyre, address) => gyre.site(address).then(() => 'open', (error) => error.code), cid), 'open');
  });
}

for (const kind of kinds) {
  test(`in ${kind} a large file that is denied is refused, and the site around it is not`, { timeout: 600_000 }, async (t) => {
    const { scene, publisher, relay } = await stage(t);
    const [byPath, byHash] = [randomBytes(900_000), randomBytes(1_100_000)];
    const files = { 'index.html': page('Start', '<a href="large/path.bin">a</a>'), 'large/path.bin': byPath, 'large/hash.bin': byHash, 'large/other.bin': randomBytes(600_000), 'copy.bin': byHash };
    const { cid } = await publish(publisher, files, { types: { 'large/path.bin': 'text/html', 'large/hash.bin': 'text/html' } });
    const hash = await publisher.node(async (gyre, address) => (await (await gyre.site(address)).files()).find(({ path }) => path === 'large/hash.bin').hash, cid);
    const cidOfFile = CID.createV1(0x55, Digest.create(0x1e, Buffer.from(hash, 'hex'))).toString();
    const rules = `/ipfs/${cid}/large/path.bin\n/ipfs/${cidOfFile}\n`;
    const reader = await scene.add(Visitor.arrive(kind, relay));
    assert.equal((await reader.node((gyre, text) => gyre.setDenylist('mine', text), rules)).length, 1);
    await goTo(reader, placeOf(cid));
    await siteShows(reader, cid, 'the first page', () => document.title === 'Start');

    // By its path; by its bytes, wherever they are; whole, in part, in the middle.
    const ask = (path, headers = {}) => inSite(reader, cid, async (url, more) => {
      const answer = await fetch(url, { headers: more });
      return [answer.status, answer.headers.get('gyre-error'), (await answer.arrayBuffer()).byteLength > 100_000];
    }, path, headers);
    for (const path of ['/large/path.bin', '/large/hash.bin', '/copy.bin']) {
      assert.deepEqual(await ask(path), [403, 'DENIED', false], path);
      assert.deepEqual(await ask(path, { range: 'bytes=300000-700000' }), [403, 'DENIED', false], path);
    }
    assert.deepEqual(await ask('/large/other.bin'), [200, null, true]);
    await clickIn(reader, cid, 'a');
    await siteShows(reader, cid, 'that it is denied', () => /denylist/.test(document.querySelector('h1')?.textContent ?? ''));
    await reader.click('site-back');
    await siteShows(reader, cid, 'the first page', () => document.title === 'Start');

    // Through the calls: read, opened, kept. What came of the site before is no denied byte.
    const codes = await reader.node(async (gyre, address, file) => {
      const code = (work) => work.then(() => 'done', (error) => error.code);
      const site = await gyre.site(address);
      return {
        read: await code(site.read('large/path.bin', 300_000, 1000)),
        fetched: await code(site.fetch('/large/hash.bin')),
        kept: await code(site.keep()),
        opened: await code(gyre.open(`${location.origin}/#/f/${file}`)),
      };
    }, cid, cidOfFile);
    assert.deepEqual(codes, { read: 'DENIED', fetched: 'DENIED', kept: 'DENIED', opened: 'DENIED' });
    const held = await reader.node((gyre) => gyre.swarms().map((swarm) => ({ cid: swarm.cid, have: swarm.have })));
    assert.ok(!held.some(({ cid: swarm, have }) => swarm === cidOfFile && have > 0), JSON.stringify(held));

    // Who has it and denies it from now on serves it no more, and still serves the rest.
    assert.equal((await publisher.node((gyre, text) => gyre.setDenylist('mine', text), `/ipfs/${cidOfFile}\n`)).length, 1);
    await reader.node((gyre) => gyre.setDenylist('mine', null));
    const after = await reader.node(async (gyre, address) => {
      const code = (work) => work.then(() => 'done', (error) => error.code);
      const site = await gyre.site(address);
      return [await code(site.read('large/hash.bin', 300_000, 1000)), await code(site.read('large/path.bin', 300_000, 1000))];
    }, cid);
    assert.deepEqual(after, ['NOT_FOUND', 'done']);
  });
}

test('header rules of a site reach its pages', { timeout: 600_000 }, async (t) => {
  const { scene, relay, publisher } = await stage(t);
  const rules = "/*\n  Content-Security-Policy: script-src 'none'\n  Set-Cookie: a=b\n/assets/*\n  Cache-Control: public, max-age=60\n";
  const files = { 'index.html': page('Start', '<script>window.ran = true;</script>'), 'assets/a.txt': 'a', _headers: rules };
  const { cid, change } = await publish(publisher, files);
  assert.deepEqual(change.skippedHeaders.map(({ line }) => line), [3]);
  const reader = await scene.add(Visitor.arrive('chromium', relay, { hash: placeOf(cid) }));
  await siteShows(reader, cid, 'the page', () => document.title === 'Start');
  assert.equal(await inSite(reader, cid, () => window.ran), undefined, 'its own policy forbids its scripts');
  const got = await inSite(reader, cid, async () => {
    const answer = await fetch('/assets/a.txt');
    return [answer.headers.get('cache-control'), answer.headers.get('content-security-policy'), answer.headers.get('set-cookie')];
  });
  assert.equal(got[0], 'public, max-age=60');
  assert.match(got[1], /^default-src 'self'.*, script-src 'none'$/, 'ours, and on top of it the site’s');
  assert.equal(got[2], null);
});

test('two values under one number are told to who looks at the site', { timeout: 600_000 }, async (t) => {
  const { scene, relay, publisher } = await stage(t);
  const elsewhere = await scene.add(startRelay());
  const first = await publish(publisher, { 'index.html': page('One') }, { site: 0 });
  const words = await publisher.node((gyre) => gyre.keys.phrase());
  // The same keys in a place that has not heard of it.
  const other = await scene.add(Visitor.arrive('chromium', elsewhere));
  await other.node((gyre, phrase) => gyre.keys.restore(phrase), words);
  const second = await publish(other, { 'index.html': page('Two') }, { site: 0, previous: null });
  assert.equal(second.name, first.name);
  assert.equal(second.sequence, first.sequence);

  const reader = await scene.add(Visitor.arrive('chromium', relay, { hash: placeOf(first.name) }));
  await siteShows(reader, first.name, 'the site', () => document.title === 'One');
  assert.equal(await reader.find('site-forked'), null);
  // Both come to know of each other.
  await other.node(async (gyre, relays) => {
    await gyre.leave();
    window.gyre = await gyre.constructor.join({ relays, stun: [] });
  }, [relay.address]);
  await reader.see('site-forked', 180_000);
  await reader.click('site-chip');
  await reader.see('site-fork');
});

test('a page renews the record of a person’s site when that is due', { timeout: 600_000 }, async (t) => {
  const { scene, relay } = await stage(t);
  const DAY = 24 * 60 * 60 * 1000;
  const me = await scene.add(Visitor.arrive('chromium', relay));
  const untilWhen = () => me.node(async (gyre) => { const site = await gyre.site(await gyre.keys.siteName(0), { follow: false }); site.close(); return site.head; });
  // Published eight days ago, by this page's clock.
  await me.page.evaluate((back) => { const now = Date.now; window.realNow = now; Date.now = () => now.call(Date) - back; }, 8 * DAY);
  await publish(me, { 'index.html': page('One') }, { site: 0 });
  await me.page.evaluate(() => { Date.now = window.realNow; });
  const first = await untilWhen();
  const left = (head) => (head.validUntil - Date.now()) / DAY;
  assert.ok(left(first) < 82.1, `${left(first)} days left`);
  const renewed = await me.node((gyre) => gyre.renew(0));
  assert.ok(left(renewed) > 89.9, `${left(renewed)} days left`);
  assert.deepEqual([renewed.sequence, renewed.cid], [first.sequence, first.cid]);
  const again = await me.node((gyre) => gyre.renew(0));
  assert.equal(again.validUntil, renewed.validUntil, 'it is not due any more');
  const reader = await scene.add(Visitor.arrive('chromium', relay));
  assert.equal(await reader.node(async (gyre, name) => (await gyre.site(name)).head.validUntil, first.name), renewed.validUntil);
});
