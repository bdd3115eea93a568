// Mail through the SDK: two people who are never there at the same time write to each other, with attachments that fit into a letter; larger
// ones come while somebody who has them is there.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { launch, until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';

/** How long a letter may take from one machine to others, in milliseconds: generous, for two cores with four browsers. */
const MAIL_TIMEOUT_MS = 240_000;
/** Goes along in the envelope. */
const ATTACHMENT_BYTES = 6_000;
/** Goes through the swarm. */
const LARGE_BYTES = 300_000;
/** A letter is stored with five receipts; one more, as a page may be busy. */
const CUSTODIANS = 6;

/** One person: a browser whose profile outlives it. */
class Person {
  constructor(kind, relay, name) {
    this.kind = kind;
    this.relay = relay;
    this.name = name;
    this.profile = mkdtempSync(join(tmpdir(), 'gyre-mail-'));
    this.visitor = null;
  }

  /** Opens the page, as often as the person comes. */
  async come() {
    this.visitor = await Visitor.arrive(this.kind, this.relay, { profile: this.profile });
    await this.visitor.node(async (gyre, name) => {
      await gyre.setUpload(true);
      if ((await gyre.keys.state()).state === 'missing') await gyre.keys.create();
      if ((await gyre.mail.state()).state === 'none') await gyre.mail.create(name);
      await gyre.mail.start();
      window.heard = [];
      gyre.mail.addEventListener('mail', ({ detail }) => window.heard.push(detail.id));
    }, this.name);
    return this.visitor;
  }

  async go() {
    const visitor = this.visitor;
    this.visitor = null;
    await visitor?.leave();
  }

  async forget() {
    await this.go();
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  ask(work, ...args) {
    return this.visitor.node(work, ...args);
  }

  /** Sends letters, each with an attachment whose bytes follow from its number, and waits until they are stored. */
  async send(to, numbers, answers = {}, size = ATTACHMENT_BYTES) {
    const sent = await this.ask(async (gyre, id, all, bytes, threads) => {
      const messages = [];
      for (const number of all) {
        const file = new File([new Uint8Array(bytes).fill(number)], `${number}.bin`, { type: 'application/x-test' });
        const draft = { to: [id], subject: `number ${number}`, text: `This is letter ${number}.`, attachments: [file], ...threads[number] };
        messages.push(await gyre.mail.send(draft));
      }
      return messages;
    }, to, numbers, size, answers);
    await until(async () => `${this.name}'s letters to be stored; it says ${JSON.stringify(await this.statuses())}`, async () => {
      const states = await this.statuses();
      return sent.every(({ message }) => states.some((status) => status.message === message && ['stored', 'delivered', 'read'].includes(status.state)));
    }, { timeout: MAIL_TIMEOUT_MS });
    return sent;
  }

  statuses() {
    return this.ask(async (gyre) => (await gyre.mail.list('sent', { limit: 200 })).threads.map(({ status }) => status));
  }

  /** Waits for letters of somebody, and says what is in them, with the bytes of their attachments checked. */
  async receive(from, count) {
    const letters = () => this.ask(async (gyre, sender) => {
      const found = [];
      for (const folder of ['inbox', 'requests']) {
        for (const { id } of (await gyre.mail.list(folder, { limit: 200 })).threads) {
          for (const mail of await gyre.mail.thread(id)) if (mail.from.id === sender) found.push({ id: mail.id, thread: id, subject: mail.subject, text: mail.text, folder, attachments: mail.attachments.length });
        }
      }
      return found;
    }, from);
    await until(async () => `${count} letters at ${this.name}; there are ${JSON.stringify(await letters())}`, async () => (await letters()).length >= count, { timeout: MAIL_TIMEOUT_MS });
    return letters();
  }

  /** Bytes of an attachment that are not what they should be, or why it cannot be had. */
  wrong(message, number, size = ATTACHMENT_BYTES) {
    return this.ask(async (gyre, id, value, bytes) => {
      const blob = await gyre.mail.attachment(id, 0).catch((error) => error.code);
      if (typeof blob === 'string') return blob;
      const content = new Uint8Array(await blob.arrayBuffer());
      return content.length === bytes && blob.type === 'application/x-test' ? content.filter((byte) => byte !== value).length : `${content.length} bytes of ${blob.type}`;
    }, message, number, size);
  }
}

const numberOf = ({ subject }) => Number(subject.replace('number ', ''));

test('two people who are never there together write to each other, from two kinds of browsers', { timeout: 1_500_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay({ args: ['--puzzle-bits', '0', '--mailboxes', '100MB'] }));
  // Other people's pages keep mail, and the relay.
  const others = await launch('chromium');
  t.after(() => others.close());
  const custodians = await Promise.all(Array.from({ length: CUSTODIANS }, async () => Visitor.arrive('chromium', relay, { browser: await others.context() })));
  const [custodian] = custodians;
  for (const one of custodians) await one.node((gyre) => gyre.setUpload(true));
  const [ada, bob] = [new Person('chromium', relay, 'Ada'), new Person('firefox', relay, 'Bob')];
  t.after(() => Promise.all([ada.forget(), bob.forget()]));

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
  await until('every letter to be gone from the custodians', async () => (await custodian.node((gyre) => gyre.mail.kept())).envelopes === 0, { timeout: MAIL_TIMEOUT_MS });

  // A large file comes from whoever has it, and stays with whoever got it.
  await ada.come();
  await ada.send(bobId, [9], {}, LARGE_BYTES);
  const large = (await bob.receive(adaId, 5)).find((letter) => numberOf(letter) === 9);
  await until('the large file', async () => (await bob.wrong(large.id, 9, LARGE_BYTES)) === 0, { timeout: MAIL_TIMEOUT_MS });
});
