import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRangeHeader, resolveRange } from '../sdk/range.js';

test('Range headers are read as RFC 9110 says', () => {
  const cases: [string | null, number, ReturnType<typeof parseRangeHeader>][] = [
    [null, 100, null],
    ['bytes=0-9', 100, { start: 0, end: 10 }],
    ['Bytes = 5 - ', 100, { start: 5, end: 100 }],
    ['bytes=99-', 100, { start: 99, end: 100 }],
    ['bytes=90-1000', 100, { start: 90, end: 100 }],
    ['bytes=-10', 100, { start: 90, end: 100 }],
    ['bytes=-1000', 100, { start: 0, end: 100 }],
    ['bytes=100-', 100, 'unsatisfiable'],
    ['bytes=100-200', 100, 'unsatisfiable'],
    ['bytes=-0', 100, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=-5', 0, 'unsatisfiable'],
    ['bytes=9-5', 100, null],
    ['bytes=-', 100, null],
    ['bytes=0-1,5-6', 100, null],
    ['items=0-9', 100, null],
    ['bytes=a-b', 100, null],
    ['bytes=99999999999999999999-', 100, null],
  ];
  for (const [header, size, expected] of cases)
    assert.deepEqual(parseRangeHeader(header, size), expected, String(header));
});

test('ranges of stream() are clamped, nonsense is refused', () => {
  assert.deepEqual(resolveRange(undefined, 10), { start: 0, end: 10 });
  assert.deepEqual(resolveRange({ start: 3 }, 10), { start: 3, end: 10 });
  assert.deepEqual(resolveRange({ start: 3, end: 99 }, 10), { start: 3, end: 10 });
  assert.deepEqual(resolveRange({ start: 10 }, 10), { start: 10, end: 10 });
  for (const range of [{ start: -1 }, { start: 11 }, { start: 5, end: 4 }, { start: 0.5 }, { end: Number.NaN }]) {
    assert.throws(() => resolveRange(range, 10), { code: 'BAD_OPTIONS' }, JSON.stringify(range));
  }
});
