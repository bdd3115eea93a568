// A mailbox of 10,000 generated mails in a real browser: lists and searches.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { launch, until } from '../../tests/e2e/lib/browser.mjs';
import { serveFolder } from '../../tests/e2e/lib/files.mjs';
import { median } from './statistics.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const MAILS = 10_000;
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
    const page = await browser.page(`${server.url}/mailbox`);
    await until('the page', () => page.evaluate(() => Boolean(window.mailbox)));
    const { took, threads } = await page.evaluate((count) => window.mailbox.fill(count, 7), MAILS);
    log(`${MAILS} mails in ${threads} threads of the inbox, written in ${(took / 1000).toFixed(1)} s`);
    const { first, middle } = await page.evaluate((count) => window.mailbox.list(count), 10 * rounds);
    const { made, longest, took: searches, found } = await page.evaluate((queries) => window.mailbox.search(queries), QUERIES);
    log(`index made in ${(made / 1000).toFixed(1)} s, ${found} threads found by ${QUERIES.length} queries`);
    const worst = (times) => Math.max(...times);
    const best = (times) => Math.min(...times).toFixed(1);
    log(`best of all rounds: first page ${best(first)} ms, from the middle ${best(middle)} ms, search ${best(searches)} ms`);
    const within = (what, ours, wanted) => ({ what, ours, unit: 'ms', wanted: `≤ ${wanted}`, ok: ours <= wanted });
    return [
      within(`first page of ${threads} threads, median`, median(first), 100),
      within('page from the middle, median', median(middle), 100),
      { what: 'first page, worst', ours: worst(first), unit: 'ms' },
      within('search, median', median(searches), 200),
      within('search, worst', worst(searches), 200),
      { what: 'index of words, once a visit, in the background', ours: made, unit: 'ms' },
      { what: 'longest pause of the page meanwhile', ours: longest, unit: 'ms' },
    ];
  } finally {
    await browser.close();
    await server.close();
  }
}
