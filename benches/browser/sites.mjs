// A real site of over a thousand files, from a peer's browser to a reader's: published, opened, walked through, brought up to date.
// The yardsticks are the same site from the relay by plain HTTP, and from a gateway of IPFS in a service worker, in the same browser and the same run.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../scripts/lib/places.mjs';
import { Visitor } from '../../tests/e2e/lib/app.mjs';
import { launch, until } from '../../tests/e2e/lib/browser.mjs';
import { startRelay } from '../../tests/e2e/lib/relay.mjs';
import { giveFolder, placeOf, siteFrame } from '../../tests/e2e/lib/sites.mjs';
import { installPeers } from '../peers/install.mjs';
import { startIpfs } from '../peers/ipfs.mjs';
import { median, p95 } from './statistics.mjs';

const KIND = process.env.BENCH_BROWSER ?? 'chromium';
/** Pages that hear of a new version at once. */
const READERS = Number(process.env.BENCH_READERS ?? 20);
/** Milliseconds between looks into a page: the time of a paint is the page's own, and looking costs it something. */
const LOOK_MS = 200;
/** How many of them show the site in its frame, and offer a new version to the person: more frames than that are a load of their own. */
const SHOWN = 3;
/** Where a reader begins, and where they go on. */
const FIRST = '/vis/docs/network/index.html';
const FURTHER = [
  'network/nodes', 'network/edges', 'network/groups', 'network/layout', 'network/physics', 'network/interaction',
  'network/manipulation', 'network/configure', 'timeline/index', 'graph2d/index', 'graph3d/index', 'data/index', 'data/dataset', 'data/dataview',
].map((name) => `/vis/docs/${name}.html`);

