// Drives the yardstick pages from Node.

/** Links two pages that hold raw.js, and resolves when both channels are open. `from` names the end that the first uses. */
export async function link(a, b, from = 'raw') {
  await a.evaluate((end) => window[end].create(true), from);
  await b.evaluate(() => window.raw.create(false));
  const offer = await a.evaluate((end) => window[end].offer(), from);
  const answer = await b.evaluate((sdp) => window.raw.answer(sdp), offer);
  await a.evaluate((end, sdp) => window[end].accept(sdp), from, answer);
  let open = false;
  const opened = Promise.all([a.evaluate((end) => window[end].opened, from), b.evaluate(() => window.raw.opened)]).then(() => { open = true; });
  while (!open) {
    const [fromA, fromB] = await Promise.all([a.evaluate((end) => window[end].takeCandidates(), from), b.evaluate(() => window.raw.takeCandidates())]);
    if (fromA.length) await b.evaluate((list) => window.raw.addCandidates(list), fromA);
    if (fromB.length) await a.evaluate((end, list) => window[end].addCandidates(list), from, fromB);
    await Promise.race([opened, new Promise((resolve) => setTimeout(resolve, 50))]);
  }
}

/** Sends `bytes` from a to b in messages of `message` bytes; resolves with MB/s as the receiver saw it. */
export async function throughput(a, b, bytes, message) {
  await link(a, b);
  try {
    await b.evaluate((expected) => window.raw.expect(expected), bytes);
    const finished = b.evaluate(() => window.raw.finished);
    const began = performance.now();
    await a.evaluate((total, size) => window.raw.send(total, size), bytes, message);
    const milliseconds = await finished;
    return { receiver: bytes / 1e3 / milliseconds, wall: bytes / 1e3 / (performance.now() - began) };
  } finally {
    await Promise.all([a, b].map((page) => page.evaluate(() => window.raw.close())));
  }
}

/**
 * Sends `bytes` from each page to the next at the same time, over links made before; resolves with MB/s over all of them, from
 * the moment the first began to the moment the last had everything.
 */
export async function chain(pages, bytes, message) {
  const pairs = pages.slice(1).map((to, i) => [pages[i], to]);
  for (const [from, to] of pairs) await link(from, to, 'onward');
  try {
    await Promise.all(pairs.map(([, to]) => to.evaluate((expected) => window.raw.expect(expected), bytes)));
    const began = performance.now();
    const finished = pairs.map(([, to]) => to.evaluate(() => window.raw.finished));
    await Promise.all(pairs.map(([from]) => from.evaluate((total, size) => window.onward.send(total, size), bytes, message)));
    await Promise.all(finished);
    return (pairs.length * bytes) / 1e3 / (performance.now() - began);
  } finally {
    await Promise.all(pages.map((page) => page.evaluate(() => { window.raw.close(); window.onward.close(); })));
  }
}
