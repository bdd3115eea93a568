// Two people meet over the mail page: one makes a mailbox and gives its address away, the other writes to it, is a stranger, is let in, and
// is answered. Whatever stands on the page is asked of the page.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { launch, until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';

/** How long a letter may take from one page to the other, in milliseconds: generous, for two cores with three browsers. */
const MAIL_TIMEOUT_MS = 240_000;

/** A letter is stored with three receipts and a relay's. */
const CUSTODIANS = 4;

const go = (visitor, hash) => visitor.page.evaluate((address) => { location.hash = address; }, hash);
const says = (visitor, id, pattern) =>
  until(async () => `${id} to say ${pattern} in ${visitor.kind}; it says ${await visitor.text(id)}`, async () => {
    const element = await visitor.find(id);
    return element && pattern.test(await element.evaluate((found) => found.textContent.replace(/\s+/g, ' ')));
  }, { timeout: MAIL_TIMEOUT_MS });

async function type(visitor, id, text) {
  const field = await visitor.see(id);
  await field.focus();
  await visitor.page.keyboard.type(text);
}

/** From an empty browser to an inbox; resolves with the address that the page shows. */
async function settle(visitor, name) {
  await visitor.node((gyre) => gyre.setUpload(true));
  await go(visitor, '#/mail');
  await visitor.click('mail-make-keys');
  await visitor.click('words-later');
  await type(visitor, 'mail-name', name);
  await visitor.click('mail-create');
  const address = await until(`the address of ${name}`, async () => {
    const text = await visitor.text('my-link');
    return /#\/m\/\w{52}/.test(text) ? text : null;
  }, { timeout: MAIL_TIMEOUT_MS });
  await visitor.click('mail-enter');
  await says(visitor, 'mail-empty', /No mail here/);
  return address;
}

test('somebody gives their address away, is written to by a stranger, lets them in, and answers', { timeout: 900_000 }, async (t) => {
  const scene = new Scene(t);
  const folder = mkdtempSync(join(tmpdir(), 'gyre-mail-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const relay = await scene.add(startRelay({ args: ['--puzzle-bits', '0', '--mailboxes', '100MB'] }));
  // Other people's pages keep mail, and the relay does.
  const others = await launch('chromium');
  t.after(() => others.close());
  for (let i = 0; i < CUSTODIANS; i++) {
    const custodian = await Visitor.arrive('chromium', relay, { browser: await others.context() });
    await custodian.node((gyre) => gyre.setUpload(true));
  }
  const [ada, bob] = [await scene.add(Visitor.arrive('chromium', relay)), await scene.add(Visitor.arrive('firefox', relay))];

  const address = await settle(bob, 'Bob');
  await settle(ada, 'Ada');
  await ada.node((gyre) => gyre.mail.set({ stampBits: 8 }));

  // The link opens a mail to its owner.
  await go(ada, address.slice(address.indexOf('#')));
  await until('Bob to be found', async () => (await ada.page.$('[data-testid="mail-chip"][data-state="known"]')) !== null);
  await type(ada, 'mail-subject', 'The plan');
  await type(ada, 'mail-area', 'It is in the file.');
  const file = join(folder, 'plan.txt');
  writeFileSync(file, 'the plan itself');
  await (await until('the file input', () => ada.find('mail-attach'))).uploadFile(file);
  await until('the draft to be kept', () => ada.node(async (gyre) => (await gyre.mail.list('drafts')).total === 1));
  await ada.click('mail-send');
  await says(ada, 'statuses', /Stored on|Delivered/);
  assert.equal(await ada.node(async (gyre) => (await gyre.mail.list('drafts')).total), 0, 'what was sent is no draft');

  // At Bob's it waits as a request, in plain text.
  await go(bob, '#/mail/requests');
  await says(bob, 'mail-rows', /The plan/);
  await bob.page.$eval('[data-testid="mail-row"] a', (link) => link.click());
  await says(bob, 'mail-text', /It is in the file/);
  await type(bob, 'request-petname', 'Ada L');
  await bob.click('request-accept');
  await until('the request to be over', async () => (await bob.find('request')) === null);
  await says(ada, 'statuses', /Delivered/);

  await go(bob, '#/mail');
  await says(bob, 'mail-rows', /Ada L.*The plan/);
  await bob.page.$eval('[data-testid="mail-row"] a', (link) => link.click());
  await says(bob, 'attachments', /plan\.txt/);
  await bob.click('reply');
  await type(bob, 'mail-area', 'Then we do it.');
  await bob.click('mail-send');

  await says(ada, 'thread-subject', /The plan/);
  await until('the answer in the conversation', async () => (await ada.page.$$('[data-testid="mail"]')).length === 2, { timeout: MAIL_TIMEOUT_MS });
  const texts = await ada.page.$$eval('[data-testid="mail-text"]', (found) => found.map((one) => one.textContent));
  assert.ok(texts.some((text) => text.includes('Then we do it.')), `${texts}`);
  await go(ada, '#/mail/search/plan');
  await says(ada, 'mail-rows', /The plan/);
  ada.quiet();
  bob.quiet();
});
