// Makes the two pages: bundles js-libp2p, whose packages are installed on first use in a folder of their own, and compiles our
// peer with the class that only this test uses.

import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { wasmTestArgs } from '../../scripts/lib/build.mjs';
import { bindgenBinary, cargoTarget, npm, out, root, wasmTarget } from '../../scripts/lib/places.mjs';
import { run } from '../../scripts/lib/run.mjs';
import { bringUpToDate } from '../../scripts/lib/steps.mjs';

const here = dirname(fileURLToPath(import.meta.url));
export const bundled = join(out, 'interop');

/** Brings the pages up to date; `ours` is our peer's, which takes a compilation. */
export async function bundle({ ours = true } = {}) {
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
        for (const name of ['index.html', 'gyre.html', 'gyre.js']) copyFileSync(join(here, 'page', name), join(bundled, name));
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
    {
      id: 'interop-gyre',
      title: 'Compiling our peer with its interop class',
      inputs: ['Cargo.toml', 'Cargo.lock', '.cargo', 'src'],
      outputs: ['target/interop/gyre/gyre.js'],
      run: async () => {
        // With the tests in wasm, which are made of the very same crates.
        await run('cargo', ['test', '--no-run', '--locked', ...wasmTestArgs], { cwd: root, label: 'cargo test --no-run' });
        await run(bindgenBinary, [join(cargoTarget, wasmTarget, 'debug/deps/gyre.wasm'), join(bundled, 'gyre'), 'gyre']);
      },
    },
  ], ['interop-page', ...(ours ? ['interop-gyre'] : [])]);
}
