// A link that names a web server: the server is a floor, its visitors take the load off it, and what it does wrong costs little.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf, Scene, Visitor } from './lib/app.mjs';
import { kinds, launch, until } from './lib/browser.mjs';
import { randomFile } from './lib/files.mjs';
import { startRelay } from './lib/relay.mjs';
import { startWebServer } from './lib/web-server.mjs';

const MB = 1_000_000;
const VISITORS = 8;
const CHUNK = 256 * 1024;

/** A relay, a web server with a file and its tree, and a link that names it; whoever made the link is gone. */
async function site(t, { size = 6 * MB, ...behaviour } = {}) {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const { bytes, sha256 } = randomFile(size);
  const web = await scene.add(startWebServer(bytes, { ...behaviour, mood: 'good' }));
  const owner = await scene.add(Visitor.arrive('chromium', relay));
  const { link, tree } = await owner.node(async (gyre, address) => {
    const content = await (await fetch(address)).blob();
    const shared = await gyre.share(content, { public: true, name: 'film.bin', type: 'application/x-test', sources: [address] });
    return { link: shared.link, tree: Array.from(await gyre.webTree(shared.link)) };
  }, web.address);
  await owner.leave();
  web.tree = Buffer.from(tree);
  web.mood = behaviour.mood ?? 'good';
  web.reset();
  assert.ok(link.includes('&ws=http%3A%2F%2Flocalhost'), link);
  return { scene, relay, web, link, size, sha256 };
}

/** What the page says of the file, once it says this. */
const says = (visitor, id, words) =>
  until(async () => `${visitor.kind} to say ${words}; it says ${JSON.stringify(await visitor.page.evaluate(() => document.body.innerText))}`,
    async () => words.test(await visitor.text(id)), { timeout: 120_000 });

for (const kind of kinds) {
  test(`${kind}: somebody alone gets the file from the server, once, and the page names the server`, async (t) => {
    const { scene, relay, web, link, size, sha256 } = await site(t, { delay: 300 });
    const visitor = await scene.add(Visitor.arrive(kind, relay, { hash: hashOf(link) }));
    await says(visitor, 'file-state', new RegExp(`from the web server ${web.host}`));
    await visitor.complete(link);
    assert.equal(await visitor.sha256(link), sha256);
    assert.ok(web.sent >= size && web.sent <= size + web.tree.length, `${web.sent} bytes for ${size}`);
    for (const { method, headers } of web.requests) {
      assert.equal(method, 'GET', 'nothing is asked beforehand');
      assert.equal(headers.cookie, undefined);
      assert.equal(headers.referer, undefined);
    }
    visitor.quiet();
  });
}

test(`${VISITORS} visitors at once take at most two copies from the server`, { timeout: 600_000 }, async (t) => {
  const { scene, relay, web, link, size, sha256 } = await site(t, { size: 20 * MB });
  const browser = await scene.add(launch('chromium'));
  const visitors = [];
  for (let n = 0; n < VISITORS; n++) {
    const visitor = await scene.add(Visitor.arrive('chromium', relay, { browser: await browser.context() }));
    await visitor.node((gyre) => gyre.setUpload(true));
    visitors.push(visitor);
  }
  const began = performance.now();
  const got = await Promise.all(visitors.map((visitor) => visitor.sha256(link)));
  const seconds = (performance.now() - began) / 1000;
  assert.deepEqual(got, Array(VISITORS).fill(sha256));
  const copies = web.sent / size;
  console.log(`${VISITORS} visitors, ${size / MB} MB: the server sent ${copies.toFixed(2)} copies in ${seconds.toFixed(1)} s`);
  assert.ok(copies <= 2, `${copies} copies`);
});

test('a server that lies is dropped, and the page says so', async (t) => {
  const { scene, relay, web, link } = await site(t, { mood: 'lies' });
  const visitor = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
  await until('the server to be dropped', async () => (await visitor.swarm(link))?.servers[0]?.state === 'dropped');
  const { have, servers } = await visitor.swarm(link);
  assert.deepEqual([have, servers[0].down], [0, 0]);
  assert.ok(web.sent <= web.tree.length + 4 * CHUNK, `${web.sent} bytes`);
  const asked = web.requests.length;
  await says(visitor, 'file-server', new RegExp(`${web.host} has another file under this address, and is not asked again`));
  assert.equal(web.requests.length, asked);
  visitor.quiet();
});

test('a server that ignores ranges costs little and is dropped', async (t) => {
  const { scene, relay, web, link, size } = await site(t, { size: 40 * MB, mood: 'whole' });
  const visitor = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
  await until('the server to be dropped', async () => (await visitor.swarm(link))?.servers[0]?.state === 'dropped');
  await says(visitor, 'file-server', /does not serve parts of files/);
  assert.deepEqual(web.requests.map(({ path }) => path), ['/film.bin.b3tree', '/film.bin'], 'one part was asked for');
  // What the system and the browser had taken in when the answer was cut off.
  assert.ok(web.sent < size / 4, `${web.sent} bytes`);
});

test('a server that fails half-way is asked again', async (t) => {
  const { scene, relay, web, link, sha256 } = await site(t, { mood: 'breaks' });
  const visitor = await scene.add(Visitor.arrive('chromium', relay));
  assert.equal(await visitor.sha256(link), sha256);
  assert.equal(web.broken, 2);
  visitor.quiet(/ERR_CONTENT_LENGTH_MISMATCH|ERR_CONNECTION|Failed to load resource/);
});

test('a server that does not let this page read, or is not there, is said to be out of reach', async (t) => {
  const { scene, relay, web, link } = await site(t);
  await web.close();
  const visitor = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
  await says(visitor, 'file-server', /cannot be reached from this page, and will be asked again/);
  visitor.quiet(/ERR_CONNECTION|Failed to load resource/);
});
