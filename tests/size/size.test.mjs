// What a page loads, against its budget. The numbers are printed whether they fit or not.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../scripts/lib/places.mjs';
import { firstLoad, packed, wasmFile } from './measure.mjs';

/** The whole peer. It measured 794,880. */
const WASM_GZIP_BUDGET = 800_000;
/** The mail module, which whoever uses mail loads besides: identities, sealing, custody, MIME. It measured 362,542 at first. */
const MAIL_GZIP_BUDGET = 370_000;
/** The app before the peer has loaded: small enough to be usable within a second on a slow line. */
const SHELL_GZIP_BUDGET = 60_000;

test('the peer in WebAssembly', (t) => {
  const size = packed(readFileSync(wasmFile()));
  t.diagnostic(`wasm: ${size.raw} bytes, ${size.gzip} gzip, ${size.brotli} brotli`);
  assert.ok(size.gzip <= WASM_GZIP_BUDGET, `${size.gzip} bytes are more than ${WASM_GZIP_BUDGET}`);
});

test('the mail module', (t) => {
  const size = packed(readFileSync(join(root, 'pkg/wasm/gyre_mail_bg.wasm')));
  t.diagnostic(`mail module: ${size.raw} bytes, ${size.gzip} gzip, ${size.brotli} brotli`);
  assert.ok(size.gzip <= MAIL_GZIP_BUDGET, `${size.gzip} bytes are more than ${MAIL_GZIP_BUDGET}`);
});

test('the shell of the app', (t) => {
  const files = firstLoad();
  assert.ok(files.some((file) => file.endsWith('.js')), 'index.html loads no script');
  const total = { raw: 0, gzip: 0, brotli: 0 };
  for (const file of files) {
    const size = packed(readFileSync(file));
    for (const key of Object.keys(total)) total[key] += size[key];
  }
  t.diagnostic(`first load, ${files.length} files: ${total.raw} bytes, ${total.gzip} gzip, ${total.brotli} brotli`);
  assert.ok(total.gzip <= SHELL_GZIP_BUDGET, `${total.gzip} bytes are more than ${SHELL_GZIP_BUDGET}`);
});

test('the shell does not carry the peer', () => {
  for (const file of firstLoad().filter((path) => path.endsWith('.js'))) {
    assert.ok(!/__wbindgen_malloc|wbg_rand/.test(readFileSync(file, 'utf8')), `${file} holds the glue of the WebAssembly`);
  }
  const wasm = readdirSync(join(root, 'www/dist'), { recursive: true }).filter((name) => name.endsWith('.wasm'));
  assert.equal(wasm.length, 2, `the app carries ${wasm.length} WebAssembly files: the peer and the mail module are two`);
});
