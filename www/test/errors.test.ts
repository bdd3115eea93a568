import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GyreError, guarded, raced } from '../sdk/errors.js';

test('an error of the node keeps its code, its words and the original', () => {
  const original = Object.assign(new Error('another tab owns the store'), { code: 'STORE_BUSY' });
  const error = GyreError.from(original);
  assert.ok(error instanceof Error && error instanceof GyreError);
  assert.deepEqual(
    [error.name, error.code, error.message, error.cause],
    ['GyreError', 'STORE_BUSY', 'another tab owns the store', original],
  );
  assert.equal(GyreError.from(error), error);
});

test('what is not ours becomes INTERNAL, an abort ABORTED', () => {
  assert.equal(GyreError.from(Object.assign(new Error('x'), { code: 'ENOENT' })).code, 'INTERNAL');
  assert.equal(GyreError.from('text').message, 'text');
  assert.equal(GyreError.from(undefined).code, 'INTERNAL');
  assert.equal(GyreError.from(null, 'NO_RELAY').code, 'NO_RELAY');
  assert.equal(GyreError.from(new DOMException('gone', 'AbortError')).code, 'ABORTED');
});

test('guarded lets only GyreError out, also from code that throws at once', async () => {
  await assert.rejects(
    guarded(() => {
      throw new TypeError('no');
    }),
    (error: unknown) => error instanceof GyreError && error.cause instanceof TypeError,
  );
});

test('raced ends with the signal, whatever the promise does', async () => {
  const abort = new AbortController();
  const waiting = raced(new Promise(() => undefined), abort.signal);
  abort.abort('bored');
  await assert.rejects(
    waiting,
    (error: unknown) => error instanceof GyreError && error.code === 'ABORTED' && error.cause === 'bored',
  );
  await assert.rejects(raced(Promise.resolve(1), AbortSignal.abort()), { code: 'ABORTED' });
  assert.equal(await raced(Promise.resolve(1), new AbortController().signal), 1);
});
