import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  count,
  displayName,
  formatBytes,
  formatDuration,
  formatRate,
  liveRate,
  percent,
  shortId,
  typeLabel,
} from '../app/lib/format.js';
import { asGigabytes, parseGigabytes } from '../app/lib/storage.js';

test('sizes are shown with the digits that matter', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 KB'],
    [1234, '1.2 KB'],
    [99_949, '99.9 KB'],
    [99_999, '100 KB'],
    [999_499, '999 KB'],
    [999_500, '1 MB'],
    [999_999, '1 MB'],
    [5_242_880, '5.2 MB'],
    [1_340_000_000, '1.3 GB'],
    [2e12, '2 TB'],
    [Number.NaN, '–'],
    [-1, '–'],
  ];
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text, String(bytes));
});

test('no size up to a petabyte prints as 1000 of a unit', () => {
  for (let exponent = 0; exponent < 15; exponent += 0.01) {
    const text = formatBytes(Math.floor(10 ** exponent));
    assert.doesNotMatch(text, /^1000/, `10^${exponent}`);
    assert.ok(text.length <= 8, text);
  }
});

test('rates, durations, counts and ids read as sentences do', () => {
  assert.equal(formatRate(1_234_567.8), '1.2 MB/s');
  assert.equal(formatRate(-3), '0 B/s');
  assert.equal(formatDuration(0), 'a few seconds');
  assert.equal(formatDuration(25.4), '25 s');
  assert.equal(formatDuration(59.7), '1 min');
  assert.equal(formatDuration(3600), '1 h');
  assert.equal(formatDuration(7500), '2 h 5 min');
  assert.equal(formatDuration(86400 * 4), '4 days');
  assert.equal(formatDuration(Infinity), '–');
  assert.equal(count(1, 'peer'), '1 peer');
  assert.equal(count(0, 'peer'), '0 peers');
  assert.equal(count(2, 'copy', 'copies'), '2 copies');
  assert.equal(shortId('12D3KooWq3xTf8Wz'), '…q3xTf8Wz');
  assert.equal(shortId('short'), 'short');
  assert.equal(displayName(null, 'bafkr4iabcdefgh'), 'bafkr4iabcdefg…');
  assert.equal(displayName('a.txt', 'bafk'), 'a.txt');
});

test('percent says 100 only when all is there', () => {
  assert.equal(percent(0, null), 0);
  assert.equal(percent(999_999, 1_000_000), 99);
  assert.equal(percent(5, 5), 100);
  assert.equal(percent(0, 0), 100);
  assert.equal(percent(1, 3), 33);
});

test('a storage cap is read as people type it', () => {
  assert.equal(parseGigabytes(' 2 '), 2e9);
  assert.equal(parseGigabytes('1,5'), 1.5e9);
  assert.equal(parseGigabytes('0.01'), 1e7);
  for (const text of ['', '0', '0.001', '-1', '1e9', 'two', '1.2345', '9999999'])
    assert.equal(parseGigabytes(text), null, text);
  assert.equal(asGigabytes(1.5e9), '1.5');
  assert.equal(parseGigabytes(asGigabytes(2_147_483_648)), 2_147_000_000);
});

test('only a rate that means something is shown', () => {
  assert.equal(liveRate(0), '');
  assert.equal(liveRate(21), '');
  assert.equal(liveRate(1_500), '1.5 KB/s');
});

test('types are said in words where they say anything', () => {
  assert.equal(typeLabel('application/octet-stream'), '');
  assert.equal(typeLabel(''), '');
  assert.equal(typeLabel('image/svg+xml'), 'SVG image');
  assert.equal(typeLabel('Video/WebM; codecs=vp8'), 'WEBM video');
  assert.equal(typeLabel('text/plain'), 'Text');
  assert.equal(typeLabel('application/x-thing'), 'application/x-thing');
  assert.equal(typeLabel('constructor'), 'constructor');
});
