// Files under an address of the page's own origin: a film plays while most of it is missing, ranges are right, and the service
// worker may be stopped at any moment.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cidOf, hashOf, Scene, Visitor } from './lib/app.mjs';
import { kinds, until, wait } from './lib/browser.mjs';
import { colourOf, film, shareFilm, slowUplink } from './lib/film.mjs';
import { startRelay } from './lib/relay.mjs';

const MB = 1_000_000;
/** Firefox says this of every body whose reader goes away, as a player's does when a person jumps. */
const readerGone = /A ServiceWorker intercepted the request and encountered an unexpected error/;
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** A relay, and a Chromium that shares a film over a line of `rate` bytes a second and sends `share` of the film at most. */
async function cinema(t, { rate, share = Infinity, seconds = film.seconds } = {}) {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const seed = await scene.add(Visitor.arrive('chromium', relay));
  const { link, size } = await seed.node(`(gyre, format) => (${shareFilm})(format)`, { ...film, seconds });
  await seed.page.evaluate(`(${slowUplink})(${rate ?? Infinity}, ${share * size})`);
  return { scene, relay, seed, link, size };
}

/** Lets the seed send so many more bytes. */
const allow = (seed, bytes) => seed.page.evaluate((more) => { window.uplink.allowance = Math.max(window.uplink.allowance, 0) + more; }, bytes);
/** Lifts every limit of the seed's line. */
const hurry = (seed) => seed.page.evaluate(() => { window.uplink = { rate: Infinity, allowance: Infinity }; });

/** What the video in the page is doing. */
const watch = (visitor) => visitor.page.evaluate(`(() => {
  const video = document.querySelector('video');
  if (!video) return null;
  return { time: video.currentTime, duration: video.duration, colour: (${colourOf})(video), error: video.error?.message ?? null, ready: video.readyState };
})()`);

async function shows(visitor, what, holds, timeout = 180_000) {
  return until(async () => `${visitor.kind} to show ${what}; it shows ${JSON.stringify(await watch(visitor))}`, async () => {
    const seen = await watch(visitor);
    assert.ok(!seen?.error, seen?.error);
    return seen && holds(seen) ? seen : null;
  }, { timeout });
}

const play = (visitor) => visitor.page.evaluate(async () => {
  const video = document.querySelector('video');
  video.muted = true;
  // It resolves when enough is there, which the test waits for by itself.
  video.play().catch(() => {});
});
const seek = (visitor, time) => visitor.page.evaluate((to) => { document.querySelector('video').currentTime = to; }, time);
const have = async (visitor, link) => (await visitor.swarm(link)).have;

/** Asks for the file's address in the page, as any script there would. */
function ask(visitor, path, headers = {}, method = 'GET') {
  return visitor.page.evaluate(async (url, given, how) => {
    const response = await fetch(url, { headers: given, method: how });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    return {
      status: response.status, length: bytes.length, headers: Object.fromEntries(response.headers),
      sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    };
  }, path, headers, method);
}

/** The SHA-256 of a part of the file, read by the seed itself. */
function partOf(seed, link, start, end) {
  return seed.node(async (gyre, url, from, to) => {
    const file = await gyre.open(url);
    const bytes = await new Response(file.stream({ start: from, end: to })).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }, link, start, end);
}

