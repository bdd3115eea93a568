// The mail page as somebody uses it, in either browser: the first time, reading, writing, keys, undo, strangers. Over a mailbox in memory
// (www/test/fake-mailbox.ts), so that every state can be brought about; what the network does is tested elsewhere.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { kinds, launch, until } from './lib/browser.mjs';
import { openStage } from './lib/stage.mjs';

/** Keys that puppeteer knows by name only. */
const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};

class Reader {
  static async arrive(t, kind, { hash = '#/mail', mailbox = true } = {}) {
    const reader = new Reader();
    const stage = await openStage();
    t.after(() => stage.close());
    const browser = await launch(kind);
    t.after(() => browser.close());
    reader.kind = kind;
    reader.page = await browser.page(stage.url);
    await until('the stage', () => reader.page.evaluate(() => Boolean(window.stage && window.gyre)));
    if (mailbox) await reader.furnish();
    await reader.go(hash);
    return reader;
  }

  /** Keys, a mailbox, three people and some mail. */
  furnish() {
    return this.page.evaluate(async () => {
      const { mailbox, node, from, idOf, person } = window.stage;
      await node.createKeys();
      await mailbox.create('Ada');
      const grace = person(idOf('b'), 'Grace', { name: 'Grace Hopper' });
      const lin = person(idOf('n'), 'Lin');
      mailbox.people = [grace, lin];
      const hour = 3_600_000;
      const now = Date.now();
      mailbox.put({ thread: 'T1', from: from(grace), subject: 'Minutes', text: 'The minutes are attached.', time: now - hour, to: [{ id: 'y'.repeat(52), name: 'Ada', petname: null, address: null }, from(lin)], attachments: [{ name: 'minutes.txt', type: 'text/plain', size: 7, here: true }], id: 'M1' });
      mailbox.files.set('M1', [new Blob(['minutes'])]);
      mailbox.put({ thread: 'T2', from: from(lin), subject: 'Supper', text: 'On Saturday?', time: now - 2 * hour });
      mailbox.put({ thread: 'T3', from: from(lin), subject: 'Garden', text: 'The beans are up.', time: now - 3 * hour, read: true });
      mailbox.put({ thread: 'S1', from: { id: idOf('f'), name: 'Mallory', petname: null, address: null }, subject: 'An offer', text: 'See https://win.example', html: '<b>See</b>', time: now });
    });
  }

  go(hash) {
    return this.page.evaluate((address) => { location.hash = address; }, hash);
  }

  see(id) {
    return until(`${id} to be seen`, async () => {
      const element = await this.page.$(`[data-testid="${id}"]`);
      return element && (await element.isVisible()) ? element : null;
    });
  }

  async click(id) {
    await until(`${id} to be clicked`, async () => {
      await (await this.see(id)).evaluate((found) => found.click());
      return true;
    });
  }

  gone(id) {
    return until(`${id} to go`, async () => (await this.page.$(`[data-testid="${id}"]`)) === null);
  }

  async type(id, text) {
    const field = await this.see(id);
    await field.focus();
    await this.page.keyboard.type(text);
  }

  text(id) {
    return until(`the text of ${id}`, async () => (await this.see(id)).evaluate((found) => (typeof found.value === 'string' && found.tagName !== 'BUTTON' ? found.value : found.textContent).replace(/\s+/g, ' ').trim() || null));
  }

  says(id, pattern) {
    return until(async () => `${id} to say ${pattern}; it says ${await this.text(id)}`, async () => pattern.test(await this.text(id)));
  }

  subjects() {
    return this.page.$$eval('[data-testid="mail-row"] .subject', (found) => found.map((one) => one.textContent));
  }

  shows(...subjects) {
    return until(async () => `the rows ${subjects}; there are ${await this.subjects()}`, async () => (await this.subjects()).join() === subjects.join());
  }

  box(ask, ...args) {
    return this.page.evaluate(`(${ask})(window.stage.mailbox, ...${JSON.stringify(args)})`);
  }

  focused() {
    return this.page.evaluate(() => document.activeElement?.dataset.thread ?? document.activeElement?.dataset.testid ?? document.activeElement?.id);
  }

  quiet() {
    assert.deepEqual(this.page.complaints.filter((line) => !/404|Manifest|ServiceWorker|script/i.test(line)), [], `${this.kind} complained`);
  }
}

