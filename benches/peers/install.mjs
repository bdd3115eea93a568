// What the yardsticks are made of, installed on first use in a folder of their own.

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
      title: 'Installing WebTorrent and Helia',
      inputs: ['benches/peers/package.json', 'benches/peers/package-lock.json', 'benches/peers/.npmrc'],
      outputs: ['benches/peers/node_modules/.package-lock.json'],
      run: () => run(npm, ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: here, label: 'npm ci in benches/peers' }),
    },
  ], ['bench-peers-npm']);
}
