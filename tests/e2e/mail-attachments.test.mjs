// An attachment as large as one may be reaches its reader by way of pages that keep it: its sender has left before the reader comes.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { launch, until } from './lib/browser.mjs';
import { onDisk } from './lib/disk.mjs';
import { startRelay } from './lib/relay.mjs';

/** How long a letter may take from one machine to others, in milliseconds: generous, for two cores with three browsers. */
const MAIL_TIMEOUT_MS = 240_000;
/** 25 MiB are for all that is attached and the text. */
const BYTES = (25 << 20) - 4_096;
/** A letter is stored with five receipts, and its attachment with three. */
const CUSTODIANS = 5;

/** Bytes of an identity: 52 letters of z-base-32 (docs/identity.md). */
function idBytes(id) {
  const bits = [...id].map((letter) => 'ybndrfg8ejkmcpqxot1uwisza345h769'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Array.from({ length: 32 }, (_, at) => Number.parseInt(bits.slice(8 * at, 8 * at + 8), 2));
}

/** Opens somebody's page, and their mailbox. */
async function arrive(relay, name, options) {
  const visitor = await Visitor.arrive('chromium', relay, options);
  await visitor.node(async (gyre, called) => {
    await gyre.setUpload(true);
    if ((await gyre.keys.state()).state === 'missing') await gyre.keys.create();
    if ((await gyre.mail.state()).state === 'none') await gyre.mail.create(called);
    await gyre.mail.start();
  }, name);
  return visitor;
}

test('an attachment of 25 MiB reaches a reader whose sender has left, and the page says how far it is', { timeout: 1_500_000 }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const others = await launch('chromium');
  t.after(() => others.close());
  const custodians = await Promise.all(Array.from({ length: CUSTODIANS }, async () => Visitor.arrive('chromium', relay, { browser: await others.context() })));
  for (const one of custodians) await one.node((gyre) => gyre.setUpload(true));
  const kept = () => Promise.all(custodians.map((one) => one.node((gyre) => gyre.mail.kept())));

  const profile = mkdtempSync(join(tmpdir(), 'gyre-mail-'));
  t.after(() => rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }));
  let bob = await arrive(relay, 'Bob', { profile });
  await until('Bob to be findable', () => bob.node(async (gyre) => (await gyre.mail.state()).findable), { timeout: MAIL_TIMEOUT_MS });
  const card = await bob.node(async (gyre) => (await gyre.mail.card()).link);
  await bob.leave();

  const ada = await arrive(relay, 'Ada of Mailstone');
  const sent = await ada.node(async (gyre, link, size) => {
    await gyre.mail.set({ stampBits: 8 });
    window.told = [];
    gyre.mail.addEventListener('status', ({ detail: { state, progress, peers } }) => window.told.push({ state, progress, peers }));
    const { id } = await gyre.mail.addContact(link, 'Bob');
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
    const attachments = [new File([bytes], 'large.bin', { type: 'application/x-test' })];
    await gyre.mail.send({ to: [id], subject: 'The large matter', text: 'Find attached what nobody else may read.', attachments });
    return { me: (await gyre.mail.state()).id, bob: id, beginning: [...bytes.subarray(0, 24)], sha256: [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].join() };
  }, card, BYTES);
  const status = () => ada.node(async (gyre) => (await gyre.mail.list('sent')).threads[0]?.status);
  await until(async () => `the letter to be stored; it is ${JSON.stringify([await status(), await kept()])}`, async () => (await status())?.state === 'stored', { timeout: MAIL_TIMEOUT_MS });
  // Enough had signed for the letter while those that are to keep the attachment were still fetching it.
  const told = await ada.node(() => window.told);
  const passing = told.filter(({ state }) => state === 'uploading');
  assert.ok(passing.length > 0, JSON.stringify(told));
  for (const { progress, peers } of passing) assert.ok(peers >= 5 && progress >= 0 && progress < 1, JSON.stringify(passing));
  assert.ok(told.findLastIndex(({ state }) => state === 'uploading') < told.findIndex(({ state }) => state === 'stored'));
  const holding = (await kept()).filter(({ attachments, attachmentBytes }) => attachments === 1 && attachmentBytes >= BYTES);
  assert.ok(holding.length >= 3, `${holding.length} keep it`);
  assert.deepEqual(await custodians[0].node((gyre) => gyre.swarms().length), 0, 'it is no file of theirs');
  await ada.leave();

  // What those who keep it have on their disks says nothing of it, nor of her, nor of him.
  const secret = {
    'her name': 'Mailstone', 'her id': sent.me, 'her id in bytes': idBytes(sent.me), 'his id': sent.bob, 'his id in bytes': idBytes(sent.bob),
    'the subject': 'The large matter', 'the text': 'what nobody else may read', 'the name of the file': 'large.bin', 'its type': 'application/x-test', 'its bytes': sent.beginning,
  };
  for (const custodian of custodians.slice(0, 2)) {
    const { found, bytes } = await onDisk(custodian, secret);
    assert.deepEqual(found, []);
    assert.ok(bytes >= BYTES, `${bytes} bytes were looked through`);
  }
  // The same look finds what is there in clear.
  await custodians[0].node(async (gyre) => gyre.share(new File(['a control that is in clear'], 'control-name.txt'), { public: true }));
  assert.deepEqual((await onDisk(custodians[0], { ...secret, control: 'a control that is in clear' })).found, ['control']);

  bob = await arrive(relay, 'Bob', { profile });
  t.after(() => bob.leave());
  const requests = () => bob.node(async (gyre) => (await gyre.mail.list('requests')).threads.map(({ id }) => id));
  const [thread] = await until('the letter', async () => {
    const found = await requests();
    return found.length > 0 && found;
  }, { timeout: MAIL_TIMEOUT_MS });
  await bob.node((gyre, id) => gyre.mail.setContact(id, { state: 'accepted' }), sent.me);
  const opened = await bob.node(async (gyre, id) => {
    const [mail] = await gyre.mail.thread(id);
    const blob = await gyre.mail.attachment(mail.id, 0);
    return { size: blob.size, type: blob.type, sha256: [...new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()))].join() };
  }, thread);
  assert.deepEqual(opened, { size: BYTES, type: 'application/x-test', sha256: sent.sha256 });
  // Now that Bob has all of it, nobody keeps it for him any more.
  await until(async () => `all to let go of it; they say ${JSON.stringify(await kept())}`, async () => (await kept()).every(({ attachments }) => attachments === 0), { timeout: MAIL_TIMEOUT_MS });
});
