import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchBootstrap, parseBootstrap } from '../sdk/bootstrap.js';

type Answer = () => Promise<Response>;

/** A `fetch` that answers by address and honours the signal. */
function answers(table: Record<string, Answer>): typeof fetch {
  return (input, init) =>
    new Promise((resolve, reject) => {
      init?.signal?.addEventListener('abort', () => reject(new DOMException('cut', 'AbortError')));
      table[String(input)]?.().then(resolve, reject);
    });
}

const json =
  (value: unknown): Answer =>
  () =>
    Promise.resolve(new Response(JSON.stringify(value)));
const never: Answer = () => new Promise(() => undefined);

test('the answers of all sources are joined, without repetition', async () => {
  const fetch = answers({
    a: json({ relays: ['/dns4/a/tcp/1/ws', '/dns4/b/tcp/1/ws'], stun: ['stun:a:1'] }),
    b: json({ relays: ['/dns4/b/tcp/1/ws'], stun: [] }),
  });
  assert.deepEqual(await fetchBootstrap(['a', 'b'], { fetch }), {
    relays: ['/dns4/a/tcp/1/ws', '/dns4/b/tcp/1/ws'],
    stun: ['stun:a:1'],
  });
});

test('one good answer is enough: silent, broken and failing sources only cost the grace', async () => {
  const fetch = answers({
    silent: never,
    broken: () => Promise.resolve(new Response('<html>')),
    gone: () => Promise.resolve(new Response('', { status: 404 })),
    good: json({ relays: ['/dns4/a/tcp/1/ws'] }),
  });
  const found = await fetchBootstrap(['silent', 'broken', 'gone', 'good'], { fetch, grace: 20, timeout: 60_000 });
  assert.deepEqual(found.relays, ['/dns4/a/tcp/1/ws']);
});

test('without any relay it says so, in bounded time, with every reason', async () => {
  const fetch = answers({
    silent: never,
    empty: json({ relays: [] }),
    huge: () => Promise.resolve(new Response('x'.repeat(70_000))),
  });
  await assert.rejects(
    fetchBootstrap(['silent', 'empty', 'huge'], { fetch, timeout: 50, grace: 20 }),
    (error: unknown) => {
      const { code, cause } = error as { code: string; cause: AggregateError };
      assert.equal(code, 'NO_RELAY');
      assert.equal(cause.errors.length, 2);
      return true;
    },
  );
});

test('the signal ends the search', async () => {
  const abort = new AbortController();
  const search = fetchBootstrap(['silent'], { fetch: answers({ silent: never }), signal: abort.signal });
  abort.abort();
  await assert.rejects(search, { code: 'ABORTED' });
});

test('what cannot be an address is left out', () => {
  const text = JSON.stringify({
    relays: ['/ip4/1.2.3.4/tcp/1/ws', 'http://x', 5, null, '/a b', '/' + 'x'.repeat(2000)],
    stun: ['stun:h:1', 'turn:h:1', {}],
  });
  assert.deepEqual(parseBootstrap(text), { relays: ['/ip4/1.2.3.4/tcp/1/ws'], stun: ['stun:h:1'] });
  assert.deepEqual(parseBootstrap('{"relays": "no"}'), { relays: [], stun: [] });
  assert.equal(
    parseBootstrap(JSON.stringify({ relays: Array.from({ length: 500 }, (_, i) => `/dns4/${i}`) })).relays.length,
    64,
  );
  for (const bad of ['', 'null', '5', '[']) assert.throws(() => parseBootstrap(bad), bad);
});

test('of the work that sources name the most counts, and nonsense none', async () => {
  const fetch = answers({
    a: json({ relays: ['/dns4/a/tcp/1/ws'], stun: [], puzzleBits: 12 }),
    b: json({ relays: ['/dns4/b/tcp/1/ws'], stun: [], puzzleBits: 0 }),
    c: json({ relays: ['/dns4/c/tcp/1/ws'], stun: [] }),
  });
  assert.equal((await fetchBootstrap(['a', 'b', 'c'], { fetch })).puzzleBits, 12);
  assert.equal((await fetchBootstrap(['b', 'c'], { fetch })).puzzleBits, 0);
  assert.equal((await fetchBootstrap(['c'], { fetch })).puzzleBits, undefined);
  for (const puzzleBits of [-1, 33, 1.5, '16', null, 1e9]) {
    assert.equal(parseBootstrap(JSON.stringify({ relays: [], stun: [], puzzleBits })).puzzleBits, undefined);
  }
});
