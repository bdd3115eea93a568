import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Gyre } from '../sdk/gyre.js';
import { formatSiteLink, parseSiteLink } from '../sdk/link.js';
import { LocalNode, type GyreNode } from '../sdk/node.js';
import type { PublishProgress, SiteChange, SiteHead } from '../sdk/site-types.js';
import { Host } from '../sdk/tabs/host.js';
import { RemoteNode } from '../sdk/tabs/remote.js';
import { portWire } from '../sdk/tabs/wire.js';
import { pattern } from './fake-node.js';
import { NAME, siteCid, SiteNode } from './fake-sites.js';

/** The peer in the tab that runs the node, or in another one. */
async function peer(t: TestContext, where: string): Promise<{ node: SiteNode; gyre: Gyre }> {
  const node = new SiteNode();
  let seen: GyreNode = new LocalNode(node.asWasm());
  if (where === 'another tab') {
    const { port1, port2 } = new MessageChannel();
    const host = new Host(seen, { relays: [], stun: [] }, (work) => work());
    const welcomed = RemoteNode.welcomed(portWire(port1), 10_000, () => undefined);
    host.admit('tab', portWire(port2));
    seen = (await welcomed)!;
    t.after(() => (host.close(), port1.close()));
  }
  return { node, gyre: new Gyre(seen, 'https://host.example/') };
}

async function until(what: string, ask: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!ask()) {
    assert.ok(performance.now() < end, `waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const files = () => [
  { path: 'index.html', content: new Blob(['<p>hello']), cache: 'no-store' },
  { path: 'ü/big.bin', content: new Blob([pattern(300_000), pattern(300_000)]).stream(), type: 'x/y' },
  { path: '404.html', content: new TextEncoder().encode('nothing'), csp: "default-src 'none'" },
];

for (const where of ['the tab of the node', 'another tab']) {
  test(`a site is published, read and followed, in ${where}`, async (t) => {
    const { node, gyre } = await peer(t, where);
    await assert.rejects(gyre.publish(files(), { site: 1 }), { code: 'NO_KEYS' });
    assert.equal(node.kept.size, 0, 'without a key nothing is read');
    await gyre.keys.create();
    const steps: PublishProgress[] = [];
    const made = await gyre.publish(files(), { site: 1, name: 'Mine', onProgress: (step) => steps.push(step) });
    const { change, ...version } = made;
    assert.deepEqual(version, { cid: siteCid(0), name: NAME, sequence: 0, link: `https://host.example/#/s/${NAME}/` });
    assert.deepEqual([change.files, change.bytes], [3, 600_015]);
    assert.deepEqual(node.held, [NAME], 'who publishes a name keeps it known');
    const taken = node.kept.get(siteCid(0))!.files;
    assert.deepEqual(taken.map(({ path, type, cache, csp }) => [path, type, cache, csp]), [
      ['index.html', null, 'no-store', null],
      ['ü/big.bin', 'x/y', null, null],
      ['404.html', null, null, "default-src 'none'"],
    ]);
    const big = Uint8Array.from([...pattern(300_000), ...pattern(300_000)]);
    assert.deepEqual(taken[1]!.bytes, big);
    assert.deepEqual([steps.at(-1)!.files, steps.at(-1)!.bytes], [3, 600_015]);

    const site = await gyre.site(made.link);
    assert.deepEqual([site.address, site.cid, site.head?.sequence, site.head?.fork], [NAME, siteCid(0), 0, false]);
    const { title, here, seenHour } = await site.info();
    assert.deepEqual([title, here.files, seenHour], ['Mine', 3, 2]);
    assert.deepEqual((await site.files(1, 1)).map(({ path, size }) => [path, size]), [['ü/big.bin', 600_000]]);
    assert.deepEqual(await site.read('index.html', 3, 100), new TextEncoder().encode('hello'));
    await assert.rejects(site.read('none', 0, 1), { code: 'BAD_OPTIONS' });
    assert.equal(await site.owner(), null, 'it says nothing');
    const owner = { id: 'y'.repeat(52), site: 7, state: 'moved', name: `k51${'r'.repeat(59)}` } as const;
    node.owners.set(made.cid, owner);
    assert.deepEqual(await site.owner(), owner);
    assert.equal(await (await gyre.site(made.cid)).owner(), null, 'a version has no name that could change');

    const page = await site.fetch('https://any.host/index.html?x');
    assert.deepEqual([page.status, await page.text()], [200, '<p>hello']);
    assert.deepEqual(['cache-control', 'etag', 'content-length'].map((name) => page.headers.get(name)), ['no-store', '"index.html"', '8']);
    assert.equal((await site.fetch('/', { headers: { 'if-none-match': '"index.html"' } })).status, 304);
    const part = await site.fetch(new Request('https://any.host/%C3%BC/big.bin', { headers: { range: 'bytes=299990-300009' } }));
    assert.deepEqual([part.status, part.headers.get('content-range')], [206, 'bytes 299990-300009/600000']);
    assert.deepEqual(new Uint8Array(await part.arrayBuffer()), big.slice(299_990, 300_010));
    const whole = (await site.fetch('/%C3%BC/big.bin')).body!.getReader();
    await whole.read();
    await whole.cancel();
    await until('the files to be freed', () => node.opened.length === 2 && node.opened.every(({ freed }) => freed === 1));
    assert.equal((await site.fetch('/', { method: 'head' })).body, null);
    assert.equal((await site.fetch('/', { method: 'PUT' })).status, 405);
    const nowhere = await site.fetch('/nowhere', { headers: { range: 'bytes=0-1' } });
    assert.deepEqual([nowhere.status, await nowhere.text()], [404, 'nothing'], 'the page for what is missing has no parts');
    assert.equal(nowhere.headers.get('content-security-policy'), "default-src 'none'");
    const moved = await site.fetch('/moved');
    assert.deepEqual([moved.status, moved.headers.get('location')], [301, '/elsewhere']);
    await assert.rejects(site.fetch('moved'), { code: 'BAD_OPTIONS' });

    const updates: SiteHead[] = [];
    site.addEventListener('update', ({ detail }) => updates.push(detail));
    const next = await gyre.publish([{ path: 'index.html', content: new Blob(['again']) }], { site: 1 });
    assert.deepEqual([next.change.previous, next.sequence], [siteCid(0), 1]);
    await until('the update', () => updates.length > 0);
    assert.deepEqual(updates.map(({ cid, sequence }) => [cid, sequence]), [[siteCid(1), 1]]);
    const newer = await gyre.site(NAME, { follow: false });
    assert.deepEqual((await newer.versions()).map(({ cid }) => cid), [siteCid(1), siteCid(0)]);
    // Hashes do not go round; what a node says might.
    const first = node.kept.get(siteCid(0))!;
    node.kept.set(siteCid(0), { ...first, previous: siteCid(1) });
    assert.deepEqual((await newer.versions(100)).map(({ cid }) => cid), [siteCid(1), siteCid(0)], 'each version once');
    node.kept.delete(siteCid(0));
    assert.deepEqual((await newer.versions()).map(({ cid }) => cid), [siteCid(1)], 'history ends where nobody has it');
    await assert.rejects(gyre.site(siteCid(0)), { code: 'NOT_FOUND' });

    await newer.unpin();
    assert.deepEqual(node.held, []);
    const kept: number[] = [];
    await newer.keep({ onProgress: (done) => kept.push(done.files) });
    assert.deepEqual([kept.at(-1), (await gyre.sites())[0]?.pinned, node.held], [1, true, [NAME]]);
    await newer.remove();
    assert.deepEqual(await gyre.sites(), []);
    site.close();
    await until('the watch to end', () => node.watchers.size === 0);
  });

  test(`what is given up or broken off is not signed, in ${where}`, async (t) => {
    const { node, gyre } = await peer(t, where);
    await gyre.keys.create();
    let seen: SiteChange | null = null;
    const review = (change: SiteChange): boolean => ((seen = change), false);
    await assert.rejects(gyre.publish(files(), { site: 0, review }), { code: 'ABORTED' });
    assert.deepEqual([seen!['files'], node.kept.size, node.heads.size], [3, 0, 0]);

    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('disk')) });
    await assert.rejects(gyre.publish([{ path: 'a', content: broken }]), { message: 'disk' });
    let let_go = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: async (controller) => (await new Promise((resolve) => setTimeout(resolve, 2)), controller.enqueue(new Uint8Array(9))),
      cancel: () => void (let_go = true),
    });
    const abort = new AbortController();
    const publishing = gyre.publish([{ path: 'a', content: endless }], { signal: abort.signal, onProgress: () => abort.abort() });
    await assert.rejects(publishing, { code: 'ABORTED' });
    await until('the source to be let go', () => let_go);
    await assert.rejects(gyre.publish(files(), { site: -1 }), { code: 'BAD_OPTIONS' });
    await assert.rejects(gyre.publish(files(), { previous: NAME }), { code: 'BAD_OPTIONS' });
    assert.equal((await gyre.publish(files())).link, `https://host.example/#/s/${siteCid(0)}/`);
  });
}