export const siteMeasures = [
  {
    name: 'sites',
    needsApp: true,
    about: 'a real site of over 1,000 files, from a peer, against plain HTTP and a service worker of IPFS',
    run: async ({ rounds, log }) => {
      await installPeers();
      const folder = realSite();
      const ipfs = await startIpfs(folder);
      const relay = await startRelay();
      const plain = await startRelay({ app: folder });
      const publisher = await Visitor.arrive(KIND, relay);
      const browser = await launch(KIND);
      try {
        const files = await give(publisher, folder);
        const first = await publish(publisher, 'whole');
        log(`${files} files, ${(first.bytes / 1e6).toFixed(1)} MB: published in ${(first.took / 1e3).toFixed(1)} s`);
        const small = await publish(publisher, 'small');
        const [unlinked, linked, further, plainFirst, plainFurther, ipfsNew, ipfsFirst, ipfsFurther] = [[], [], [], [], [], [], [], []];
        for (let round = 0; round < rounds; round++) {
          const context = await browser.context();
          const reader = await arrive(context, relay);
          unlinked.push(await opened(reader, small.address, '/index.html'));
          linked.push(await opened(reader, first.address, FIRST));
          for (const path of FURTHER) further.push(await followed(reader, first.address, path));
          await context.close();
          const other = await browser.context();
          const page = await other.page(`${plain.url}index.html`);
          plainFirst.push(await walked(page, FIRST));
          for (const path of FURTHER) plainFurther.push(await walked(page, path));
          await other.close();
          ipfsNew.push(await withIpfs(browser, ipfs.elsewhere, (stranger) => walked(stranger, FIRST, ipfs.url)));
          await withIpfs(browser, `${ipfs.url}/install`, async (warm) => {
            await until('the worker of IPFS', () => warm.evaluate(() => window.installed));
            ipfsFirst.push(await walked(warm, FIRST));
            for (const path of FURTHER) ipfsFurther.push(await walked(warm, path));
          });
          const whole = (list) => Math.round(list.at(-1));
          const middle = (list) => Math.round(median(list.slice(-FURTHER.length)));
          log(`round ${round + 1}: first page ${whole(linked)} ms (${whole(unlinked)} ms where nobody was linked), HTTP ${whole(plainFirst)} ms, IPFS ${whole(ipfsFirst)} ms (${whole(ipfsNew)} ms where its worker was not installed); further ${middle(further)}, ${middle(plainFurther)} and ${middle(ipfsFurther)} ms`);
        }
        const change = await secondVersion(publisher, browser, relay, first, log);
        const { seen, offered } = await updates(publisher, browser, relay, log);
        const ms = (what, list, yardstick, wanted) => {
          const [ours, theirs] = [list, yardstick].map((of) => of && median(of));
          return [
            { what, ours, yardstick: theirs, unit: 'ms', ...(theirs ? { ratio: ours / theirs } : {}), ...(wanted ? { wanted: `< ${wanted} ms`, ok: ours < wanted } : {}) },
            { what: `${what}, p95`, ours: p95(list), yardstick: yardstick && p95(yardstick), unit: 'ms' },
          ];
        };
        return [
          { what: `publishing ${files} files, ${Math.round(first.bytes / 1e6)} MB`, ours: first.took / 1e3, unit: 's' },
          ...change,
          ...ms('first paint, nobody linked yet', unlinked),
          ...ms('first paint, warm', linked, plainFirst, 1000),
          ...ms('first paint, warm, against IPFS', linked, ipfsFirst),
          ...ms('first paint, warm, against IPFS not installed', linked, ipfsNew),
          ...ms('paint of each further page', further, plainFurther, 150),
          ...ms('paint of each further page, against IPFS', further, ipfsFurther),
          { what: `update told to each of ${READERS} readers, three times`, ours: median(seen), unit: 'ms' },
          { what: `update told to each of ${READERS} readers, p95`, ours: p95(seen), unit: 'ms', wanted: '< 2,000 ms', ok: p95(seen) < 2000 },
          { what: `offer to load it, seen in ${SHOWN} pages that show the site, three times`, ours: median(offered), unit: 'ms' },
          { what: `offer to load it, seen in ${SHOWN} pages that show the site, p95`, ours: p95(offered), unit: 'ms', wanted: '< 2,000 ms', ok: p95(offered) < 2000 },
        ];
      } finally {
        await publisher.leave();
        await browser.close();
        await relay.forget();
        await plain.forget();
        await ipfs.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  },
];

/** The documentation of two packages, as `docs/sites.md` lists them. */
function realSite() {
  const folder = mkdtempSync(join(tmpdir(), 'gyre-bench-site-'));
  for (const name of ['vis', 'jquery-mobile']) {
    cpSync(join(root, 'node_modules', name), join(folder, name), { recursive: true, filter: (path) => !path.slice(root.length + 13).includes('node_modules') });
  }
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Two libraries</title><a href="vis/docs/index.html">vis</a>');
  return folder;
}

async function arrive(context, relay) {
  const visitor = await Visitor.arrive(KIND, relay, { browser: context });
  await visitor.node((gyre) => gyre.setUpload(true));
  return visitor;
}

/** Chooses the folder, and makes the keys; the browser reads the files when they are published. */
async function give(visitor, folder) {
  await visitor.node(async (gyre) => {
    await gyre.setUpload(true);
    await gyre.keys.create();
  });
  return giveFolder(visitor, folder);
}

/** Publishes the whole folder, it with one page changed, or a site of one page. */
function publish(visitor, which) {
  return visitor.node(async (gyre, wanted) => {
    const chosen = window.folderFiles();
    const page = (text) => [{ path: 'index.html', content: new Blob([`<!doctype html><title>Small</title><h1>${text}</h1>`]) }];
    const changed = 'vis/docs/network/nodes.html';
    const text = wanted === 'changed' ? `${await chosen.find(({ path }) => path === changed).content.text()}<p>${Math.random()}</p>` : '';
    const files = { whole: chosen, changed: chosen.map((file) => (file.path === changed ? { path: changed, content: new Blob([text]) } : file)), small: page('one') }[wanted];
    const began = performance.now();
    const version = await gyre.publish(files, { site: wanted === 'small' ? 1 : 0, name: wanted, ...(wanted === 'changed' ? {} : { previous: null }) });
    return { took: performance.now() - began, address: version.name, cid: version.cid, bytes: version.change.bytes, newBytes: version.change.newBytes, page: text.length };
  }, which);
}

/** When the document of a frame, or of a page, was painted first, by the clock of all pages. */
const painted = () => new Promise((resolve) => {
  const say = ({ startTime }) => resolve(performance.timeOrigin + startTime);
  new PerformanceObserver((list) => list.getEntriesByName('first-contentful-paint').forEach(say)).observe({ type: 'paint', buffered: true });
});

/** Milliseconds from the address typed into the app to the first paint of the site. */
async function opened(reader, address, path) {
  const began = await reader.page.evaluate((hash) => {
    const now = performance.timeOrigin + performance.now();
    location.hash = hash;
    return now;
  }, placeOf(address, path));
  const at = await inFrame(reader, address, path, painted);
  return at - began;
}

/** Milliseconds from a link followed in the site to the paint of the page that it leads to. */
async function followed(reader, address, path) {
  const frame = await siteFrame(reader, address);
  // The page is still: what it loads does not count for the next one.
  await settled(frame);
  const began = await frame.evaluate((to) => {
    const now = performance.timeOrigin + performance.now();
    location.href = to;
    return now;
  }, path);
  return (await inFrame(reader, address, path, painted)) - began;
}

/** Runs `body` with a page that is at `url`, in a browser context of its own. */
async function withIpfs(browser, url, body) {
  const context = await browser.context();
  try {
    return await body(await context.page(url));
  } finally {
    await context.close();
  }
}

/** The same in a page of its own, by plain HTTP or through the worker of its origin; `origin` is where it leads to, if not to the page's own. */
async function walked(page, path, origin = '') {
  await settled(page);
  const began = await page.evaluate((to) => {
    const now = performance.timeOrigin + performance.now();
    location.href = to;
    return now;
  }, origin + path);
  const at = await until(`${path} in a page`, () => page.evaluate(`location.pathname === ${JSON.stringify(path)} && document.readyState !== 'loading' ? (${painted})() : null`).catch(() => null), { every: LOOK_MS });
  return at - began;
}

const settled = (where) => until('the page to be loaded', () => where.evaluate(() => document.readyState === 'complete').catch(() => false), { every: 50 });

function inFrame(reader, address, path, ask) {
  return until(`${path} in the site`, async () => {
    const frame = await siteFrame(reader, address);
    return frame.evaluate(`location.pathname === ${JSON.stringify(path)} && document.readyState !== 'loading' ? (${ask})() : null`).catch(() => null);
  }, { every: LOOK_MS, timeout: 120_000 });
}

/** One page changed: what its publisher sends to somebody who has the version before. */
async function secondVersion(publisher, browser, relay, first, log) {
  const context = await browser.context();
  const reader = await arrive(context, relay);
  try {
    const began = performance.now();
    await reader.node(keepAll, first.address);
    log(`a reader has all of it after ${((performance.now() - began) / 1e3).toFixed(1)} s`);
    const counts = () => publisher.node((gyre) => [gyre.stats().up, gyre.stats().storage.used]);
    const before = await counts();
    const second = await publish(publisher, 'changed');
    await reader.node(keepAll, second.address, second.cid);
    // What was sent and what is stored is told a moment later.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const [sent, stored] = (await counts()).map((now, i) => now - before[i]);
    log(`one page of ${second.page} bytes changed: ${stored} bytes stored for it and the list of files, ${sent} sent`);
    return [
      { what: 'publishing it again with one page changed', ours: second.took / 1e3, unit: 's' },
      { what: 'content sent for that, against what was new', ours: sent / 1e3, yardstick: stored / 1e3, unit: 'kB', ratio: sent / stored, wanted: 'once what is new', ok: sent <= stored * 1.01 },
    ];
  } finally {
    await context.close();
  }
}

const keepAll = async (gyre, address, cid) => {
  for (;;) {
    const site = await gyre.site(address, { follow: false });
    const right = !cid || site.cid === cid;
    if (right) await site.keep();
    site.close();
    if (right) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
};

/**
 * How long after a new version is signed each of many readers is told (`seen`), and how long until the pages among them that show the
 * site have the offer to load it on the screen (`offered`), in milliseconds.
 */
async function updates(publisher, browser, relay, log) {
  const contexts = [];
  try {
    const { address } = await publisher.node(async (gyre) => {
      const version = await gyre.publish([{ path: 'index.html', content: new Blob(['one']) }], { site: 2, previous: null });
      return { address: version.name };
    });
    const readers = [];
    for (let i = 0; i < READERS; i++) {
      contexts.push(await browser.context());
      const reader = await arrive(contexts.at(-1), relay);
      await reader.node(async (gyre, name) => {
        window.updates = [];
        window.open = await gyre.site(name);
        window.open.addEventListener('update', ({ detail }) => window.updates.push([detail.sequence, performance.timeOrigin + performance.now()]));
      }, address);
      readers.push(reader);
    }
    const shown = readers.slice(0, SHOWN);
    for (const reader of shown) {
      await opened(reader, address, '/index.html');
      await reader.page.evaluate(noteOffers);
    }
    log(`${readers.length} readers have it open, ${shown.length} of them in its frame`);
    const seen = [];
    const offered = [];
    for (const text of ['two', 'three', 'four']) {
      const { at, sequence } = await publisher.node(async (gyre, words) => {
        let signed;
        const version = await gyre.publish([{ path: 'index.html', content: new Blob([words]) }], { site: 2, review: () => ((signed = performance.timeOrigin + performance.now()), true) });
        return { at: signed, sequence: version.sequence };
      }, text);
      for (const reader of readers) {
        const told = await until('a reader to be told', () => reader.page.evaluate((wanted) => window.updates.find(([number]) => number === wanted)?.[1], sequence), { timeout: 120_000 });
        seen.push(told - at);
      }
      for (const reader of shown) {
        const offer = await until('a reader to be offered it', () => reader.page.evaluate(() => window.offer), { timeout: 120_000 });
        offered.push(offer - at);
        await reader.click('site-update-load');
        await until('the new version', () => reader.page.evaluate(() => window.offer === null), { timeout: 120_000 });
      }
      log(`version ${sequence}: told after ${Math.round(median(seen.slice(-readers.length)))} ms, at most ${Math.round(Math.max(...seen.slice(-readers.length)))} ms; offered after at most ${Math.round(Math.max(...offered.slice(-shown.length)))} ms`);
    }
    return { seen, offered };
  } finally {
    for (const context of contexts) await context.close().catch(() => {});
  }
}

/** Runs in a page of the app: since when the offer to load a new version is on the screen, by the clock of all pages, in `window.offer`. */
function noteOffers() {
  window.offer = null;
  const look = () => {
    const note = document.querySelector('[data-testid="site-update"]');
    // What is laid out now is painted in this frame.
    if (note?.checkVisibility()) window.offer ??= performance.timeOrigin + performance.now();
    else window.offer = null;
    requestAnimationFrame(look);
  };
  look();
}
