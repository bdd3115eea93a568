// Many letters between two people who are never there together, without any relay, while every machine that was given them is replaced by
// another.

import { test } from 'node:test';
import { Scene } from './lib/app.mjs';
import { until } from './lib/browser.mjs';
import { heldBy, Keeper } from './lib/mail.mjs';
import { ANSWERS, BOTH_WAYS, checked, clock, COUNT, KEEPERS, meet, numbers, people, receive, replace, send, several, STEP_TIMEOUT_MS } from './lib/mail-many.mjs';
import { startRelay } from './lib/relay.mjs';

test(`${COUNT} letters each way after the relay has gone`, { timeout: 12 * STEP_TIMEOUT_MS }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const { ada, bob, others } = await people(t, relay);
  // A machine that nobody introduces cannot come, so all are there from the beginning, and whoever is away has locked their mailbox: their
  // machine is one that passes signals on and keeps nothing.
  const passphrase = 'a sentence of some words';
  const there = async (person) => {
    if (!person.visitor) {
      await person.come();
      return person.ask((gyre, words) => gyre.keys.setPassphrase(words), passphrase);
    }
    return person.ask(async (gyre, words) => {
      await gyre.keys.unlock(words);
      await gyre.mail.start();
    }, passphrase);
  };
  const away = (person) => person.ask((gyre) => gyre.keys.lock());
  const took = clock();
  const keepers = await several(KEEPERS, () => Keeper.come(others, relay));
  const later = await several((BOTH_WAYS ? 2 : 1) * KEEPERS, () => Keeper.come(others, relay, { keeps: false }));
  const comes = async () => {
    const keeper = later.shift();
    await keeper.begin();
    return keeper;
  };
  const again = (keeper) => keeper.begin();
  const { adaId, bobId } = await meet(ada, bob, there, away);
  took('machines and acquaintance');
  const everybody = [...keepers, ...later].map(({ visitor }) => visitor).concat(ada.visitor, bob.visitor);
  // A network that is younger than ten minutes has no index of its own (docs/discovery.md): machines know those that they once met, here for a file.
  const [first, ...rest] = everybody;
  const link = await first.node(async (gyre) => (await gyre.share(new Blob([new Uint8Array(4_000).fill(7)]), { name: 'a file' })).link);
  await Promise.all(rest.map((visitor) => visitor.node(async (gyre, url) => void (await (await gyre.open(url)).arrayBuffer()), link)));
  const heirs = new Set(await Promise.all(later.map(({ visitor }) => visitor.peerId())));
  const linked = async (visitor, among) => (await visitor.peers()).filter(({ role, peerId }) => role !== 'relay' && (!among || among.has(peerId))).length;
  const known = async () => ({
    others: await Promise.all(everybody.map((visitor) => linked(visitor))),
    heirs: await Promise.all(keepers.map(({ visitor }) => linked(visitor, heirs))),
  });
  await until(async () => `everybody to know others; links: ${JSON.stringify(await known())}`, async () => {
    const links = await known();
    return links.others.every((count) => count >= 3) && links.heirs.every((count) => count >= 2);
  }, { timeout: STEP_TIMEOUT_MS });
  await relay.kill();
  await until(async () => `everybody to go on without the relay; they say ${JSON.stringify(await Promise.all(everybody.map((visitor) => visitor.node((gyre) => gyre.stats().state))))}`, async () =>
    (await Promise.all(everybody.map((visitor) => visitor.node((gyre) => gyre.stats().state === 'peers')))).every(Boolean));
  took('the relay gone');

  await send(ada, bobId, numbers(1), []);
  await away(ada);
  took('sent there');
  let lying;
  let now;
  ({ fresh: now, lying } = await replace(keepers, comes, again));
  took(`${lying.size} messages handed on`);
  await there(bob);
  const threads = await receive(bob, adaId, numbers(1), now, lying);
  took('received there');
  await send(bob, adaId, numbers(ANSWERS), threads);
  await away(bob);
  took('sent back');
  lying = await heldBy(now);
  if (BOTH_WAYS) {
    ({ fresh: now, lying } = await replace(now, comes, again));
    took(`${lying.size} messages handed on`);
  }
  await there(ada);
  await receive(ada, bobId, numbers(ANSWERS), now, lying);
  took('received back');
  await away(ada);
  await there(bob);
  await checked(bob, adaId, numbers(1));
});
