// Publishing as a person does it: a folder is chosen, keys are made and written down, an address comes of it; then new versions,
// on another machine too, and an import that was given up or broken off.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { test } from 'node:test';
import { BlobReader, BlobWriter, ZipWriter } from '@zip.js/zip.js/lib/zip-core-custom.js';
import { root } from '../../scripts/lib/places.mjs';
import { Scene, Visitor } from './lib/app.mjs';
import { kinds, until } from './lib/browser.mjs';
import { answer, choose, folderOn, goTo, holdsAll, lastProgress, makeKeys, other, pages, published, standing, watchImports } from './lib/publishing.mjs';
import { startRelay } from './lib/relay.mjs';

for (const kind of kinds) {
  test(`in ${kind} a folder becomes a site, and a second version of it`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const files = pages('Die erste');
    const junk = { '.DS_Store': 'x', '.git/HEAD': 'ref', '.env': 'SECRET=1' };
    const folder = folderOn(scene.profile(), 'meine seite', files, junk);
    const me = await scene.add(Visitor.arrive(kind, relay));
    await me.click('publish-link');
    await choose(me, folder);
    assert.equal(await me.text('site-title'), 'Vögel & Bäume');
    assert.match(await me.text('plan-files'), /^27 files, /);
    const notes = await me.text('plan-notes');
    assert.match(notes, /2 files that a system or tool put there: (\.DS_Store, \.git\/|\.git\/, \.DS_Store)/);
    assert.match(notes, /A hidden file: \.env/);
    await me.click('publish-button');
    await me.see('keys-choice');
    await makeKeys(me);
    const first = await published(me);
    assert.match(first.name, /^k51[0-9a-z]{59}$/);
    assert.equal(first.link, `${relay.url}#/s/${first.name}/`);
    assert.match(await me.text('standing'), /Nobody can fetch it yet/);
    await me.click('share-allow');
    await until('the page to say that it is the only one', async () => /You still need to stay/.test(await me.text('standing')));
    await standing(me, false);
    await me.click('show-qr');
    await me.see('qr');

    const reader = await scene.add(Visitor.arrive(other(kind), relay));
    await reader.node((gyre) => gyre.setUpload(true));
    assert.equal(await holdsAll(reader, first.link, files), first.cid);
    await standing(me, true);
    assert.match(await me.text('standing'), /1 other peer has all of it/);

    // One file changed, one new, one gone: only those count.
    const before = await me.node((gyre) => gyre.stats().storage.used);
    const changed = { ...files, 'index.html': String(files['index.html']).replace('Die erste', 'Die zweite'), 'neu.html': 'neu' };
    delete changed['style.css'];
    await me.click('publish-again');
    await watchImports(me);
    await choose(me, folderOn(scene.profile(), 'meine seite', changed));
    await me.click('publish-button');
    await me.see('review');
    assert.match(await me.text('change-words'), /^1 new file, 1 changed, 1 removed\. 25 files stay as they are\./);
    assert.match(await me.text('change-changed'), /index\.html/);
    assert.match(await me.text('change-removed'), /style\.css/);
    assert.equal((await lastProgress(me)).newFiles, 2);
    await me.click('review-sign');
    const second = await published(me);
    assert.equal(second.name, first.name);
    assert.notEqual(second.cid, first.cid);
    const grown = (await me.node((gyre) => gyre.stats().storage.used)) - before;
    assert.ok(grown < 100_000, `${grown} bytes were stored for the second version`);
    await until('the reader to be told of the new version', async () => (await reader.node(async (gyre, name) => {
      const site = await gyre.site(name, { follow: false });
      site.close();
      return site.cid;
    }, first.name)) === second.cid);

    // The same folder again is the same version.
    await me.click('publish-again');
    await choose(me, folderOn(scene.profile(), 'meine seite', changed));
    await me.click('publish-button');
    assert.equal((await published(me)).cid, second.cid);

    // Back to the first version, which is then the third.
    await goTo(me, '#/sites');
    assert.equal(await me.text('site-version'), 'version 2');
    await me.click('site-history');
    await me.click('version-back');
    await me.see('plan');
    await me.click('publish-button');
    await me.see('review');
    assert.match(await me.text('change-words'), /^1 new file, 1 changed, 1 removed/);
    await me.click('review-sign');
    const third = await published(me);
    assert.equal(await holdsAll(reader, third.link, files), third.cid);
    me.quiet();
    reader.quiet();
  });
}

