// One person, two machines, the second of which began empty with the 24 words: what is being written on one is there on the other, mail comes to
// both, and what is read, starred, moved or deleted on one is so on the other, also if they are never there together.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './lib/browser.mjs';
import { custody, heldBy, MAIL_TIMEOUT_MS, people } from './lib/mail.mjs';

/** What machines tell each other leaves at most every two minutes, in two steps. */
const TOLD_MS = 2 * MAIL_TIMEOUT_MS;
/** What a machine says of its letters waits 20 s for more. */
const QUIET_MS = 45_000;

const drafts = (person) => person.ask(async (gyre) => Promise.all((await gyre.mail.list('drafts')).threads.map(async ({ id }) => {
  const { subject, text, attachments, elsewhere } = await gyre.mail.draft(id);
  return { id, subject, text, attachments: attachments.map(({ name }) => name), elsewhere: elsewhere ?? [] };
})));

/** How the mails of somebody are shown, by their subjects. */
const shown = (person, from) => person.ask(async (gyre, sender) => {
  const found = [];
  for (const folder of ['inbox', 'archive', 'trash']) {
    for (const { id, subject, unread, starred } of (await gyre.mail.list(folder, { limit: 200 })).threads) {
      if ((await gyre.mail.thread(id)).some((mail) => mail.from.id === sender)) found.push([subject, `${folder}${unread ? ' unread' : ''}${starred ? ' starred' : ''}`]);
    }
  }
  return Object.fromEntries(found.sort());
}, from);

const isShown = (person, from, wanted) => until(async () => `${person.kind} to show ${JSON.stringify(wanted)}; it shows ${JSON.stringify(await shown(person, from))}`, async () => {
  const now = await shown(person, from);
  return JSON.stringify(now) === JSON.stringify(wanted);
}, { timeout: TOLD_MS, every: 500 });

const threadOf = (letters, number) => letters.find(({ subject }) => subject === `number ${number}`).thread;
const mark = (person, thread, flags) => person.ask((gyre, id, change) => gyre.mail.mark([id], change), thread, flags);
const remove = (person, thread) => person.ask((gyre, id) => gyre.mail.remove([id]), thread);

/** Waits until what lies with custodians has not changed for a while: whoever is there has said what they had to. Resolves with it. */
async function quiet(keepers) {
  let before = '';
  let since = 0;
  let held;
  await until('nothing to change at the custodians', async () => {
    held = await heldBy(keepers);
    const now = [...held].sort().join();
    if (now !== before) [before, since] = [now, performance.now()];
    return performance.now() - since > QUIET_MS;
  }, { timeout: TOLD_MS, every: 1_000 });
  return held;
}

/** Waits until so many messages lie there that did not before, and all that belongs to them. */
async function toldBeside(keepers, before, count) {
  const fresh = async () => [...(await heldBy(keepers))].filter((id) => !before.has(id)).length;
  await until(async () => `${count} new messages at the custodians; there are ${await fresh()}`, async () => (await fresh()) >= count, { timeout: TOLD_MS, every: 500 });
  return quiet(keepers);
}

