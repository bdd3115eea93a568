// One seed and eight leeches that come at the same moment: ours, WebTorrent and plain data channels, in one browser with nine
// separate stores. What counts is the time from the moment all open the link to the moment the last has everything.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cidOf, Visitor } from '../../tests/e2e/lib/app.mjs';
import { launch, until } from '../../tests/e2e/lib/browser.mjs';
import { serveFolder } from '../../tests/e2e/lib/files.mjs';
import { startRelay } from '../../tests/e2e/lib/relay.mjs';
import { installPeers } from '../peers/install.mjs';
import { startTracker } from '../peers/webtorrent.mjs';
import { chain } from './raw.mjs';
import { median } from './statistics.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const LEECHES = 8;
const SIZE = 20_000_000;
/** How long a crowd may take, in milliseconds; WebTorrent needs about a minute on a small machine. */
const PATIENCE = 300_000;

export async function crowd({ rounds, log, kind }) {
  await installPeers();
  const [ours, theirs, raw] = [[], [], []];
  for (let round = 0; round < rounds; round++) {
    ours.push(await gyreCrowd(kind));
    theirs.push(await webtorrentCrowd(kind));
    raw.push(await rawChain(kind));
    const said = (run) => `${run.rate.toFixed(1)} MB/s, seed sent ${run.copies.toFixed(2)} copies`;
    log(`round ${round + 1}: ours ${said(ours.at(-1))}; WebTorrent ${said(theirs.at(-1))}; raw ${raw.at(-1).toFixed(1)} MB/s`);
  }
  const rate = (runs) => median(runs.map((run) => run.rate));
  const copies = (runs) => median(runs.map((run) => run.copies));
  const [beside, below] = [rate(ours) / rate(theirs), rate(ours) / median(raw)];
  const samples = { ours, theirs, raw };
  return [
    { what: '1 to 8, 20 MB, against WebTorrent', ours: rate(ours), yardstick: rate(theirs), unit: 'MB/s', ratio: beside, wanted: '≥ 300 %', ok: beside >= 3, samples },
    { what: '1 to 8, 20 MB, against raw channels', ours: rate(ours), yardstick: median(raw), unit: 'MB/s', ratio: below, wanted: '≥ 65 %', ok: below >= 0.65 },
    { what: '1 to 8, copies sent by the seed', ours: copies(ours), yardstick: copies(theirs), unit: 'copies', wanted: '≤ 1.5', ok: copies(ours) <= 1.5 },
  ];
}

/** Runs `body` with nine tabs, each with a store of its own. */
async function withTabs(kind, body) {
  const browser = await launch(kind);
  try {
    const contexts = [];
    for (let i = 0; i <= LEECHES; i++) contexts.push(await browser.context());
    return await body(contexts);
  } finally {
    await browser.close();
  }
}

async function gyreCrowd(kind) {
  const relay = await startRelay();
  try {
    return await withTabs(kind, async (contexts) => {
      const visitors = [];
      for (const browser of contexts) visitors.push(await Visitor.arrive(kind, relay, { browser }));
      for (const visitor of visitors) await visitor.node((gyre) => gyre.setUpload(true));
      const [seed, ...leeches] = visitors;
      const link = await seed.node(async (gyre, size) => {
        const parts = [];
        for (let at = 0; at < size; at += 65_536) parts.push(crypto.getRandomValues(new Uint8Array(Math.min(65_536, size - at))));
        return (await gyre.share(new Blob(parts), { name: 'crowd' })).link;
      }, SIZE);
      const before = await seed.node((gyre) => gyre.stats().up);
      const began = performance.now();
      await Promise.all(leeches.map((leech) => leech.node(async (gyre, url, cid, patience) => {
        const give = performance.now() + patience;
        gyre.open(url).catch(() => {});
        while (gyre.swarms().find((swarm) => swarm.cid === cid)?.state !== 'complete') {
          if (performance.now() > give) throw new Error(`only ${JSON.stringify(gyre.swarms())}`);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }, link, cidOf(link), PATIENCE)));
      const took = performance.now() - began;
      return { rate: (LEECHES * SIZE) / 1e3 / took, copies: ((await seed.node((gyre) => gyre.stats().up)) - before) / SIZE };
    });
  } finally {
    await relay.forget();
  }
}

async function webtorrentCrowd(kind) {
  const tracker = await startTracker();
  const server = await serveFolder(join(here, '../peers'));
  try {
    return await withTabs(kind, async (contexts) => {
      const pages = [];
      for (const context of contexts) pages.push(await context.page(`${server.url}/webtorrent.html`));
      for (const page of pages) await until('WebTorrent', () => page.evaluate(() => Boolean(window.peer)));
      const [seed, ...leeches] = pages;
      const magnet = await seed.evaluate((announce, size) => window.peer.seed(announce, size), tracker.url, SIZE);
      const began = performance.now();
      await Promise.all(leeches.map((page) => page.evaluate((uri) => window.peer.fetch(uri), magnet)));
      const took = performance.now() - began;
      return { rate: (LEECHES * SIZE) / 1e3 / took, copies: (await seed.evaluate(() => window.peer.uploaded())) / SIZE };
    });
  } finally {
    await server.close();
    await tracker.close();
  }
}

async function rawChain(kind) {
  const server = await serveFolder(here);
  try {
    return await withTabs(kind, async (contexts) => {
      const pages = [];
      for (const context of contexts) pages.push(await context.page(`${server.url}/`));
      for (const page of pages) await until('the raw page', () => page.evaluate(() => Boolean(window.raw)));
      return chain(pages, SIZE, 65_536);
    });
  } finally {
    await server.close();
  }
}