test('who lost the machine goes on with the 24 words, and from a second device by a code', { timeout: 900_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const files = pages('Die erste');
  const lost = await scene.add(Visitor.arrive('chromium', relay, { hash: '#/publish' }));
  await choose(lost, folderOn(scene.profile(), 'site', files));
  await lost.click('publish-button');
  const words = await makeKeys(lost);
  const first = await published(lost);
  await lost.click('share-allow');
  const reader = await scene.add(Visitor.arrive('chromium', relay));
  await reader.node((gyre) => gyre.setUpload(true));
  await holdsAll(reader, first.link, files);
  await standing(lost, true);
  lost.quiet();
  await lost.leave();

  const me = await scene.add(Visitor.arrive('firefox', relay, { hash: '#/keys' }));
  await me.node((gyre) => gyre.setUpload(true));
  const type = (text) => me.page.$eval('[data-testid="restore-words"]', (field, typed) => {
    field.value = typed;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }, text);
  await me.see('restore-words');
  await type([...words.slice(0, 23), 'banane'].join(' '));
  await me.click('restore-button');
  await until('the wrong word to be told', async () => /“banane”/.test(await me.page.$eval('#restore-note', (note) => note.textContent)));
  await type(words.map((word, i) => `${i + 1}. ${word.toUpperCase()}`).join('\n'));
  await me.click('restore-button');
  await until('the keys to be here', async () => (await me.node((gyre) => gyre.keys.state())).state === 'unlocked');
  await goTo(me, '#/sites');
  await me.click('find-sites');
  await me.see('my-site', 120_000);
  assert.match(await me.text('my-site'), /Vögel & Bäume/);
  await me.click('site-update');
  const changed = { ...files, 'index.html': '<title>Neu</title>wieder da' };
  await choose(me, folderOn(scene.profile(), 'site', changed));
  await me.click('publish-button');
  await me.see('review', 120_000);
  assert.match(await me.text('change-words'), /^1 changed\. 26 files stay/);
  await me.click('review-sign');
  const second = await published(me);
  assert.equal(second.name, first.name);
  assert.equal(await holdsAll(reader, second.link, changed), second.cid);

  // A second device: the link for its camera, the code for its keyboard.
  await goTo(me, '#/keys');
  await me.click('move-qr');
  const code = await me.text('move-code');
  const link = await me.page.$eval('gyre-qr', (element) => element.text);
  const device = await scene.add(Visitor.arrive('chromium', relay, { hash: link.slice(link.indexOf('#')) }));
  await device.see('key-offer');
  assert.equal(await device.page.evaluate(() => location.hash), '#/keys', 'what is in the address does not stay in the history');
  const put = (id, text) => device.page.$eval(`[data-testid="${id}"]`, (field, typed) => {
    field.value = typed;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }, text);
  await put('offer-code', code.replace(/.$/, (sign) => (sign === '0' ? '1' : '0')));
  await device.click('offer-code-open');
  await device.told('WRONG_PASSPHRASE');
  await put('offer-code', code.toLowerCase());
  await device.click('offer-code-open');
  await until('the keys to be on the second device', async () => (await device.node((gyre) => gyre.keys.state())).state === 'unlocked');
  assert.equal(await device.node((gyre) => gyre.keys.siteName(0)), first.name);

  // A passphrase locks them there; without it nothing is published, and they can be removed.
  await put('passphrase-new', 'owls at the old mill');
  await put('passphrase-again', 'owls at the old mill');
  await device.click('passphrase-set');
  await until('the passphrase to be set', async () => /passphrase/.test(await device.text('lock-state')));
  await device.click('keys-lock');
  await device.see('unlock-passphrase');
  await put('unlock-passphrase', 'owls');
  await device.click('unlock-button');
  await device.told('WRONG_PASSPHRASE');
  await put('unlock-passphrase', 'owls at the old mill');
  await device.click('unlock-button');
  await device.see('lock-state');
  await device.click('keys-forget');
  await device.click('confirm-yes');
  await until('the keys to be gone', async () => (await device.node((gyre) => gyre.keys.state())).state === 'missing');
  for (const visitor of [me, reader, device]) visitor.quiet();
});

test('an import that was cancelled or broken off goes on where it was', { timeout: 900_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const files = { 'index.html': '<title>Many</title>' };
  for (let i = 0; i < 120; i++) files[`data/${String(i).padStart(3, '0')}.bin`] = randomBytes(400_000);
  const folder = folderOn(scene.profile(), 'many', files);
  const me = await scene.add(Visitor.arrive('chromium', relay, { hash: '#/publish' }));
  await me.node((gyre) => gyre.keys.create());
  await watchImports(me);
  await choose(me, folder);
  await me.click('publish-button');
  // Keys that were not made on this page may have sites.
  await me.click('publish-new');
  await until('some files to be stored', async () => (await lastProgress(me))?.files > 5, { every: 5 });
  await me.click('publish-cancel');
  await me.see('publish-cancelled');
  const given = await lastProgress(me);
  assert.ok(given.files < 121, 'it was cancelled before its end');
  await me.click('publish-button');
  await until('more files to be stored', async () => (await lastProgress(me))?.newFiles > 5 && (await lastProgress(me)).files > given.files, { every: 5 });
  await me.page.reload();
  await me.joined();
  await goTo(me, '#/publish');
  assert.match(await me.text('publish-interrupted'), /“Many” was not finished.*many/s);
  await watchImports(me);
  await choose(me, folder);
  await me.click('publish-button');
  const { name } = await published(me);
  const { files: all, newFiles } = await lastProgress(me);
  assert.equal(all, 121);
  assert.ok(newFiles < 121 - given.files, `${newFiles} files were stored again`);
  const bytes = await me.node(async (gyre, address) => Array.from((await (await gyre.site(address)).read('data/007.bin', 0, 100))), name);
  assert.deepEqual(Buffer.from(bytes), readFileSync(join(folder, 'data/007.bin')).subarray(0, 100));
  me.quiet();
});

