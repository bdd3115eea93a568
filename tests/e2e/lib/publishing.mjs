// Publishes as a person does it: a folder is chosen, keys are made, an address comes of it.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { kinds, until } from './browser.mjs';

export const other = (kind) => kinds.find((name) => name !== kind);

/** What a small site is made of; names as people give them. */
export function pages(words) {
  const files = {
    'index.html': `<!doctype html><title>Vögel &amp; Bäume</title><h1>${words}</h1><a href="vögel/eule.html">Eule</a>`,
    'vögel/eule.html': '<!doctype html><title>Eule</title>',
    'vögel/レンジャク.html': '<!doctype html><title>レンジャク</title>',
    'bilder/ein bild (1).png': randomBytes(3000),
    'style.css': 'h1 { color: teal }',
    '404.html': 'nichts',
    'groß.bin': randomBytes(700_000),
  };
  for (let i = 0; i < 20; i++) files[`seiten/${i}.html`] = `<p>${i}`;
  return files;
}

/** Writes a folder for the field for folders. */
export function folderOn(where, name, files, more = {}) {
  const folder = join(where, name);
  for (const [path, bytes] of Object.entries({ ...files, ...more })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  return folder;
}

export async function choose(visitor, path, input = 'folder-input') {
  const field = await until('the field for the folder', () => visitor.find(input));
  // Firefox cannot be told to choose a folder, so it is given the files that it would give.
  if (visitor.kind === 'firefox' && input === 'folder-input') await giveFiles(field, path);
  else await field.uploadFile(path);
  await visitor.see('plan');
}

export function giveFiles(field, folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => {
    const at = join(entry.parentPath, entry.name);
    return [relative(dirname(folder), at).split(sep).join('/'), readFileSync(at).toString('base64')];
  });
  return field.evaluate((input, list) => {
    const found = list.map(([path, text]) => {
      const file = new File([Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))], path.split('/').at(-1));
      return Object.defineProperty(file, 'webkitRelativePath', { value: path });
    });
    Object.defineProperty(input, 'files', { value: found, configurable: true });
    input.dispatchEvent(new Event('change', { bubbles: true }));
    delete input.files;
  }, files);
}

/** Goes to a page of the app by its address. */
export const goTo = (visitor, hash) => visitor.page.evaluate((address) => { location.hash = address; }, hash);

/** Makes keys, reads the words, and types those that are asked back. */
export async function makeKeys(visitor) {
  await visitor.click('keys-create');
  await visitor.see('words');
  const words = await visitor.page.$$eval('.words li', (items) => items.map((item) => item.textContent.trim()));
  assert.equal(words.length, 24);
  await visitor.click('words-written');
  const places = await until('two words to be asked back', async () => {
    const found = await visitor.page.$$eval('[data-testid="word-answer"]', (fields) => fields.map((field) => Number(field.dataset.place)));
    return found.length === 2 && found;
  });
  await answer(visitor, places.map((place) => words[(place + 1) % 24] + 'x'));
  await until('the wrong words to be told', async () => /is another one/.test(await visitor.page.$eval('#word-problem', (note) => note.textContent)));
  await answer(visitor, places.map((place) => words[place]));
  return words;
}

export async function answer(visitor, words) {
  await visitor.page.$$eval('[data-testid="word-answer"]', (fields, typed) => fields.forEach((field, i) => {
    field.value = typed[i];
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }), words);
  await visitor.click('words-check');
}

/** Waits for the address. */
export async function published(visitor) {
  const card = await until(async () => `the site to be published; the page says ${JSON.stringify(await visitor.page.$eval('main', (main) => main.innerText))}`, async () => {
    const found = await visitor.find('published');
    return found && found.evaluate((element) => ({ ...element.dataset, link: element.querySelector('[data-testid="site-link"]').value }));
  }, { timeout: 180_000 });
  return card;
}

export const standing = (visitor, wanted) => until(async () => `it to be ${wanted ? '' : 'not '}published; the page says ${await visitor.text('standing')}`, async () => {
  const note = await visitor.find('standing');
  return (await note.evaluate((element) => element.dataset.published)) === String(wanted);
}, { timeout: 180_000 });

/** Counts what imports report from now on. */
export const watchImports = (visitor) => visitor.node((gyre) => {
  const publish = gyre.publish.bind(gyre);
  gyre.publish = (files, options) => publish(files, {
    ...options,
    onProgress: (progress) => {
      globalThis.lastProgress = progress;
      options.onProgress?.(progress);
    },
  });
});
export const lastProgress = (visitor) => visitor.page.evaluate(() => globalThis.lastProgress);

/** Fetches all of a site and compares it, byte for byte. */
export async function holdsAll(visitor, link, files) {
  const held = await visitor.node(async (gyre, address) => {
    const site = await gyre.site(address);
    await site.keep();
    const result = {};
    for (const { path, size } of await site.files(0, 1000)) {
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size; ) {
        const piece = await site.read(path, at, size - at);
        bytes.set(piece, at);
        at += piece.length;
      }
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      result[path] = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    }
    const { cid } = site;
    site.close();
    return { cid, result };
  }, link);
  const wanted = Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, createHash('sha256').update(bytes).digest('hex')]));
  assert.deepEqual(held.result, wanted);
  return held.cid;
}
