// The npm package `ipns` makes the records that ours are held to, and takes those that ours made: `tests/names_golden.rs` shows
// that they are the same bytes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { unmarshalIPNSRecord } from 'ipns';
import { ipnsValidator } from 'ipns/validator';
import { file, text, vectors } from './vectors.mjs';

const committed = readFileSync(file, 'utf8');
const { records } = JSON.parse(committed);
const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));

test('the committed records and choices are those that the package makes', async () => {
  assert.equal(text(await vectors()), committed);
});

test('the package takes each of them, and reads the same in it', async () => {
  for (const { routingKey, record, ...expected } of records) {
    await ipnsValidator(bytes(routingKey), bytes(record));
    const read = unmarshalIPNSRecord(bytes(record));
    assert.equal(read.value, expected.value);
    assert.equal(read.validity, expected.validity);
    assert.equal(String(read.sequence), expected.sequence);
    assert.equal(String(read.ttl), expected.ttl);
  }
});

test('the package refuses what ours refuse: another name, a changed byte, too many bytes', async () => {
  const [first, second] = records;
  await assert.rejects(ipnsValidator(bytes(second.routingKey), bytes(first.record)));
  const changed = bytes(first.record);
  changed[changed.length - 1] ^= 1;
  await assert.rejects(ipnsValidator(bytes(first.routingKey), changed));
  const long = new Uint8Array(10 * 1024 + 1);
  long.set(bytes(first.record));
  await assert.rejects(ipnsValidator(bytes(first.routingKey), long), { name: 'RecordTooLargeError' });
});