test('in firefox an archive becomes a site, its folder chosen by the page', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const files = pages('Aus dem Archiv');
  const writer = new ZipWriter(new BlobWriter('application/zip'), { useWebWorkers: false });
  const put = (path, bytes) => writer.add(path, new BlobReader(new Blob([bytes])));
  for (const [path, bytes] of Object.entries(files)) await put(`projekt/dist/${path}`, bytes);
  await put('projekt/package.json', '{}');
  await put('__MACOSX/projekt/._package.json', 'x');
  const path = join(scene.profile(), 'projekt.zip');
  writeFileSync(path, Buffer.from(await (await writer.close()).arrayBuffer()));
  const broken = join(scene.profile(), 'kaputt.zip');
  writeFileSync(broken, readFileSync(path).subarray(0, 5000));

  const me = await scene.add(Visitor.arrive('firefox', relay, { hash: '#/publish' }));
  const field = await until('the field for archives', () => me.find('archive-input'));
  await field.uploadFile(broken);
  assert.match(await me.text('folder-problem'), /archive cannot be read/);
  await choose(me, path, 'archive-input');
  assert.match(await me.text('no-index'), /There is no index\.html at the top/);
  await me.click('use-root');
  await until('the inner folder to be taken', async () => /^27 files/.test(await me.text('plan-files')));
  await me.click('publish-button');
  await me.click('keys-create');
  await me.click('words-later');
  const { link, name } = await published(me);
  assert.match(await me.text('words-reminder'), /not written down yet/);
  await me.click('share-allow');
  const reader = await scene.add(Visitor.arrive('chromium', relay));
  await holdsAll(reader, link, files);
  await goTo(reader, `#/sites`);
  await until('the site to be listed', async () => {
    const row = await reader.find('known-site');
    return row && /Vögel & Bäume/.test(await row.evaluate((element) => element.textContent));
  });
  assert.match(name, /^k51/);
  me.quiet();
  reader.quiet();
});

test('real sites: an application that is dropped, and ten thousand files with Chinese names', { timeout: 1_200_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const me = await scene.add(Visitor.arrive('chromium', relay));
  await me.node(async (gyre) => {
    await gyre.setUpload(true);
    await gyre.keys.create();
  });
  // Dropped on the start page, it is taken to where it is published.
  const application = join(root, 'node_modules/unleash-frontend/build');
  await drop(me, application);
  await me.see('plan');
  const paths = filesIn(application).filter((path) => !/(^|\/)\./.test(path));
  assert.match(await me.text('plan-files'), new RegExp(`^${paths.length} files, `));
  assert.equal(await (await me.find('site-spa')).evaluate((field) => field.checked), true, 'an application of one page is told from pages');
  await me.click('publish-button');
  await me.click('publish-new');
  const first = await published(me);
  const reader = await scene.add(Visitor.arrive('firefox', relay));
  await holdsAll(reader, first.link, Object.fromEntries(paths.map((path) => [path, readFileSync(join(application, path))])));
  const answer = await reader.node(async (gyre, link) => (await gyre.site(link)).request('/projects/default'), first.link);
  assert.deepEqual([answer.status, answer.path], [200, 'index.html']);

  const many = join(root, 'node_modules/hanzi-writer-data');
  await goTo(me, '#/publish');
  const field = await until('the page to begin anew', () => me.page.evaluate(() => !document.querySelector('gyre-published')).then((anew) => anew && me.find('folder-input')));
  const began = performance.now();
  await field.uploadFile(many);
  await me.see('plan', 240_000);
  const looked = performance.now();
  const all = filesIn(many).filter((path) => !/(^|\/)\./.test(path));
  assert.ok(all.length > 9_000);
  assert.match(await me.text('plan-files'), new RegExp(`^${all.length} files, `));
  await me.see('no-index');
  await me.click('publish-button');
  const second = await published(me);
  console.log(`${all.length} files: looked at in ${((looked - began) / 1000).toFixed(1)} s, published in ${((performance.now() - looked) / 1000).toFixed(1)} s`);
  assert.notEqual(second.name, first.name);
  const some = all.filter((_, i) => i % 300 === 0);
  const read = await reader.node(async (gyre, link, wanted) => {
    const site = await gyre.site(link);
    const { files } = await site.info();
    const texts = [];
    for (const path of wanted) texts.push(await (await site.fetch(`/${path.split('/').map(encodeURIComponent).join('/')}`)).text());
    return { files, texts };
  }, second.link, some);
  assert.equal(read.files, all.length);
  assert.deepEqual(read.texts, some.map((path) => readFileSync(join(many, path), 'utf8')));
  me.quiet();
  reader.quiet();
});

const filesIn = (folder) => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/')).filter((path) => !path.startsWith('node_modules/'));

/** Drops a folder in the middle of the page, as from a file manager. */
async function drop({ page }, folder) {
  const client = await page.createCDPSession();
  const data = { items: [], files: [folder], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) await client.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  await client.detach();
}
