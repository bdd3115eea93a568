// Sites whose files are not what they say, that store all they can, and that are none at all: refused in real browsers.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { CID } from 'multiformats/cid';
import { Scene, Visitor } from './lib/app.mjs';
import { kinds, until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';
import { inSite, placeOf, publish, siteShows } from './lib/sites.mjs';

const index = '<!doctype html><meta charset="utf-8"><title>Confused</title><p id="p">';
const html = '<!doctype html><title>rendered</title><script>parent.rendered = true;</script><body style="color: red">';
const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>(parent === self ? {} : parent).drawn = true; fetch("/seen-of-svg");</script><rect width="9" height="9"/></svg>';
/** Path, what is in it, and what its publisher says it is. */
const confused = [
  ['page.png', html, 'image/png'],
  ['page.bin', html, 'application/octet-stream'],
  ['page.own', html, 'application/x-not-known'],
  ['page.txt', html, 'text/plain'],
  ['page.json', html, 'application/json'],
  ['script.txt', 'window.ran = "text/plain";', 'text/plain'],
  ['script.png', 'window.ran = "image/png";', 'image/png'],
  ['script.own', 'window.ran = "unknown";', 'application/x-not-known'],
  ['script.html', 'window.ran = "text/html";', 'text/html'],
  ['style.txt', '#p { color: rgb(1, 2, 3) }', 'text/plain'],
  ['picture.svg', svg, 'image/svg+xml'],
];

for (const kind of kinds) {
  test(`in ${kind} files are what they are said to be, and nothing else is made of them`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const publisher = await scene.add(Visitor.arrive('chromium', relay));
    const files = { 'index.html': index, 'good.js': 'window.ran = "script";', ...Object.fromEntries(confused.map(([path, content]) => [path, content])) };
    const { cid } = await publish(publisher, files, { types: Object.fromEntries(confused.map(([path, , type]) => [path, type])) });
    const visitor = await scene.add(Visitor.arrive(kind, relay, { hash: placeOf(cid) }));
    await siteShows(visitor, cid, 'the page', () => document.title === 'Confused');
    for (const [path, , type] of confused) {
      const said = await inSite(visitor, cid, async (url) => {
        const { status, headers } = await fetch(url);
        return [status, headers.get('content-type').split(';')[0], headers.get('x-content-type-options'), headers.get('content-security-policy').startsWith("default-src 'self'")];
      }, `/${path}`);
      assert.deepEqual(said, [200, type, 'nosniff', true], path);
    }
    // As scripts and styles.
    const run = (path) => inSite(visitor, cid, async (src) => {
      delete window.ran;
      const element = Object.assign(document.createElement('script'), { src });
      const how = await new Promise((resolve) => { element.onload = () => resolve('loaded'); element.onerror = () => resolve('refused'); document.head.append(element); });
      return [how, window.ran ?? null];
    }, path);
    assert.deepEqual(await run('/good.js'), ['loaded', 'script']);
    for (const [path] of confused.filter(([name]) => name.startsWith('script.') && name !== 'script.html')) assert.deepEqual((await run(`/${path}`))[1], null, path);
    assert.deepEqual((await run('/script.html'))[1], null, 'script.html');
    const colour = await inSite(visitor, cid, async () => {
      const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: '/style.txt' });
      await new Promise((resolve) => { link.onload = link.onerror = resolve; document.head.append(link); });
      return getComputedStyle(document.querySelector('#p')).color;
    });
    assert.notEqual(colour, 'rgb(1, 2, 3)');
    // As pages of frames.
    for (const [path] of confused.filter(([name]) => name.startsWith('page.'))) {
      const shown = await inSite(visitor, cid, async (src) => {
        window.rendered = false;
        const frame = Object.assign(document.createElement('iframe'), { src });
        document.body.append(frame);
        // What is saved as a file never loads.
        await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 3_000); });
        await new Promise((resolve) => setTimeout(resolve, 200));
        const seen = { ran: window.rendered, title: null };
        try {
          seen.title = frame.contentDocument?.title ?? null;
        } catch {
          // Of no origin of the site.
        }
        frame.remove();
        return seen;
      }, `/${path}`);
      assert.equal(shown.ran, false, path);
      assert.notEqual(shown.title, 'rendered', path);
    }
    // A picture that is a document, too: drawn without its script. Shown as a document it is the site's code, with the site's limits.
    const drawn = await inSite(visitor, cid, async () => {
      const picture = new Image();
      const how = await new Promise((resolve) => { picture.onload = () => resolve('drawn'); picture.onerror = () => resolve('refused'); picture.src = '/picture.svg'; document.body.append(picture); });
      await new Promise((resolve) => setTimeout(resolve, 500));
      return [how, window.drawn ?? null];
    });
    assert.deepEqual(drawn, ['drawn', null]);
    const reached = await inSite(visitor, cid, async () => {
      const frame = Object.assign(document.createElement('iframe'), { src: '/picture.svg' });
      document.body.append(frame);
      await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 5_000); });
      return [frame.contentDocument.contentType, await frame.contentWindow.fetch('http://127.0.0.1:1/').then(() => 'reached', () => 'refused')];
    });
    assert.deepEqual(reached, ['image/svg+xml', 'refused']);
  });

  test(`in ${kind} what is no site is told to be none, however it is made`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const publisher = await scene.add(Visitor.arrive('chromium', relay));
    await publisher.node((gyre) => gyre.setUpload(true));
    // A map with `v` 1 and `files`, from which on it goes wrong.
    const begins = [0xa2, 0x61, 0x76, 0x01, 0x65, 0x66, 0x69, 0x6c, 0x65, 0x73];
    const bombs = {
      'a picture': [...randomBytes(5_000)],
      'four billion files': [...begins, 0x9a, 0xff, 0xff, 0xff, 0xff, 0x84, 0x61, 0x61],
      'a path of 2^60 letters': [...begins, 0x81, 0x84, 0x7b, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x61],
      'no end of maps': [...begins, 0x9f, 0xff],
    };
    // Large ones are made in the page: arrays in arrays, and more than any list of files may have.
    const shared = await publisher.node(async (gyre, small, first) => {
      const list = Object.entries(small).map(([what, bytes]) => [what, Uint8Array.from(bytes)]);
      list.push(['arrays in arrays', Uint8Array.from({ length: 2_000_000 }, (_, at) => first[at] ?? 0x81)]);
      list.push(['17 MiB', new Uint8Array(17 * 1024 * 1024).map((_, at) => first[at] ?? 0x60)]);
      const made = {};
      for (const [what, bytes] of list) made[what] = (await gyre.share(bytes, { name: 'x', public: true })).cid;
      return made;
    }, bombs, begins);
    const visitor = await scene.add(Visitor.arrive(kind, relay));
    for (const [what, cidOfFile] of Object.entries(shared)) {
      // The same bytes, said to be a list of files.
      const cid = CID.createV1(0x71, CID.parse(cidOfFile).multihash).toString();
      const code = await visitor.node((gyre, address) => gyre.site(address).then(() => 'open', (error) => error.code), cid);
      assert.equal(code, 'BAD_SITE', what);
      await visitor.page.evaluate((hash) => { location.hash = hash; }, placeOf(cid));
      await visitor.told('BAD_SITE');
      await visitor.page.evaluate(() => { location.hash = '#/'; });
      await visitor.see('open-input');
    }
    assert.equal(await visitor.node((gyre) => gyre.stats().state), 'joined');
  });

  test(`in ${kind} a site that reaches its quota is told so, and the app stores on`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const publisher = await scene.add(Visitor.arrive('chromium', relay));
    const { cid } = await publish(publisher, { 'index.html': index });
    // Kilobytes of all sites together, of which one may have a fifth. Chromium lets no test say how much a frame of another origin
    // may have of its 10 GB, so there the quota that is reached is that of what pages remember as text: 5 MB.
    const preferences = { 'dom.quotaManager.temporaryStorage.fixedLimit': 150_000 };
    const visitor = await scene.add(Visitor.arrive(kind, relay, { hash: placeOf(cid), preferences }));
    await siteShows(visitor, cid, 'the page', () => document.title === 'Confused');
    const filled = await inSite(visitor, cid, async (most) => {
      const ended = {};
      let text = 0;
      for (let size = 1_000_000; size >= 1; ) {
        try {
          localStorage.setItem(`x${text}`, 'y'.repeat(size));
          text += size;
        } catch (error) {
          ended.words = error.name;
          size = Math.floor(size / 10);
        }
      }
      const opening = indexedDB.open('fill');
      opening.onupgradeneeded = () => opening.result.createObjectStore('blocks');
      await new Promise((resolve) => { opening.onsuccess = resolve; });
      let sum = 0;
      const block = new Uint8Array(4 * 1024 * 1024);
      while (sum < most && !ended.blocks) {
        for (let at = 0; at < block.length; at += 65_536) crypto.getRandomValues(block.subarray(at, at + 65_536));
        const turn = opening.result.transaction('blocks', 'readwrite');
        turn.objectStore('blocks').put(block, sum);
        await new Promise((resolve) => {
          turn.oncomplete = () => { sum += block.length; resolve(); };
          turn.onabort = () => { ended.blocks = turn.error?.name ?? 'aborted'; resolve(); };
        });
      }
      return { text, sum, ...ended };
    }, 100_000_000);
    t.diagnostic(JSON.stringify(filled));
    assert.equal(filled.text > 1_000_000 && filled.text < 10_500_000, true, `${filled.text} letters`);
    const refused = kind === 'firefox' ? /^(QuotaExceededError|NS_ERROR_DOM_QUOTA_REACHED)$/ : /^QuotaExceededError$/;
    assert.match(filled.words ?? 'never', refused);
    if (kind === 'firefox') assert.match(filled.blocks ?? 'never', refused);
    assert.equal(await visitor.page.evaluate(() => { localStorage.setItem('mine', 'z'.repeat(100_000)); return localStorage.getItem('mine').length; }), 100_000);
    // The app’s own share is untouched: it keeps a file, and gives it back.
    const kept = await visitor.node(async (gyre) => {
      const bytes = crypto.getRandomValues(new Uint8Array(60_000));
      const { link, cid: cidOfFile } = await gyre.share(bytes, { name: 'mine' });
      const read = await (await gyre.open(link)).arrayBuffer();
      return [gyre.swarm(cidOfFile).state, new Uint8Array(read).every((byte, at) => byte === bytes[at])];
    });
    assert.deepEqual(kept, ['complete', true]);
    // And the site goes on, without what it could not store.
    await visitor.click('site-reload');
    await siteShows(visitor, cid, 'the page again', () => document.title === 'Confused');
    await visitor.click('site-chip');
    await until('what it has stored', async () => /[1-9]/.test(await visitor.text('site-stored')));
    await visitor.click('site-clear');
    await until('room again', () => inSite(visitor, cid, async () => {
      localStorage.setItem('again', 'y'.repeat(1_000_000));
      const cache = await caches.open('again');
      return cache.put('/', new Response(new Uint8Array(1_000_000))).then(() => true);
    }));
  });
}
