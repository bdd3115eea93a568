// The made NATs map and filter as they say: otherwise the other tests would show nothing.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Internet, nats, obstacle, relayAddress } from './lib/net.mjs';

const skip = obstacle() ?? false;
const script = (name) => fileURLToPath(new URL(`lib/${name}`, import.meta.url));
const PORT = 40_000;

test('each NAT maps and filters as it says', { skip }, async (t) => {
  const internet = new Internet();
  t.after(() => internet.close());
  const other = internet.secondAddress();
  const echo = spawn('ip', ['netns', 'exec', internet.space, process.execPath, script('echo.mjs'), relayAddress, other], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => echo.kill('SIGKILL'));
  await once(echo.stdout, 'data');
  const said = {};
  for (const kind of nats) {
    const { space } = internet.machine(internet.home(kind));
    const asked = spawnSync('ip', ['netns', 'exec', space, process.execPath, script('ask.mjs'), relayAddress, other, String(PORT)], { encoding: 'utf8' });
    assert.equal(asked.status, 0, asked.stderr);
    said[kind] = JSON.parse(asked.stdout);
  }
  assert.deepEqual(said.port, { from: ['asked'], first: [PORT], second: [PORT] });
  assert.deepEqual(said.address, { from: ['asked', 'other port'], first: [PORT], second: [PORT] });
  const { from, first, second } = said.symmetric;
  assert.deepEqual(from, ['asked']);
  assert.equal(new Set([PORT, ...first, ...second]).size, 3, `one port for each destination: ${first}, ${second}`);
});
