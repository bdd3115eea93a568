// The work that a stranger is asked for, in a worker: the page says how far it is, and the person ends it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scene } from './lib/app.mjs';
import { until, wait } from './lib/browser.mjs';
import { MAIL_TIMEOUT_MS, Person } from './lib/mail.mjs';
import { startRelay } from './lib/relay.mjs';

/** Four thousand million tries: a quarter of an hour and more, so that it does not end by itself. */
const BITS = 32;
/** Until a changed record has replaced the one before, in milliseconds. */
const PUBLISHED_MS = 10_000;

for (const kind of ['chromium', 'firefox']) {
  test(`a stamp shows how far it is, and its worker ends when the person stops it, in ${kind}`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay({ args: ['--puzzle-bits', '0', '--mailboxes', '100MB'] }));
    const [ada, bob] = [new Person(kind, relay, 'Ada'), new Person('chromium', relay, 'Bob')];
    t.after(() => Promise.all([ada.forget(), bob.forget()]));
    await bob.come();
    await bob.ask((gyre, stampBits) => gyre.mail.set({ stampBits }), BITS);
    const card = await bob.card();
    await wait(PUBLISHED_MS);

    const visitor = await ada.come();
    const { thread, message } = await ada.ask(async (gyre, link) => {
      window.told = [];
      gyre.mail.addEventListener('status', ({ detail }) => window.told.push(detail));
      const { id } = await gyre.mail.addContact(link, 'Bob');
      return gyre.mail.send({ to: [id], subject: 'May I?', text: 'A first letter.', attachments: [] });
    }, card);
    const parts = () => ada.ask(async () => window.told.filter(({ state, progress }) => state === 'stamping' && progress > 0).map(({ progress }) => progress));
    const told = await until(async () => `the stamp to come on; it says ${JSON.stringify(await ada.statuses())}`, async () => {
      const found = await parts();
      return found.length >= 3 && found;
    }, { timeout: MAIL_TIMEOUT_MS });
    assert.deepEqual(told, [...told].sort((a, b) => a - b), 'it only grows');
    assert.ok(told.at(-1) < 1, `${told.at(-1)} of ${BITS} bits so soon`);

    // What the page shows is that, and the button ends it.
    await visitor.page.evaluate((address) => { location.hash = address; }, `#/mail/sent/${thread}`);
    await until(async () => `the page to say so; it says ${await visitor.text('statuses')}`, async () => /Doing the work .* \d+ %/s.test(await visitor.text('statuses')), { timeout: MAIL_TIMEOUT_MS });
    const workers = () => visitor.page.workers().length;
    if (kind === 'chromium') assert.equal(workers(), 1, 'it is searched off the page\'s thread');
    await visitor.click('mail-cancel');
    await until(async () => `the page to say that it was stopped; it says ${await visitor.text('statuses')}`, async () => /Stopped by you/.test(await visitor.text('statuses')), { timeout: MAIL_TIMEOUT_MS });
    if (kind === 'chromium') await until('the worker to be gone', () => workers() === 0, { timeout: MAIL_TIMEOUT_MS });
    const [status] = await ada.statuses();
    assert.deepEqual([status.message, status.state, status.progress], [message, 'refused', null]);
    const heard = (await parts()).length;
    await wait(2_000);
    assert.equal((await parts()).length, heard, 'nothing is searched any more');
    assert.deepEqual(await bob.ask(async (gyre) => (await gyre.mail.list('requests')).total), 0);
  });
}
