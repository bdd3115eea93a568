import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Persistence } from '../app/persist.js';

test('the browser is asked to keep the storage once, and only where it can', async () => {
  let asks = 0;
  const storage = {
    persisted: () => Promise.resolve(false),
    persist: () => Promise.reject(new Error(`refused ${(asks += 1)}`)),
  };
  for (const lacking of [undefined, {}]) {
    const none = new Persistence(lacking);
    await none.look();
    await none.ask();
    assert.equal(none.kept, 'unknown');
  }
  const persistence = new Persistence(storage);
  await persistence.look();
  assert.equal(persistence.kept, 'unasked');
  assert.equal(asks, 0, 'looking is not asking');
  await persistence.ask();
  await persistence.ask();
  assert.equal(asks, 1);
  assert.equal(persistence.kept, 'refused');
});

test('what the browser said is told', async () => {
  const told: string[] = [];
  const granting = new Persistence({ persisted: () => Promise.resolve(false), persist: () => Promise.resolve(true) });
  granting.addEventListener('change', () => told.push(granting.kept));
  await granting.look();
  await granting.ask();
  assert.deepEqual(told, ['unasked', 'kept']);
  const before = new Persistence({ persisted: () => Promise.resolve(true), persist: () => Promise.resolve(false) });
  await before.look();
  assert.equal(before.kept, 'kept');
});
