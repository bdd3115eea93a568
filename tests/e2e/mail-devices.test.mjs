// One person, two machines: what is being written on one is there on the other, which began empty with the 24 words, and mail comes to both.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { launch, until } from './lib/browser.mjs';
import { MAIL_TIMEOUT_MS, Person } from './lib/mail.mjs';
import { startRelay } from './lib/relay.mjs';

/** Enough beside a relay that keeps mail, and one more, as a page may be busy. */
const CUSTODIANS = 4;
/** What machines tell each other leaves at most every two minutes, in two steps. */
const TOLD_MS = 2 * MAIL_TIMEOUT_MS;

const drafts = (person) => person.ask(async (gyre) => Promise.all((await gyre.mail.list('drafts')).threads.map(async ({ id }) => {
  const { subject, text, attachments, elsewhere } = await gyre.mail.draft(id);
  return { id, subject, text, attachments: attachments.map(({ name }) => name), elsewhere: elsewhere ?? [] };
})));

test('a draft comes to a machine that began with the 24 words, and mail to both', { timeout: 1_800_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay({ args: ['--puzzle-bits', '0', '--mailboxes', '100MB'] }));
  const others = await launch('chromium');
  t.after(() => others.close());
  const custodians = await Promise.all(Array.from({ length: CUSTODIANS }, async () => Visitor.arrive('chromium', relay, { browser: await others.context() })));
  for (const one of custodians) await one.node((gyre) => gyre.setUpload(true));
  const [first, second, bob] = [new Person('chromium', relay, 'Ada'), new Person('firefox', relay, 'Ada'), new Person('chromium', relay, 'Bob')];
  t.after(() => Promise.all([first, second, bob].map((person) => person.forget())));

  await Promise.all([first.come(), bob.come()]);
  const [adaCard, bobCard] = await Promise.all([first.card(), bob.card()]);
  await first.ask((gyre, card) => gyre.mail.addContact(card, 'Bob'), bobCard);
  await bob.ask((gyre, card) => gyre.mail.addContact(card, 'Ada'), adaCard);
  const bobId = await bob.id();
  const draft = await first.ask((gyre, to) => gyre.mail.saveDraft({ to: [to], subject: 'half', text: 'a mail', attachments: [new File(['x'], 'x.txt')] }), bobId);

  const words = await first.ask((gyre) => gyre.keys.phrase());
  await second.open();
  assert.equal((await second.ask(async (gyre, phrase) => {
    await gyre.keys.restore(phrase);
    return gyre.mail.recover();
  }, words)).found, true);
  await until(async () => `the draft on the empty machine; it has ${JSON.stringify(await drafts(second))}`, async () => (await drafts(second)).length === 1, { timeout: TOLD_MS, every: 500 });
  assert.deepEqual(await drafts(second), [{ id: draft, subject: 'half', text: 'a mail', attachments: [], elsewhere: ['x.txt'] }]);

  // What Bob writes comes to both.
  await bob.send(await first.id(), [1]);
  const [[letter], [same]] = await Promise.all([first.receive(bobId, 1), second.receive(bobId, 1)]);
  assert.equal(letter.id, same.id);
});
