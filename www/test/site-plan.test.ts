import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gather } from '../app/lib/folder.js';
import { foreignHosts, planOf, sameButForCase, titleOf, type SitePlan } from '../app/lib/site-plan.js';

async function plan(files: Record<string, string>): Promise<SitePlan> {
  const found = Object.entries(files).map(([path, text]) => ({ path, size: text.length, open: async () => new Blob([text]) }));
  return planOf(await gather('my-folder', found));
}

test('the title is what the first page says, or the folder', async () => {
  assert.equal(titleOf('<html><head><TITLE lang="de">  A &amp; B\n &#8211; C &unknown;</TITLE>'), 'A & B – C &unknown;');
  assert.equal(titleOf('<p>none'), '');
  assert.equal((await plan({ 'index.html': '<title>Birds</title>' })).title, 'Birds');
  assert.equal((await plan({ 'index.html': '<p>' })).title, 'my-folder');
});

test('without a first page the folders that have one are offered, the usual ones first', async () => {
  const site = await plan({ 'package.json': '', 'a/b/index.html': '', 'src/index.html': '', 'dist/index.html': '' });
  assert.equal(site.index, null);
  assert.deepEqual(site.roots, ['dist', 'src', 'a/b']);
  assert.deepEqual((await plan({ 'index.html': '', 'a/index.html': '' })).roots, []);
});

test('an application that routes by itself is told from pages', async () => {
  const app = '<!doctype html><title>App</title><body><div id="root"></div><script type="module" src="/a.js"></script></body>';
  assert.equal((await plan({ 'index.html': app, 'a.js': '' })).fallback, 'index.html');
  assert.equal((await plan({ 'index.html': app, 'a.js': '', '404.html': '' })).fallback, 'index.html');
  assert.equal((await plan({ 'index.html': app, 'about.html': '' })).fallback, null, 'two pages');
  assert.equal((await plan({ 'index.html': `<body><p>${'words '.repeat(60)}</p><script src="a.js"></script>` })).fallback, null, 'something to read');
  assert.equal((await plan({ 'index.html': '<body>hi' })).fallback, null, 'no program');
  assert.equal((await plan({ 'index.html': '', 'b.html': '', '200.html': '' })).fallback, '200.html');
});

test('what is worth knowing is said', async () => {
  const site = await plan({ 'index.html': '<script src="https://cdn.example.org/x.js"></script>', 'A.png': '', 'a.png': '', '_redirects': '', '404.html': '', '.DS_Store': '' });
  assert.equal(site.warnings.length, 2);
  assert.match(site.warnings[0] ?? '', /1 path differs .*\(a\.png\)/);
  assert.match(site.warnings[1] ?? '', /cdn\.example\.org/);
  assert.equal(site.missing, '404.html');
  assert.match(site.notes.join('\n'), /^Left out – A file that a system.*\.DS_Store\n_redirects is read.*\n404\.html is shown/);
  assert.deepEqual(sameButForCase(['a', 'A', 'b', 'c/D', 'C/d', 'c/d']), ['A', 'C/d']);
  assert.deepEqual(foreignHosts('<a href="https://a.example/">x</a><img src="//b.example/p.png"><link rel=stylesheet href="http://c.example/s.css"><img src="/own.png">'), ['b.example', 'c.example']);
});
