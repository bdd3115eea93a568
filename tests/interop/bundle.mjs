// Bundles the js-libp2p page; its packages are installed on first use, in a folder of their own with a lock of their own.

import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { npm, out } from '../../scripts/lib/places.mjs';
import { run } from '../../scripts/lib/run.mjs';
import { bringUpToDate } from '../../scripts/lib/steps.mjs';

const here = dirname(fileURLToPath(import.meta.url));
export const bundled = join(out, 'interop');

export async function bundle() {
  await bringUpToDate([
    {
      id: 'interop-npm',
      title: 'Installing js-libp2p',
      inputs: ['tests/interop/package.json', 'tests/interop/package-lock.json', 'tests/interop/.npmrc'],
      outputs: ['tests/interop/node_modules/.package-lock.json'],
      run: () => run(npm, ['ci', '--no-audit', '--no-fund'], { cwd: here, label: 'npm ci in tests/interop' }),
    },
    {
      id: 'interop-page',
      title: 'Bundling the js-libp2p page',
      needs: ['interop-npm'],
      inputs: ['tests/interop/page', 'tests/interop/bundle.mjs'],
      outputs: ['target/interop/peer.bundle.js'],
      run: async () => {
        mkdirSync(bundled, { recursive: true });
        copyFileSync(join(here, 'page/index.html'), join(bundled, 'index.html'));
        await build({
          entryPoints: [join(here, 'page/peer.js')],
          outfile: join(bundled, 'peer.bundle.js'),
          bundle: true,
          format: 'esm',
          platform: 'browser',
          target: 'es2022',
          sourcemap: 'inline',
          define: { global: 'globalThis' },
          logLevel: 'error',
        });
      },
    },
  ], ['interop-page']);
  if (!existsSync(join(bundled, 'peer.bundle.js'))) throw new Error('the js-libp2p page was not bundled');
}
