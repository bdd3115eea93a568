// Runs tests in wasm in a headless browser: what cargo calls for `cargo test --target wasm32-unknown-unknown`, with the compiled tests and
// the names that were given, or parts of names. GYRE_TEST_BROWSER is chromium (unless told otherwise) or firefox.
//
// This is what wasm-bindgen-test-runner does, which would have to be built for ten minutes first, with a driver for each browser. How a page
// runs such tests is an arrangement between that program and the library wasm-bindgen-test, which Cargo.toml pins.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { artefacts, bindgenBinary } from '../../scripts/lib/places.mjs';
import { main, run, Told } from '../../scripts/lib/run.mjs';
import { kinds, launch, until } from '../e2e/lib/browser.mjs';
import { serveFolder } from '../e2e/lib/files.mjs';

/** How long all tests of one browser may take, in milliseconds. */
const TESTS_TIMEOUT_MS = 300_000;
/** An exported function that is a test: its marks, where it stands, its name. `$` marks one to be left out. */
const TEST = /^__wbgt_(?<marks>[^_]*)_.*?::(?<name>.+)$/;

main('tests in wasm', async () => {
  const { values, positionals: [compiled, ...names] } = parseArgs({ allowPositionals: true, options: { exact: { type: 'boolean' } } });
  const kind = process.env.GYRE_TEST_BROWSER ?? 'chromium';
  if (!kinds.includes(kind)) throw new Told(`GYRE_TEST_BROWSER must be one of ${kinds.join(', ')}, not "${kind}".`);
  const wanted = (name) => names.length === 0 || names.some((part) => (values.exact ? name === part : name.includes(part)));
  const symbols = testsIn(compiled).filter(({ name }) => wanted(name)).map(({ symbol }) => symbol);
  if (symbols.length === 0) return void console.log('no tests to run');

  mkdirSync(artefacts, { recursive: true });
  const folder = mkdtempSync(join(artefacts, 'tests-'));
  try {
    await run(bindgenBinary, [compiled, folder, 'tests', '--tests']);
    writeFileSync(join(folder, 'index.html'), page(symbols));
    return await runIn(kind, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function testsIn(path) {
  return WebAssembly.Module.exports(new WebAssembly.Module(readFileSync(path)))
    .map(({ name: symbol }) => ({ symbol, ...symbol.match(TEST)?.groups }))
    .filter(({ name, marks }) => name && !marks.includes('$'));
}

/** Resolves with the exit code: 0 when all passed. */
async function runIn(kind, folder) {
  const browser = await launch(kind);
  const server = await serveFolder(folder);
  try {
    const tab = await browser.page(`${server.url}/`);
    const said = () => tab.evaluate(() => document.getElementById('output').textContent);
    const ended = () => tab.evaluate(() => document.body?.dataset.ended);
    await until(async () => `the tests to end; they said:\n${await said()}`, ended, { timeout: TESTS_TIMEOUT_MS, every: 250 });
    console.log(await said());
    return (await ended()) === 'true' ? 0 : 1;
  } finally {
    await browser.close();
    await server.close();
  }
}

/** What the library expects to find: an element for its output, and a function that calls what it is given. */
function page(symbols) {
  return `<!doctype html>
<meta charset="utf-8">
<title>Tests</title>
<pre id="output"></pre>
<script>
  window.__wbg_test_invoke = (work) => work();
</script>
<script type="module">
  try {
    const { default: init, WasmBindgenTestContext, ...glue } = await import('./tests.js');
    const wasm = await init('./tests_bg.wasm');
    const context = new WasmBindgenTestContext(false);
    // What a test logs is shown with it when it fails.
    for (const method of ['debug', 'log', 'info', 'warn', 'error']) {
      const own = console[method].bind(console);
      console[method] = (...args) => {
        glue['__wbgtest_console_' + method](args);
        own(...args);
      };
    }
    document.body.dataset.ended = await context.run(${JSON.stringify(symbols)}.map((symbol) => wasm[symbol]));
  } catch (error) {
    document.getElementById('output').textContent += String(error?.stack ?? error);
    document.body.dataset.ended = 'false';
  }
</script>
`;
}
