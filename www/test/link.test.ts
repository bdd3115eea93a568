import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GyreError } from '../sdk/errors.js';
import { formatLink, parseLink, webSources, withSources } from '../sdk/link.js';

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
  assert.match(refusal(`#/f/${CID}?n=${'x'.repeat(20_000)}`).message, /too long/);
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

test('web sources are added to a link, and what is none is refused', () => {
  const source = 'https://example.org/a b.mp4?x=1&y=2';
  const link = withSources(FRAGMENT, [source, new URL('http://localhost:8081/f')]);
  assert.equal(
    link,
    `${FRAGMENT}&ws=https%3A%2F%2Fexample.org%2Fa%2520b.mp4%3Fx%3D1%26y%3D2&ws=http%3A%2F%2Flocalhost%3A8081%2Ff`,
  );
  assert.deepEqual(parseLink(link), { cid: CID, key: KEY, fragment: link });
  assert.equal(withSources(`#/f/${CID}`, ['https://a/b']), `#/f/${CID}?ws=https%3A%2F%2Fa%2Fb`);
  assert.equal(withSources(FRAGMENT, []), FRAGMENT);
  const long = `https://a/${'b'.repeat(600)}`;
  for (const wrong of ['film.mp4', 'ftp://a/b', 'https://me@a/b', 'https://me:you@a/b', 'https://a/b#c', long]) {
    assert.throws(() => webSources([wrong]), { code: 'BAD_OPTIONS' }, wrong);
  }
  assert.throws(() => webSources(Array(5).fill('https://a/b')), { code: 'BAD_OPTIONS' });
});
