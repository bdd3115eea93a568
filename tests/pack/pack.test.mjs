// The package as a stranger gets it: packed, installed without a network in a fresh project, bundled with webpack and loaded
// by a plain page; the two pages then exchange a file.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, until } from '../e2e/lib/browser.mjs';
import { serveFolder } from '../e2e/lib/files.mjs';
import { startRelay } from '../e2e/lib/relay.mjs';
import { cargoPackage, npm, root } from '../../scripts/lib/places.mjs';
import { run } from '../../scripts/lib/run.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const SIZE = 600_000;

let project;
let packed;

before(async () => {
  project = mkdtempSync(join(tmpdir(), 'gyre-pack-'));
  const { output } = await run(npm, ['pack', join(root, 'pkg'), '--pack-destination', project, '--json', '--silent'], { keepAll: true, cwd: project });
  // A list in some versions of npm, an object by package name in others.
  const told = JSON.parse(output.slice(output.search(/[[{]/)));
  packed = Array.isArray(told) ? told[0] : Object.values(told)[0];
  cpSync(join(here, 'fixture'), project, { recursive: true });
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'somebody-elses-site', private: true, version: '1.0.0', type: 'module' }));
  await run(npm, ['install', `./${packed.filename}`, '--offline', '--no-audit', '--no-fund'], { cwd: project, label: 'npm install of the tarball' });
}, { timeout: 120_000 });

after(() => rmSync(project, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }));

test('the tarball holds what it should and nothing else', () => {
  const names = packed.files.map((file) => file.path);
  for (const wanted of ['package.json', 'README.md', 'index.js', 'index.d.ts', 'wasm/gyre.js', 'wasm/gyre.d.ts', 'wasm/gyre_bg.wasm', 'wasm/gyre_mail.js', 'wasm/gyre_mail.d.ts', 'wasm/gyre_mail_bg.wasm', 'gyre-sw.js', 'argon2.js', 'mail/office.js', 'mail/idb.js', 'mail/words.js', 'mail/stamp-worker.js', 'english.txt']) {
    assert.ok(names.includes(wanted), `${wanted} is missing from ${names.join(', ')}`);
  }
  for (const name of names) assert.match(name, /^(package\.json|README\.md|LICENSE[-\w]*|english\.txt|site\/\w+\.html|[\w./-]+\.(js|d\.ts|wasm))$/, `${name} should not be packed`);
  const manifest = JSON.parse(readFileSync(join(project, 'node_modules/gyre/package.json'), 'utf8'));
  assert.equal(manifest.version, cargoPackage('version'));
  assert.deepEqual(manifest.dependencies ?? {}, {}, 'the package stands alone');
});

test('no path of the machine that built it is inside', () => {
  const folder = join(project, 'node_modules/gyre');
  for (const name of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    const bytes = readFileSync(join(name.parentPath ?? name.path, name.name)).toString('latin1');
    for (const path of [root, homedir()]) {
      if (path.length > 1) assert.ok(!bytes.includes(`${path}/`), `${name.name} names ${path}`);
    }
  }
});

test('its types hold in a strict project', { timeout: 600_000 }, () => {
  const compilerOptions = { noEmit: true, strict: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler', lib: ['es2023', 'dom', 'dom.iterable'], types: [] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }));
  return run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--project', project], { cwd: project, label: 'tsc' });
});

test('a plain page and a webpack bundle exchange a file', { timeout: 600_000 }, async (t) => {
  writeFileSync(join(project, 'webpack.config.js'), `export default {
    mode: 'production', entry: './entry.js', performance: false, output: { path: new URL('dist', import.meta.url).pathname, filename: 'main.js' },
  };\n`);
  await run(process.execPath, [join(root, 'node_modules/webpack/bin/webpack.js'), '--config', join(project, 'webpack.config.js')], {
    cwd: project, label: 'webpack', env: { NODE_PATH: join(root, 'node_modules') },
  });
  const bundle = readdirSync(join(project, 'dist'));
  // The peer, and the mail module, which is loaded with a mailbox.
  assert.equal(bundle.filter((name) => name.endsWith('.wasm')).length, 2, `webpack wrote ${bundle.join(', ')}`);

  const ends = [];
  t.after(async () => {
    for (const end of ends.reverse()) await end();
  });
  const relay = await startRelay({ app: null });
  ends.push(() => relay.forget());
  const pages = [];
  for (const name of ['plain.html', 'bundled.html']) {
    // Each on an origin of its own: neither shares a store, neither is the relay's.
    const server = await serveFolder(project, {
      '/gyre-sw.js': (_, response) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(join(project, 'node_modules/gyre/gyre-sw.js'))),
    });
    ends.push(() => server.close());
    const browser = await launch('chromium');
    ends.push(() => browser.close());
    const page = await browser.page(`${server.url}/${name}`);
    await until(`${name} to load the package; it said ${page.complaints}`, () => page.evaluate(() => Boolean(window.site)));
    await page.evaluate((relays) => window.site.join(relays), [relay.address]);
    pages.push(page);
  }
  const [plain, bundled] = pages;
  for (const [from, to] of [[plain, bundled], [bundled, plain]]) {
    const link = await from.evaluate((size) => window.site.share(size), SIZE);
    // On a busy machine the other may have told nobody yet: then one is told that nobody has it, and tries again.
    await until('the same bytes to come', () => to.evaluate((url, size) => window.site.open(url, size), link, SIZE));
    // The same through the address that the package's service worker answers.
    assert.deepEqual(await to.evaluate((url) => window.site.ask(url), link), [206, 'bytes 1-9/600000', 9]);
    // The next direction shares the same bytes under another key.
  }
  for (const page of pages) {
    await page.evaluate(() => window.site.leave());
    assert.deepEqual(page.complaints, []);
  }
});
