// Sites as people browse them: found, shown in an origin of their own, walked through, kept up to date.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { relayGone, Scene, Visitor } from './lib/app.mjs';
import { kinds, until, wait } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';
import { bar, barSays, clickIn, inSite, placeOf, publish, siteFrame, siteShows } from './lib/sites.mjs';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const page = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><link rel="stylesheet" href="/style.css"><body><h1>${title}</h1>${body}`;
/** Firefox says this of every answer whose reader goes away. */
const readerGone = /A ServiceWorker intercepted the request and encountered an unexpected error/;
const archive = randomBytes(700_000);

/** A site with what sites have. */
const pages = {
  'index.html': page('Start', '<p><a id="relative" href="docs/one.html">one</a> <a id="absolute" href="/docs/two.html?q=1#end">two</a> <a id="folder" href="docs">docs</a> <a id="old" href="/old/one.html">old</a> <a id="none" href="/nowhere">none</a> <a id="save" href="/archive.bin" download>archive</a> <a id="window" href="docs/one.html" target="_blank">window</a></p><script src="app.js"></script>'),
  'app.js': 'window.ran = true;',
  'style.css': 'h1 { color: rgb(1, 2, 3) }',
  'docs/index.html': page('Documents', '<a id="up" href="../">up</a>'),
  'docs/one.html': page('One', '<a id="two" href="two.html">two</a><p id="said"></p><script>fetch("data.json").then((r) => r.json()).then(({ word }) => { said.textContent = word; })</script>'),
  'docs/two.html': page('Two', '<a id="jump" href="#end">jump</a><p style="height: 3000px"></p><p id="end">the end</p>'),
  'docs/data.json': '{"word": "fetched"}',
  'docs/ünïcode päge.html': page('Ünïcode', ''),
  '404.html': page('Not here', ''),
  '_redirects': '/old/* /docs/:splat 301\n/out https://example.org/ 302\n',
  'archive.bin': archive,
};

/** A relay, somebody who has published this, and a browser with a reader of it. */
async function published(t, kind, files = pages, options = {}) {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const publisher = await scene.add(Visitor.arrive('chromium', relay));
  const version = await publish(publisher, files, { site: 0, name: 'A site', ...options });
  const reader = await scene.add(Visitor.arrive(kind, relay, { hash: placeOf(version.name ?? version.cid) }));
  return { scene, relay, publisher, reader, version, address: version.name ?? version.cid };
}

for (const kind of kinds) {
  test(`${kind} walks through a site whose publisher has gone`, { timeout: 900_000 }, async (t) => {
    const { scene, relay, publisher, reader, address } = await published(t, 'chromium');
    await reader.allowUpload();
    await siteShows(reader, address, 'the first page', () => window.ran === true);
    await reader.click('site-pin');
    await until('all of the site', async () => reader.node(async (gyre, name) => {
      const site = await gyre.site(name, { follow: false });
      const { here, files, pinned } = await site.info();
      return pinned && here.files === files;
    }, address), { timeout: 180_000 });
    await publisher.leave();

    const visitor = await scene.add(Visitor.arrive(kind, relay, { hash: placeOf(address) }));
    await siteShows(visitor, address, 'the first page', () => window.ran === true && document.title === 'Start');
    assert.equal(await inSite(visitor, address, () => getComputedStyle(document.querySelector('h1')).color), 'rgb(1, 2, 3)');
    assert.equal(await inSite(visitor, address, () => location.origin), `http://${address}.localhost:${relay.port}`);
    await barSays(visitor, '/');
    await until('the title', async () => (await bar(visitor)).title === 'Start – Gyre');

    await clickIn(visitor, address, '#relative');
    await siteShows(visitor, address, 'what the page fetched', () => document.querySelector('#said')?.textContent === 'fetched');
    await barSays(visitor, '/docs/one.html');
    await clickIn(visitor, address, '#two');
    await barSays(visitor, '/docs/two.html');
    await clickIn(visitor, address, '#jump');
    await barSays(visitor, '/docs/two.html#end');
    assert.ok(await inSite(visitor, address, () => scrollY > 500), 'the frame has scrolled to the anchor');

    // Back and forward, with the buttons of the app.
    await visitor.click('site-back');
    await barSays(visitor, '/docs/two.html');
    await visitor.click('site-back');
    await barSays(visitor, '/docs/one.html');
    await siteShows(visitor, address, 'the page before', () => document.title === 'One');
    await visitor.click('site-forward');
    await barSays(visitor, '/docs/two.html');

    // What a page does to its own history.
    await inSite(visitor, address, () => history.pushState({}, '', '/docs/made-up?by=page'));
    await barSays(visitor, '/docs/made-up?by=page');
    await inSite(visitor, address, () => history.back());
    await barSays(visitor, '/docs/two.html');

    // The address bar takes one anywhere.
    await visitor.page.evaluate((hash) => { location.hash = hash; }, placeOf(address, '/docs/two.html?q=1#end'));
    await barSays(visitor, '/docs/two.html?q=1#end');
    await visitor.page.evaluate((hash) => { location.hash = hash; }, placeOf(address, '/docs/%C3%BCn%C3%AFcode%20p%C3%A4ge.html'));
    await siteShows(visitor, address, 'a page with another alphabet', () => document.title === 'Ünïcode');
    await barSays(visitor, '/docs/ünïcode päge.html');

    // Folders and redirects.
    await visitor.page.evaluate((hash) => { location.hash = hash; }, placeOf(address, '/'));
    await siteShows(visitor, address, 'the first page', () => document.title === 'Start');
    await clickIn(visitor, address, '#folder');
    await siteShows(visitor, address, 'the folder', () => document.title === 'Documents' && location.pathname === '/docs/');
    await clickIn(visitor, address, '#up');
    await siteShows(visitor, address, 'the first page', () => document.title === 'Start');
    await clickIn(visitor, address, '#old');
    await siteShows(visitor, address, 'where it has moved', () => document.title === 'One' && location.pathname === '/docs/one.html');
    await visitor.click('site-back');
    await siteShows(visitor, address, 'the first page', () => document.title === 'Start');
    await clickIn(visitor, address, '#none');
    await siteShows(visitor, address, 'the page for what is not there', () => document.title === 'Not here');
    await barSays(visitor, '/nowhere');
    await visitor.click('site-back');
    // A link to a window of its own stays in this one: nothing opens windows here.
    await siteShows(visitor, address, 'the first page', () => document.title === 'Start');
    // The frame beside a page needs a moment to see it, and hears of no click before.
    await until('the page in this window', async () => {
      await clickIn(visitor, address, '#window').catch(() => undefined);
      await wait(500);
      return inSite(visitor, address, () => document.title === 'One').catch(() => false);
    }, { timeout: 60_000 });

    // After a reload of the whole app the same place is shown.
    await visitor.page.reload({ waitUntil: 'domcontentloaded', timeout: 120_000 });
    await siteShows(visitor, address, 'the same page', () => document.title === 'One');
    await barSays(visitor, '/docs/one.html');
    // The page for what is missing comes with 404, which browsers log.
    visitor.quiet(relayGone, /404|nowhere/, readerGone);
  });

  test(`${kind} gets the answers of a web server from a site`, { timeout: 900_000 }, async (t) => {
    const { reader: visitor, address, version } = await published(t, kind);
    await siteShows(visitor, address, 'the first page', () => window.ran === true);
    const ask = (path, init = {}) => inSite(visitor, address, async (url, options) => {
      const response = await fetch(url, options);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const digest = crypto.subtle ? new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)) : [];
      return {
        status: response.status, url: response.url, length: bytes.length, headers: Object.fromEntries(response.headers),
        sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join(''),
      };
    }, path, init);
    const whole = await ask('/archive.bin');
    assert.deepEqual([whole.status, whole.length, whole.sha256], [200, archive.length, sha256(archive)]);
    const part = await ask('/archive.bin', { headers: { Range: 'bytes=262000-262999' } });
    assert.deepEqual([part.status, part.headers['content-range'], part.sha256], [206, `bytes 262000-262999/${archive.length}`, sha256(archive.subarray(262_000, 263_000))]);
    const beyond = await ask('/archive.bin', { headers: { Range: `bytes=${archive.length}-` } });
    assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, `bytes */${archive.length}`]);
    assert.equal((await ask('/archive.bin', { headers: { 'If-None-Match': whole.headers.etag }, cache: 'no-store' })).status, 304);
    const head = await ask('/docs/one.html', { method: 'HEAD' });
    assert.deepEqual([head.status, head.length, head.headers['content-type']], [200, 0, 'text/html; charset=utf-8']);
    assert.equal((await ask('/docs/one.html', { method: 'POST', body: 'x' })).status, 405);
    const moved = await ask('/old/one.html');
    assert.deepEqual([moved.status, new URL(moved.url).pathname], [200, '/docs/one.html']);
    assert.equal((await ask('/absent')).status, 404);
    assert.match(head.headers['content-security-policy'], /default-src 'self'/);
    assert.match(head.headers['permissions-policy'], /camera=\(\)/);
    // A redirect out of the site is for the person to follow.
    await inSite(visitor, address, () => { location.href = '/out'; });
    await visitor.see('site-leave');
    assert.equal(await inSite(visitor, address, () => document.title), 'Start');
    // One version has an address too, and an origin of its own.
    await visitor.page.evaluate((hash) => { location.hash = hash; }, placeOf(version.cid, '/docs/two.html'));
    await siteShows(visitor, version.cid, 'the page', () => document.title === 'Two');
  });

  test(`${kind} shows a new version when the person wants it, and goes back to the one before`, { timeout: 900_000 }, async (t) => {
    const { publisher, reader: visitor, address, version } = await published(t, kind, { 'index.html': page('First', '') });
    await siteShows(visitor, address, 'the first version', () => document.title === 'First');
    const began = performance.now();
    const second = await publish(publisher, { 'index.html': page('Second', '') }, { site: 0, name: 'A site' });
    assert.equal(second.name, address);
    await visitor.see('site-update');
    t.diagnostic(`offered ${Math.round(performance.now() - began)} ms after publishing began`);
    assert.equal(await inSite(visitor, address, () => document.title), 'First', 'nothing changes under the reader');
    await visitor.click('site-update-load');
    await siteShows(visitor, address, 'the second version', () => document.title === 'Second');
    await visitor.click('site-chip');
    assert.equal(await visitor.text('site-sequence'), String(second.sequence));
    const before = await until('the version before', () => visitor.page.$(`[data-testid="site-versions"] a[href*="${version.cid}"]`));
    await before.evaluate((link) => link.click());
    await siteShows(visitor, version.cid, 'the first version', () => document.title === 'First');
  });

  test(`${kind} saves a file of a site through its own downloads`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const publisher = await scene.add(Visitor.arrive('chromium', relay));
    const { cid } = await publish(publisher, pages);
    const downloads = scene.profile();
    const visitor = await scene.add(Visitor.arrive(kind, relay, { hash: placeOf(cid), downloads }));
    await siteShows(visitor, cid, 'the first page', () => window.ran === true);
    await clickIn(visitor, cid, '#save');
    const saved = join(downloads, 'archive.bin');
    await until('the download', () => existsSync(saved) && sha256(readFileSync(saved)) === sha256(archive), { timeout: 180_000 });
  });

  test(`in ${kind} a site opened by itself leads to the app, and one on a host without names is shown as paper`, { timeout: 900_000 }, async (t) => {
    const { relay, reader: visitor, address } = await published(t, kind);
    await siteShows(visitor, address, 'the first page', () => window.ran === true);
    const direct = await visitor.browser.page(`http://${address}.localhost:${relay.port}/docs/two.html?q=1#end`);
    await until('the app', () => direct.evaluate((origin) => location.origin === origin && location.hash, new URL(relay.url).origin));
    assert.equal(await direct.evaluate(() => location.hash), placeOf(address, '/docs/two.html?q=1#end'));
    await direct.close();

    await visitor.page.close();
    visitor.page = await visitor.browser.page(`http://127.0.0.1:${relay.port}/${placeOf(address)}`);
    await visitor.joined();
    await visitor.see('site-paper-note');
    const paper = await (await visitor.see('site-paper')).contentFrame();
    await until('the page', () => paper.evaluate(() => document.querySelector('h1')?.textContent === 'Start').catch(() => false));
    // No script of the site can say this, so what the frame shows is asked of its document.
    assert.equal(await paper.evaluate(() => document.querySelector('script')), null);
    assert.equal(await paper.evaluate(() => getComputedStyle(document.querySelector('h1')).color), 'rgb(1, 2, 3)');
    const link = await paper.$('#relative');
    await link.click();
    await barSays(visitor, '/docs/one.html');
    const next = await (await visitor.see('site-paper')).contentFrame();
    await until('the next page', () => next.evaluate(() => document.querySelector('h1')?.textContent === 'One').catch(() => false));
  });
}

