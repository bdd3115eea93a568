// Finds and weighs what a page loads.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { root } from '../../scripts/lib/places.mjs';

const dist = join(root, 'www/dist');

/** Bytes as they are, with gzip at its best and with Brotli at its best. */
export function packed(bytes) {
  return { raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotliCompressSync(bytes).length };
}

/** The app's WebAssembly. */
export function wasmFile() {
  const found = readdirSync(dist, { recursive: true }).find((name) => name.endsWith('.wasm'));
  if (!found) throw new Error('www/dist holds no WebAssembly: build it with npm start -- --no-serve');
  return join(dist, found);
}

/** The page itself, the scripts and the styles that it names. */
export function firstLoad() {
  const html = readFileSync(join(dist, 'index.html'), 'utf8');
  const names = [...html.matchAll(/<script[^>]*\ssrc="?([^"\s>]+)|<link[^>]*rel="?stylesheet"?[^>]*href="?([^"\s>]+)|<link[^>]*href="?([^"\s>]+)"?[^>]*rel="?stylesheet/g)];
  return [join(dist, 'index.html'), ...new Set(names.map((found) => join(dist, found[1] ?? found[2] ?? found[3])))];
}
