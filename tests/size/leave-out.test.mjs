// What the build leaves out of the peer: that it is there to be left out, and what becomes of it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { NEVER_CALLED, NEVER_READ, leaveOut, plainNames } from '../../scripts/lib/leave-out.mjs';
import { out } from '../../scripts/lib/places.mjs';
import { leb } from '../../scripts/lib/wasm.mjs';

test('every kind of function that is left out is in what is compiled', () => {
  const names = plainNames(readFileSync(join(out, 'gyre/glue/gyre_bg.wasm'))).map(([, name]) => name);
  for (const pattern of [...NEVER_CALLED, ...NEVER_READ]) assert.ok(names.some((name) => pattern.test(name)), `${pattern} is no function`);
});

test('a call of what is left out traps, a text that is left out is empty, and the rest is as it was', async () => {
  const made = named({
    cipher: '<snow[0f]::resolvers::default::CipherAesGcm as snow[0f]::types::Cipher>::encrypt::h0123456789abcdef',
    name: '<snow::resolvers::default::CipherAesGcm as snow::types::Cipher>::name::h0123456789abcdef',
    text: '<multiaddr::protocol::Protocol as core::fmt::Display>::fmt::h0123456789abcdef',
  });
  for (const call of Object.values(await instance(made))) assert.equal(call(), 7);
  const { cipher, name, text } = await instance(leaveOut(made));
  assert.throws(cipher, WebAssembly.RuntimeError);
  assert.equal(name(), 7);
  assert.equal(text(), 0);
});

/** A module of functions that return 7, exported by the keys and named by the values. */
function named(names) {
  const all = Object.entries(names);
  const word = (text) => [...leb(Buffer.byteLength(text)), ...Buffer.from(text)];
  const section = (id, content) => [id, ...leb(content.length), ...content];
  const ofFunctions = [...leb(all.length), ...all.flatMap(([, name], index) => [index, ...word(name)])];
  return Buffer.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 0, 1, 0x7f]),
    ...section(3, [all.length, ...all.map(() => 0)]),
    ...section(7, [all.length, ...all.flatMap(([key], index) => [...word(key), 0, index])]),
    ...section(10, [all.length, ...all.flatMap(() => [4, 0x00, 0x41, 7, 0x0b])]),
    ...section(0, [...word('name'), 1, ...leb(ofFunctions.length), ...ofFunctions]),
  ]);
}

async function instance(module) {
  return (await WebAssembly.instantiate(module)).instance.exports;
}