test('chromium goes on showing a site whose worker is stopped again and again', { timeout: 900_000 }, async (t) => {
  const { reader: visitor, address } = await published(t, 'chromium');
  await siteShows(visitor, address, 'the first page', () => window.ran === true);
  const devtools = await visitor.page.createCDPSession();
  const states = [];
  devtools.on('ServiceWorker.workerVersionUpdated', ({ versions }) => states.push(...versions.map((version) => version.runningStatus)));
  await devtools.send('ServiceWorker.enable');
  for (let kill = 0; kill < 5; kill++) {
    const seen = states.length;
    await devtools.send('ServiceWorker.stopAllWorkers');
    await until('the worker to stop', () => states.slice(seen).includes('stopped'));
    const at = kill % 2 === 0 ? 'one' : 'two';
    const answer = await inSite(visitor, address, async (path) => (await fetch(path)).status, `/docs/${at}.html`);
    assert.equal(answer, 200, `after stop ${kill + 1}`);
    await visitor.page.evaluate((hash) => { location.hash = hash; }, placeOf(address, `/docs/${at}.html`));
    await siteShows(visitor, address, at, (title) => document.title.toLowerCase() === title, at);
  }
  // Stopped in the middle of a body, the reading breaks off; asked again, all of it comes.
  await inSite(visitor, address, () => { window.late = fetch('/archive.bin').then((r) => r.arrayBuffer()).then((b) => b.byteLength, () => -1); });
  await devtools.send('ServiceWorker.stopAllWorkers');
  await inSite(visitor, address, () => window.late);
  assert.equal(await inSite(visitor, address, async () => (await (await fetch('/archive.bin')).arrayBuffer()).byteLength), archive.length);
});

