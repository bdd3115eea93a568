// WebTorrent and its tracker, installed on first use in a folder of their own.

import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npm } from '../../scripts/lib/places.mjs';
import { run } from '../../scripts/lib/run.mjs';
import { bringUpToDate } from '../../scripts/lib/steps.mjs';

const here = dirname(fileURLToPath(import.meta.url));

/** Brings the installed packages up to date. */
export async function installPeers() {
  await bringUpToDate([
    {
      id: 'bench-peers-npm',
      title: 'Installing WebTorrent',
      inputs: ['benches/peers/package.json', 'benches/peers/package-lock.json', 'benches/peers/.npmrc'],
      outputs: ['benches/peers/node_modules/.package-lock.json'],
      run: () => run(npm, ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: here, label: 'npm ci in benches/peers' }),
    },
  ], ['bench-peers-npm']);
}

/** A websocket tracker on loopback. */
export async function startTracker() {
  const { default: Server } = await import('bittorrent-tracker/server');
  const server = new Server({ udp: false, http: false, ws: true, stats: false });
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `ws://127.0.0.1:${server.ws.address().port}`,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
