// Sites through the SDK: published in one browser, opened by name in others, brought up to date, and carried on from 24 words.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';

/** How long a head may take to reach an open page at most, in milliseconds; the figure is printed. */
const UPDATE_TIMEOUT_MS = 60_000;

/** Another tab of the same browser. */
async function anotherTab(visitor) {
  const page = await visitor.browser.page(visitor.relay.url);
  const tab = Object.assign(new Visitor(), { kind: visitor.kind, relay: visitor.relay, browser: visitor.browser, page });
  await tab.joined();
  return tab;
}

/** Makes `window.site` in a page: the files of a version, and what they are when they are fetched. Bytes follow from path and version. */
async function prepare(visitor) {
  await visitor.node(() => {
    const paths = ['index.html', '404.html', 'style.css', '_redirects', 'ünïcode/文書.txt', 'film.bin', ...Array.from({ length: 24 }, (_, at) => `pages/${at}.html`)];
    const sizes = { 'film.bin': 700_001, '_redirects': 0 };
    const bytesOf = (path, version) => {
      if (path === '_redirects') return new TextEncoder().encode('/old/* /pages/:splat 302\n');
      // Only two files differ between versions.
      const seed = [...`${path}${path === 'index.html' || path === 'pages/3.html' ? version : ''}`].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) >>> 0, 7);
      return Uint8Array.from({ length: sizes[path] ?? 900 + (seed % 3000) }, (_, at) => (seed + at * 17 + (at >> 8)) & 255);
    };
    const hex = async (bytes) => Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');
    window.site = {
      hex,
      bytesOf,
      paths: (version) => (version > 1 ? [...paths, `new in ${version}.txt`] : paths),
      // A blob, bytes and a stream in turn.
      files: (version) => window.site.paths(version).map((path, at) => {
        const bytes = bytesOf(path, version);
        return { path, content: [new Blob([bytes]), bytes, new Blob([bytes]).stream()][at % 3] };
      }),
      /** Paths whose bytes are not those of this version, fetched as a browser would. */
      wrong: async (site, version) => {
        const wrong = [];
        for (const path of window.site.paths(version)) {
          const response = await site.fetch(`/${path.split('/').map(encodeURIComponent).join('/')}`);
          const right = await hex(bytesOf(path, version));
          const is = await hex(await response.arrayBuffer());
          if (response.status !== 200 || right !== is) wrong.push(`${path} ${response.status}`);
        }
        return wrong;
      },
    };
  });
}

