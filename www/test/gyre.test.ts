import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GyreError } from '../sdk/errors.js';
import { Gyre } from '../sdk/gyre.js';
import { LocalNode } from '../sdk/node.js';
import type { Progress, Stats } from '../sdk/types.js';
import { CID, FakeNode, FRAGMENT, swarmInfo } from './fake-node.js';

function running(): { gyre: Gyre; node: FakeNode } {
  const node = new FakeNode();
  return { gyre: new Gyre(new LocalNode(node.asWasm()), 'https://host.example/'), node };
}

test('sharing takes blobs, bytes and streams, and names what has no name', async () => {
  const { gyre, node } = running();
  const seen: Progress[] = [];
  const share = await gyre.share(new File(['hello'], 'a.txt', { type: 'text/plain' }), {
    onProgress: (progress) => seen.push(progress),
  });
  assert.deepEqual(share, { link: `https://host.example/${FRAGMENT}`, fragment: FRAGMENT, cid: CID, size: 5 });
  assert.deepEqual(seen, [{ done: 5, total: 5 }]);
  assert.deepEqual(
    [node.settings?.name, node.settings?.type, node.settings?.size, node.settings?.public],
    ['a.txt', 'text/plain', 5, false],
  );

  node.imported = [];
  await gyre.share(new Uint8Array(2_500_000), { public: true });
  assert.deepEqual(
    node.imported.map((piece) => piece.byteLength),
    [1_048_576, 1_048_576, 402_848],
  );
  assert.deepEqual(
    [node.settings?.name, node.settings?.type, node.settings?.public],
    ['untitled', 'application/octet-stream', true],
  );

  assert.equal((await gyre.share(new Uint8Array(0))).size, 0);
  const stream = new ReadableStream<Uint8Array>({ start: (c) => (c.enqueue(new Uint8Array(3)), c.close()) });
  assert.equal((await gyre.share(stream, { name: 's' })).size, 3);
  assert.equal(node.settings?.size, undefined);

  await assert.rejects(gyre.share('text' as unknown as Blob), { code: 'BAD_OPTIONS' });
  await assert.rejects(gyre.share(new Uint8Array(1), { size: -1 }), { code: 'BAD_OPTIONS' });
  await assert.rejects(gyre.share(new Uint8Array(1), { signal: AbortSignal.abort() }), { code: 'ABORTED' });
});

test('an import that fails lets go of the source', async () => {
  const { gyre, node } = running();
  node.fault = Object.assign(new Error('full'), { code: 'QUOTA_EXCEEDED' });
  let reason: unknown;
  const stream = new ReadableStream<Uint8Array>({ cancel: (why) => void (reason = why) });
  await assert.rejects(gyre.share(stream), { code: 'QUOTA_EXCEEDED', message: 'full' });
  assert.equal(reason, node.fault);
});

test('a broken link is refused before the node is asked', async () => {
  const { gyre, node } = running();
  await assert.rejects(gyre.open('https://host.example/'), { code: 'BAD_LINK' });
  assert.deepEqual(node.calls, []);
  const file = await gyre.open(`https://other.example/${FRAGMENT}`);
  assert.equal(file.size, 10);
  assert.deepEqual(node.calls, [`open ${FRAGMENT}`]);
});

test('what acts on a blob takes its link or its CID', async () => {
  const { gyre, node } = running();
  node.list = [swarmInfo()];
  await gyre.pin(FRAGMENT);
  await gyre.unpin(CID);
  await gyre.pause(`https://x.example/${FRAGMENT}`);
  await gyre.resume(CID);
  await gyre.remove(CID);
  assert.deepEqual(node.calls, [`pin ${CID}`, `unpin ${CID}`, `pause ${CID}`, `resume ${CID}`, `remove ${CID}`]);
  node.calls = [];
  node.list = [];
  await gyre.pin(FRAGMENT);
  assert.deepEqual(node.calls, [`open ${FRAGMENT}`, `pin ${CID}`], 'what is not here is fetched first');
  await assert.rejects(gyre.remove('nonsense'), { code: 'BAD_LINK' });
  for (const bytes of [0, -1, 1.5, Number.NaN, Infinity])
    await assert.rejects(gyre.setQuota(bytes), { code: 'BAD_OPTIONS' });
});

