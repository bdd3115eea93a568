import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSurroundings, watchSurroundings, type Machine } from '../sdk/surroundings.js';
import type { Surroundings } from '../sdk/types.js';

const NOTHING: Surroundings = { metered: false, onBattery: false };

class FakeConnection extends EventTarget {
  saveData = false;
  type = 'wifi';
}

class FakeBattery extends EventTarget {
  charging = true;
}

test('a browser that says nothing is taken for a machine at home', async () => {
  assert.deepEqual(await readSurroundings({}), NOTHING);
  assert.deepEqual(await readSurroundings({ connection: {} }), NOTHING);
  const refused: Machine = { getBattery: () => Promise.reject(new Error('not allowed')) };
  assert.deepEqual(await readSurroundings(refused), NOTHING);
  const throwing: Machine = {
    getBattery: () => {
      throw new Error('not allowed');
    },
  };
  assert.deepEqual(await readSurroundings(throwing), NOTHING);
  const silent: Machine = { getBattery: () => new Promise(() => undefined) };
  assert.deepEqual(await readSurroundings(silent), NOTHING);
});

test('saving data, cellular and metered connections count as metered', async () => {
  for (const connection of [{ saveData: true }, { type: 'cellular' }, { metered: true }])
    assert.equal((await readSurroundings({ connection })).metered, true);
  assert.equal((await readSurroundings({ connection: { type: 'ethernet', saveData: false } })).metered, false);
});

test('changes are told until the end', async () => {
  const connection = new FakeConnection();
  const battery = new FakeBattery();
  const told: Surroundings[] = [];
  const machine = { connection, getBattery: () => Promise.resolve(battery) };
  const end = await watchSurroundings((now) => told.push(now), machine);
  const change = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
  connection.saveData = true;
  connection.dispatchEvent(new Event('change'));
  await change();
  battery.charging = false;
  battery.dispatchEvent(new Event('chargingchange'));
  await change();
  end();
  connection.saveData = false;
  connection.dispatchEvent(new Event('change'));
  await change();
  assert.deepEqual(told, [
    { metered: true, onBattery: false },
    { metered: true, onBattery: true },
  ]);
});
