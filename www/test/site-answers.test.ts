/** A site's worker and the app together, over real message channels, with a bridge between them. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { SiteHost, type SiteSource } from '../app/site/host.js';
import { answerSite, isForSite, type SiteFetch, type SiteScope } from '../site/answers.js';
import type { BridgeClient } from '../site/bridges.js';
import { Kept, MAX_KEPT_BYTES, MAX_KEPT_PART } from '../site/kept.js';
import { readBridgeSaid, readSiteAsk, readSiteClaim, readSiteWhose, readWatchSaid } from '../site/messages.js';
import { contentPolicy } from '../site/policy.js';

const HOST = 'k51abc.localhost:8080';

/** Answers from a table of bodies; a path may be anything that `fetch` of a site can come to. */
class FakeSite implements SiteSource {
  cid = 'bafyone';
  readonly asked: { target: string; method: string; headers: Record<string, string> }[] = [];
  readonly files = new Map<string, () => Response | Promise<Response>>();

  async fetch(target: string, options: { method: string; headers: Record<string, string>; signal: AbortSignal }): Promise<Response> {
    this.asked.push({ target, method: options.method, headers: options.headers });
    const made = this.files.get(target);
    return made ? made() : new Response(null, { status: 404 });
  }
}

/** A frame of the app in the worker's eyes, which hands questions on as the bridge does. */
class FakeBridge implements BridgeClient {
  readonly id: string;
  url = `http://${HOST}/.gyre/bridge`;
  frameType = 'nested';
  visibilityState = 'visible';
  focused = false;
  silent = false;
  asked = 0;

  constructor(
    id: string,
    readonly host: SiteHost,
  ) {
    this.id = id;
  }

  postMessage(message: unknown, [port]: Transferable[]): void {
    this.asked += 1;
    if (!this.silent) assert.equal(this.host.take(structuredClone(message), port as MessagePort), true);
  }
}

type Turns = (work: () => Promise<void>) => Promise<void>;
const atOnce: Turns = (work) => work();

function scene(t: TestContext, outside = false, turns = atOnce): { site: FakeSite; host: SiteHost; bridge: FakeBridge; scope: SiteScope; bridges: FakeBridge[]; left: string[] } {
  const site = new FakeSite();
  const left: string[] = [];
  const host = new SiteHost(Promise.resolve(site), { outside: () => outside, onLeave: (url) => left.push(url), turns });
  t.after(() => host.stop());
  const bridge = new FakeBridge('one', host);
  const bridges = [bridge];
  const scope: SiteScope = {
    location: { protocol: 'http:', host: HOST, hostname: 'k51abc.localhost', origin: `http://${HOST}` },
    clients: { matchAll: async () => bridges },
  };
  return { site, host, bridge, scope, bridges, left };
}

interface Made {
  method?: string;
  headers?: Record<string, string>;
  mode?: RequestMode;
  destination?: string;
  client?: string;
  becomes?: string;
  referrer?: string;
}

function fetched(path: string, made: Made = {}): SiteFetch {
  const { mode = 'cors', destination = '', method = 'GET', headers = {}, client = '', becomes = '', referrer = '' } = made;
  const request = { url: `http://${HOST}${path}`, method, mode, destination, referrer, headers: new Headers(headers), signal: new AbortController().signal };
  return { request: request as SiteFetch['request'], clientId: client, resultingClientId: becomes, waitUntil: () => undefined };
}

/** Two tabs that show two versions of one site; the second is the one that a person looks at. */
function twoTabs(t: TestContext, turns = atOnce) {
  const { site: older, host: first, bridge, bridges, scope } = scene(t, false, turns);
  const newer = new FakeSite();
  newer.cid = 'bafytwo';
  const begun: string[] = [];
  const second = new SiteHost(Promise.resolve(newer), { outside: () => false, caughtUp: async () => void begun.push('second'), turns });
  t.after(() => second.stop());
  const other = new FakeBridge('two', second);
  bridge.visibilityState = 'hidden';
  other.focused = true;
  bridges.push(other);
  for (const [site, word] of [[older, 'older'], [newer, 'newer']] as const) for (const path of ['/', '/a', '/b']) site.files.set(path, () => new Response(word, { headers: { 'content-length': String(word.length) } }));
  const said = async (path: string, made: Made = {}): Promise<string> => (await answerSite(scope, fetched(path, made))).text();
  return { older, newer, first, second, bridge, other, bridges, scope, said, begun };
}

