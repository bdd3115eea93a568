// A page without a network takes a letter with an attachment, says that it waits, keeps it over a reload, and sends it once there is a network.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { serveApp } from './lib/app-server.mjs';
import { kinds, until, wait } from './lib/browser.mjs';
import { custody, MAIL_TIMEOUT_MS, people, STORED } from './lib/mail.mjs';

/** Goes through the swarm: no envelope holds it. */
const ATTACHED_BYTES = 100_000;
const ATTACHED_VALUE = 42;
/** For how long it is watched that a letter does nothing but wait, in milliseconds. */
const WATCHED_MS = 3_000;

/** Loads the page anew, and waits for its mailbox; whether there is a network is not asked. */
async function begin(visitor) {
  await visitor.page.reload({ waitUntil: 'domcontentloaded' });
  await until('the mailbox to be open', () => visitor.node(async (gyre) => gyre !== undefined && (await gyre.mail.state()).state === 'ready'));
}

async function type(visitor, id, text) {
  await (await visitor.see(id)).focus();
  await visitor.page.keyboard.type(text);
}

for (const kind of kinds) {
  test(`a letter that is written offline waits, survives a reload, and goes out once there is a network, in ${kind}`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const { relay, keepers } = await custody(t);
    const [bob] = people(t, relay, ['chromium', 'Bob']);
    await bob.come();
    await bob.ask((gyre) => gyre.mail.set({ stampBits: 4 }));
    const card = await bob.card();

    const folder = mkdtempSync(join(tmpdir(), 'gyre-mail-'));
    t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 }));
    const app = await scene.add(serveApp(relay));
    const ada = await scene.add(Visitor.arrive(kind, app));
    const bobs = await ada.node(async (gyre, link) => {
      await gyre.setUpload(true);
      await gyre.keys.create();
      await gyre.mail.create('Ada');
      return (await gyre.mail.addContact(link, 'Bob')).id;
    }, card);

    // From here on there is no network; the page is served all the same, and begins without one.
    await relay.stop();
    await begin(ada);
    assert.notEqual(await ada.node((gyre) => gyre.stats().state), 'joined');

    await ada.page.evaluate((id) => { location.hash = `#/m/${id}`; }, bobs);
    await until('Bob to be the recipient', () => ada.page.$('[data-testid="mail-chip"][data-state="known"]'));
    await type(ada, 'mail-subject', 'From the train');
    await type(ada, 'mail-area', 'There is no network here.');
    const file = join(folder, 'view.bin');
    writeFileSync(file, Buffer.alloc(ATTACHED_BYTES, ATTACHED_VALUE));
    await (await until('the file input', () => ada.find('mail-attach'))).uploadFile(file);
    await until('the draft with its file to be kept', () => ada.node(async (gyre) => {
      const [draft] = (await gyre.mail.list('drafts')).threads;
      return draft !== undefined && (await gyre.mail.draft(draft.id)).attachments.length === 1;
    }));
    await ada.click('mail-send');
    const sent = () => ada.node(async (gyre) => (await gyre.mail.list('sent')).threads.map(({ id, subject, status }) => ({ id, subject, state: status?.state })));
    await until(async () => `the letter to be in the outbox; there is ${JSON.stringify(await sent())}`, async () => (await sent()).length === 1);
    const [{ id }] = await sent();

    const waits = async () => {
      await ada.page.evaluate((thread) => { location.hash = `#/mail/sent/${thread}`; }, id);
      await until(async () => `the page to say that it waits; it says ${await ada.text('statuses')}`, async () => /Waiting/i.test(await ada.text('statuses')));
      assert.deepEqual(await sent(), [{ id, subject: 'From the train', state: 'waiting' }]);
      assert.match(await ada.text('attachments'), /view\.bin/);
      assert.equal(await ada.node(async (gyre) => (await gyre.mail.list('drafts')).total), 0, 'what was sent is no draft');
    };
    await waits();
    await wait(WATCHED_MS);
    await waits();
    await begin(ada);
    await waits();
    const kept = await ada.node(async (gyre, thread) => {
      const [mail] = await gyre.mail.thread(thread);
      const bytes = new Uint8Array(await (await gyre.mail.attachment(mail.id, 0)).arrayBuffer());
      return [mail.text.trim(), bytes.length, bytes.every((byte) => byte === bytes[0]) && bytes[0]];
    }, id);
    assert.deepEqual(kept, ['There is no network here.', ATTACHED_BYTES, ATTACHED_VALUE]);

    // The network is back, and nobody touches the page.
    await relay.start();
    await Promise.all(keepers.map(({ visitor }) => visitor.joined(MAIL_TIMEOUT_MS)));
    await until(async () => `the letter to be stored; it is ${JSON.stringify(await sent())}`, async () => STORED.includes((await sent())[0].state), { timeout: MAIL_TIMEOUT_MS });
    await until(async () => `the page to say so; it says ${await ada.text('statuses')}`, async () => /Stored on|Delivered|Read/.test(await ada.text('statuses')));
    const adas = await ada.node(async (gyre) => (await gyre.mail.state()).id);
    const [letter, ...more] = await bob.receive(adas, 1);
    assert.deepEqual([letter.subject, letter.text.trim(), letter.attachments, more.length], ['From the train', 'There is no network here.', 1, 0]);
    const got = await bob.ask(async (gyre, message) => {
      const bytes = new Uint8Array(await (await gyre.mail.attachment(message, 0)).arrayBuffer());
      return [bytes.length, bytes.every((byte) => byte === bytes[0]) && bytes[0]];
    }, letter.id);
    assert.deepEqual(got, [ATTACHED_BYTES, ATTACHED_VALUE]);
    assert.equal((await sent()).length, 1, 'it was sent once');
  });
}