test('firefox goes on showing a site although it ends its worker whenever that is idle', { timeout: 900_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const publisher = await scene.add(Visitor.arrive('chromium', relay));
  const { cid } = await publish(publisher, pages);
  const preferences = { 'dom.serviceWorkers.idle_timeout': 500, 'dom.serviceWorkers.idle_extended_timeout': 60_000 };
  const visitor = await scene.add(Visitor.arrive('firefox', relay, { hash: placeOf(cid), preferences }));
  await siteShows(visitor, cid, 'the first page', () => window.ran === true);
  for (const name of ['one', 'two', 'one']) {
    await wait(6_000);
    await visitor.page.evaluate((hash) => { location.hash = hash; }, placeOf(cid, `/docs/${name}.html`));
    await siteShows(visitor, cid, name, (title) => document.title.toLowerCase() === title, name);
  }
  const frame = await siteFrame(visitor, cid);
  assert.equal(await frame.evaluate(async () => (await (await fetch('/archive.bin')).arrayBuffer()).byteLength), archive.length);
});

test('firefox keeps its worker while a large file of a site is read, and what breaks off when it does not is a beginning of the right bytes', { timeout: 900_000 }, async (t) => {
  const large = randomBytes(12_000_000);
  const script = `/* ${'x'.repeat(1_500_000)} */ window.wholeScript = true;`;
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const publisher = await scene.add(Visitor.arrive('chromium', relay));
  const { cid } = await publish(publisher, { ...pages, 'large.bin': large, 'large.js': script });
  /** Reads it with a pause of `pause` ms after every megabyte; the bytes' number and hash, and how the reading ended. */
  const read = (visitor, pause, headers = {}) => inSite(visitor, cid, async (each, more) => {
    const response = await fetch('/large.bin', { headers: more });
    const reader = response.body.getReader();
    const bytes = new Uint8Array(12_000_000);
    let at = 0;
    let rested = 0;
    let ended = 'end';
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        bytes.set(next.value, at);
        at += next.value.length;
        if (at - rested < 1_000_000) continue;
        rested = at;
        await new Promise((resolve) => setTimeout(resolve, each));
      }
    } catch (error) {
      ended = String(error);
    }
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes.subarray(0, at)));
    return { at, ended, sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') };
  }, pause, headers);
  const open = async (preferences) => {
    const visitor = await scene.add(Visitor.arrive('firefox', relay, { hash: placeOf(cid), preferences }));
    await siteShows(visitor, cid, 'the first page', () => window.ran === true);
    return visitor;
  };

  // It would end a worker after 15 s that has nothing but work under way; the app speaks to it every 10.
  const kept = await open({ 'dom.serviceWorkers.idle_timeout': 500, 'dom.serviceWorkers.idle_extended_timeout': 14_500 });
  const whole = await read(kept, 4_000);
  assert.deepEqual([whole.ended, whole.at, whole.sha256], ['end', large.length, sha256(large)], 'read for longer than a worker lasts');
  await kept.leave();

  // Here it ends it after a second and a half, whatever it is at.
  const ended = await open({ 'dom.serviceWorkers.idle_timeout': 500, 'dom.serviceWorkers.idle_extended_timeout': 1_000 });
  const part = await read(ended, 4_000);
  t.diagnostic(`of ${large.length} bytes ${part.at} came, then ${part.ended}`);
  assert.ok(part.at <= large.length);
  assert.equal(part.sha256, sha256(large.subarray(0, part.at)), 'what came is right');
  // Who knows how long the file is asks for the rest, as players and downloads do.
  const rest = await read(ended, 0, { range: `bytes=${part.at}-` });
  assert.equal(rest.sha256, sha256(large.subarray(part.at)));
  // A script is whole or not there.
  const ran = await inSite(ended, cid, () => new Promise((resolve) => {
    const element = Object.assign(document.createElement('script'), { src: '/large.js' });
    element.onload = () => resolve(window.wholeScript === true);
    element.onerror = () => resolve('error');
    document.head.append(element);
  }));
  assert.equal(ran, true);
});
