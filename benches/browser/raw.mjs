// Drives the yardstick pages from Node.

/** Links two pages that hold raw.js, and resolves when both channels are open. */
export async function link(a, b) {
  await a.evaluate(() => window.raw.create(true));
  await b.evaluate(() => window.raw.create(false));
  const offer = await a.evaluate(() => window.raw.offer());
  const answer = await b.evaluate((sdp) => window.raw.answer(sdp), offer);
  await a.evaluate((sdp) => window.raw.accept(sdp), answer);
  let open = false;
  const opened = Promise.all([a, b].map((page) => page.evaluate(() => window.raw.opened))).then(() => { open = true; });
  while (!open) {
    const [fromA, fromB] = await Promise.all([a, b].map((page) => page.evaluate(() => window.raw.takeCandidates())));
    if (fromA.length) await b.evaluate((list) => window.raw.addCandidates(list), fromA);
    if (fromB.length) await a.evaluate((list) => window.raw.addCandidates(list), fromB);
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