test('two machines of one person see the same mail', { timeout: 2_700_000 }, async (t) => {
  const { relay, keepers } = await custody(t);
  const [first, second, bob] = people(t, relay, ['chromium', 'Ada', { keeps: false }], ['firefox', 'Ada', { keeps: false }], ['chromium', 'Bob', { keeps: false }]);

  await Promise.all([first.come(), bob.come()]);
  await first.ask((gyre) => gyre.mail.set({ readReceipts: true, stampBits: 8 }));
  const [adaCard, bobCard] = await Promise.all([first.card(), bob.card()]);
  await first.ask((gyre, card) => gyre.mail.addContact(card, 'Bob'), bobCard);
  await bob.ask((gyre, card) => gyre.mail.addContact(card, 'Ada'), adaCard);
  const [adaId, bobId] = await Promise.all([first.id(), bob.id()]);

  await t.test('a draft comes to a machine that began with the 24 words', async () => {
    const draft = await first.ask((gyre, to) => gyre.mail.saveDraft({ to: [to], subject: 'half', text: 'a mail', attachments: [new File(['x'], 'x.txt')] }), bobId);
    const words = await first.ask((gyre) => gyre.keys.phrase());
    await second.open();
    assert.equal((await second.ask(async (gyre, phrase) => {
      await gyre.keys.restore(phrase);
      return gyre.mail.recover();
    }, words)).found, true);
    await until(async () => `the draft on the empty machine; it has ${JSON.stringify(await drafts(second))}`, async () => (await drafts(second)).length === 1, { timeout: TOLD_MS, every: 500 });
    assert.deepEqual(await drafts(second), [{ id: draft, subject: 'half', text: 'a mail', attachments: [], elsewhere: ['x.txt'] }]);
  });

  let letters;
  await t.test('both know each other, and what Bob writes comes to both', async () => {
    const devices = (person) => person.ask(async (gyre) => (await gyre.mail.state()).devices.length);
    await until('each machine to know both', async () => (await devices(first)) === 2 && (await devices(second)) === 2, { timeout: MAIL_TIMEOUT_MS, every: 500 });
    await bob.send(adaId, [1, 2, 3, 4]);
    letters = await first.receive(bobId, 4);
    const ids = (all) => all.map(({ id }) => id).sort();
    assert.deepEqual(ids(await second.receive(bobId, 4)), ids(letters));
  });

  await t.test('what is read, starred and moved on one is so on the other, both ways, and Bob is told what was read', async () => {
    await mark(first, threadOf(letters, 1), { read: true });
    await mark(first, threadOf(letters, 2), { folder: 'archive' });
    await mark(second, threadOf(letters, 3), { starred: true });
    await mark(second, threadOf(letters, 4), { read: true, folder: 'archive' });
    const both = { 'number 1': 'inbox', 'number 2': 'archive unread', 'number 3': 'inbox unread starred', 'number 4': 'archive' };
    await Promise.all([isShown(first, bobId, both), isShown(second, bobId, both)]);
    const states = () => bob.ask(async (gyre) => {
      const { threads } = await gyre.mail.list('sent', { limit: 200 });
      return Object.fromEntries(threads.map(({ subject, status }) => [subject, status.state]));
    });
    await until(async () => `Bob to be told; he sees ${JSON.stringify(await states())}`, async () => (await states())['number 1'] === 'read', { timeout: MAIL_TIMEOUT_MS });
    assert.equal((await states())['number 2'], 'delivered', 'it was moved, not read');
  });

  await t.test('what is deleted on one is deleted on the other, both ways', async () => {
    await remove(first, threadOf(letters, 1));
    await remove(second, threadOf(letters, 2));
    const both = { 'number 3': 'inbox unread starred', 'number 4': 'archive' };
    await Promise.all([isShown(first, bobId, both), isShown(second, bobId, both)]);
  });

  await t.test('two machines that are never there together agree too, and mail lies with custodians until both have it', async () => {
    await first.go();
    await second.go();
    const before = await quiet(keepers);
    await bob.send(adaId, [5, 6]);
    const lying = [...(await heldBy(keepers))].filter((id) => !before.has(id));
    assert.equal(lying.length, 2);
    const left = async () => {
      const held = await heldBy(keepers);
      return lying.filter((id) => held.has(id)).length;
    };

    await second.come();
    letters = await second.receive(bobId, 3);
    const held = await toldBeside(keepers, new Set([...before, ...lying]), 1);
    assert.equal(await left(), 2, 'the first machine has yet to get them');
    await mark(second, threadOf(letters, 5), { read: true, starred: true });
    await toldBeside(keepers, held, 1);
    await second.go();

    await first.come();
    await isShown(first, bobId, { 'number 3': 'inbox unread starred', 'number 4': 'archive', 'number 5': 'inbox starred', 'number 6': 'inbox unread' });
    await until(async () => `both letters to be gone from the custodians; there are ${await left()}`, async () => (await left()) === 0, { timeout: MAIL_TIMEOUT_MS, every: 500 });
    const known = await quiet(keepers);
    await mark(first, threadOf(letters, 3), { starred: false, read: true });
    await remove(first, threadOf(letters, 6));
    // A note of what was removed, and a snapshot of what was changed.
    await toldBeside(keepers, known, 2);
    await first.go();

    await second.come();
    await isShown(second, bobId, { 'number 3': 'inbox', 'number 4': 'archive', 'number 5': 'inbox starred' });
  });
});
