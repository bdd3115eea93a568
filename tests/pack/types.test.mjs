// The SDK is written against a description of the wasm module, so that it can be checked before the module is built. Here the
// same sources are compiled against the module as it was built, and the two descriptions are compared.

import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { root } from '../../scripts/lib/places.mjs';
import { run } from '../../scripts/lib/run.mjs';

const compile = (folder) => run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--project', folder], { cwd: root, check: false });

/** A copy of the SDK with the built module's description in the place of the written one, which lies beside it. */
function sdkOnBuiltModule(t) {
  mkdirSync(join(root, '.cache'), { recursive: true });
  const folder = mkdtempSync(join(root, '.cache/sdk-types-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(root, 'www/sdk'), folder, { recursive: true });
  copyFileSync(join(folder, 'wasm/gyre.d.ts'), join(folder, 'wasm/written.d.ts'));
  copyFileSync(join(root, 'pkg/wasm/gyre.d.ts'), join(folder, 'wasm/gyre.d.ts'));
  copyFileSync(join(root, 'tests/pack/fixture/agree.ts'), join(folder, 'agree.ts'));
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    extends: '../../tsconfig.json',
    compilerOptions: { paths: {}, lib: ['ES2023', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable', 'ESNext.Disposable'] },
    include: ['.'],
  }));
  return folder;
}

test('the SDK compiles against the built module, whose description agrees with the written one', { timeout: 600_000 }, async (t) => {
  const { code, output } = await compile(sdkOnBuiltModule(t));
  assert.equal(code, 0, output);
});

test('a description that has drifted does not compile', { timeout: 600_000 }, async (t) => {
  const folder = sdkOnBuiltModule(t);
  writeFileSync(join(folder, 'wasm/written.d.ts'), `${drifted}\n`);
  const { code, output } = await compile(folder);
  assert.notEqual(code, 0);
  assert.match(output, /agree\.ts/);
});

/** A module that lacks most of what the SDK knows. */
const drifted = `
export default function init(): Promise<{ readonly memory: WebAssembly.Memory }>;
export class WasmNode { private constructor(); frobnicate(): void; }
export class WasmFile { private constructor(); readonly size: string; }
export interface WasmNodeOptions { relays: string }
export interface WasmImportOptions { name: number }
export interface WasmShare { cid: number }
export type WasmEvent = { type: 'other' };`;
