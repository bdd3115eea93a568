import assert from 'node:assert/strict';
import { test } from 'node:test';
import encodeQR from 'qr';
import decodeQR from 'qr/decode.js';
import { skippedWords } from '../app/lib/denylists.js';
import { offeredFile, offerFragment } from '../app/lib/key-offer.js';
import { knownSites } from '../app/lib/known-sites.js';
import type { MySite } from '../app/lib/my-sites.js';
import { changeWarnings, changeWords, healthWords, keeperWords, progressWords, standingOf } from '../app/lib/publish-words.js';
import { qrPath } from '../app/lib/qr.js';
import { parseRoute, publishAddress, siteAddress } from '../app/lib/router.js';
import { folderOf } from '../app/lib/site-folder.js';
import { endings, oneTimeCode, placesToAsk, readCode, wordsIn, wordsProblem } from '../app/lib/words.js';
import type { SiteChange } from '../sdk/site-types.js';

const change = (fields: Partial<SiteChange>): SiteChange => ({
  cid: 'b', previous: 'a', added: [], changed: [], removed: [], addedCount: 0, changedCount: 0, removedCount: 0,
  newBytes: 0, files: 10, bytes: 1000, sameButForCase: [], skippedRedirects: [], skippedHeaders: [], ...fields,
});

test('what changes is one sentence', () => {
  assert.equal(changeWords(change({ previous: null })), 'A new site of 10 files, 1 KB.');
  assert.equal(changeWords(change({ previous: 'b' })), 'Nothing has changed.');
  assert.match(changeWords(change({})), /^No file has changed/);
  assert.equal(changeWords(change({ addedCount: 1, changedCount: 2, removedCount: 3, newBytes: 5000 })), '1 new file, 2 changed, 3 removed. 7 files stay as they are. Readers fetch 5 KB.');
  const lines = Array.from({ length: 7 }, (_, line) => ({ line, reason: 'r' }));
  assert.equal(changeWarnings(change({ skippedRedirects: lines, sameButForCase: ['A'] })).length, 7);
  assert.match(changeWarnings(change({ skippedHeaders: [{ line: 3, reason: 'only Cache-Control' }] }))[0]!, /^Line 3 of _headers .*: only Cache-Control$/);
  assert.deepEqual(changeWarnings(change({})), []);
  assert.equal(progressWords({ files: 5, bytes: 10, newFiles: 3, newBytes: 6, path: null }, 20, 100), '5 of 20 files · 10 B of 100 B · 2 files were here already');
});

test('published means that somebody else has all of it', () => {
  const info = { holders: 0, keepers: 0, seenHour: 0, seenDay: 0, files: 3, here: { files: 3, bytes: 1 } };
  assert.deepEqual([standingOf(info, true).published, standingOf(info, true).title], [false, 'You still need to stay']);
  assert.equal(standingOf(info, false).title, 'Nobody can fetch it yet');
  assert.equal(standingOf({ ...info, holders: 2 }, true).published, true);
  assert.match(standingOf({ ...info, holders: 2 }, true).text, /^2 other peers have all of it/);
  assert.match(standingOf({ ...info, seenDay: 1 }, true).title, /nobody else is here now/);
  assert.match(standingOf(info, true, true).text, /^Another peer had all of it/);
  assert.match(standingOf({ ...info, holders: 2, keepers: 1 }, true).text, /kept by 1 keeper, which stays/);
  assert.equal(keeperWords(null), '');
  assert.match(keeperWords('none'), /^No keeper answers/);
  assert.equal(healthWords({ ...info, holders: 2, keepers: 1 }), '2 others have all of it now, 1 keeper among them');
  assert.equal(skippedWords({ skipped: [{ line: 3, reason: 'its CID cannot be read' }], skippedCount: 2 }), ' · 2 lines left out, line 3: its CID cannot be read');
  assert.equal(healthWords(info), 'no other holder seen');
  assert.equal(healthWords({ ...info, holders: 1 }), '1 other has all of it now');
  assert.equal(healthWords({ ...info, seenHour: 2, seenDay: 5 }), '2 others had all of it in the last hour');
});

test('words are read however they are typed, and two are asked back', () => {
  assert.deepEqual(wordsIn(' 1. Abandon, 2) ABILITY\n\table '), ['abandon', 'ability', 'able']);
  const seen = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const [first, second] = placesToAsk();
    assert.ok(first >= 0 && first < second && second < 24);
    seen.add(first).add(second);
  }
  assert.ok(seen.size > 15);
  assert.deepEqual(placesToAsk(() => 0.9999999), [22, 23]);
  const known = new Set(['able', 'about', 'above']);
  assert.equal(wordsProblem(['able', 'abo'], known, false), '', 'the last is on its way');
  assert.match(wordsProblem(['abel', 'abo'], known, false), /Word 1, “abel”/);
  assert.match(wordsProblem(['able'], known, true), /23 are missing/);
  assert.match(wordsProblem(Array(25).fill('able'), known, false), /25 words/);
  assert.equal(wordsProblem(['x', 'y'], null, false), '', 'without the list nothing is known');
  assert.deepEqual(endings('able abo', [...known]), ['about', 'above']);
  assert.deepEqual(endings('able', [...known]), []);
  assert.deepEqual(endings('able ', [...known]), []);
});

