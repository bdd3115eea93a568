import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlobReader, BlobWriter, ZipWriter } from '@zip.js/zip.js/lib/zip-core-custom.js';
import { FolderError, gather, isSystem, leftOutWords, MAX_BYTES, pathProblem, within, type FoundFile } from '../app/lib/folder.js';
import { fromEntries, fromFiles } from '../app/lib/folder-sources.js';

const found = (path: string, size = 1): FoundFile => ({ path, size, open: async () => new Blob(['x'.repeat(size)]) });
const paths = (folder: { files: readonly FoundFile[] }): string[] => folder.files.map(({ path }) => path);

async function read(file: FoundFile | undefined): Promise<string> {
  assert.ok(file);
  return new Response(await file.open()).text();
}

/** A file as a field for folders gives it. */
function picked(path: string, text: string): File {
  const file = new File([text], path.split('/').at(-1) ?? '');
  Object.defineProperty(file, 'webkitRelativePath', { value: path.includes('/') ? path : '' });
  return file;
}

/** A folder as a drop gives it, a few entries at a time. */
type Tree = { [name: string]: string | Tree };
function dropped(name: string, tree: string | Tree, above = ''): FileSystemEntry {
  const fullPath = `${above}/${name}`;
  const common = { name, fullPath };
  if (typeof tree === 'string') {
    return { ...common, isFile: true, isDirectory: false, file: (take: (file: File) => void) => take(new File([tree], name)) } as unknown as FileSystemEntry;
  }
  const entries = Object.entries(tree).map(([child, inner]) => dropped(child, inner, fullPath));
  const createReader = (): unknown => {
    const rest = [...entries];
    return { readEntries: (take: (some: FileSystemEntry[]) => void) => take(rest.splice(0, 2)) };
  };
  return { ...common, isFile: false, isDirectory: true, createReader } as unknown as FileSystemEntry;
}

async function zipOf(files: Record<string, string>, options: { password?: string } = {}): Promise<Blob> {
  const writer = new ZipWriter(new BlobWriter('application/zip'), { useWebWorkers: false, ...options });
  for (const [path, text] of Object.entries(files)) await writer.add(path, new BlobReader(new Blob([text])));
  return writer.close();
}

test('paths are brought into form C, sorted, and what stays behind is told', async () => {
  const folder = await gather('site', [
    found('u\u0308.html', 3), found('b/c.css'), found('index.html'), found('.DS_Store'), found('.git/HEAD'), found('.git/config'), found('b/Thumbs.db'),
    found('.env'), found('.well-known/a.txt'), found('a\\b'), found('x\u202ey'), found('.gyre/sw.js'), found('\u00fc.html'),
  ]);
  assert.deepEqual(paths(folder), ['.well-known/a.txt', 'b/c.css', 'index.html', '\u00fc.html']);
  assert.equal(folder.bytes, 6);
  const reasons = Object.fromEntries(folder.leftOut.map(({ reason, count }) => [reason, count]));
  assert.deepEqual(reasons, { system: 4, hidden: 1, backslash: 1, control: 1, reserved: 1, twice: 1 });
  assert.deepEqual(folder.leftOut.find(({ reason }) => reason === 'system')?.examples, ['.DS_Store', '.git/', 'b/Thumbs.db']);
  assert.match(leftOutWords(folder.leftOut)[0] ?? '', /^4 files that a system or tool put there: \.DS_Store, \.git\/, b\/Thumbs\.db$/);
});

test('the rules of paths are those of sites', () => {
  for (const path of ['a', 'Ä/ö.html', '.well-known/x', 'a b/c%20d', 'x'.repeat(255), Array(64).fill('a').join('/')]) assert.equal(pathProblem(path), null, path);
  const bad = { '': 'dots', '/a': 'dots', 'a//b': 'dots', 'a/../b': 'dots', '.Gyre/x': 'reserved', 'a\u0000b': 'control', 'a\ud800': 'control', 'a\u2028b': 'control' };
  for (const [path, reason] of Object.entries(bad)) assert.equal(pathProblem(path), reason, JSON.stringify(path));
  assert.equal(pathProblem('x'.repeat(256)), 'long');
  assert.equal(pathProblem('ü'.repeat(128)), 'long', 'bytes count, not characters');
  assert.equal(pathProblem(Array(65).fill('a').join('/')), 'long');
  assert.equal(pathProblem(Array(6).fill('x'.repeat(200)).join('/')), 'long');
  assert.equal(isSystem('a/__MACOSX/b'), true);
  assert.equal(isSystem('a/._b'), true);
  assert.equal(isSystem('a/gitlab.html'), false);
});

test('too much is refused as a whole', async () => {
  await assert.rejects(gather('a', [found('a', MAX_BYTES / 2 + 1), found('b', MAX_BYTES / 2)]), FolderError);
  function* many(): Generator<FoundFile> {
    for (let i = 0; ; i++) yield { path: `${i}`, size: 0, open: async () => new Blob() };
  }
  await assert.rejects(gather('a', many()), /more than 200,000 files/);
  const stop = new AbortController();
  await assert.rejects(gather('a', many(), { signal: stop.signal, onFound: (files) => files === 5 && stop.abort() }), { name: 'AbortError' });
});