const page = { mode: 'navigate', destination: 'iframe' } as const;

test('a request goes through to the site and its answer back, with the limits of sites on it', async (t) => {
  const { site, scope } = scene(t);
  site.files.set('/a.html?x', () => new Response('<p>hello', { headers: { 'content-type': 'text/html', 'content-length': '8', etag: '"e"', 'set-cookie': 'a=b', 'service-worker-allowed': '/', 'content-security-policy': "script-src 'none'" } }));
  const response = await answerSite(scope, fetched('/a.html?x', { headers: { range: 'bytes=0-', cookie: 'secret' } }));
  assert.equal(response.status, 200);
  assert.equal(await response.text(), '<p>hello');
  assert.deepEqual(site.asked, [{ target: '/a.html?x', method: 'GET', headers: { range: 'bytes=0-' } }]);
  const policy = response.headers.get('content-security-policy') ?? '';
  assert.ok(policy.startsWith(contentPolicy('http://localhost:8080', false)));
  assert.ok(policy.endsWith(", script-src 'none'"), 'what the site says comes on top');
  assert.equal(response.headers.get('etag'), '"e"');
  for (const name of ['set-cookie', 'service-worker-allowed', 'gyre-outside']) assert.equal(response.headers.get(name), null, name);
  assert.match(response.headers.get('permissions-policy') ?? '', /camera=\(\)/);
});

test('by default nothing leaves the site; what the person allows does', async (t) => {
  const strict = contentPolicy('http://localhost:8080', false);
  const directives = new Map(strict.split('; ').map((one) => [one.split(' ')[0], one.split(' ').slice(1)]));
  for (const [name, sources] of directives) {
    for (const source of sources ?? []) {
      const own = ["'self'", "'unsafe-inline'", "'unsafe-eval'", 'data:', 'blob:', "'block'"].includes(source);
      assert.ok(own || (name === 'frame-ancestors' && source === 'http://localhost:8080'), `${name} ${source}`);
    }
  }
  for (const name of ['default-src', 'connect-src', 'form-action', 'frame-src', 'worker-src', 'base-uri', 'object-src', 'frame-ancestors']) assert.ok(directives.has(name), name);
  const { site, scope } = scene(t, true);
  site.files.set('/', () => new Response('x'));
  const response = await answerSite(scope, fetched('/'));
  assert.equal(response.headers.get('content-security-policy'), contentPolicy('http://localhost:8080', true));
  assert.match(contentPolicy('http://localhost:8080', true), /connect-src[^;]* https: ws: wss:/);
  assert.match(contentPolicy('http://localhost:8080', true), /form-action 'self'/);
});

test('what no content policy reaches is shut in too, on every document of the origin', async (t) => {
  const reach = async (outside: boolean, path: string, bridged = true): Promise<string | null> => {
    const { site, scope, bridges } = scene(t, outside);
    site.files.set('/', () => new Response('x'));
    if (!bridged) bridges.splice(0);
    return (await answerSite(scope, fetched(path, page))).headers.get('connection-allowlist');
  };
  // A frame at what is not there lends the site's code its own constructors as well as any other.
  for (const at of ['/', '/nowhere']) assert.equal(await reach(false, at), '(response-origin); redirects=allow; webrtc=block', at);
  assert.equal(await reach(false, '/', false), '(response-origin); redirects=allow; webrtc=block');
  assert.equal(await reach(true, '/'), null, 'what the person allows');
});