test('a code for one use survives being read and typed', () => {
  for (let i = 0; i < 100; i++) {
    const code = oneTimeCode();
    assert.match(code, /^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/);
    assert.equal(readCode(` ${code.toLowerCase().replaceAll('-', ' ')}`), code);
    assert.equal(readCode(code.replaceAll('0', 'o').replaceAll('1', 'l')), code);
  }
});

test('a file of keys travels in a link, and nothing else does', () => {
  const file = Uint8Array.from({ length: 110 }, (_, i) => (i * 37) & 255);
  const fragment = offerFragment(file);
  assert.match(fragment, /^#\/keys\/take\/[\w-]{147}$/);
  assert.deepEqual(offeredFile(fragment), file);
  assert.deepEqual(parseRoute(fragment), { page: 'keys', fragment });
  for (const bad of ['#/keys', '#/keys/take/', '#/keys/take/a+b', `#/keys/take/${'a'.repeat(5000)}`]) assert.equal(offeredFile(bad), null, bad);
});

test('the drawn code says what it should', () => {
  for (const text of ['https://example.org/#/s/k51qzi5uqu5dlsm4k5jyxx7djjc35v2vgc50emgce8qu6l94qu3mu0rm1sgmof/', `http://localhost:8080/#/keys/take/${'aB-_'.repeat(37)}`]) {
    const modules = encodeQR(text, 'raw', { ecc: 'medium', border: 4 });
    const { path, size } = qrPath(modules);
    // Painted from the path alone, four pixels a module, and read by a decoder.
    const scale = 4;
    const image = { width: size * scale, height: size * scale, data: new Uint8ClampedArray(size * size * scale * scale * 4).fill(255) };
    for (const [, x = '', y = '', length = ''] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) {
      for (let row = +y * scale; row < (+y + 1) * scale; row++) {
        const from = (row * image.width + +x * scale) * 4;
        for (let at = from; at < from + +length * scale * 4; at += 4) image.data.fill(0, at, at + 3);
      }
    }
    assert.equal(decodeQR(image), text);
  }
});

test('addresses of the pages', () => {
  assert.deepEqual(parseRoute('#/sites'), { page: 'sites' });
  assert.deepEqual(parseRoute('#/publish'), { page: 'publish', site: null });
  assert.deepEqual(parseRoute(publishAddress(12)), { page: 'publish', site: 12 });
  assert.equal(parseRoute('#/publish/x').page, 'unknown');
  assert.deepEqual(parseRoute('#keys'), { page: 'keys', fragment: '#/keys' });
  assert.equal(parseRoute('#/keysmith').page, 'unknown');
  assert.equal(siteAddress('k51'), '#/s/k51/');
});

test('sites of others are listed once, under the address that was visited', () => {
  const held = (cid: string, pinned = false) => ({ cid, pinned, title: `t-${cid}`, bytes: 1, files: 1 });
  const visit = (cid: string) => ({ cid, title: 'v', time: 1 });
  const mine = [{ name: 'k-mine', cid: 'm2', earlier: ['m1'] }] as unknown as MySite[];
  const known = knownSites([held('a', true), held('b'), held('m1', true), held('m2', true)], [['k-a', visit('a')], ['k-gone', visit('z')], ['k-mine', visit('m2')]], mine);
  assert.deepEqual(known, [
    { address: 'k-a', cid: 'a', title: 't-a', pinned: true },
    { address: 'k-gone', cid: 'z', title: 'v', pinned: false },
    { address: 'b', cid: 'b', title: 't-b', pinned: false },
  ]);
});

test('a version of a site is a folder again', async () => {
  const texts = new Map(Array.from({ length: 1003 }, (_, i) => [`ü/${i}.txt`, `text ${i}`]));
  const asked: string[] = [];
  const folder = await folderOf({
    files: async (offset = 0, limit = 10) => [...texts].slice(offset, offset + limit).map(([path, text]) => ({ path, size: text.length, type: 'text/plain', hash: '' })),
    request: async (target) => (asked.push(target), { kind: 'file', status: 200, path: '', size: 0, type: '', etag: null, location: null, cache: 'no-store', csp: null }),
    read: async (path, offset, length) => new TextEncoder().encode(texts.get(path)).slice(offset, offset + Math.min(length, 3)),
  }, 'old');
  assert.equal(folder.files.length, 1003);
  assert.equal(asked[7], '/%C3%BC/7.txt');
  assert.deepEqual(folder.files[7]?.served, { type: 'text/plain', cache: 'no-store' });
  assert.equal(await new Response(await folder.files[42]?.open()).text(), 'text 42');
});