test('a site is published, read elsewhere, brought up to date, and carried on from 24 words', { timeout: 900_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const publisher = await scene.add(Visitor.arrive('chromium', relay));
  const reader = await scene.add(Visitor.arrive('firefox', relay));
  await Promise.all([prepare(publisher), prepare(reader)]);

  const first = await publisher.node(async (gyre) => {
    await gyre.setUpload(true);
    const { keys } = gyre;
    const missing = (await keys.state()).state;
    const early = await gyre.publish(window.site.files(1), { site: 3 }).then(() => 'published', (error) => error.code);
    await keys.create();
    const phrase = await keys.phrase();
    await keys.setPassphrase('correct horse');
    await keys.lock();
    const locked = (await keys.state()).state;
    const wrong = await keys.unlock('incorrect horse').then(() => 'unlocked', (error) => error.code);
    const began = performance.now();
    await keys.unlock('correct horse');
    const unlocked = performance.now() - began;
    let last;
    const reviewed = [];
    const version = await gyre.publish(window.site.files(1), {
      site: 3,
      name: 'A site of tests',
      onProgress: (progress) => (last = progress),
      review: (change) => reviewed.push(change) > 0,
    });
    return { missing, early, phrase, locked, wrong, unlocked, last, reviewed, version, state: await keys.state(), name: await keys.siteName(3) };
  });
  t.diagnostic(`argon2id took ${first.unlocked.toFixed(0)} ms in the page`);
  assert.deepEqual([first.missing, first.early, first.locked, first.wrong, first.state.state], ['missing', 'NO_KEYS', 'locked', 'WRONG_PASSPHRASE', 'unlocked']);
  assert.equal(first.phrase.split(' ').length, 24);
  const { version } = first;
  assert.equal(version.name, first.name);
  assert.match(version.name, /^k51[0-9a-z]{59}$/);
  assert.equal(version.link, `${relay.url}#/s/${version.name}/`);
  assert.equal(version.sequence, 0);
  assert.deepEqual([version.change.files, version.change.addedCount, version.change.previous], [30, 30, null]);
  assert.deepEqual([first.last.files, first.last.bytes, first.last.path], [30, version.change.bytes, null]);
  assert.equal(first.reviewed.length, 1);

  const read = await reader.node(async (gyre, name) => {
    await gyre.setUpload(true);
    const began = performance.now();
    const site = (window.opened = await gyre.site(name));
    const opening = performance.now() - began;
    window.updates = [];
    site.addEventListener('update', ({ detail }) => window.updates.push({ ...detail, at: Date.now() }));
    const wrong = await window.site.wrong(site, 1);
    const whole = performance.now() - began;
    const has = async (target, options) => {
      const response = await site.fetch(target, options);
      return { status: response.status, type: response.headers.get('content-type'), range: response.headers.get('content-range'), location: response.headers.get('location'), hash: await window.site.hex(await response.arrayBuffer()) };
    };
    const film = window.site.bytesOf('film.bin', 1);
    const etag = (await site.fetch('/film.bin', { method: 'HEAD' })).headers.get('etag');
    const unfinished = (await site.fetch('/film.bin')).body.getReader();
    await unfinished.read();
    await unfinished.cancel();
    return {
      opening,
      whole,
      wrong,
      info: await site.info(),
      files: await site.files(2, 3),
      folder: await has('/?x=1'),
      part: await has('/film.bin', { headers: { range: 'bytes=262100-600000' } }),
      partRight: await window.site.hex(film.slice(262_100, 600_001)),
      beyond: await has('/film.bin', { headers: { range: 'bytes=700001-' } }),
      known: await has('/film.bin', { headers: { 'if-none-match': etag } }),
      posted: await has('/film.bin', { method: 'POST' }),
      old: await has('/old/3.html'),
      missing: await has('/nowhere/'),
      missingRight: await window.site.hex(window.site.bytesOf('404.html', 1)),
      bad: await site.request('/a/%2e%2e/b'),
      piece: (await site.read('film.bin', 699_000, 5_000)).byteLength,
      none: await site.read('no such file', 0, 1).then(() => 'read', (error) => error.code),
    };
  }, version.name);
  t.diagnostic(`opened in ${read.opening.toFixed(0)} ms, all 30 files read one after the other in ${read.whole.toFixed(0)} ms`);
  assert.deepEqual(read.wrong, []);
  assert.deepEqual([read.info.title, read.info.files, read.info.here.files, read.info.pinned], ['A site of tests', 30, 30, false]);
  assert.equal(read.info.cid, version.cid);
  assert.equal(read.files.length, 3);
  assert.deepEqual([read.folder.status, read.folder.type], [200, 'text/html; charset=utf-8']);
  assert.deepEqual([read.part.status, read.part.range, read.part.hash], [206, 'bytes 262100-600000/700001', read.partRight]);
  assert.deepEqual([read.beyond.status, read.known.status, read.posted.status], [416, 304, 405]);
  assert.deepEqual([read.old.status, read.old.location], [302, '/pages/3.html']);
  assert.deepEqual([read.missing.status, read.missing.hash], [404, read.missingRight]);
  assert.deepEqual([read.bad.kind, read.bad.status], ['missing', 400]);
  assert.deepEqual([read.piece, read.none], [1_001, 'BAD_OPTIONS']);
  await until('the publisher to know that somebody has everything', () => publisher.node(async (gyre, cid) => (await (await gyre.site(cid)).info()).seenHour === 1, version.cid));

  // Given up at the review: nothing is signed, and nothing of it stays.
  const declined = await publisher.node(async (gyre) => {
    const code = await gyre.publish([{ path: 'index.html', content: new Blob(['other']) }], { site: 3, review: () => false }).then(() => 'published', (error) => error.code);
    return { code, sites: await gyre.sites() };
  });
  assert.equal(declined.code, 'ABORTED');
  assert.deepEqual(declined.sites.map(({ cid, pinned }) => ({ cid, pinned })), [{ cid: version.cid, pinned: true }]);

  // A tab that does not run the node publishes the second version; one that does not run it hears of it and reads.
  const publisherTab = await anotherTab(publisher);
  const readerTab = await anotherTab(reader);
  await Promise.all([prepare(publisherTab), prepare(readerTab)]);
  const following = await readerTab.node(async (gyre, name) => {
    const site = (window.opened = await gyre.site(name));
    window.updates = [];
    site.addEventListener('update', ({ detail }) => window.updates.push({ ...detail, at: Date.now() }));
    return { here: gyre.runsHere, wrong: await window.site.wrong(site, 1) };
  }, version.name);
  assert.deepEqual(following, { here: false, wrong: [] });
  const second = await publisherTab.node(async (gyre) => {
    const version = await gyre.publish(window.site.files(2), { site: 3, name: 'A site of tests' });
    return { here: gyre.runsHere, at: Date.now(), version };
  });
  assert.equal(second.here, false);
  const { change } = second.version;
  assert.deepEqual([second.version.name, second.version.sequence, change.previous], [version.name, 1, version.cid]);
  assert.deepEqual([change.added, change.changed, change.removed], [['new in 2.txt'], ['index.html', 'pages/3.html'], []]);
  for (const [who, tab] of [['the page', reader], ['its other tab', readerTab]]) {
    const [update] = await until(`${who} to hear of the second version`, async () => {
      const updates = await tab.node(() => window.updates);
      return updates.length > 0 ? updates : null;
    }, { timeout: UPDATE_TIMEOUT_MS });
    t.diagnostic(`${who} heard of the second version ${update.at - second.at} ms after publish() ended`);
    assert.deepEqual([update.cid, update.sequence, update.fork], [second.version.cid, 1, false]);
  }
  const newer = await readerTab.node(async (gyre, name) => {
    const site = await gyre.site(name);
    const progress = [];
    await site.keep({ onProgress: (done) => progress.push(done) });
    return { wrong: await window.site.wrong(site, 2), versions: await site.versions(), info: await site.info(), last: progress.at(-1), old: await window.site.wrong(window.opened, 1) };
  }, version.name);
  assert.deepEqual([newer.wrong, newer.old], [[], []], 'both versions can be read');
  assert.deepEqual(newer.versions.map(({ cid }) => cid), [second.version.cid, version.cid]);
  assert.deepEqual([newer.info.pinned, newer.last.files, newer.last.allFiles], [true, 31, 31]);

  // The machine is lost; the words are not.
  for (const tab of [publisherTab, publisher]) tab.quiet();
  await publisher.leave();
  const heir = await scene.add(Visitor.arrive('chromium', relay));
  await prepare(heir);
  const third = await heir.node(async (gyre, phrase) => {
    await gyre.setUpload(true);
    const bad = await gyre.keys.restore(phrase.replace(/\w+$/, 'zoo zoo')).then(() => 'restored', (error) => error.code);
    await gyre.keys.restore(phrase);
    const file = await gyre.keys.export('battery staple');
    await gyre.keys.forget();
    await gyre.keys.import(file, 'battery staple');
    return { bad, size: file.byteLength, version: await gyre.publish(window.site.files(3), { site: 3, name: 'A site of tests' }) };
  }, first.phrase);
  assert.deepEqual([third.bad, third.size], ['BAD_PHRASE', 110]);
  assert.equal(third.version.name, version.name);
  assert.ok(third.version.sequence > 1, `${third.version.sequence}`);
  assert.equal(third.version.change.previous, second.version.cid);
  assert.deepEqual([third.version.change.added, third.version.change.removed], [['new in 3.txt'], ['new in 2.txt']]);
  await until('the reader to hear of the third version', async () => (await reader.node(() => window.updates)).at(-1)?.cid === third.version.cid, { timeout: UPDATE_TIMEOUT_MS });
  assert.deepEqual(await reader.node(async (gyre, name) => window.site.wrong(await gyre.site(name), 3), version.name), []);
  const left = await readerTab.node(async (gyre, cid) => {
    const site = await gyre.site(cid);
    await site.unpin();
    await site.remove();
    window.opened.close();
    return (await gyre.sites()).map((held) => held.cid);
  }, second.version.cid);
  assert.equal(left.includes(second.version.cid), false);
  for (const visitor of [reader, readerTab, heir]) visitor.quiet();
});

test('a passkey unlocks the keys where the browser has its PRF', { timeout: 300_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const visitor = await scene.add(Visitor.arrive('chromium', relay));
  const client = await visitor.page.createCDPSession();
  await client.send('WebAuthn.enable');
  await client.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, hasPrf: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  const seen = await visitor.node(async (gyre) => {
    const { keys } = gyre;
    await keys.create();
    const name = await keys.siteName(0);
    await keys.addPasskey();
    await keys.lock();
    const locked = await keys.siteName(0).then(() => 'unlocked', (error) => error.code);
    const passphrase = await keys.unlock('there is none').then(() => 'unlocked', (error) => error.code);
    await keys.unlockWithPasskey();
    return { locked, passphrase, same: name === (await keys.siteName(0)), locks: (await keys.state()).locks.map(({ kind }) => kind) };
  });
  assert.deepEqual(seen, { locked: 'LOCKED', passphrase: 'WRONG_PASSPHRASE', same: true, locks: ['external'] });
  visitor.quiet();
});
