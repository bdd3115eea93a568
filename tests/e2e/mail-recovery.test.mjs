// Somebody's machine is lost. On an empty one, with nothing but the 24 words, they are the same person again: their contacts, the mail that lies
// with custodians, what others wrote meanwhile; and the lost machine can be shut out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scene } from './lib/app.mjs';
import { launch, until } from './lib/browser.mjs';
import { heldBy, Keeper, MAIL_TIMEOUT_MS, numberOf, Person } from './lib/mail.mjs';
import { startRelay } from './lib/relay.mjs';

/** A letter is stored with five receipts; one more, as a page may be busy. */
const KEEPERS = 6;

const devices = (person) => person.ask(async (gyre) => (await gyre.mail.state()).devices);

test('the 24 words on an empty machine bring back identity, contacts and mail, and shut the lost machine out', { timeout: 1_800_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const others = await launch('chromium');
  t.after(() => others.close());
  const keepers = await Promise.all(Array.from({ length: KEEPERS }, () => Keeper.come(others, relay)));
  const [lost, bob, found] = [new Person('chromium', relay, 'Ada', { keeps: false }), new Person('firefox', relay, 'Bob', { keeps: false }), new Person('chromium', relay, 'Ada', { keeps: false })];
  t.after(() => Promise.all([lost, bob, found].map((person) => person.forget())));

  await bob.come();
  const [bobCard, bobId] = [await bob.card(), await bob.id()];
  // What a machine knows lies with custodians for the one that comes after it, and what it knows later takes its place.
  await until('what Bob knows to lie with custodians', async () => (await heldBy(keepers)).size > 0, { timeout: MAIL_TIMEOUT_MS, every: 500 });
  const bobs = await heldBy(keepers);
  const known = async () => [...(await heldBy(keepers))].filter((id) => !bobs.has(id));
  await lost.come();
  const words = await lost.ask((gyre) => gyre.keys.phrase());
  const [adaCard, adaId] = [await lost.card(), await lost.id()];
  await lost.ask((gyre, card) => gyre.mail.addContact(card, 'Bob'), bobCard);
  await until('what Ada knows to lie there too', async () => (await known()).length > 0, { timeout: MAIL_TIMEOUT_MS, every: 500 });
  const former = await known();
  await lost.ask((gyre, id) => gyre.mail.setContact(id, { petname: 'My friend Bob' }), bobId);
  await until('what she knows now to take its place', async () => {
    const now = await known();
    return now.length > 0 && now.every((id) => !former.includes(id));
  }, { timeout: 2 * MAIL_TIMEOUT_MS, every: 500 });

  await bob.ask((gyre, card) => gyre.mail.addContact(card, 'Ada'), adaCard);
  await lost.send(bobId, [1]);
  await bob.receive(adaId, 1);
  await bob.send(adaId, [101]);
  await lost.receive(bobId, 1);
  await lost.go();

  await bob.send(adaId, [102, 103, 104]);
  await bob.go();

  // An empty machine, and 24 words.
  await found.open();
  assert.equal((await found.ask((gyre) => gyre.mail.state())).state, 'none');
  const recovered = await found.ask(async (gyre, phrase) => {
    await gyre.keys.restore(phrase);
    return gyre.mail.recover();
  }, words);
  assert.equal(recovered.found, true);
  const letters = await found.receive(bobId, 3);
  assert.deepEqual(letters.map(numberOf).sort((a, b) => a - b), [102, 103, 104], 'what lay with custodians, each once');
  for (const letter of letters) assert.equal(await found.wrong(letter.id, numberOf(letter)), 0, letter.subject);
  assert.equal(await found.id(), adaId);
  const contact = () => found.ask(async (gyre, id) => (await gyre.mail.contacts()).find((one) => one.id === id), bobId);
  await until(async () => `Bob among the contacts: ${JSON.stringify(await contact())}`, async () => (await contact())?.petname === 'My friend Bob', { timeout: MAIL_TIMEOUT_MS });
  assert.equal((await contact()).state, 'accepted');
  assert.ok(letters.every(({ folder }) => folder === 'inbox'), 'a contact is no stranger on the new machine');

  const both = await devices(found);
  assert.equal(both.length, 2);
  await found.ask((gyre, key) => gyre.mail.removeDevice(key), both.find(({ me }) => !me).key);
  await until('the lost machine to be gone from the list', async () => (await devices(found)).length === 1, { timeout: MAIL_TIMEOUT_MS });

  // Others believe the new machine, and what it sends.
  await found.send(bobId, [2]);
  await bob.come();
  const heard = await bob.receive(adaId, 2);
  assert.deepEqual(heard.map(numberOf).sort((a, b) => a - b), [1, 2]);
  await bob.send(adaId, [105]);
  assert.deepEqual((await found.receive(bobId, 4)).map(numberOf).sort((a, b) => a - b), [102, 103, 104, 105]);

  // Whoever has the lost machine cannot write in Ada's name once it has heard that it was removed.
  await lost.come();
  const refused = () => lost.ask(async (gyre, id) => gyre.mail.send({ to: [id], subject: 'forged', text: 'not me', attachments: [] }).then(() => 'sent', (error) => error.cause?.code ?? error.code), bobId);
  await until('the lost machine to know', async () => (await devices(lost)).every(({ me }) => !me), { timeout: MAIL_TIMEOUT_MS });
  assert.equal(await refused(), 'MAIL_NOT_READY');
});