for (const kind of kinds) {
  test(`${kind} plays a film while most of it is missing, and jumps to its end before the middle has come`, { timeout: 600_000 }, async (t) => {
    // Less than the film plays in a second, so that its player is always in want of more.
    const { scene, relay, seed, link, size } = await cinema(t, { rate: 0.5 * MB, share: 0.25 });
    t.diagnostic(`the film has ${(size / MB).toFixed(1)} MB`);
    const viewer = await scene.add(Visitor.arrive(kind, relay, { hash: hashOf(link) }));
    await viewer.see('preview');
    await play(viewer);
    const first = await shows(viewer, 'the first scene', ({ time, colour }) => time > 0 && colour === 'red');
    assert.ok(Math.abs(first.duration - film.seconds) < 1, `a film of ${first.duration} s`);
    const atStart = await have(viewer, link);
    assert.ok(atStart < size / 2, `${atStart} of ${size} bytes were there when the first frame was shown`);

    await allow(seed, 0.2 * size);
    await seek(viewer, film.seconds - 4);
    await shows(viewer, 'the last scene', ({ time, colour }) => time >= film.seconds - 4 && colour === 'blue');
    const atEnd = await have(viewer, link);
    assert.ok(atEnd < 0.75 * size, `${atEnd} of ${size} bytes were there when the end was shown`);
    t.diagnostic(`first frame with ${Math.round((100 * atStart) / size)} % of the file, the end with ${Math.round((100 * atEnd) / size)} %`);

    await allow(seed, 0.2 * size);
    await seek(viewer, film.seconds / 2);
    await shows(viewer, 'the scene in the middle', ({ time, colour }) => time >= film.seconds / 2 && colour === 'green');
    await hurry(seed);
    await viewer.complete(link);
    viewer.quiet(readerGone);
  });

  test(`${kind} gets every range right, byte for byte, and the right answers for what is no range`, { timeout: 600_000 }, async (t) => {
    const { scene, relay, seed, link, size } = await cinema(t, { rate: 4 * MB });
    const viewer = await scene.add(Visitor.arrive(kind, relay, { hash: hashOf(link) }));
    await viewer.see('preview');
    const path = `.gyre/f/${cidOf(link)}`;
    for (const [start, end] of [[0, 1], [size - 100_000, size], [262_143, 262_145], [Math.floor(size / 2), Math.floor(size / 2) + 700_001]]) {
      const part = await ask(viewer, path, { Range: `bytes=${start}-${end - 1}` });
      assert.deepEqual([part.status, part.length, part.headers['content-range']], [206, end - start, `bytes ${start}-${end - 1}/${size}`]);
      assert.equal(part.sha256, await partOf(seed, link, start, end), `bytes ${start} to ${end}`);
    }
    const last = await ask(viewer, path, { Range: 'bytes=-10' });
    assert.deepEqual([last.status, last.headers['content-range']], [206, `bytes ${size - 10}-${size - 1}/${size}`]);
    const beyond = await ask(viewer, path, { Range: `bytes=${size}-` });
    assert.deepEqual([beyond.status, beyond.headers['content-range'], beyond.length], [416, `bytes */${size}`, 0]);
    const head = await ask(viewer, path, {}, 'HEAD');
    assert.deepEqual([head.status, head.headers['content-length'], head.headers['content-type'], head.headers['accept-ranges'], head.length], [200, String(size), 'video/webm', 'bytes', 0]);
    assert.equal(head.headers['x-content-type-options'], 'nosniff');
    assert.equal((await ask(viewer, path, { 'If-None-Match': head.headers.etag })).status, 304);
    assert.equal((await ask(viewer, path, { Range: 'bytes=0-0', 'If-Range': head.headers.etag })).status, 206);
    assert.equal((await ask(viewer, path, {}, 'POST')).status, 405);
    const stranger = await ask(viewer, `.gyre/f/b${'a'.repeat(58)}`);
    assert.deepEqual([stranger.status, stranger.headers['gyre-error']], [404, 'NOT_OPEN']);
    assert.deepEqual((await ask(viewer, '.gyre/f/nonsense')).headers['gyre-error'], 'BAD_ADDRESS');
    // A file of a stranger never runs in the page.
    const ran = await viewer.page.evaluate((url) => new Promise((resolve) => {
      const script = Object.assign(document.createElement('script'), { src: url, onload: () => resolve(true), onerror: () => resolve(false) });
      document.body.append(script);
    }), path);
    assert.equal(ran, false);

    await hurry(seed);
    const whole = await ask(viewer, path);
    assert.deepEqual([whole.status, whole.length], [200, size]);
    assert.equal(whole.sha256, await seed.sha256(link));
  });

  test(`in ${kind} nothing is read that nobody wants: a player that has enough holds it back, and a jump ends a reading`, { timeout: 600_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const visitor = await scene.add(Visitor.arrive(kind, relay));
    // The whole film is here, so that nothing but the player's own wish limits what it gets.
    const { link, size } = await visitor.node(`(gyre, format) => (${shareFilm})(format)`, { ...film, seconds: 240 });
    await visitor.page.evaluate(() => {
      window.wishes = [];
      navigator.serviceWorker.addEventListener('message', ({ data, ports: [port] }) => {
        if (data?.gyre === 'file') port.addEventListener('message', (event) => window.wishes.push(event.data.type));
      });
      window.location.hash = '';
    });
    await visitor.page.evaluate((hash) => { window.location.hash = hash; }, hashOf(link));
    await visitor.see('preview');
    const wishes = (type) => visitor.page.evaluate((wanted) => window.wishes.filter((wish) => wish === wanted).length, type);
    await shows(visitor, 'the first scene', ({ colour }) => colour === 'red');
    const settled = async () => {
      let pulls = -1;
      await until('the pulls to end', async () => pulls === (pulls = await wishes('pull')), { every: 2_000 });
      return pulls;
    };
    const pieces = size / 1_048_576;
    const paused = await settled();
    assert.ok(paused >= 1 && paused < pieces / 2, `${paused} of ${Math.round(pieces)} pieces were asked for by a player that stands`);
    const cancelled = await wishes('cancel');
    await play(visitor);
    await shows(visitor, 'the film', ({ time }) => time > 1);
    await seek(visitor, 200);
    await shows(visitor, 'the last scene', ({ time, colour }) => time > 200 && colour === 'blue');
    await until('the page to be told that a body is not wanted any more', async () => (await wishes('cancel')) > cancelled);
    t.diagnostic(`${paused} of ${Math.round(pieces)} pieces of 1 MiB were read for a player that stands at the beginning`);
    visitor.quiet(readerGone);
  });

  test(`${kind} saves a film as it arrives, through its own downloads`, { timeout: 600_000 }, async (t) => {
    const { scene, relay, seed, link } = await cinema(t, { rate: 8 * MB });
    const downloads = scene.profile();
    const viewer = await scene.add(Visitor.arrive(kind, relay, { hash: hashOf(link), downloads, join: false }));
    await viewer.page.evaluate(() => { delete window.showSaveFilePicker; });
    await viewer.joined();
    await viewer.click('file-save');
    const saved = join(downloads, 'three colours.webm');
    await until(() => `the download; the folder holds ${readdirSync(downloads)}`, async () => {
      assert.deepEqual(await viewer.errorCodes(), []);
      const partial = readdirSync(downloads).some((name) => /\.(crdownload|part)$/.test(name));
      return existsSync(saved) && statSync(saved).size > 0 && !partial;
    }, { timeout: 300_000 });
    await until('the same bytes', async () => sha256(readFileSync(saved)) === (await seed.sha256(link)), { every: 1000 });
  });

  test(`${kind} shows a document of a stranger without an origin and without its scripts`, { timeout: 600_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const visitor = await scene.add(Visitor.arrive(kind, relay));
    const cid = await visitor.node(async (gyre) => {
      const text = '<!doctype html><title>stranger</title><p id="said">quiet</p><script>document.getElementById("said").textContent = "ran"</script>';
      return (await gyre.share(new TextEncoder().encode(text), { name: 'page.html', type: 'text/html' })).cid;
    });
    await until('the worker', () => visitor.page.evaluate(() => navigator.serviceWorker.controller !== null));
    const other = await visitor.browser.page(new URL(`.gyre/f/${cid}`, relay.url).href);
    const seen = await other.evaluate(() => ({ said: document.getElementById('said')?.textContent, origin: window.origin }));
    assert.deepEqual(seen, { said: 'quiet', origin: 'null' });

    // With the page closed nobody can read it, and the address says so.
    await visitor.page.close();
    const response = await other.reload({ waitUntil: 'domcontentloaded' });
    assert.equal(response.status(), 503);
    assert.match(await other.evaluate(() => document.body.textContent), /No tab of this site is open/);
  });
}