for (const kind of kinds) {
  test(`the first time: keys, words, a name, an address, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind, { mailbox: false });
    await reader.click('mail-make-keys');
    await reader.click('words-written');
    const words = 'abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve acid acoustic acquire across act action actor actress actual'.split(' ');
    await reader.see('word-answer');
    for (const field of await reader.page.$$('[data-testid="word-answer"]')) {
      await field.type(words[await field.evaluate((found) => Number(found.dataset.place))]);
    }
    await reader.click('words-check');
    await reader.click('mail-create');
    await reader.says('mail-gate', /Give a name/);
    await reader.type('mail-name', 'Ada');
    await reader.click('mail-create');
    assert.match(await reader.text('my-link'), /#\/m\/y{52}$/);
    await reader.says('my-safety', /10203/);
    await reader.click('my-qr');
    await reader.see('qr');
    await reader.click('mail-enter');
    await reader.says('mail-empty', /No mail here/);
    reader.quiet();
  });

  test(`24 words on an empty machine bring the mailbox back, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind, { mailbox: false });
    await reader.click('mail-restore');
    await reader.type('restore-words', 'abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve acid acoustic acquire across act action actor actress actual');
    await reader.click('restore-button');
    await reader.see('mail-not-found');
    await reader.box((box) => { box.elsewhere = { found: true, mails: 7, contacts: 2 }; });
    await reader.click('mail-look-again');
    await reader.says('mail-toast', /7 mails and 2 contacts/);
    await reader.see('mail-page');
    reader.quiet();
  });

  test(`mail is read, answered and passed on, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind);
    await reader.shows('Minutes', 'Supper', 'Garden');
    assert.equal(await reader.page.title(), '(2) Inbox – Gyre');
    const label = await reader.page.$eval('[data-thread="T1"]', (row) => row.getAttribute('aria-label'));
    assert.match(label, /^Unread, Grace, Minutes, 1 attachment/);
    await reader.go('#/mail/inbox/T1');
    assert.equal(await reader.text('thread-subject'), 'Minutes');
    await until('it to be read', () => reader.box((box) => box.calls.some((call) => call === 'mark T1 {"read":true}')));
    await until('the count to go down', async () => (await reader.page.title()) === '(1) Minutes – Gyre' && (await reader.text('folder-inbox')) === 'Inbox1');

    await reader.click('reply-all');
    await until('both recipients', async () => (await reader.page.$$('[data-testid="mail-chip"]')).length === 2);
    assert.equal(await reader.text('mail-subject'), 'Re: Minutes');
    await reader.type('mail-area', 'Thank you.');
    await reader.click('mail-send');
    await until('two mails', async () => (await reader.page.$$('[data-testid="mail"]')).length === 2);
    await reader.says('statuses', /Waiting for a connection/);
    const sent = await reader.box((box) => box.mails.at(-1));
    assert.equal(sent.thread, 'T1');
    assert.match(sent.text, /^Thank you\.\n\nOn .* Grace wrote:\n> The minutes are attached\.$/);
    await reader.box((box, id) => box.advance(id, { state: 'stored', peers: 5, relays: 1 }), sent.id);
    await reader.says('statuses', /Stored on 5 machines and 1 mailbox relay, waiting for Grace/);
    await reader.box((box, id) => box.advance(id, { state: 'delivered' }), sent.id);
    await reader.says('statuses', /Delivered to Grace/);
    await reader.gone('mail-cancel');

    await reader.go('#/mail/inbox/T2');
    await reader.says('thread-subject', /Supper/);
    await reader.go('#/mail/inbox/T1');
    await reader.says('thread-subject', /Minutes/);
    await reader.page.$eval('[data-message="M1"] .mail-head', (head) => head.getAttribute('aria-expanded') === 'false' && head.click());
    await reader.see('attachment-save');
    await reader.box((box) => { box.mails = box.mails.filter(({ own }) => !own); });
    await reader.go('#/mail');
    await reader.see('mail-rows');
    await reader.go('#/mail/inbox/T1');
    await reader.click('forward');
    await until('the attachment to come along', async () => (await reader.text('compose-files')).includes('minutes.txt'));
    assert.equal(await reader.text('mail-subject'), 'Fwd: Minutes');
    await reader.click('mail-send');
    await reader.says('compose-wrong', /Say to whom/);
    reader.quiet();
  });

  test(`a mail is written with completion and files, kept while it is written, and sent offline, in ${kind}`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'gyre-mail-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const reader = await Reader.arrive(t, kind, { hash: '#/mail/write' });
    await until('the first field to have the focus', async () => (await reader.focused()) === 'mail-to');
    await reader.page.keyboard.type('gra');
    await reader.says('mail-completion', /Grace/);
    await press(reader.page, 'Enter');
    await reader.says('mail-chip', /Grace/);
    await reader.page.keyboard.type('nobody,');
    await until('the one that nobody is', async () => (await reader.page.$('[data-state="wrong"]')) !== null);
    await reader.type('mail-subject', 'Plans');
    await reader.type('mail-area', 'What we do');
    await reader.says('draft-state', /Kept as a draft/);
    const address = await reader.page.evaluate(() => location.hash);
    assert.match(address, /^#\/mail\/write\/d/);
    await reader.click('mail-send');
    await reader.says('compose-wrong', /nobody.*in your contacts/);
    await press(reader.page, 'Backspace');

    await reader.go('#/mail');
    await reader.see('mail-rows');
    await reader.go(address);
    await reader.says('mail-area', /What we do/);
    const file = join(folder, 'plan.txt');
    writeFileSync(file, 'the plan');
    await (await until('the file input', () => reader.page.$('[data-testid="mail-attach"]'))).uploadFile(file);
    await reader.says('compose-files', /plan\.txt/);
    await reader.page.evaluate(() => {
      const given = new DataTransfer();
      given.items.add(new File(['x'], 'dropped.txt'));
      document.querySelector('main').dispatchEvent(new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true }));
    });
    await reader.says('compose-files', /dropped\.txt/);

    await reader.box((box) => {
      box.setState({ network: 'offline' });
      box.gates.set('send', new Promise((resolve) => { window.letGo = resolve; }));
    });
    await reader.says('compose', /You are offline/);
    await reader.click('mail-send');
    await reader.click('send-stop');
    await reader.says('compose-wrong', /kept as a draft/);
    await reader.click('mail-send');
    await reader.see('send-progress');
    await reader.page.evaluate(() => window.letGo());
    await reader.says('statuses', /Waiting for a connection/);
    await reader.says('mail-toast', /goes out by itself/);
    assert.equal(await reader.box((box) => box.drafts.size), 0);
    assert.deepEqual(await reader.box((box) => [box.mails.at(-1).to[0].petname, box.mails.at(-1).attachments.map(({ name }) => name)]), ['Grace', ['plan.txt', 'dropped.txt']]);
    reader.quiet();
  });

  test(`a link to somebody begins a mail to them, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind, { hash: `#/m/${'n'.repeat(52)}` });
    await reader.says('mail-chip', /Lin/);
    await reader.go(`#/m/${'g'.repeat(52)}`);
    await reader.says('mail-chip', /gggggg…gggggg/);
    reader.quiet();
  });

  test(`a picture of a code that the page shows is read again, and one without a code is not, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind, { hash: '#/mail/contacts' });
    await reader.click('my-qr');
    const shown = await (await reader.see('my-link')).evaluate(({ value }) => value);
    assert.match(shown, /#\/m\/\w{52}/);
    const folder = mkdtempSync(join(tmpdir(), 'gyre-scan-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    // As somebody photographs a screen: the code with what stands around it.
    const code = await reader.see('qr');
    await code.scrollIntoView();
    const { x, y, width, height } = await code.boundingBox();
    assert.ok(width > 100, `${width} pixels wide`);
    await reader.page.screenshot({ path: join(folder, 'code.png'), captureBeyondViewport: true, clip: await reader.page.evaluate((box) => ({ ...box, x: box.x + scrollX, y: box.y + scrollY }), { x, y, width, height }) });
    await (await reader.see('my-link')).screenshot({ path: join(folder, 'none.png') });
    await reader.click('contact-scan');
    const pick = async (name) => (await until('the choice of a picture', () => reader.page.$('[data-testid="scan-file"]'))).uploadFile(join(folder, name));
    await pick('none.png');
    await until('the page to say that there is no code', () => reader.page.evaluate(() => /No code was found/.test(document.querySelector('[data-testid="scan"]')?.textContent ?? '')));
    await pick('code.png');
    await reader.gone('scan');
    assert.equal(await (await reader.see('contact-link')).evaluate(({ value }) => value), shown);
  });

  test(`keys move, select, archive, undo and search, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind);
    await reader.shows('Minutes', 'Supper', 'Garden');
    await press(reader.page, 'j', 'j');
    await until('the second row to have the focus', async () => (await reader.focused()) === 'T2');
    await press(reader.page, 'e');
    await reader.shows('Minutes', 'Garden');
    await until('the next row to have the focus', async () => (await reader.focused()) === 'T3');
    await reader.says('mail-toast', /1 conversation archived/);
    await press(reader.page, 'z');
    await reader.shows('Minutes', 'Supper', 'Garden');
    await press(reader.page, 'x', 'k', 'x', '#');
    await reader.shows('Minutes');
    await reader.says('mail-toast', /2 conversations moved to the trash/);
    await reader.click('mail-undo');
    await reader.shows('Minutes', 'Supper', 'Garden');
    await press(reader.page, 'k', 's');
    await until('a star', () => reader.box((box) => box.calls.some((call) => call.endsWith('{"starred":true}'))));
    await press(reader.page, '/');
    await until('the search to have the focus', async () => (await reader.focused()) === 'mail-query');
    await reader.page.keyboard.type('beans');
    await press(reader.page, 'Enter');
    await reader.shows('Garden');
    await press(reader.page, 'Tab');
    await reader.page.evaluate(() => document.activeElement.blur());
    await press(reader.page, 'j', 'Enter');
    await reader.says('thread-subject', /Garden/);
    await press(reader.page, 'r');
    await until('the answer to have the focus', async () => (await reader.focused()) === 'mail-area');
    await press(reader.page, 'e', 'j');
    assert.equal(await reader.text('mail-area'), 'ej', 'letters are text where text is written');
    await reader.page.evaluate(() => document.activeElement.blur());
    await press(reader.page, 'u');
    await reader.shows('Garden');
    await press(reader.page, '?');
    await reader.says('mail-help', /Archive/);
    await press(reader.page, 'Escape');
    await reader.gone('mail-help');
    await press(reader.page, 'g', 'd');
    await reader.says('mail-rows', /Re: Garden/);
    reader.quiet();
  });

  test(`a stranger waits, in plain text, until they are let in, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind, { hash: '#/mail/requests' });
    await reader.says('folder-requests', /1/);
    await reader.shows('An offer');
    await reader.go('#/mail/inbox/S1');
    await reader.says('request', /Mallory/);
    await reader.go('#/mail/requests/S1');
    await reader.says('request', /You do not know “Mallory”/);
    assert.equal(await reader.page.$('[data-testid="mail-html"]'), null);
    assert.equal(await reader.page.$('[data-testid="mail-text"] a'), null);
    assert.equal(await reader.box((box) => box.calls.some((call) => call.startsWith('mark S1'))), false, 'looking at it tells nobody');
    await reader.type('request-petname', 'Mal');
    await reader.click('request-accept');
    await reader.gone('request');
    await reader.go('#/mail');
    await reader.shows('An offer', 'Minutes', 'Supper', 'Garden');
    await reader.box((box) => box.put({ thread: 'S2', from: { id: 'g'.repeat(52), name: 'Eve', petname: null, address: null }, subject: 'Another', text: 'x' }));
    await reader.go('#/mail/requests/S2');
    await reader.click('request-block');
    await reader.click('confirm-yes');
    await until('the block', () => reader.box((box) => box.people.some(({ id, state }) => id.startsWith('g') && state === 'blocked')));
    reader.quiet();
  });

  test(`contacts and settings do what they say, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind, { hash: '#/mail/contacts' });
    await reader.click('contact-add');
    await reader.type('contact-link', `https://host.example/#/m/${'g'.repeat(52)}`);
    await reader.type('contact-name', 'Otto');
    await reader.click('contact-add');
    await reader.says('contacts', /Otto/);
    await reader.says('safety', /31415/);
    await reader.click('contact-mute');
    await until('the mute', () => reader.box((box) => box.people.some(({ petname, state }) => petname === 'Otto' && state === 'muted')));
    await reader.go('#/mail/settings');
    await reader.click('setting-read-receipts');
    await reader.click('setting-strangers');
    await until('the choices', () => reader.box((box) => box.chosen.readReceipts && box.chosen.strangers === 'closed'));
    await reader.says('mail-kept', /214 sealed letters, 3\.5 MB/);
    const folder = mkdtempSync(join(tmpdir(), 'gyre-mail-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'old.mbox'), 'From a');
    await (await reader.page.$('[data-testid="mail-import"]')).uploadFile(join(folder, 'old.mbox'));
    await reader.says('transfer-result', /12 mails imported, 1 were here already/);
    await reader.box((box) => box.gates.set('export', new Promise(() => undefined)));
    await reader.click('mail-export');
    await reader.click('transfer-stop');
    await reader.see('mail-export');
    await reader.click('setting-keys');
    await reader.go('#/mail');
    await reader.shows('Minutes', 'Supper', 'Garden');
    await press(reader.page, 'j', 'e');
    await reader.shows('Minutes', 'Supper', 'Garden');
    assert.equal(await reader.box((box) => box.calls.some((call) => call.includes('archive'))), false, 'letters are no commands where they are off');
    reader.quiet();
  });

  test(`the keys of an identity go on paper, are changed, taken back and given up, in ${kind}`, async (t) => {
    const paper = `${'abandon '.repeat(23)}art`;
    const reader = await Reader.arrive(t, kind, { hash: '#/mail/settings' });
    const called = (start) => until(`a call of ${start}`, () => reader.page.evaluate((start) => window.stage.mailbox.calls.findLast((call) => call.startsWith(start)) ?? null, start));
    const answer = async () => {
      await reader.says('recovery-list', /abandon.*art/);
      await reader.click('recovery-written');
      await until('two questions', async () => (await reader.page.$$('[data-testid="recovery-answer"]')).length === 2);
      await reader.click('recovery-check');
      await reader.says('recovery-note', /is another one/);
      for (const field of await reader.page.$$('[data-testid="recovery-answer"]')) {
        await field.focus();
        const place = await field.evaluate((input) => Number(input.dataset.place));
        await reader.page.keyboard.type(place === 23 ? 'art' : 'abandon');
      }
      await reader.click('recovery-check');
    };
    await reader.says('identity', /All keys of your identity are on this machine/);
    // A site of the person's hangs from it: the line for its file, and the name in the chain.
    const name = `k51${'q'.repeat(59)}`;
    await reader.page.evaluate((name) => localStorage.setItem('gyre.my-sites', JSON.stringify([['3', { site: 3, name, title: 'Garden', cid: `bafyr4i${'a'.repeat(52)}`, sequence: 0, files: 1, bytes: 1, time: 0, confirmed: true, fallback: null, earlier: [] }]])), name);
    await reader.page.evaluate(() => dispatchEvent(new StorageEvent('storage', { key: 'gyre.my-sites', storageArea: localStorage })));
    await reader.says('identity-sites', /dmail:y{52} 3/);
    await reader.click('identity-sign');
    assert.equal(await called('setSite'), `setSite 3 ${name}`);
    // What it names besides, from another machine, is listed with its address, and either is withdrawn after a question, with the keyboard alone.
    const far = `k51${'x'.repeat(59)}`;
    await reader.page.$eval('[data-testid="identity-sites"]', (list) => (list.open = true));
    await reader.box((box, far) => box.setSite(9, far), far);
    const rows = () => reader.page.$$eval('[data-testid="identity-site"]', (all) => all.map((row) => row.innerText));
    const withdrawn = (number) => reader.box((box, number) => !box.now.sites.some(({ site }) => site === number), number);
    await until('both are listed', async () => (await rows()).length === 2);
    assert.match((await rows())[1], new RegExp(`dmail:y{52} 9[^]*${far}`));
    assert.equal(await reader.page.$eval('[data-state="elsewhere"] a', (link) => link.hash), `#/s/${far}/`);
    const press = async (row) => {
      await reader.page.$eval(`${row} [data-testid="identity-withdraw"]`, (button) => button.focus());
      await reader.page.keyboard.press('Enter');
      await reader.see('confirm-yes');
    };
    await press('[data-state="elsewhere"]');
    assert.equal(await reader.page.evaluate(() => document.activeElement.value), 'no', 'nothing is withdrawn by pressing twice');
    await reader.page.keyboard.press('Enter');
    await reader.gone('confirm-yes');
    assert.equal((await rows()).length, 2);
    await press('[data-state="elsewhere"]');
    await reader.page.keyboard.press('Tab');
    await reader.page.keyboard.press('Enter');
    await until('it is gone from the list', async () => (await rows()).length === 1);
    assert.equal(await withdrawn(9), true);
    await until('the keyboard goes on from the list', () => reader.page.evaluate(() => document.activeElement.localName === 'summary'));
    await press('[data-testid="identity-site"]');
    await reader.page.keyboard.press('Tab');
    await reader.page.keyboard.press('Enter');
    await until('the own one is withdrawn', () => withdrawn(3));
    await reader.see('identity-sign');
    await reader.gone('identity-withdraw');
    // Machines that signed at the same moment are called just that.
    await reader.box((box) => box.setState({ concurrent: 'open' }));
    await reader.says('identity-concurrent', /does not count yet/);
    await reader.box((box) => box.setState({ concurrent: 'settled' }));
    await reader.says('identity-concurrent', /Both changes count/);
    assert.equal(await reader.page.$('[data-testid="mail-forked"]'), null);
    await reader.click('identity-paper');
    await answer();
    assert.equal(await called('changeKeys'), `changeKeys - > ${paper}`);
    await reader.says('identity-paper-made', /on your paper alone/);
    // Changed, with the words of the paper and for a new one.
    await reader.click('identity-change');
    await reader.type('recovery-words', 'abandon art');
    await reader.click('recovery-go');
    await reader.says('recovery-note', /22 are missing/);
    await reader.page.$eval('[data-testid="recovery-words"]', (field) => (field.value = ''));
    await reader.type('recovery-words', paper);
    await reader.click('recovery-go');
    await answer();
    assert.equal(await called(`changeKeys ${paper}`), `changeKeys ${paper} > ${paper}`);
    // Left out, and taken back after the first step.
    await reader.box((box) => box.setState({ standing: 'out' }));
    await reader.click('identity-back');
    await reader.page.select('[data-testid="identity-keep"]', '1');
    await reader.type('recovery-words', paper);
    await reader.click('recovery-go');
    await answer();
    assert.equal(await called(`changeKeys ${paper} > ${paper} after`), `changeKeys ${paper} > ${paper} after 1`);
    // Nothing ends without the words, and without being asked once more.
    await reader.click('identity-end');
    await reader.type('recovery-words', paper);
    await reader.click('recovery-go');
    await reader.see('confirm-yes');
    assert.equal(await reader.box((box) => box.calls.some((call) => call.startsWith('giveUp'))), false);
    await reader.click('confirm-yes');
    assert.equal(await called('giveUp'), `giveUp ${paper}`);
    await reader.says('identity-ended', /Nobody sends to it any more/);
    reader.quiet();
  });

  test(`an identity that contradicts itself is shown where its mail, its contact or its owner is, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind, { hash: '' });
    await reader.box((box) => {
      box.people = box.people.map((one) => (one.petname === 'Grace' ? { ...one, forked: true } : one));
      box.now = { ...box.now, forked: true };
    });
    await reader.go('#/mail/inbox/T1');
    await reader.says('sender-forked', /old keys of Grace/);
    await reader.go('#/mail/inbox/T2');
    await reader.gone('sender-forked');
    await reader.go('#/mail/contacts');
    await reader.says('contact-forked', /old keys of this person/);
    assert.equal((await reader.page.$$('[data-testid="contact-forked"]')).length, 1, 'of Lin nothing is said');
    await reader.go('#/mail/settings');
    await reader.says('mail-forked', /two versions of your identity/);
    reader.quiet();
  });

  test(`new mail is told of once, wherever one is, in ${kind}`, async (t) => {
    const reader = await Reader.arrive(t, kind);
    await reader.shows('Minutes', 'Supper', 'Garden');
    await reader.page.evaluate(() => {
      const { mailbox, from, idOf, person } = window.stage;
      mailbox.arrive({ thread: 'N', from: from(person(idOf('n'), 'Lin')), subject: 'News', text: 'x' });
    });
    await reader.says('mail-toast', /Lin: News/);
    await reader.shows('News', 'Minutes', 'Supper', 'Garden');
    await reader.go('#/sites');
    await until('the badge', () => reader.page.$eval('[data-testid="mail-button"]', (button) => button.getAttribute('aria-label') === 'Mail, 3 unread'));
    reader.quiet();
  });
}