test('joined resolves with the first reservation', async () => {
  const { gyre, node } = running();
  const states: Stats['state'][] = [];
  gyre.addEventListener('state', (event) => states.push(event.detail.state));
  node.emit({ type: 'state' });
  node.state = 'joined';
  node.emit({ type: 'state' });
  await gyre.joined;
  assert.deepEqual(states, ['connecting', 'joined']);
});

test('each failure of a blob is told once, and again after it has recovered', () => {
  const { gyre, node } = running();
  const told: GyreError[] = [];
  gyre.addEventListener('error', (event) => told.push(event.detail));
  const failed = swarmInfo({ state: 'failed', error: { code: 'NOT_FOUND', message: 'nobody' } });
  for (const list of [[failed], [failed], [swarmInfo()], [failed]]) {
    node.list = list;
    node.emit({ type: 'swarms' });
  }
  assert.deepEqual(
    told.map((error) => [error.code, error.cid]),
    [
      ['NOT_FOUND', CID],
      ['NOT_FOUND', CID],
    ],
  );
});

test('after leaving nothing works and nothing is told', async () => {
  const { gyre, node } = running();
  const joined = assert.rejects(gyre.joined, { code: 'CLOSED' });
  let events = 0;
  gyre.addEventListener('swarms', () => (events += 1));
  await Promise.all([gyre.leave(), gyre.leave()]);
  assert.deepEqual(node.calls, ['stop'], 'stopped once');
  node.emit({ type: 'swarms' });
  assert.equal(events, 0);
  assert.deepEqual([gyre.peers(), gyre.swarms()], [[], []]);
  assert.throws(() => gyre.stats(), { code: 'CLOSED' });
  await assert.rejects(gyre.share(new Uint8Array(1)), { code: 'CLOSED' });
  await assert.rejects(gyre.open(FRAGMENT), { code: 'CLOSED' });
  await joined;
});

test('a browser without WebRTC is told so', async () => {
  await assert.rejects(Gyre.join(), { code: 'UNSUPPORTED' });
});

test('limits are changed one by one and checked before they leave', async () => {
  const { gyre, node } = running();
  await gyre.setLimits({ upRate: 1_000_000 });
  const said = JSON.parse(node.calls.at(-1)?.replace('limits ', '') ?? '') as Record<string, unknown>;
  assert.deepEqual([said['upRate'], said['downRate'], said['sendOnMetered']], [1_000_000, null, false]);
  for (const upRate of [0, -1, 1.5, Number.NaN, Infinity]) {
    await assert.rejects(gyre.setLimits({ upRate }), { code: 'BAD_OPTIONS' });
  }
  await gyre.setLimits({ upPerDay: null, hideAddress: true });
});

test('a chart is asked for by link or CID, and not of a peer that was left', async () => {
  const { gyre, node } = running();
  assert.equal((await gyre.chart(FRAGMENT)).cid, CID);
  assert.deepEqual(node.calls, [`chart ${CID}`]);
  await assert.rejects(gyre.chart('nonsense'), { code: 'BAD_LINK' });
  await gyre.leave();
  await assert.rejects(gyre.chart(CID), { code: 'CLOSED' });
});

test('an export is a stream of its pieces, read as they are wanted', async () => {
  const { gyre, node } = running();
  const { name, size, stream } = await gyre.export(CID);
  assert.deepEqual([name, size], ['a.bin.gyre', 30]);
  const reader = stream.getReader();
  await reader.read();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(!node.calls.includes('piece 2'), 'no piece is read long before it is wanted');
  let bytes = 10;
  for (let read = await reader.read(); !read.done; read = await reader.read()) bytes += read.value.byteLength;
  assert.equal(bytes, size);
  const made = await gyre.importExported(new Blob(['what was exported']));
  assert.equal(made.cid, CID);
  assert.ok(node.calls.includes('import exported'));
});

test('a piece that cannot be read ends the export with its code', async () => {
  const { gyre, node } = running();
  const { stream } = await gyre.export(CID);
  node.fault = Object.assign(new Error('gone'), { code: 'NOT_FOUND' });
  await assert.rejects(new Response(stream).arrayBuffer(), { code: 'NOT_FOUND' });
});
