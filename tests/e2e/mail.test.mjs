// Mail through the SDK: two people who are never there at the same time write to each other, with attachments that fit into a letter; larger
// ones come while somebody who has them is there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './lib/browser.mjs';
import { custody, MAIL_TIMEOUT_MS, numberOf, people } from './lib/mail.mjs';

/** Goes through the swarm. */
const LARGE_BYTES = 300_000;
/** A letter is stored with five receipts; one more, as a page may be busy. */
const KEEPERS = 6;

test('two people who are never there together write to each other, from two kinds of browsers', { timeout: 1_500_000 }, async (t) => {
  // Other people's pages keep mail, and the relay.
  const { relay, keepers: [keeper] } = await custody(t, KEEPERS);
  const [ada, bob] = people(t, relay, ['chromium', 'Ada'], ['firefox', 'Bob']);

  await bob.come();
  const card = await bob.ask(async (gyre) => (await gyre.mail.card()).link);
  const bobId = await bob.ask(async (gyre) => (await gyre.mail.state()).id);
  await until('Bob to be findable', () => bob.ask(async (gyre) => (await gyre.mail.state()).findable), { timeout: MAIL_TIMEOUT_MS });
  await bob.go();

  await ada.come();
  const adaId = await ada.ask(async (gyre, link) => {
    await gyre.mail.set({ stampBits: 8 });
    await gyre.mail.addContact(link, 'Bob');
    return (await gyre.mail.state()).id;
  }, card);
  await ada.send(bobId, [1]);
  await ada.go();

  await bob.come();
  const [first] = await bob.receive(adaId, 1);
  assert.deepEqual([first.subject, first.text, first.folder], ['number 1', 'This is letter 1.', 'requests']);
  assert.equal(await bob.wrong(first.id, 1), 0);
  await bob.ask((gyre, id) => gyre.mail.setContact(id, { state: 'accepted', petname: 'Ada' }), adaId);
  await bob.send(adaId, [101, 102, 103], { 101: { thread: first.thread, inReplyTo: first.id } });
  await bob.go();

  await ada.come();
  const answers = await ada.receive(bobId, 3);
  assert.deepEqual(answers.map(numberOf).sort((a, b) => a - b), [101, 102, 103]);
  for (const letter of answers) assert.equal(await ada.wrong(letter.id, numberOf(letter)), 0, letter.subject);
  await until('the receipt of the first letter', () => ada.ask(async (gyre, thread) => ['delivered', 'read'].includes((await gyre.mail.thread(thread)).find(({ own }) => own)?.status[0]?.state), first.thread), { timeout: MAIL_TIMEOUT_MS });
  await ada.send(bobId, [2, 3, 4]);
  await ada.go();

  await bob.come();
  const letters = await bob.receive(adaId, 4);
  assert.deepEqual(letters.map(numberOf).sort((a, b) => a - b), [1, 2, 3, 4], 'each is there once');
  for (const letter of letters) assert.equal(await bob.wrong(letter.id, numberOf(letter)), 0, letter.subject);
  await until('every letter to be gone from the custodians', async () => (await keeper.visitor.node((gyre) => gyre.mail.kept())).envelopes === 0, { timeout: MAIL_TIMEOUT_MS });

  // A large file comes from whoever has it, and stays with whoever got it.
  await ada.come();
  await ada.send(bobId, [9], {}, LARGE_BYTES);
  const large = (await bob.receive(adaId, 5)).find((letter) => numberOf(letter) === 9);
  await until('the large file', async () => (await bob.wrong(large.id, 9, LARGE_BYTES)) === 0, { timeout: MAIL_TIMEOUT_MS });
});
