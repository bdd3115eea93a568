import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GyreFile } from '../sdk/file.js';
import { CID, FakeFile, FakeOwner, pattern, swarmInfo } from './fake-node.js';

async function bytesOf(body: ReadableStream<Uint8Array> | Response): Promise<Uint8Array> {
  return new Uint8Array(
    await (
      body instanceof Response ? body : new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>)
    ).arrayBuffer(),
  );
}

function opened(size: number, piece?: number): { file: GyreFile; fake: FakeFile; owner: FakeOwner } {
  const fake = new FakeFile(pattern(size), piece);
  const owner = new FakeOwner();
  return { file: new GyreFile(fake.asWasm(), owner), fake, owner };
}

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test('a stream delivers every byte in order, whatever the reads return', async () => {
  for (const piece of [1, 7, 1000, 5000]) {
    const { file, fake } = opened(3000, piece);
    assert.deepEqual(await bytesOf(file.stream()), fake.bytes, `piece ${piece}`);
    assert.deepEqual(await bytesOf(file.stream({ start: 13, end: 2999 })), fake.bytes.slice(13, 2999));
  }
  assert.equal((await bytesOf(opened(0).file.stream())).byteLength, 0);
  assert.equal((await bytesOf(opened(5).file.stream({ start: 5 }))).byteLength, 0);
});

test('a stream reads at most one piece ahead, in pieces of at most 1 MiB', async () => {
  const { file, fake } = opened(5 << 20);
  const reader = file.stream().getReader();
  await tick();
  assert.equal(fake.reads.length, 1);
  await reader.read();
  await tick();
  assert.equal(fake.reads.length, 2);
  assert.deepEqual(fake.reads[0], [0, 1 << 20]);
  await reader.cancel();
});

test('cancelling and aborting end the read that waits', async () => {
  for (const how of ['cancel', 'abort'] as const) {
    const { file, fake } = opened(100);
    let seen: AbortSignal | undefined;
    fake.fault = (signal) =>
      new Promise((_, reject) => ((seen = signal), signal?.addEventListener('abort', () => reject(signal.reason))));
    const abort = new AbortController();
    const reader = file.stream(undefined, { signal: abort.signal }).getReader();
    const pending = reader.read();
    await tick();
    if (how === 'cancel') {
      await reader.cancel();
      assert.deepEqual(await pending, { done: true, value: undefined });
    } else {
      abort.abort();
      await assert.rejects(pending, { code: 'ABORTED' });
    }
    assert.equal(seen?.aborted, true, how);
  }
  const late = opened(100).file.stream(undefined, { signal: AbortSignal.abort() });
  await assert.rejects(late.getReader().read(), { code: 'ABORTED' });
});

test('a read that fails, or returns what it must not, ends the stream with an error', async () => {
  const { file, fake } = opened(100);
  fake.fault = () => Promise.reject(Object.assign(new Error('nobody'), { code: 'NOT_FOUND' }));
  await assert.rejects(file.stream().getReader().read(), { code: 'NOT_FOUND' });
  fake.fault = () => Promise.resolve(new Uint8Array(0));
  await assert.rejects(file.stream().getReader().read(), { code: 'INTERNAL' });
  fake.fault = () => Promise.resolve(new Uint8Array(101));
  await assert.rejects(file.arrayBuffer(), { code: 'INTERNAL' });
});

test('arrayBuffer and blob return the whole file and report progress', async () => {
  const { file, fake } = opened(2500, 1000);
  const seen: number[] = [];
  assert.deepEqual(
    new Uint8Array(
      await file.arrayBuffer({ onProgress: ({ done, total }) => (assert.equal(total, 2500), seen.push(done)) }),
    ),
    fake.bytes,
  );
  assert.deepEqual(seen, [1000, 2000, 2500]);
  const blob = await file.blob();
  assert.equal(blob.type, 'application/x-test');
  assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), fake.bytes);
  assert.equal((await file.blob({ type: 'text/plain' })).type, 'text/plain');
  await assert.rejects(file.blob({ signal: AbortSignal.abort() }), { code: 'ABORTED' });
});

test('a blob larger than what is kept in parts is put together in order', async () => {
  const { file, fake } = opened((33 << 20) + 5);
  assert.deepEqual(new Uint8Array(await (await file.blob()).arrayBuffer()), fake.bytes);
});

test('response answers 200, 206, 416, 304, 405 and HEAD', async () => {
  const { file, fake } = opened(100, 30);
  const get = (headers: Record<string, string>, method = 'GET'): Response =>
    file.response(new Request('http://h/', { method, headers }));

  const whole = file.response();
  assert.deepEqual(
    [whole.status, whole.headers.get('content-length'), whole.headers.get('content-type')],
    // A type that is not known to be harmless is not passed on.
    [200, '100', 'application/octet-stream'],
  );
  assert.equal(whole.headers.get('accept-ranges'), 'bytes');
  assert.deepEqual(await bytesOf(whole), fake.bytes);

  const part = get({ Range: 'bytes=10-59' });
  assert.deepEqual(
    [part.status, part.headers.get('content-range'), part.headers.get('content-length')],
    [206, 'bytes 10-59/100', '50'],
  );
  assert.deepEqual(await bytesOf(part), fake.bytes.slice(10, 60));

  const beyond = get({ Range: 'bytes=100-' });
  assert.deepEqual([beyond.status, beyond.headers.get('content-range'), beyond.body], [416, 'bytes */100', null]);

  const head = get({ Range: 'bytes=0-1' }, 'HEAD');
  assert.deepEqual([head.status, head.headers.get('content-length'), head.body], [200, '100', null]);

  assert.equal(get({ 'If-None-Match': `"${CID}"` }).status, 304);
  assert.equal(get({ Range: 'bytes=0-1', 'If-Range': '"other"' }).status, 200);
  assert.equal(get({ Range: 'bytes=0-1', 'If-Range': `"${CID}"` }).status, 206);
  assert.equal(get({ Range: 'bytes=0-1,4-5' }).status, 200);
  assert.equal(get({}, 'POST').status, 405);
});

test('whenComplete follows the blob to its end, whichever that is', async () => {
  const { file, owner } = opened(10);
  owner.info = swarmInfo();
  let done = false;
  const waiting = file.whenComplete().then(() => (done = true));
  owner.change(swarmInfo({ have: 5 }));
  await tick();
  assert.equal(done, false);
  owner.change(swarmInfo({ state: 'complete', have: 10 }));
  await waiting;
  await file.whenComplete();

  owner.info = swarmInfo();
  const failing = file.whenComplete();
  owner.change(swarmInfo({ state: 'failed', error: { code: 'QUOTA_EXCEEDED', message: 'full' } }));
  await assert.rejects(failing, { code: 'QUOTA_EXCEEDED', message: 'full' });

  owner.info = swarmInfo();
  const removed = file.whenComplete();
  owner.change(undefined);
  await assert.rejects(removed, { code: 'CLOSED' });

  owner.info = swarmInfo();
  const abort = new AbortController();
  const given = file.whenComplete({ signal: abort.signal });
  abort.abort();
  await assert.rejects(given, { code: 'ABORTED' });
});

test('a closed handle is freed once and reads no more', async () => {
  const { file, fake } = opened(10);
  file.close();
  file.close();
  assert.equal(fake.freed, 1);
  await assert.rejects(file.stream().getReader().read(), { code: 'CLOSED' });
});
