import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GyreError } from '../sdk/errors.js';
import { formatLink, parseLink } from '../sdk/link.js';

const CID = `bafkr4i${'a'.repeat(52)}`;
const KEY = 'A-_9'.repeat(10) + 'abc';
const FRAGMENT = `#/f/${CID}?k=${KEY}`;

function refusal(text: string): GyreError {
  try {
    parseLink(text);
  } catch (thrown) {
    assert.ok(thrown instanceof GyreError);
    assert.equal(thrown.code, 'BAD_LINK');
    return thrown;
  }
  return assert.fail(`accepted ${JSON.stringify(text)}`);
}

test('a link is read from a URL of any host, a fragment, a path or a bare CID', () => {
  for (const text of [
    `https://example.org/${FRAGMENT}`,
    `http://localhost:8080/app/?x=1${FRAGMENT}`,
    FRAGMENT,
    `  ${FRAGMENT}\n`,
    FRAGMENT.slice(1),
  ]) {
    assert.deepEqual(parseLink(text), { cid: CID, key: KEY, fragment: FRAGMENT }, text);
  }
  assert.deepEqual(parseLink(CID), { cid: CID, key: null, fragment: `#/f/${CID}` });
  const named = `#/f/${CID}?n=a%20b.txt&t=text%2Fplain`;
  assert.deepEqual(parseLink(named), { cid: CID, key: null, fragment: named });
});

test('each broken link is refused with its own reason', () => {
  assert.match(refusal('').message, /empty/);
  assert.match(refusal('hello').message, /not a link/);
  assert.match(refusal('https://example.org/').message, /not a link/);
  assert.match(refusal(`#/f/${CID.slice(0, -1)}?k=${KEY}`).message, /cut short/);
  assert.match(refusal(`#/f/${CID}a?k=${KEY}`).message, /too long/);
  assert.match(refusal(`#/f/${CID.toUpperCase()}`).message, /do not belong/);
  assert.match(refusal(`#/f/${CID}?k=${KEY.slice(1)}`).message, /key.*cut short/);
  assert.match(refusal(`#/f/${CID}?k=${KEY}A`).message, /malformed/);
  assert.match(refusal(`#/f/${CID}?k=${KEY.slice(1)}!`).message, /malformed/);
  assert.match(refusal('#/s/k51abc/index.html').message, /site/);
  assert.match(refusal(`#/f/${CID}?n=${'x'.repeat(10_000)}`).message, /too long/);
});

test('any text is either read or refused, never anything else', () => {
  let seed = Number(process.env['SEED'] ?? 20_260_101);
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % n;
  };
  const pieces = [
    '#',
    '/f/',
    'f/',
    '?k=',
    '&',
    '%',
    '%zz',
    CID,
    KEY,
    CID.slice(0, 20),
    'https://h/',
    ' ',
    '\u0000',
    '💧',
    '/s/',
    '?',
    '=',
    'b',
  ];
  for (let round = 0; round < 5000; round += 1) {
    const text = Array.from({ length: random(8) }, () => pieces[random(pieces.length)]).join('');
    try {
      const link = parseLink(text);
      assert.deepEqual(parseLink(link.fragment), link, `SEED=${seed} ${JSON.stringify(text)}`);
    } catch (thrown) {
      assert.ok(
        thrown instanceof GyreError && thrown.code === 'BAD_LINK',
        `SEED=${seed} ${JSON.stringify(text)}: ${String(thrown)}`,
      );
    }
  }
});

test('a link is the page without its query, and the fragment', () => {
  assert.equal(formatLink(FRAGMENT, 'https://example.org/app/?a=1#/old'), `https://example.org/app/${FRAGMENT}`);
  assert.equal(formatLink(FRAGMENT.slice(1), new URL('http://localhost:8080')), `http://localhost:8080/${FRAGMENT}`);
});
