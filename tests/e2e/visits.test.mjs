// One person, several visits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';

test('a later visit joins by the relays it remembers when bootstrap.json does not answer', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const visitor = await scene.add(Visitor.arrive('chromium', relay));
  await visitor.page.setRequestInterception(true);
  let refused = 0;
  visitor.page.on('request', (request) => {
    if (!request.url().endsWith('/bootstrap.json')) return void request.continue();
    refused += 1;
    void request.abort('connectionrefused');
  });
  await visitor.page.reload();
  await visitor.joined();
  assert.ok(refused > 0, 'the list was asked for');
  visitor.quiet(/bootstrap\.json|ERR_CONNECTION_REFUSED/);
});

test('the page is usable before the peer has loaded', { timeout: 600_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const file = scene.file('chosen early.bin', 300_000);
  const visitor = await scene.add(Visitor.arrive('chromium', relay, { join: false }));
  await visitor.page.setRequestInterception(true);
  let release;
  const released = new Promise((resolve) => (release = resolve));
  visitor.page.on('request', async (request) => {
    if (request.url().endsWith('.wasm')) await released;
    void request.continue();
  });
  await visitor.page.reload({ waitUntil: 'domcontentloaded' });
  await visitor.see('join-state');
  const absent = () => visitor.node((gyre) => gyre === undefined);
  assert.equal(await absent(), true, 'the peer is not there yet');
  const input = await until('the file input', () => visitor.find('share-input'));
  await input.uploadFile(file.path);
  await visitor.see('share-card');
  assert.equal(await absent(), true, 'the peer is still not there');

  release();
  await visitor.joined();
  assert.equal(await visitor.sha256(await visitor.text('share-link')), file.sha256);
  visitor.quiet();
});
