// One person, several tabs and several visits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf, Scene, Visitor } from './lib/app.mjs';
import { kinds, until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';

for (const kind of kinds) {
  test(`in ${kind} a second tab continues with what the first one held, and the first takes it back`, { timeout: 600_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const file = scene.file('here and there.bin', 700_000);
    const first = await scene.add(Visitor.arrive(kind, relay));
    const link = await first.share(file);
    const peerId = await first.peerId();

    const page = await first.browser.page(new URL(hashOf(link), relay.url).href);
    const second = Object.assign(new Visitor(), { kind, relay, page });
    await second.told('STORE_BUSY');
    await second.click('join-take-over');
    await second.joined();
    await second.complete(link);
    assert.equal(await second.peerId(), peerId, 'it is the same peer');
    assert.equal(await second.sha256(link), file.sha256);
    await first.told('STORE_BUSY');
    assert.equal(await first.node((gyre) => gyre === undefined), true);

    await first.click('join-take-over');
    await first.joined();
    await first.complete(link);
    await second.told('STORE_BUSY');
    first.quiet();
    second.quiet();
  });
}

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
