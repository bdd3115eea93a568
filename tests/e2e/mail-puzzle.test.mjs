// A page searches for an id that custodians may have, has it from its next start on, and then keeps mail of others. The puzzle is as
// strong as relays ask for with `PUZZLE_BITS=16`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { base58btc } from 'multiformats/bases/base58';
import { Scene, Visitor } from './lib/app.mjs';
import { launch, until } from './lib/browser.mjs';
import { MAIL_TIMEOUT_MS, Person } from './lib/mail.mjs';
import { startRelay } from './lib/relay.mjs';

/** Relays ask for 16 unless they are told otherwise: a minute of a free core in Firefox, and ten times that with bad luck or company. */
const BITS = Number(process.env.PUZZLE_BITS ?? 12);
/** In milliseconds. Of the tries that are to be expected, ten times as many are needed once in 22,000 times. */
const SEARCH_MS = 1_200_000;

/** The id that the next start will have, by the key on the disk: libp2p's protobuf of an Ed25519 key ends with the public part. */
async function nextId(visitor) {
  const key = await visitor.node(async () => {
    const asked = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const db = await asked(indexedDB.open('gyre'));
    const found = await asked(db.transaction('values').objectStore('values').get('identity'));
    db.close();
    return [...found];
  });
  assert.equal(key.length, 68);
  return base58btc.baseEncode(Uint8Array.from([0x00, 0x24, 0x08, 0x01, 0x12, 0x20, ...key.slice(-32)]));
}

for (const kind of ['chromium', 'firefox']) {
  test(`a page finds an id of ${BITS} bits, and keeps mail of others after a reload, in ${kind}`, { timeout: 2_400_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay({ args: ['--puzzle-bits', String(BITS), '--mailboxes', '100MB'] }));
    const browser = await launch(kind);
    t.after(() => browser.close());
    const began = performance.now();
    const keeper = await Visitor.arrive(kind, relay, { browser: await browser.context() });
    await keeper.node((gyre) => gyre.setUpload(true));
    const id = await keeper.peerId();
    await until('a better id', async () => (await nextId(keeper)) !== id, { timeout: SEARCH_MS, every: 250 });
    t.diagnostic(`found within ${((performance.now() - began) / 1000).toFixed(1)} s of the page's start`);
    assert.equal(await keeper.peerId(), id, 'not before the next start');

    const [ada, bob] = [new Person('chromium', relay, 'Ada'), new Person('chromium', relay, 'Bob')];
    t.after(() => Promise.all([ada.forget(), bob.forget()]));
    await bob.come();
    const card = await bob.card();
    await bob.go();
    const better = await nextId(keeper);
    await keeper.page.reload();
    await keeper.joined();
    assert.equal(await keeper.peerId(), better);
    const kept = () => keeper.node((gyre) => gyre.mail.kept());
    assert.equal((await kept()).envelopes, 0);

    await ada.come();
    await ada.ask(async (gyre, link) => {
      await gyre.mail.set({ stampBits: 8 });
      const { id: to } = await gyre.mail.addContact(link, 'Bob');
      await gyre.mail.send({ to: [to], subject: 'kept by a page', text: 'And by the relay.', attachments: [] });
    }, card);
    await until(async () => `the page to keep the letter; it says ${JSON.stringify([await kept(), await ada.statuses()])}`, async () => (await kept()).envelopes >= 1, { timeout: MAIL_TIMEOUT_MS });
    await ada.go();
    await bob.come();
    await until('the letter to arrive', () => bob.ask(async (gyre) => (await gyre.mail.list('requests')).threads.some(({ subject }) => subject === 'kept by a page')), { timeout: MAIL_TIMEOUT_MS });
    await until('the page to let go of it', async () => (await kept()).envelopes === 0, { timeout: MAIL_TIMEOUT_MS });
  });
}
