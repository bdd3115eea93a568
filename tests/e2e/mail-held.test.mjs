// Somebody whose browser may send nothing attaches a large file: the page says why the mail stays, and a button lets it go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './lib/browser.mjs';
import { custody, MAIL_TIMEOUT_MS, people, STORED } from './lib/mail.mjs';

/** Goes through the swarm. */
const LARGE_BYTES = 300_000;

test('a mail whose attachments may not be sent says so, and goes out when the person allows it', { timeout: 900_000 }, async (t) => {
  const { relay } = await custody(t);
  const [ada, bob] = people(t, relay, ['chromium', 'Ada'], ['firefox', 'Bob']);
  await bob.come();
  const card = await bob.card();
  await ada.come();
  const { message, thread } = await ada.ask(async (gyre, to, bytes) => {
    await gyre.setUpload(false);
    await gyre.mail.set({ stampBits: 4 });
    const { id } = await gyre.mail.addContact(to, 'Bob');
    return gyre.mail.send({ to: [id], subject: 'large', text: 'a large file', attachments: [new File([new Uint8Array(bytes)], 'large.bin')] });
  }, card, LARGE_BYTES);
  const status = () => ada.ask(async (gyre, id) => (await gyre.mail.thread(id))[0].status[0], thread);
  await until(async () => `it to be held back; it is ${JSON.stringify(await status())}`, async () => (await status()).code === 'UPLOADS_OFF', { timeout: MAIL_TIMEOUT_MS });
  assert.equal((await status()).message, message);

  const { visitor } = ada;
  await visitor.page.evaluate((id) => { location.hash = `#/mail/sent/${id}`; }, thread);
  const said = () => visitor.text('statuses');
  await until(async () => `the page to say so; it says ${await said()}`, async () => /Held back: what is attached lies in this browser/.test(await said()));
  await visitor.click('mail-allow');
  await until(async () => `it to be stored; it is ${JSON.stringify(await status())}`, async () => STORED.includes((await status()).state), { timeout: MAIL_TIMEOUT_MS });
  assert.equal((await status()).code, null);
  await until('the button to be gone', async () => (await visitor.find('mail-allow')) === null);
});
