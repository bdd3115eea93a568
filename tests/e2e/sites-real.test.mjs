// Real sites, as they ship in npm packages, browsed in the frame: documentation, an application, films, names in another alphabet.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../scripts/lib/places.mjs';
import { Scene, Visitor } from './lib/app.mjs';
import { kinds, until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';
import { bar, barSays, giveFolder, inSite, placeOf, siteShows } from './lib/sites.mjs';

const characters = ['爱', '龍', '⺀'];

/** The four packages of docs/sites.md in one folder, of the characters some. */
function realSites(folder) {
  const packages = join(root, 'node_modules');
  for (const [name, from] of [['vis', 'vis/docs'], ['vide', 'vide']]) cpSync(join(packages, from), join(folder, name), { recursive: true, filter: (path) => !path.slice(packages.length + name.length + 2).includes('node_modules') });
  mkdirSync(join(folder, 'hanzi'));
  for (const character of characters) cpSync(join(packages, `hanzi-writer-data/${character}.json`), join(folder, `hanzi/${character}.json`));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><meta charset="utf-8"><title>Real sites</title><a href="vis/network/index.html">vis</a>');
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
}

/** Somebody who publishes a folder of this machine, and files of JSON beside what it holds; what comes of it. */
async function publishFolder(scene, relay, folder, options = {}, beside = {}) {
  const publisher = await scene.add(Visitor.arrive('chromium', relay));
  await publisher.node((gyre) => gyre.setUpload(true));
  await giveFolder(publisher, folder);
  return publisher.node((gyre, more, settings) => {
    const files = Object.entries(more).map(([path, said]) => ({ path, content: new Blob([JSON.stringify(said)]), type: 'application/json' }));
    return gyre.publish([...window.folderFiles(), ...files], settings);
  }, beside, options);
}

const goTo = (visitor, hash) => visitor.page.evaluate((to) => { location.hash = to; }, hash);

for (const kind of kinds) {
  test(`${kind} walks through documentation, plays and jumps in a film, and finds names in Chinese, of real sites`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const folder = scene.profile();
    const count = realSites(folder);
    const { cid, change } = await publishFolder(scene, relay, folder);
    assert.equal(change.files, count);
    t.diagnostic(`${count} files, ${(change.bytes / 1e6).toFixed(1)} MB`);
    // The documentation's search asks for pages by requests for which its thread waits (`async: false`). Firefox's driver puts the site into
    // the app's process, where that is the thread which would answer; as people have it, each has a process of its own.
    const visitor = await scene.add(Visitor.arrive(kind, relay, { hash: placeOf(cid), isolated: true }));
    await siteShows(visitor, cid, 'the first page', () => document.title === 'Real sites');

    // From page to page by their own links; each with its styles, and its script run.
    // By its script: the driver's clicks miss frames of other processes.
    await inSite(visitor, cid, () => document.querySelector('a').click());
    let before = 'index';
    const walk = ['nodes', 'edges', 'groups', 'layout', 'physics', 'interaction', 'manipulation', 'configure'].flatMap((name) => [name, 'index']);
    for (const name of ['index', ...walk]) {
      if (name !== before) await until(`the way from ${before} to ${name}`, async () => {
        if (await inSite(visitor, cid, (wanted) => location.pathname === wanted, `/vis/network/${name}.html`).catch(() => false)) return true;
        await inSite(visitor, cid, (href) => document.querySelector(`a[href="${href}"]`).click(), `./${name}.html`).catch(() => undefined);
        return false;
      }, { every: 500 });
      before = name;
      const wanted = readFileSync(join(folder, `vis/network/${name}.html`), 'utf8').match(/<title>([^<]*)<\/title>/)[1];
      await siteShows(visitor, cid, name, (path, title) => location.pathname === path && document.title === title && document.readyState === 'complete', `/vis/network/${name}.html`, wanted);
      const looks = await inSite(visitor, cid, () => ({
        styles: [...document.styleSheets].filter(({ href, cssRules }) => href?.startsWith(location.origin) && cssRules.length > 0).length,
        asked: [...document.querySelectorAll('link[rel~="stylesheet"]')].filter(({ href }) => href.startsWith(location.origin)).length,
        broken: [...document.images].filter(({ src, complete, naturalWidth }) => src.startsWith(location.origin) && complete && naturalWidth === 0).map(({ src }) => src),
        words: document.body.innerText.length,
      }));
      assert.ok(looks.asked > 0 && looks.styles === looks.asked && looks.words > 500, `${name}: ${JSON.stringify(looks)}`);
      assert.deepEqual(looks.broken, [], name);
    }
    await visitor.click('site-back');
    await siteShows(visitor, cid, 'the page before', () => location.pathname === '/vis/network/configure.html');

    // A page that plays its film behind what it says, with a library of its own, as the one from elsewhere is refused.
    await goTo(visitor, placeOf(cid, '/vide/examples/block-bg.html'));
    const film = () => inSite(visitor, cid, () => {
      const video = document.querySelector('#block video');
      return video && { at: video.currentTime, length: video.duration, width: video.videoWidth, from: new URL(video.currentSrc).pathname, seeking: video.seeking, error: video.error?.message ?? null };
    });
    const plays = await until(async () => `the film; it is ${JSON.stringify(await film())}`, async () => {
      const now = await film();
      return now && now.at > 0.2 && now.width > 0 && now;
    }, { timeout: 180_000 });
    t.diagnostic(JSON.stringify(plays));
    assert.match(plays.from, /^\/vide\/examples\/video\/ocean\.(webm|ogv|mp4)$/);
    for (const part of [0.8, 0.3]) {
      await inSite(visitor, cid, (to) => { const video = document.querySelector('#block video'); video.currentTime = to * video.duration; }, part);
      await until(async () => `the film to go on at ${part}; it is ${JSON.stringify(await film())}`, async () => {
        const { at, length, seeking } = await film();
        return !seeking && at > part * length && at < Math.min(part * length + 4, length);
      }, { timeout: 120_000, every: 50 });
    }
    assert.equal(await inSite(visitor, cid, () => window.jQuery.fn.jquery.split('.').length), 3);

    // Names in another alphabet, typed as they are and as browsers write them.
    for (const [n, character] of characters.entries()) {
      const path = `/hanzi/${character}.json`;
      await goTo(visitor, placeOf(cid, n === 0 ? path : encodeURI(path)));
      await siteShows(visitor, cid, character, (wanted) => location.pathname === wanted, encodeURI(path));
      // In Firefox with a process for each site the bar was not seen to follow to such a file; why is open.
      if (kind === 'chromium') await barSays(visitor, path);
      const text = await inSite(visitor, cid, async () => (await fetch(location.href)).text());
      assert.equal(text, readFileSync(join(folder, `hanzi/${character}.json`), 'utf8'));
    }
  });

  test(`${kind} runs a real application of one page, goes to a route that its script makes, and loads it again there`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const build = join(root, 'node_modules/unleash-frontend/build');
    assert.ok(existsSync(build), 'npm ci brings it');
    // What the application asks its server for, as files.
    const server = {
      'api/admin/ui-config': { flags: {}, version: '4.14.8', name: 'Unleash', slogan: '', environment: '', links: [], versionInfo: { current: { oss: '4.14.8' }, latest: {}, isLatest: true, instanceId: '' } },
      'api/admin/user': { user: { id: 1, name: 'Somebody', email: 'somebody@mail.example', imageUrl: '', seenAt: null, loginAttempts: 0, createdAt: '2022-01-01T00:00:00Z' }, permissions: [{ permission: 'ADMIN' }], feedback: [], splash: {} },
      'api/admin/projects': { version: 1, projects: [] },
      'api/admin/features': { version: 1, features: [] },
      'api/admin/archive/features': { version: 1, features: [] },
      'api/admin/feature-types': { version: 1, types: [] },
    };
    const { cid } = await publishFolder(scene, relay, build, { fallback: 'index.html' }, server);
    const visitor = await scene.add(Visitor.arrive(kind, relay, { hash: placeOf(cid) }));
    const state = () => inSite(visitor, cid, () => ({ path: location.pathname, text: document.querySelector('#app')?.innerText.slice(0, 2_000) ?? '' }));
    const shows = (path, words) => until(async () => `${path}; it shows ${JSON.stringify(await state())}`, async () => {
      const now = await state();
      return now.path === path && words.test(now.text);
    }, { timeout: 240_000 });
    // It asked for what its server would say, and went where it sends those who are signed in.
    await shows('/features', /Feature toggles \(0\)[\s\S]*No feature toggles available/);
    await inSite(visitor, cid, () => { window.same = true; document.querySelector('#app a[href="/archive"]').click(); });
    await shows('/archive', /archive/i);
    await until('the way in the bar', async () => (await bar(visitor)).path.startsWith('/archive'));
    assert.equal(await inSite(visitor, cid, () => window.same), true, 'its script made the way: no page was loaded');
    const before = (await state()).text;
    await visitor.click('site-reload');
    await until('another page', () => inSite(visitor, cid, () => window.same === undefined));
    await until(async () => `the same as before at /archive; it shows ${JSON.stringify(await state())}`, async () => {
      const now = await state();
      return now.path === '/archive' && now.text === before;
    }, { timeout: 240_000 });
    await visitor.click('site-back');
    await shows('/features', /Feature toggles \(0\)/);
  });
}
