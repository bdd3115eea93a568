/**
 * Loads the wasm node: the only file that knows the generated module.
 *
 * The module is imported late, so that bundlers put it in a chunk of its own and a page is usable
 * before it has arrived.
 */

import { GyreError } from './errors.js';
import { loaded } from './lazy.js';

/** The generated module, instantiated. */
export interface WasmModule {
  readonly WasmNode: typeof import('./wasm/gyre.js').WasmNode;
  readonly memory: WebAssembly.Memory;
}

/** Fetches and instantiates the module once; a failed attempt may be repeated. */
export function loadWasm(location?: URL | string): Promise<WasmModule> {
  if (typeof WebAssembly !== 'object') {
    return Promise.reject(new GyreError('UNSUPPORTED', 'This browser cannot run WebAssembly.'));
  }
  loading ??= loaded(instantiate(location)).catch((thrown: unknown) => {
    loading = undefined;
    throw thrown;
  });
  return loading;
}

async function instantiate(location: URL | string | undefined): Promise<WasmModule> {
  const module = await import(/* webpackChunkName: "gyre-node" */ './wasm/gyre.js');
  const { memory } = await module.default({
    module_or_path: location ?? new URL('./wasm/gyre_bg.wasm', import.meta.url),
  });
  return { WasmNode: module.WasmNode, memory };
}

let loading: Promise<WasmModule> | undefined;
