/** The worker's end and the page's end together, over real message channels. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { GyreFile } from '../sdk/file.js';
import { StreamHost, type HostPeer } from '../sdk/stream-host.js';
import { ASK, PROTOCOL, type Ask } from '../sdk/stream-messages.js';
import type { SwarmInfo } from '../sdk/types.js';
import { askPages, type Found, type Nobody } from '../sw/ask.js';
import { body } from '../sw/body.js';
import type { Page } from '../sw/line.js';
import { CID, FakeFile, FakeOwner, FRAGMENT, pattern, swarmInfo } from './fake-node.js';

const SIZE = 5000;

class FakePeer extends FakeOwner implements HostPeer {
  readonly bytes = pattern(SIZE);
  readonly files: FakeFile[] = [];
  calls: string[] = [];
  list: SwarmInfo | undefined = swarmInfo({ size: SIZE });
  piece = 700;

  override swarm(): SwarmInfo | undefined {
    return this.list;
  }

  async open(link: string): Promise<GyreFile> {
    assert.equal(link, FRAGMENT);
    this.calls.push('open');
    const fake = new FakeFile(this.bytes, this.piece);
    this.files.push(fake);
    return new GyreFile(fake.asWasm(), this);
  }

  async pause(): Promise<void> {
    this.calls.push('pause');
  }
}

/** A page with a host, as the worker sees it. */
class FakePage implements Page {
  readonly peer = new FakePeer();
  readonly host = new StreamHost(async () => this.peer);
  asked = 0;
  /** What becomes of a question. */
  mood: 'answers' | 'is silent' | 'has no peer' = 'answers';

  constructor(
    readonly id: string,
    t: TestContext,
  ) {
    t.after(() => this.host.stop());
  }

  postMessage(message: unknown, [port]: Transferable[]): void {
    this.asked += 1;
    const data: unknown = structuredClone(message);
    if (this.mood === 'has no peer') {
      (port as MessagePort).postMessage({ type: 'here' });
    } else if (this.mood === 'answers') assert.equal(this.host.take(data, port as MessagePort), true);
    else (port as MessagePort).close();
  }
}

const question = (headers: Record<string, string> = {}, method = 'GET'): Ask => ({
  gyre: ASK, v: PROTOCOL, cid: CID, method, headers, download: false,
});

async function found(promise: Promise<Found | Nobody>): Promise<Found> {
  const result = await promise;
  assert.ok('head' in result, JSON.stringify(result));
  return result;
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

const never = (): Promise<Nobody> => assert.fail('nobody else should be asked');
const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

test('a range arrives byte for byte', async (t) => {
  const page = new FakePage('a', t);
  for (const [start, end] of [[0, SIZE], [1, 2], [699, 701], [1234, 4321], [SIZE - 1, SIZE]] as const) {
    const ask = question({ range: `bytes=${start}-${end - 1}` });
    const answer = await found(askPages(ask, [page]));
    assert.equal(answer.head.status, 206);
    let ended = 0;
    assert.deepEqual(await bytesOf(body(ask, answer, never, () => (ended += 1))), page.peer.bytes.slice(start, end));
    assert.equal(ended, 1);
  }
  assert.deepEqual(page.peer.calls, ['open'], 'the requests share one handle');
  await tick();
  assert.equal(page.host.sessions, 0);
});

test('nothing is read that is not pulled, but one piece ahead, and a cancel ends the reading', async (t) => {
  const page = new FakePage('a', t);
  const ask = question();
  const answer = await found(askPages(ask, [page]));
  let ended = 0;
  const reader = body(ask, answer, never, () => (ended += 1)).getReader();
  await tick();
  const [file] = page.peer.files;
  assert.ok(file && file.reads.length <= 1, `${file?.reads.length} reads before the first pull`);
  await reader.read();
  await tick();
  assert.ok(file.reads.length <= 2, `${file.reads.length} reads after one pull`);
  await reader.cancel();
  await tick();
  assert.deepEqual([ended, page.host.sessions], [1, 0]);
  const reads = file.reads.length;
  await tick();
  assert.equal(file.reads.length, reads);
});

test('HEAD and 416 have no body', async (t) => {
  const page = new FakePage('a', t);
  const head = await found(askPages(question({}, 'HEAD'), [page]));
  assert.deepEqual([head.head.status, head.head.body], [200, false]);
  const beyond = await found(askPages(question({ range: `bytes=${SIZE}-` }), [page]));
  assert.deepEqual([beyond.head.status, beyond.head.body], [416, false]);
});

test('a file that is not open here is not fetched because of its address', async (t) => {
  const page = new FakePage('a', t);
  page.peer.list = undefined;
  assert.equal(((await askPages(question(), [page])) as Nobody).code, 'NOT_OPEN');
  page.peer.list = swarmInfo({ fragment: null });
  assert.equal(((await askPages(question(), [page])) as Nobody).code, 'NOT_OPEN');
  assert.deepEqual(page.peer.calls, []);
  assert.equal(((await askPages(question(), [])) as Nobody).code, 'NO_PAGE');
});

test('the page that asks is asked first; another answers if it is silent or has not got it', async (t) => {
  const [first, second] = [new FakePage('a', t), new FakePage('b', t)];
  const answer = await found(askPages(question(), [first, second]));
  assert.equal(answer.line.page.id, 'a');
  assert.equal(second.asked, 0);
  answer.line.close();

  first.peer.list = undefined;
  const other = await found(askPages(question(), [first, second]));
  assert.equal(other.line.page.id, 'b');
  other.line.close();

  first.mood = 'is silent';
  const late = await found(askPages(question(), [first, second]));
  assert.equal(late.line.page.id, 'b');
  late.line.close();

  // As in a tab whose peer cannot start.
  first.mood = 'has no peer';
  const elsewhere = await found(askPages(question(), [first, second]));
  assert.equal(elsewhere.line.page.id, 'b');
  elsewhere.line.close();
});

test('a page that goes away in the middle is replaced, and the consumer sees the same bytes', async (t) => {
  const [first, second] = [new FakePage('a', t), new FakePage('b', t)];
  const ask = question({ range: 'bytes=100-4899', 'if-range': `"${CID}"` });
  const answer = await found(askPages(ask, [first]));
  const asked: Ask[] = [];
  const reader = body(ask, answer, (rest) => (asked.push(rest), askPages(rest, [second])), () => undefined).getReader();
  const parts: number[] = [];
  for (let pieces = 0; ; pieces += 1) {
    if (pieces === 2) first.host.stop();
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(...value);
  }
  assert.deepEqual(Uint8Array.from(parts), first.peer.bytes.slice(100, 4900));
  assert.equal(asked.length, 1);
  assert.match(asked[0]!.headers.range!, /^bytes=\d+-4899$/);
  assert.equal(asked[0]!.headers['if-range'], undefined);
});

test('a body without anybody to read it ends with an error, never with fewer bytes', async (t) => {
  const page = new FakePage('a', t);
  const ask = question();
  const answer = await found(askPages(ask, [page]));
  let ended = 0;
  const reader = body(ask, answer, async () => ({ code: 'NO_PAGE', message: 'nobody' }), () => (ended += 1)).getReader();
  await reader.read();
  page.host.stop();
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  }, /NO_PAGE/);
  assert.equal(ended, 1);
});