test('a name that nobody answers for leads to what was known, and without that to nothing', async (t) => {
  const { node, gyre } = await peer(t, 'the tab of the node');
  await assert.rejects(gyre.site(NAME), { code: 'NOT_FOUND' });
  await gyre.keys.create();
  await gyre.publish(files(), { site: 0 });
  node.gate = new Promise(() => undefined);
  assert.equal((await gyre.site(NAME)).cid, siteCid(0));
  const abort = new AbortController();
  const opening = gyre.site(NAME, { signal: abort.signal });
  abort.abort();
  await assert.rejects(opening, { code: 'ABORTED' });
});

test('addresses of sites are read and written', () => {
  const cid = siteCid(3);
  for (const [text, address, path] of [
    [cid, cid, '/'],
    [` ${NAME}\n`, NAME, '/'],
    [`https://any.host/app#/s/${NAME}/a%20b/?x#y`, NAME, '/a%20b/?x#y'],
    [`#/s/${cid}`, cid, '/'],
    [`/ipfs/${cid}/a`, cid, '/a'],
    [`ipns://${NAME}`, NAME, '/'],
  ] as const) {
    assert.deepEqual(parseSiteLink(text), { address, isVersion: address === cid, path }, text);
  }
  assert.equal(formatSiteLink(NAME, 'https://h.example/#x', '/a?b'), `https://h.example/#/s/${NAME}/a?b`);
  for (const bad of ['', 'hello', NAME.slice(0, 50), cid.slice(0, 50), `${cid}a`, cid.toUpperCase(), `bafkr4i${'a'.repeat(52)}`]) {
    assert.throws(() => parseSiteLink(bad), { code: 'BAD_LINK' }, bad);
  }
});
