// One node per origin, however many tabs: it is shared, it outlives the tab that runs it, and nothing is held or linked twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf, Scene, Visitor } from './lib/app.mjs';
import { kinds, until, wait } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';

const MB = 1_000_000;
/** How long a take-over may take at most, in milliseconds. It takes far less on a machine that does nothing else; the figure is printed. */
const TAKE_OVER_TIMEOUT_MS = 30_000;

/** Another tab of the same browser. */
async function anotherTab(visitor, hash = '') {
  const page = await visitor.browser.page(new URL(hash, visitor.relay.url).href);
  return Object.assign(new Visitor(), { kind: visitor.kind, relay: visitor.relay, browser: visitor.browser, page });
}

const runsHere = (tab) => tab.node((gyre) => gyre?.runsHere === true);

/** Waits until exactly one of the tabs runs the node, and says which. */
function leaderOf(tabs) {
  return until('one tab to run the node', async () => {
    const here = await Promise.all(tabs.map(runsHere));
    return here.filter(Boolean).length === 1 ? tabs[here.indexOf(true)] : null;
  }, { timeout: TAKE_OVER_TIMEOUT_MS, every: 20 });
}

/** Shares a further file: its link is another one than `before`. */
async function shareAlso(visitor, file, before) {
  await (await until('the file input', () => visitor.find('share-input'))).uploadFile(file.path);
  return until('the link of the further file', async () => {
    const link = await visitor.text('share-link');
    return link.includes('#/f/') && link !== before ? link : null;
  }, { timeout: 120_000 });
}

/** Connections that the relay has now. */
async function connectionsAt(relay) {
  const text = await (await fetch(`${relay.url}metrics`)).text();
  return Number(text.match(/^gyre_relay_connections_open (\d+)$/m)[1]);
}

for (const kind of kinds) {
  test(`in ${kind} three tabs are one peer, and the others go on when the first is closed`, { timeout: 600_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const file = scene.file('for all tabs.bin', 3 * MB);
    const large = scene.file('meanwhile.bin', 60 * MB);

    const away = await scene.add(Visitor.arrive('chromium', relay));
    const link = await away.share(file);
    const largeLink = await shareAlso(away, large, link);
    const connectionsBefore = await connectionsAt(relay);

    const opened = await scene.add(Visitor.arrive(kind, relay));
    const tabs = [opened, await anotherTab(opened), await anotherTab(opened)];
    for (const tab of tabs) await tab.joined();
    const first = await leaderOf(tabs);
    const [second, third] = tabs.filter((tab) => tab !== first);
    const ids = await Promise.all(tabs.map((tab) => tab.peerId()));
    assert.equal(new Set(ids).size, 1, 'all tabs are the same peer');
    assert.equal(await connectionsAt(relay), connectionsBefore + 1, 'the relay sees one more connection');

    // Fetched by one, seen by all, stored once.
    assert.equal(await second.sha256(link), file.sha256);
    await third.complete(link);
    assert.equal(await third.sha256(link), file.sha256);
    await first.complete(link);
    const { used } = await first.node((gyre) => gyre.stats().storage);
    assert.ok(used < file.size * 1.5, `${used} bytes are stored for a file of ${file.size}`);
    const links = () => away.node((gyre, id) => gyre.peers().filter((peer) => peer.peerId === id && peer.via === 'direct').length, ids[0]);
    assert.equal(await links(), 1, 'one link leads to all of them');

    // A tab that comes and goes changes nothing for the others.
    const passing = await anotherTab(first);
    await passing.joined();
    assert.equal(await passing.sha256(link), file.sha256);
    await passing.page.close();
    assert.equal(await runsHere(first), true, 'a tab with a link goes on running the node');
    assert.equal(await links(), 1);

    // What one tab has begun goes on when the tab that runs the node is closed.
    const hash = second.sha256(largeLink);
    await until('the first bytes', async () => (await second.swarm(largeLink))?.have > 0, { timeout: 60_000, every: 10 });
    const atClosing = (await second.swarm(largeLink)).have;
    const began = performance.now();
    await first.page.close({ runBeforeUnload: false });
    const left = [second, third];
    const leader = await leaderOf(left);
    const took = performance.now() - began;
    t.diagnostic(`${kind}: another tab runs the node ${took.toFixed(0)} ms after the one that did was closed`);
    for (const tab of left) assert.equal(await tab.peerId(), ids[0], 'it is the same peer');
    assert.ok((await leader.swarm(largeLink)).have >= atClosing, 'nothing that was stored is fetched again');
    const resumedFrom = (await leader.swarm(largeLink)).have;
    await until('bytes to flow again', async () => (await leader.swarm(largeLink)).have > resumedFrom, { timeout: 60_000, every: 20 });
    t.diagnostic(`${kind}: bytes flow again after ${(performance.now() - began).toFixed(0)} ms`);
    assert.equal(await hash, large.sha256, 'the read that was under way ends as if nothing had happened');
    t.diagnostic(`${kind}: ${((100 * atClosing) / large.size).toFixed(0)} % of the file was there when the tab was closed`);
    for (const tab of left) await tab.complete(largeLink);
    assert.equal(await third.sha256(link), file.sha256);
    second.quiet();
    third.quiet();
  });

  test(`in ${kind} a tab that does not run the node shares, keeps and removes`, { timeout: 600_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const file = scene.file('from the second tab.bin', 5 * MB);
    const first = await scene.add(Visitor.arrive(kind, relay));
    const second = await anotherTab(first);
    await second.joined();
    const link = await second.share(file);
    assert.deepEqual((await Promise.all([first, second].map(runsHere))).sort(), [false, true]);
    assert.equal((await first.swarm(link)).state, 'complete');
    assert.equal(await first.node((gyre) => gyre.stats().uploadAllowed), true, 'the answer about sending holds for all tabs');

    const streamed = await second.node(async (gyre) => {
      let left = 40;
      const stream = new ReadableStream({ pull: (controller) => (left-- > 0 ? controller.enqueue(new Uint8Array(100_000).fill(left)) : controller.close()) });
      const seen = [];
      const share = await gyre.share(stream, { name: 'streamed', onProgress: ({ done }) => seen.push(done) });
      const opened = await gyre.open(share.link);
      const bytes = new Uint8Array(await opened.arrayBuffer());
      opened.close();
      return { size: share.size, link: share.link, told: seen.length, right: bytes.every((byte, i) => byte === 39 - Math.floor(i / 100_000)) };
    });
    assert.deepEqual([streamed.size, streamed.right, streamed.told > 0], [4_000_000, true, true]);

    await second.node((gyre, url) => gyre.pin(url), link);
    for (const tab of [first, second]) await until('the pin to be seen', async () => (await tab.swarm(link)).pinned);
    await second.node((gyre, url) => gyre.remove(url), streamed.link);
    for (const tab of [first, second]) await until('the removal to be seen', async () => !(await tab.swarm(streamed.link)));
    const code = await second.node((gyre) => gyre.open('#/f/bafkr4i').then(() => null, (error) => [error.name, error.code]));
    assert.deepEqual(code, ['GyreError', 'BAD_LINK']);

    const away = await scene.add(Visitor.arrive('chromium', relay, { hash: hashOf(link) }));
    await away.complete(link);
    assert.equal(await away.sha256(link), file.sha256);
    first.quiet();
    second.quiet();
  });
}

