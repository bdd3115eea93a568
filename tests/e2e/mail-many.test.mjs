// Many letters between two people who are never there together, with a relay that introduces machines to each other and keeps no mail, while
// every machine that was given them is replaced by another.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scene } from './lib/app.mjs';
import { heldBy, Keeper } from './lib/mail.mjs';
import { ANSWERS, BOTH_WAYS, checked, clock, COUNT, KEEPERS, meet, numbers, people, receive, replace, send, several, STEP_TIMEOUT_MS } from './lib/mail-many.mjs';
import { startRelay } from './lib/relay.mjs';

test(`${COUNT} letters each way, and every machine that kept them is replaced`, { timeout: 12 * STEP_TIMEOUT_MS }, async (t) => {
  const scene = new Scene(t);
  const relay = await scene.add(startRelay());
  const { ada, bob, others } = await people(t, relay);
  const comes = () => Keeper.come(others, relay);
  const again = (keeper) => keeper.again();
  const [there, away] = [(person) => person.come(), (person) => person.go()];
  const took = clock();
  let keepers = await several(KEEPERS, comes);
  took('machines');
  const { adaId, bobId } = await meet(ada, bob, there, away);
  took('acquaintance');

  await send(ada, bobId, numbers(1), []);
  await away(ada);
  took('sent there');
  let lying;
  ({ fresh: keepers, lying } = await replace(keepers, comes, again));
  assert.ok(lying.size >= COUNT, `${lying.size} messages`);
  took(`${lying.size} messages handed on`);

  await there(bob);
  const threads = await receive(bob, adaId, numbers(1), keepers, lying);
  took('received there');
  await send(bob, adaId, numbers(ANSWERS), threads);
  await away(bob);
  took('sent back');
  lying = await heldBy(keepers);
  if (BOTH_WAYS) {
    ({ fresh: keepers, lying } = await replace(keepers, comes, again));
    took(`${lying.size} messages handed on`);
  }

  await there(ada);
  await receive(ada, bobId, numbers(ANSWERS), keepers, lying);
  took('received back');
  await away(ada);
  // What was received is still here, and does not come a second time.
  await there(bob);
  await checked(bob, adaId, numbers(1));
  took('and once more');
});