test('chromium plays on when its service worker is stopped again and again', { timeout: 600_000 }, async (t) => {
  const { scene, relay, link } = await cinema(t, { rate: 2.5 * MB });
  const viewer = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
  await viewer.see('preview');
  const devtools = await viewer.page.createCDPSession();
  const states = [];
  devtools.on('ServiceWorker.workerVersionUpdated', ({ versions }) => states.push(...versions.map((version) => version.runningStatus)));
  await devtools.send('ServiceWorker.enable');
  await play(viewer);
  let { time } = await shows(viewer, 'the film', ({ time: at, colour }) => at > 0 && colour === 'red');
  for (let kill = 0; kill < 4; kill++) {
    const seen = states.length;
    await devtools.send('ServiceWorker.stopAllWorkers');
    await until('the worker to stop', () => states.slice(seen).includes('stopped'));
    // From here on only bytes that were not there before the worker was stopped.
    await seek(viewer, (time = 8 * (kill + 1)));
    await shows(viewer, `a frame after stop ${kill + 1}`, ({ time: at, colour }) => at > time && colour !== null);
  }
  assert.ok(states.filter((state) => state === 'running').length >= 4, `the worker was ${states}`);
});

test('firefox plays on although it ends its service worker whenever that is idle', { timeout: 600_000 }, async (t) => {
  const { scene, relay, link } = await cinema(t, { rate: 2.5 * MB, seconds: 240 });
  // It ends one half a second after its last event, and after ten if it still has work; normally after 30 and 300 s.
  const preferences = { 'dom.serviceWorkers.idle_timeout': 500, 'dom.serviceWorkers.idle_extended_timeout': 10_000 };
  const viewer = await scene.add(Visitor.arrive('firefox', relay, { hash: hashOf(link), preferences }));
  await viewer.see('preview');
  await play(viewer);
  await shows(viewer, 'the film', ({ time, colour }) => time > 0 && colour === 'red');
  // Far apart: the player keeps about a minute.
  for (const place of [200, 110]) {
    await wait(12_000);
    await seek(viewer, place);
    await play(viewer);
    await shows(viewer, `the film at ${place} s`, ({ time, colour }) => time > place && colour !== null);
  }
});

test('the worker comes with headers that let a new version take over', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const script = await fetch(`${relay.url}gyre-sw.js`);
  assert.equal(script.status, 200);
  assert.match(script.headers.get('content-type'), /^(text|application)\/javascript/);
  assert.equal(script.headers.get('cache-control'), 'no-cache');
  assert.match(script.headers.get('content-security-policy'), /frame-src 'self'/);
  const astray = await fetch(`${relay.url}.gyre/f/${'b'.repeat(59)}`);
  assert.equal(astray.status, 404, 'without a worker there is no such file');
});