test('the field for folders: the chosen folder is taken off, also a hidden one', async () => {
  const folder = await fromFiles([picked('.output/index.html', 'hi'), picked('.output/a/b.txt', 'b')]);
  assert.deepEqual([folder.name, paths(folder)], ['.output', ['a/b.txt', 'index.html']]);
  assert.equal(await read(folder.files[1]), 'hi');
  const loose = await fromFiles([picked('index.html', 'hi'), picked('a.css', '')]);
  assert.deepEqual(paths(loose), ['a.css', 'index.html']);
});

test('a dropped folder is walked to its end, however few entries the browser tells at a time', async () => {
  const tree: Tree = { 'index.html': 'start', '.git': { HEAD: 'x', objects: { a: 'b' } }, img: {}, deep: { er: { 'ä b.txt': 'far' } } };
  for (let i = 0; i < 250; i++) (tree.img as Tree)[`${i}.png`] = `${i}`;
  let heard = 0;
  const folder = await fromEntries([dropped('my site', tree)], { onFound: (files) => (heard = files) });
  assert.equal(folder.name, 'my site');
  assert.equal(folder.files.length, 252);
  assert.equal(heard, 252);
  assert.equal(await read(folder.files.find(({ path }) => path === 'deep/er/ä b.txt')), 'far');
  assert.deepEqual(folder.leftOut.map(({ reason, examples }) => [reason, examples]), [['system', ['.git/']]]);
  const two = await fromEntries([dropped('a', { 'x.html': '' }), dropped('index.html', 'i')]);
  assert.deepEqual(paths(two), ['a/x.html', 'index.html'], 'things side by side keep their names');
});

test('a folder that cannot be read is named', async () => {
  const entry = { name: 'locked', fullPath: '/a/locked', isFile: false, isDirectory: true, createReader: () => ({ readEntries: (_: unknown, fail: (error: Error) => void) => fail(new Error('no')) }) };
  await assert.rejects(fromEntries([entry as unknown as FileSystemEntry]), /locked cannot be read: no/);
});

test('an archive: its wrapping folder is taken off, its bytes come when asked for', async () => {
  const zip = await zipOf({ '__MACOSX/._x': '', 'proj/index.html': 'hello', 'proj/ü/ö.txt': 'umlaut', 'proj/zeros': '0'.repeat(2_000_000) });
  assert.ok(zip.size < 20_000);
  const folder = await fromFiles([new File([zip], 'download.ZIP')]);
  assert.deepEqual([folder.name, paths(folder), folder.bytes], ['proj', ['index.html', 'zeros', 'ü/ö.txt'], 2_000_011]);
  assert.equal(await read(folder.files[0]), 'hello');
  assert.equal((await read(folder.files[1])).length, 2_000_000);
  assert.equal(await read(folder.files[2]), 'umlaut');
  assert.equal(await read(folder.files[2]), 'umlaut', 'and again');
  const flat = await fromFiles([new File([await zipOf({ 'index.html': 'a', 'b/c': 'd' })], 'flat.zip')]);
  assert.deepEqual([flat.name, paths(flat)], ['flat', ['b/c', 'index.html']]);
});

test('an archive that lies about its sizes gives an error and no more bytes than it says', async () => {
  const zip = new Uint8Array(await (await zipOf({ 'bomb.txt': 'A'.repeat(5_000_000) })).arrayBuffer());
  const view = new DataView(zip.buffer);
  let changed = 0;
  for (let at = 0; at + 46 < zip.length; at++) {
    if (view.getUint32(at, true) !== 0x02014b50) continue;
    view.setUint32(at + 24, 10, true);
    changed += 1;
  }
  assert.equal(changed, 1);
  const folder = await fromFiles([new File([zip], 'bomb.zip')]);
  assert.equal(folder.bytes, 10);
  let got = 0;
  await assert.rejects(async () => {
    for await (const piece of (await folder.files[0]?.open()) as ReadableStream<Uint8Array>) got += piece.byteLength;
  });
  assert.ok(got <= 10, `${got} bytes came`);
});

test('archives that are none, are locked, or whose paths leave the folder', async () => {
  await assert.rejects(fromFiles([new File(['not an archive at all'], 'a.zip')]), FolderError);
  const locked = await zipOf({ 'index.html': 'x' }, { password: 'p' });
  await assert.rejects(fromFiles([new File([locked], 'a.zip')]), /protected by a password/);
  const bad = await gather('', [found('a/../../etc/passwd'), found('/abs'), found('a'), found('a/b')]);
  assert.deepEqual(paths(bad), ['a']);
  assert.deepEqual(bad.leftOut.map(({ reason, count }) => [reason, count]), [['dots', 2], ['twice', 1]]);
  assert.equal(bad.bytes, 1);
});

test('part of a folder is a folder', async () => {
  const folder = within(await gather('p', [found('dist/index.html', 5), found('dist/a/b', 7), found('src/x', 9)]), 'dist');
  assert.deepEqual([paths(folder), folder.bytes], [['a/b', 'index.html'], 12]);
});