test('a large body comes piece by piece, each when it is wanted, and goes on with another bridge', async (t) => {
  const { site, bridge, bridges, scope } = scene(t);
  const bytes = new Uint8Array(3_000_000).map((_, i) => i * 7);
  let pulls = 0;
  const stream = (from: number): ReadableStream<Uint8Array> => {
    let at = from;
    return new ReadableStream({
      pull(controller) {
        pulls += 1;
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, (at += 500_000)));
      },
    }, { highWaterMark: 0 });
  };
  site.files.set('/big', () => {
    const range = /^bytes=(\d+)-/.exec(site.asked.at(-1)?.headers['range'] ?? '');
    const from = range ? Number(range[1]) : 0;
    const headers: Record<string, string> = { 'content-length': String(bytes.length - from), etag: '"e"' };
    if (range) headers['content-range'] = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    return new Response(stream(from), { status: range ? 206 : 200, headers });
  });
  const response = await answerSite(scope, fetched('/big'));
  const reader = response.body!.getReader();
  const got: Uint8Array[] = [];
  got.push((await reader.read()).value!);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(pulls <= 2, `${pulls} pieces were read for one that was wanted`);
  // The tab goes away; another one shows the same site.
  const host = new SiteHost(Promise.resolve(site), { outside: () => false });
  t.after(() => host.stop());
  bridges.splice(0, 1, new FakeBridge('two', host));
  bridge.host.stop();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    got.push(value);
  }
  assert.deepEqual(Buffer.concat(got), Buffer.from(bytes));
  assert.equal(site.asked.at(-1)?.headers['if-match'], '"e"');
});

test('only what the app has framed is asked', async (t) => {
  const { site, host, bridges, scope } = scene(t);
  site.files.set('/', () => new Response('right'));
  // What a site can open by itself at that path: a window. And any other page of it.
  const window = new FakeBridge('window', host);
  window.frameType = 'auxiliary';
  const page = new FakeBridge('page', host);
  page.url = `http://${HOST}/a/.gyre/bridge`;
  bridges.unshift(window, page);
  assert.equal(await (await answerSite(scope, fetched('/'))).text(), 'right');
  assert.deepEqual([window.asked, page.asked], [0, 0]);
});

test('without a bridge a page leads to the app, and anything else gets a plain word', async (t) => {
  const { bridges, scope } = scene(t);
  bridges.length = 0;
  const direct = await answerSite(scope, fetched('/a?b', { mode: 'navigate', destination: 'document' }));
  assert.deepEqual([direct.status, direct.headers.get('location')], [302, 'http://localhost:8080/#/s/k51abc/a?b']);
  const framed = await answerSite(scope, fetched('/a?b', { mode: 'navigate', destination: 'iframe' }));
  assert.equal(framed.status, 503);
  assert.match(await framed.text(), /href="http:\/\/localhost:8080\/#\/s\/k51abc\/a\?b"/);
  const part = await answerSite(scope, fetched('/x.css'));
  assert.deepEqual([part.status, part.headers.get('gyre-error'), part.headers.get('content-type')], [503, 'NO_PAGE', 'text/plain; charset=utf-8']);
});

test('failures, absent pages and redirects are answered as people and programs need them', async (t) => {
  const { site, scope, left } = scene(t);
  site.files.set('/lost', () => Promise.reject(Object.assign(new Error('nobody'), { code: 'NOT_FOUND' })));
  assert.equal((await answerSite(scope, fetched('/lost'))).status, 504);
  const absent = await answerSite(scope, fetched('/<b>', { mode: 'navigate', destination: 'iframe' }));
  assert.equal(absent.status, 404);
  assert.ok(!(await absent.text()).includes('<b>'));
  site.files.set('/old', () => new Response(null, { status: 301, headers: { location: '/new' } }));
  const moved = await answerSite(scope, fetched('/old', { mode: 'navigate', destination: 'iframe' }));
  assert.deepEqual([moved.status, moved.headers.get('location')], [301, '/new']);
  site.files.set('/out', () => new Response(null, { status: 302, headers: { location: 'https://example.org/' } }));
  assert.equal((await answerSite(scope, fetched('/out', { mode: 'navigate', destination: 'iframe' }))).status, 204);
  assert.deepEqual(left, ['https://example.org/']);
  site.files.set('/same', () => new Response(null, { status: 304 }));
  assert.equal((await answerSite(scope, fetched('/same', { headers: { 'if-none-match': '"e"' } }))).status, 304);
  assert.equal((await answerSite(scope, fetched('/head', { method: 'HEAD' }))).body, null);
});

