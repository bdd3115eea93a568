// Where things are, and which versions are asked for.

import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
/** Where cargo puts what it builds. */
export const cargoTarget = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
/** Where these scripts keep stamps, tools and finished artefacts: always inside the tree they belong to. */
export const out = join(root, 'target');
export const stamps = join(out, 'stamps');
export const tools = join(out, 'tools');
export const artefacts = join(out, 'gyre');

const exe = process.platform === 'win32' ? '.exe' : '';
export const relayBinary = join(artefacts, `gyre-relay${exe}`);
/** What browsers are tested with: built as the native tests are. */
export const testRelayBinary = join(artefacts, 'test', `gyre-relay${exe}`);
export const gyreBinary = join(artefacts, `gyre${exe}`);
export const bindgenBinary = join(tools, 'release', `gyre-bindgen${exe}`);
export const wasmTarget = 'wasm32-unknown-unknown';
export const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
export const nodeMajorWanted = 20;

/** One line of the `[package]` table of Cargo.toml: the single place for version, licence and description. */
export function cargoPackage(key) {
  const table = readFileSync(join(root, 'Cargo.toml'), 'utf8').split(/^\[(?!package\])/m)[0];
  const found = table.match(new RegExp(`^${key}\\s*=\\s*"([^"]*)"`, 'm'));
  if (!found) throw new Error(`Cargo.toml has no ${key} in [package]`);
  return found[1];
}

/** The version of wasm-bindgen that Cargo.toml pins; its tools must be the very same. */
export function wasmBindgenVersion() {
  const found = readFileSync(join(root, 'Cargo.toml'), 'utf8').match(/^wasm-bindgen\s*=\s*\{[^}]*version\s*=\s*"=([^"]+)"/m);
  if (!found) throw new Error('Cargo.toml does not pin wasm-bindgen with "=VERSION"');
  return found[1];
}
