// The page came from somewhere, and goes on when that is gone: what an open mailbox needs was fetched when it was opened, in the tab that runs it
// and in those that may have to; and what could not be fetched is named as such.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { kinds, until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';

/** Whether a tab has fetched all of these. */
const fetched = (tab, names) => tab.node((_, wanted) => {
  const names = performance.getEntriesByType('resource').map(({ name }) => name);
  return wanted.every((part) => names.some((name) => name.includes(part)));
}, names);

for (const kind of kinds) {
  test(`in ${kind} a mailbox that is open goes on without the relay its page came from, also in the next tab`, { timeout: 600_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const first = await scene.add(Visitor.arrive(kind, relay));
    const stranger = await scene.add(Visitor.arrive(kind, relay));
    await first.node(async (gyre) => {
      await gyre.keys.create();
      await gyre.mail.create('Ada');
      await gyre.mail.import(new Blob(['Subject: the harvest\nMessage-ID: <1@x>\nFrom: C <c@x>\n\nturnips and barley\n']));
    });
    const page = await first.browser.page(relay.url);
    const second = Object.assign(new Visitor(), { kind, relay, browser: first.browser, page });
    await second.joined();
    assert.equal(await second.node((gyre) => gyre.runsHere), false);
    assert.equal((await second.node((gyre) => gyre.mail.list('archive'))).total, 1);
    const parts = ['gyre-mail.', 'gyre-mail-module.', '.wasm'];
    for (const tab of [first, second]) await until('a tab to have what mail needs', () => fetched(tab, parts), { timeout: 120_000 });

    await relay.stop();
    // Who keeps mail for others needs no mailbox, and nothing that a mailbox needs.
    assert.deepEqual(await stranger.node((gyre) => gyre.mail.kept()), { envelopes: 0, bytes: 0, attachments: 0, attachmentBytes: 0 });
    assert.equal(await stranger.node((gyre) => gyre.mail.state().then(() => 'loaded', ({ code }) => code)), 'NOT_LOADED');

    const found = (tab) => tab.node(async (gyre) => {
      for (;;) {
        const { threads, complete } = await gyre.mail.search('turnips');
        if (complete) return threads.map(({ subject }) => subject);
      }
    });
    assert.deepEqual(await found(first), ['the harvest']);
    assert.equal((await first.node((gyre) => gyre.mail.kept())).envelopes, 0);
    await first.page.close();
    await until('the other tab to run the node', () => second.node((gyre) => gyre.runsHere), { timeout: 60_000 });
    assert.deepEqual(await found(second), ['the harvest']);
    const draft = { to: [], subject: 'kept', text: '', attachments: [] };
    assert.equal(await second.node(async (gyre, kept) => (await gyre.mail.draft(await gyre.mail.saveDraft(kept))).subject, draft), 'kept');
  });
}