test('a read that fails is told with its code', async (t) => {
  const page = new FakePage('a', t);
  const ask = question();
  const answer = await found(askPages(ask, [page]));
  page.peer.files[0]!.fault = () => Promise.reject(Object.assign(new Error('storage is full'), { code: 'QUOTA_EXCEEDED' }));
  await assert.rejects(async () => {
    const reader = body(ask, answer, never, () => undefined).getReader();
    while (!(await reader.read()).done);
  }, /QUOTA_EXCEEDED: storage is full/);
});

test('a paused file stays paused, and a reader waits until it goes on', async (t) => {
  const page = new FakePage('a', t);
  page.peer.list = swarmInfo({ state: 'paused', size: SIZE });
  const ask = question();
  const answer = await found(askPages(ask, [page]));
  assert.deepEqual(page.peer.calls, ['open', 'pause']);
  const [file] = page.peer.files;
  file!.fault = () => Promise.reject(Object.assign(new Error('paused'), { code: 'ABORTED' }));
  const reading = bytesOf(body(ask, answer, never, () => undefined));
  let settled = false;
  void reading.finally(() => (settled = true));
  await tick();
  assert.equal(settled, false);
  file!.fault = null;
  page.peer.list = swarmInfo({ state: 'fetching', size: SIZE });
  page.peer.dispatchEvent(new Event('swarms'));
  assert.deepEqual(await reading, page.peer.bytes);
});

test('a body waits while nobody has the bytes, and goes on when somebody has', async (t) => {
  const page = new FakePage('a', t);
  const ask = question();
  const answer = await found(askPages(ask, [page]));
  const [file] = page.peer.files;
  const nobody = { code: 'NOT_FOUND', message: 'nobody has it' };
  file!.fault = () => Promise.reject(Object.assign(new Error(nobody.message), nobody));
  page.peer.list = swarmInfo({ state: 'failed', error: nobody, size: SIZE });
  const reading = bytesOf(body(ask, answer, never, () => undefined));
  await new Promise((resolve) => setTimeout(resolve, 700));
  file!.fault = null;
  page.peer.list = swarmInfo({ state: 'fetching', size: SIZE });
  page.peer.dispatchEvent(new Event('swarms'));
  assert.deepEqual(await reading, page.peer.bytes);
});

test('a body of a file that is removed in the middle ends with an error', async (t) => {
  const page = new FakePage('a', t);
  const ask = question();
  const answer = await found(askPages(ask, [page]));
  page.peer.files[0]!.fault = () => Promise.reject(Object.assign(new Error('removed'), { code: 'ABORTED' }));
  page.peer.list = undefined;
  await assert.rejects(async () => {
    const reader = body(ask, answer, never, () => undefined).getReader();
    while (!(await reader.read()).done);
  }, /CLOSED/);
});

test('sessions are bounded: the one that was not pulled for longest makes room and can go on', async (t) => {
  const page = new FakePage('a', t);
  const streams: ReadableStreamDefaultReader<Uint8Array>[] = [];
  for (let i = 0; i < 40; i += 1) {
    const ask = question();
    const answer = await found(askPages(ask, [page]));
    streams.push(body(ask, answer, (rest) => askPages(rest, [page]), () => undefined).getReader());
    await streams[i]!.read();
    assert.ok(page.host.sessions <= 33, `${page.host.sessions} sessions`);
  }
  const rest: number[] = [];
  for (;;) {
    const { done, value } = await streams[0]!.read();
    if (done) break;
    rest.push(...value);
  }
  assert.deepEqual(Uint8Array.from(rest), page.peer.bytes.slice(700));
  for (const reader of streams) await reader.cancel();
});
