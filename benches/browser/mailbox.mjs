// A mailbox of 10,000 generated mails in a real browser: lists and searches, in a page that was just loaded and in one that has been open.

import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { launch, until } from '../../tests/e2e/lib/browser.mjs';
import { serveFolder } from '../../tests/e2e/lib/files.mjs';
import { median } from './statistics.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const MAILS = 10_000;
const SEED = 7;
/** Words of the generated language: usual, rare, two of them, the beginnings of some, of a subject. */
const QUERIES = ['bab', 'lom', 'miss', 'bab lom', 'kan mis', 'dido', 'ruse', 'p17@example.org', 'nan neb lum', 'sisu'];

export async function mailbox({ kind, rounds, log }) {
  const { outputFiles } = await build({ entryPoints: [`${here}mailbox.js`], bundle: true, format: 'iife', target: 'es2022', write: false, minify: true, logLevel: 'error' });
  const script = outputFiles[0].contents;
  const server = await serveFolder(here, {
    '/mailbox': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<script src="/mailbox-bundle.js"></script>'),
    '/mailbox-bundle.js': (_, response) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(script),
  });
  const browser = await launch(kind);
  try {
    const url = `${server.url}/mailbox`;
    const page = await browser.page(url);
    // Each visit is a page that was just loaded.
    const visit = async (work, ...given) => {
      await page.goto(url);
      await until('the page', () => page.evaluate(() => Boolean(window.mailbox)));
      return page.evaluate(work, ...given);
    };
    const load = loadavg()[0];
    const { took, threads } = await visit((count, seed) => window.mailbox.fill(count, seed), MAILS, SEED);
    log(`${MAILS} mails in ${threads} threads of the inbox, written in ${(took / 1000).toFixed(1)} s; load ${load.toFixed(1)}`);
    const made = await visit((seed) => window.mailbox.index(seed), SEED);
    if (made.early) throw new Error('the index was there before it was made');
    log(`index made in ${(made.took / 1000).toFixed(1)} s; a search meanwhile answered in ${made.answered.toFixed(0)} ms; ${(made.usage / 1e6).toFixed(0)} MB in the origin`);
    const cold = { list: [], search: [], opening: [] };
    for (let round = 0; round < 3 * rounds; round++) {
      cold.list.push((await visit((seed) => window.mailbox.cold(seed, { list: true }), SEED)).took);
      const { took: searching, opening } = await visit((seed, search) => window.mailbox.cold(seed, { search }), SEED, QUERIES[round % QUERIES.length]);
      cold.search.push(searching);
      cold.opening.push(opening);
    }
    const { first, middle, changed, searches, found } = await visit((seed, count, queries) => window.mailbox.warm(seed, count, queries), SEED, 10 * rounds, QUERIES);
    log(`${found} threads found by ${QUERIES.length} queries; load ${loadavg()[0].toFixed(1)}`);
    const worst = (times) => Math.max(...times);
    const best = (times) => Math.min(...times).toFixed(1);
    log(`best of all: cold list ${best(cold.list)} ms, cold search ${best(cold.search)} ms, first page ${best(first)} ms, search ${best(searches)} ms`);
    const within = (what, times, wanted) => [
      { what: `${what}, median`, ours: median(times), unit: 'ms', wanted: `≤ ${wanted}`, ok: median(times) <= wanted, samples: times },
      { what: `${what}, worst`, ours: worst(times), unit: 'ms' },
    ];
    return [
      ...within(`cold: first page of ${threads} threads`, cold.list, 100),
      ...within('cold: first search', cold.search, 200),
      { what: 'cold: opening the box, median', ours: median(cold.opening), unit: 'ms' },
      ...within('warm: first page', first, 100),
      ...within('warm: first page after a change', changed, 100),
      ...within('warm: page from the middle', middle, 100),
      ...within('warm: search', searches, 200),
      { what: 'index of words, once for all mail that came', ours: made.took, unit: 'ms' },
      { what: 'longest pause of the page meanwhile', ours: made.longest, unit: 'ms' },
      { what: 'search while there is no index yet', ours: made.answered, unit: 'ms' },
    ];
  } finally {
    await browser.close();
    await server.close();
  }
}