test('a file to be saved is the file, as an attachment', async (t) => {
  const { site, scope } = scene(t);
  site.files.set('/a/b.bin?x', () => new Response('bytes', { headers: { 'content-length': '5', 'content-disposition': 'inline' } }));
  const response = await answerSite(scope, fetched('/.gyre/d/na%C3%AFve%20name.bin/a/b.bin?x', { mode: 'navigate', destination: 'iframe' }));
  assert.equal(response.headers.get('content-disposition'), `attachment; filename="na_ve name.bin"; filename*=UTF-8''na%C3%AFve%20name.bin`);
  assert.equal(await response.text(), 'bytes');
});

test('hundreds of requests at once are all answered, some at a time', async (t) => {
  const { site, host, scope } = scene(t);
  let open = 0;
  let most = 0;
  for (let i = 0; i < 400; i++) {
    site.files.set(`/${i}`, async () => {
      most = Math.max(most, (open += 1));
      await new Promise((resolve) => setTimeout(resolve, 1));
      open -= 1;
      return new Response(String(i), { headers: { 'content-length': String(String(i).length) } });
    });
  }
  const answers = await Promise.all(Array.from({ length: 400 }, async (_, i) => (await answerSite(scope, fetched(`/${i}`))).text()));
  assert.deepEqual(answers, Array.from({ length: 400 }, (_, i) => String(i)));
  assert.ok(most <= 96, `${most} at once`);
  for (let wait = 0; host.sessions > 0 && wait < 100; wait++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(host.sessions, 0);
});

test('of two tabs that show two versions each answers what its own pages ask for', async (t) => {
  const { first, second, said } = twoTabs(t);
  // Shown by the app in a new frame.
  for (const [host, id, word] of [[first, 'page-1', 'older'], [second, 'page-2', 'newer']] as const) {
    host.expect();
    assert.equal(await said('/', { ...page, becomes: id }), word);
    assert.equal(await said('/a', { client: id }), word);
    // A worker of its scripts, and what that asks for.
    assert.equal(await said('/b', { client: id, becomes: `${id}-worker` }), word);
    assert.equal(await said('/a', { client: `${id}-worker` }), word);
    // Where the browser tells who loads a page.
    assert.equal(await said('/b', { ...page, client: id, becomes: `${id}-next` }), word);
    assert.equal(await said('/a', { client: `${id}-next` }), word);
  }
});

test('a page that some tab loads is that of the tab which has just begun to load one', async (t) => {
  const { first, second, said, begun } = twoTabs(t);
  first.expect();
  assert.equal(await said('/a', { ...page, becomes: 'page-1' }), 'older');
  assert.deepEqual(begun, ['second'], 'what the frames have begun is heard first');
  assert.equal(await said('/b', { client: 'page-1' }), 'older');
  // It has asked for its page: the next one is another tab’s.
  second.expect();
  assert.equal(await said('/a', { ...page, becomes: 'page-2' }), 'newer');
  // Nothing tells: the tab that is looked at.
  assert.equal(await said('/b', { ...page, becomes: 'page-3' }), 'newer');
});

test('frames that two tabs make at the same moment each show what their own tab has opened', async (t) => {
  let last = Promise.resolve();
  const turns = (work: () => Promise<void>): Promise<void> => (last = last.then(work));
  const { first, second, said } = twoTabs(t, turns);
  const got: Record<string, string> = {};
  const frame = (id: string) => (): boolean => {
    // The request reaches the worker a while after the frame was told to load.
    setTimeout(() => void said('/', { ...page, becomes: id }).then((word) => (got[id] = word)), 5);
    return true;
  };
  await Promise.all([first.begin(frame('one')), second.begin(frame('two'))]);
  await Promise.all([second.begin(frame('four')), first.begin(frame('three'))]);
  for (let wait = 0; Object.keys(got).length < 4 && wait < 100; wait++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(got, { one: 'older', two: 'newer', four: 'newer', three: 'older' });
  // One that never asks gives way to the next frame of its tab, and to others when its tab goes.
  const idle = first.begin(() => true);
  const next = first.begin(() => false);
  const other = second.begin(() => true);
  await Promise.all([idle, next]);
  second.stop();
  await other;
});

test('a page within a page is of the tab that shows the outer one, the one that came last where both do', async (t) => {
  const { first, second, bridges, said } = twoTabs(t);
  const shows = (id: string, path: string): void => {
    const client = new FakeBridge(id, first);
    client.url = `http://${HOST}${path}`;
    bridges.push(client);
  };
  first.expect();
  assert.equal(await said('/a', { ...page, becomes: 'page-1' }), 'older');
  shows('page-1', '/a#x');
  const within = { ...page, referrer: `http://${HOST}/a` };
  assert.equal(await said('/b', { ...within, becomes: 'inner-1' }), 'older');
  await new Promise((resolve) => setTimeout(resolve, 5));
  second.expect();
  assert.equal(await said('/a', { ...page, becomes: 'page-2' }), 'newer');
  shows('page-2', '/a');
  assert.equal(await said('/b', { ...within, becomes: 'inner-2' }), 'newer');
});

test('another tab answers in the place of the one asked only with the same version', async (t) => {
  const { bridge, said } = twoTabs(t);
  bridge.silent = true;
  // Nobody is certain, and one is silent, as a frozen tab is: whoever is looked at.
  assert.equal(await said('/a', { client: 'unknown' }), 'newer');
  const again = twoTabs(t);
  again.newer.files.set('/c', () => Promise.reject(Object.assign(new Error('nobody'), { code: 'NOT_FOUND' })));
  again.older.files.set('/c', () => new Response('of another version'));
  assert.match(await again.said('/c', { client: 'unknown' }), /^Nobody reachable/);
  const same = twoTabs(t);
  same.newer.cid = same.older.cid;
  same.second.replace(Promise.resolve(same.newer));
  same.newer.files.set('/c', () => Promise.reject(Object.assign(new Error('nobody'), { code: 'NOT_FOUND' })));
  same.older.files.set('/c', () => new Response('of the same version'));
  assert.equal(await same.said('/c', { client: 'unknown' }), 'of the same version');
});

test('what pages of one version need again is asked for once', async (t) => {
  const { older, newer, first, scope } = twoTabs(t);
  const kept = new Kept();
  const said = async (path: string, made: Made): Promise<string> => (await answerSite(scope, fetched(path, made), kept)).text();
  const part = { destination: 'style' } as const;
  for (const id of ['page-1', 'page-2']) {
    first.expect();
    assert.equal(await said('/', { ...page, becomes: id }), 'older');
    assert.equal(await said('/a', { ...part, client: id }), 'older');
  }
  const asked = (site: FakeSite, path: string): number => site.asked.filter(({ target }) => target === path).length;
  assert.deepEqual([asked(older, '/'), asked(older, '/a')], [2, 1], 'pages are asked for each time');
  // Another version has parts of its own, and who is not known is answered by a tab.
  assert.equal(await said('/', { ...page, becomes: 'page-3' }), 'newer');
  assert.equal(await said('/a', { ...part, client: 'page-3' }), 'newer');
  assert.equal(await said('/a', { ...part, client: 'unknown' }), 'newer');
  assert.deepEqual([asked(older, '/a'), asked(newer, '/a')], [1, 2]);
  // A page that was there before keeps what it had.
  assert.equal(await said('/a', { ...part, client: 'page-1' }), 'older');
  // What scripts fetch themselves, pieces, and what is not there are asked for.
  for (const made of [{}, { ...part, headers: { range: 'bytes=0-1' } }, { ...part, method: 'HEAD' }]) await said('/a', { ...made, client: 'page-3' });
  assert.equal(asked(newer, '/a'), 5);
  for (let i = 0; i < 2; i++) assert.equal((await answerSite(scope, fetched('/none', { ...part, client: 'page-3' }), kept)).status, 404);
  assert.equal(asked(newer, '/none'), 2);
});

test('what is kept of a site is bounded', () => {
  const kept = new Kept();
  kept.note('page', 'v');
  const of = (size: number) => ({ headers: [], body: new Uint8Array(size) });
  const count = Math.ceil(MAX_KEPT_BYTES / MAX_KEPT_PART);
  kept.keep('v', '/large', of(MAX_KEPT_PART + 1));
  assert.equal(kept.find('page', '/large'), null);
  for (let i = 0; i < count; i++) kept.keep('v', `/${i}`, of(MAX_KEPT_PART));
  assert.ok(kept.find('page', '/0'), 'all fit, and this one was used last');
  kept.keep('v', '/more', of(MAX_KEPT_PART));
  assert.deepEqual(['/0', '/1', '/2', '/more'].map((path) => kept.find('page', path) !== null), [true, false, true, true]);
  // Kept twice it counts once.
  for (let i = 0; i < 3 * count; i++) kept.keep('v', '/more', of(MAX_KEPT_PART));
  assert.ok(kept.find('page', '/0'));
  for (let i = 0; i < 1_000; i++) kept.note(`other-${i}`, 'v');
  assert.equal(kept.find('page', '/0'), null, 'a page that is long gone');
});

test('the loader’s own files go to the relay, and nothing else of the origin does', () => {
  const scope = { location: { protocol: 'http:', host: HOST, hostname: 'k51abc.localhost', origin: `http://${HOST}` }, clients: { matchAll: async () => [] } };
  for (const path of ['/', '/a', '/.gyre/', '/.gyre/secret', '/.gyre/bridge?secret', '/.gyre/s/k51/x', '/.GYRE/bridge']) assert.equal(isForSite(scope, `http://${HOST}${path}`), true, path);
  for (const path of ['/.gyre/bridge', '/.gyre/watch.js']) assert.equal(isForSite(scope, `http://${HOST}${path}`), false, path);
  assert.equal(isForSite(scope, 'http://localhost:8080/'), false);
});

test('what a stranger says is read or dropped', () => {
  const ask = { gyre: 'site', v: 1, method: 'GET', target: '/a', navigate: 1, headers: { range: 'x', cookie: 'y', 'if-match': 7 } };
  assert.deepEqual(readSiteAsk(ask), { ...ask, navigate: false, headers: { range: 'x' }, becomes: '' });
  const whose = { gyre: 'whose', v: 1, target: '/a', navigate: true, client: 'x'.repeat(99), becomes: 7, from: ['a', 8, ...'x'.repeat(99)] };
  assert.deepEqual(readSiteWhose(whose), { ...whose, client: 'x'.repeat(64), becomes: '', from: ['a', '', ...'x'.repeat(14)] });
  for (const wrong of [null, ask, { ...whose, v: 2 }, { ...whose, target: 'a' }, { ...whose, from: 'a' }]) assert.equal(readSiteWhose(wrong), null);
  assert.deepEqual(readSiteClaim({ type: 'claim', at: Infinity, version: 'b' }), { type: 'claim', at: Infinity, version: 'b' });
  for (const wrong of [null, { type: 'here' }, { type: 'claim', at: '1' }, { type: 'claim', at: NaN }]) assert.equal(readSiteClaim(wrong), null);
  for (const wrong of [null, 1, {}, { ...ask, v: 2 }, { ...ask, target: 'a' }, { ...ask, target: `/${'x'.repeat(9000)}` }, { ...ask, headers: null }, { ...ask, method: 'G'.repeat(99) }]) assert.equal(readSiteAsk(wrong), null);
  assert.equal(readWatchSaid({ type: 'at', url: 7 }), null);
  assert.deepEqual(readWatchSaid({ type: 'at', url: 'x', title: 'y'.repeat(1000), loader: 'no' }), { type: 'at', url: 'x', title: 'y'.repeat(300), loader: false });
  assert.equal(readWatchSaid({ type: 'go', url: 'x' }), null);
  assert.equal(readBridgeSaid({ type: 'stored', bytes: 'much' }), null);
  assert.deepEqual(readBridgeSaid({ type: 'failed', message: {} }), { type: 'failed', message: '' });
});
