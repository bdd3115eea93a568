// Many letters between two people who are never there together, while every machine that was given them is replaced by another.
//
// MAIL_MANY=50 sends fifty each way instead of twenty, and replaces the machines on the way back too (docs/benchmarks.md).

import assert from 'node:assert/strict';
import { launch, until } from './browser.mjs';
import { heldBy, numberOf, Person, STORED } from './mail.mjs';

/** Letters each way. */
export const COUNT = Number(process.env.MAIL_MANY ?? 20);
/** Whether the machines are replaced on the way back too. */
export const BOTH_WAYS = COUNT >= 50;
/** Letters of one conversation from one side. */
const OF_A_THREAD = 5;
/** A letter is stored with five receipts; one more, as a page may be busy. */
export const KEEPERS = 6;
/** How long the whole of a step may take, in milliseconds. A machine takes ten envelopes of a peer at once and one a second; a lone copy waits
 * for one to two minutes before it is copied on, and a reader who could not reach somebody asks again after ten. */
export const STEP_TIMEOUT_MS = 1_200_000 + 6_000 * COUNT;
/** Answers are numbered from here on. */
export const ANSWERS = 1000;

const sizeOf = (number) => 300 + ((number * 997) % 7_500);
export const numbers = (first) => Array.from({ length: COUNT }, (_, at) => first + at);

/** Sends one letter after the other, round the conversations; those of `threads` are gone on with. Resolves when each is stored. */
export async function send(person, to, all, threads) {
  const sent = await person.ask(async (gyre, id, letters, known, count) => {
    const ends = [...known];
    const messages = [];
    for (const [at, { number, size }] of letters.entries()) {
      const end = ends[at % count];
      const file = new File([new Uint8Array(size).fill(number)], `${number}.bin`, { type: 'application/x-test' });
      const draft = { to: [id], subject: `number ${number}`, text: `This is letter ${number}.`, attachments: [file] };
      const { message, thread } = await gyre.mail.send({ ...draft, ...(end ? { thread: end.thread, inReplyTo: end.message } : {}) });
      ends[at % count] = { thread, message };
      messages.push(message);
    }
    return messages;
  }, to, all.map((number) => ({ number, size: sizeOf(number) })), threads, Math.ceil(COUNT / OF_A_THREAD));
  const waiting = () => person.ask(async (gyre, messages, stored) => {
    const states = new Map();
    for (const { id } of (await gyre.mail.list('sent', { limit: 500 })).threads) {
      for (const { id: message, status } of await gyre.mail.thread(id)) if (status[0]) states.set(message, status[0]);
    }
    return messages.map((message) => states.get(message) ?? null).filter((status) => !stored.includes(status?.state));
  }, sent, STORED);
  await until(async () => `${person.name}'s letters to be stored; it says ${JSON.stringify(await waiting())}`, async () => (await waiting()).length === 0, { timeout: STEP_TIMEOUT_MS, every: 500 });
}

/** What there is of a sender, conversation by conversation, in the order in which it is shown. */
const shown = (person, from) => person.ask(async (gyre, sender) => {
  const threads = [];
  for (const folder of ['inbox', 'requests']) {
    for (const { id } of (await gyre.mail.list(folder, { limit: 500 })).threads) {
      const mails = (await gyre.mail.thread(id)).filter((mail) => mail.from.id === sender && mail.subject.startsWith('number'));
      if (mails.length > 0) threads.push(mails.map(({ id: message, subject, text, attachments }) => ({ message, thread: id, subject, text, attachments: attachments.length })));
    }
  }
  return threads;
}, from);

/** Everything is here, once, in its order and whole. */
export async function checked(person, from, all) {
  const threads = await shown(person, from);
  for (const letters of threads) {
    const order = letters.map(numberOf);
    assert.deepEqual(order, order.toSorted((a, b) => a - b), `${person.name} sees a conversation in its order`);
    for (const letter of letters) assert.deepEqual([letter.text, letter.attachments], [`This is letter ${numberOf(letter)}.`, 1]);
  }
  assert.deepEqual(threads.flat().map(numberOf).sort((a, b) => a - b), all, `${person.name} has each letter once`);
  const wrong = await person.ask(async (gyre, letters) => {
    const found = [];
    for (const { message, number, size } of letters) {
      const content = new Uint8Array(await (await gyre.mail.attachment(message, 0)).arrayBuffer());
      if (content.length !== size || content.some((byte) => byte !== number % 256)) found.push(number);
    }
    return found;
  }, threads.flat().map((letter) => ({ message: letter.message, number: numberOf(letter), size: sizeOf(numberOf(letter)) })));
  assert.deepEqual(wrong, [], 'attachments that are not what was sent');
  assert.equal(threads.length, Math.ceil(COUNT / OF_A_THREAD));
  return threads.map((letters) => ({ thread: letters[0].thread, message: letters.at(-1).message }));
}