test('the tab that runs the node crashes while another fetches: the fetch goes on', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('through a crash.bin', 100 * MB);
  const away = await scene.add(Visitor.arrive('chromium', relay));
  const link = await away.share(file);
  const first = await scene.add(Visitor.arrive('chromium', relay));
  const second = await anotherTab(first);
  await second.joined();
  const hash = second.sha256(link);
  await until('the first bytes', async () => (await second.swarm(link))?.have > 0, { timeout: 60_000, every: 10 });
  const session = await first.page.createCDPSession();
  const began = performance.now();
  // A crashed tab does not answer any more.
  session.send('Page.crash').catch(() => {});
  await until('the second tab to run the node', () => runsHere(second), { timeout: TAKE_OVER_TIMEOUT_MS, every: 20 });
  t.diagnostic(`the second tab runs the node ${(performance.now() - began).toFixed(0)} ms after the crash`);
  assert.equal(await hash, file.sha256);
  second.quiet();
});

test('the tab that runs the node is frozen: a tab that is seen takes its place, and gives way to nobody when it wakes', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('past a frozen tab.bin', 2 * MB);
  const first = await scene.add(Visitor.arrive('chromium', relay));
  const link = await first.share(file);
  const second = await anotherTab(first);
  await second.joined();
  await second.page.bringToFront();
  assert.deepEqual(await Promise.all([first, second].map((tab) => tab.page.evaluate(() => document.visibilityState))), ['hidden', 'visible']);
  const id = await second.peerId();
  const session = await first.page.createCDPSession();
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  const hash = second.sha256(link);
  await until('the second tab to run the node', () => runsHere(second), { timeout: 90_000 });
  assert.equal(await hash, file.sha256);
  assert.equal(await second.peerId(), id);
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  await until('the woken tab to follow', async () => !(await runsHere(first)) && (await first.node((gyre) => gyre.stats().state)) === 'joined', { timeout: 60_000 });
  assert.equal(await runsHere(second), true);
  assert.equal(await first.sha256(link), file.sha256);
  await wait(3_000);
  assert.deepEqual([await runsHere(first), await runsHere(second)], [false, true], 'it stays so');
});
