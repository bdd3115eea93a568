import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepStorage } from '../app/persist.js';

test('the browser is asked to keep the storage once, and only where it can', async () => {
  let asks = 0;
  const storage = {
    persisted: () => Promise.resolve(false),
    persist: () => Promise.reject(new Error(`refused ${(asks += 1)}`)),
  };
  keepStorage(undefined);
  keepStorage({});
  keepStorage(storage);
  keepStorage(storage);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(asks, 1);
});