/** Waits for all letters, and until nobody keeps any of them. */
export async function receive(person, from, all, keepers, lying) {
  const count = async () => (await shown(person, from)).flat().length;
  await until(async () => `${all.length} letters at ${person.name}; there are ${await count()}`, async () => (await count()) >= all.length, { timeout: STEP_TIMEOUT_MS, every: 500 });
  const threads = await checked(person, from, all);
  // What else lies there is what machines tell their own.
  const left = async () => [...(await heldBy(keepers))].filter((id) => lying.has(id)).length;
  await until(async () => `letters that were read to be gone; ${await left()} of ${lying.size} messages are left`, async () => (await left()) <= lying.size - all.length, { timeout: STEP_TIMEOUT_MS, every: 500 });
  return threads;
}

/** Old machines go while new ones come, and none before others have what it holds. */
export async function replace(old, comes, again) {
  const lying = await heldBy(old);
  const fresh = [];
  for (const [at, one] of old.entries()) {
    fresh.push(await comes());
    const staying = [...fresh, ...old.slice(at + 1)];
    // What was deleted meanwhile nobody has to have.
    const alone = async () => {
      const held = await one.holds();
      return [...held].filter((id) => !others.has(id));
    };
    let others = await heldBy(staying);
    if ((await alone()).length > 0) {
      await again(one);
      await until(async () => `machine ${at + 1} of ${old.length} to hand on ${(await alone()).length} messages`, async () => {
        others = await heldBy(staying);
        return (await alone()).length === 0;
      }, { timeout: STEP_TIMEOUT_MS, every: 1000 });
    }
    await one.leave();
  }
  return { fresh, lying };
}

/** Says how long each step took. */
export function clock() {
  let began = performance.now();
  return (what) => {
    const now = performance.now();
    console.log(`${what}: ${((now - began) / 1000).toFixed(1)} s`);
    began = now;
  };
}

/** Both know each other, and have passes to the other's mailbox. `there` and `away` make them come and go. */
export async function meet(ada, bob, there, away) {
  await there(bob);
  const [card, bobId] = [await bob.card(), await bob.id()];
  await away(bob);
  await there(ada);
  const adaId = await ada.ask(async (gyre, link) => {
    await gyre.mail.set({ stampBits: 8 });
    await gyre.mail.addContact(link, 'Bob');
    return (await gyre.mail.state()).id;
  }, card);
  await greet(ada, bobId, 'hello');
  await ada.card();
  await away(ada);
  await there(bob);
  await heard(bob, 'hello');
  await bob.ask((gyre, id) => gyre.mail.setContact(id, { state: 'accepted', petname: 'Ada' }), adaId);
  await greet(bob, adaId, 'welcome');
  await away(bob);
  await there(ada);
  await heard(ada, 'welcome');
  return { adaId, bobId };
}

async function greet(person, to, subject) {
  const message = await person.ask(async (gyre, id, about) => (await gyre.mail.send({ to: [id], subject: about, text: about, attachments: [] })).message, to, subject);
  const status = () => person.ask(async (gyre, id) => {
    for (const thread of (await gyre.mail.list('sent')).threads) for (const mail of await gyre.mail.thread(thread.id)) if (mail.id === id) return mail.status[0];
    return null;
  }, message);
  await until(async () => `${person.name}'s ${subject} to be stored; it is ${JSON.stringify(await status())}`, async () => STORED.includes((await status())?.state), { timeout: STEP_TIMEOUT_MS });
}

async function heard(person, subject) {
  await until(`${subject} at ${person.name}`, () => person.ask(async (gyre, about) => {
    for (const folder of ['inbox', 'requests']) if ((await gyre.mail.list(folder)).threads.some((thread) => thread.subject === about)) return true;
    return false;
  }, subject), { timeout: STEP_TIMEOUT_MS });
}

export async function people(t, relay) {
  const [ada, bob] = [new Person('chromium', relay, 'Ada', { keeps: false }), new Person('firefox', relay, 'Bob', { keeps: false })];
  t.after(() => Promise.all([ada.forget(), bob.forget()]));
  const others = await launch('chromium');
  t.after(() => others.close());
  return { ada, bob, others };
}

export const several = (count, make) => Promise.all(Array.from({ length: count }, make));
