// What takes long: thirty tabs in one swarm, and one tab in four swarms for half an hour.
//
//   BENCH_TABS=30      tabs of the one
//   BENCH_MINUTES=30   minutes of the other

import { cidOf, Visitor } from '../../tests/e2e/lib/app.mjs';
import { launch, until, wait } from '../../tests/e2e/lib/browser.mjs';
import { startRelay } from '../../tests/e2e/lib/relay.mjs';

const MB = 1_000_000;
const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

const TABS = Number(process.env.BENCH_TABS ?? 30);
const TABS_SIZE = 10 * MB;
/** How long the tabs may take in all: thirty pages on two cores. */
const TABS_PATIENCE_MS = 20 * MINUTE_MS;

const MINUTES = Number(process.env.BENCH_MINUTES ?? 30);
const SWARMS = 4;
/** Received in bytes per second, over all swarms: little enough to leave the machine to others. */
const RATE = 100_000;
/** What may come at once before the rate holds. */
const BURST = 4 * MB;
/** What the first minutes take is not growth: pages, links and caches come up. */
const WARM_UP_SHARE = 0.25;
/** What may be more at the end than after the warm-up. */
const MOST_MORE = { wasm: 8 * MIB, heap: 8 * MIB, listeners: 40, timers: 20, links: 4 };

/** One seed and many leeches, each with a store of its own, that come one after the other and fetch at once. */
export async function tabs({ log, kind }) {
  const relay = await startRelay();
  const browser = await launch(kind);
  try {
    const visitors = [];
    for (let i = 0; i < TABS; i++) visitors.push(await Visitor.arrive(kind, relay, { browser: await browser.context() }));
    for (const visitor of visitors) await visitor.node((gyre) => gyre.setUpload(true));
    log(`${TABS} tabs have joined`);
    const [seed, ...leeches] = visitors;
    const link = await seed.node(shareRandom, TABS_SIZE, 'tabs');
    const began = performance.now();
    await Promise.all(leeches.map((leech) => leech.node((gyre, url) => void gyre.open(url).catch(() => {}), link)));
    await until(
      async () => `all tabs to finish; they have ${JSON.stringify(await Promise.all(leeches.map(async (leech) => (await leech.swarm(link))?.have)))}`,
      async () => (await Promise.all(leeches.map(async (leech) => (await leech.swarm(link))?.state))).every((state) => state === 'complete'),
      { timeout: TABS_PATIENCE_MS, every: 500 },
    );
    const took = performance.now() - began;
    const copies = (await seed.node((gyre) => gyre.stats().up)) / TABS_SIZE;
    const linked = await Promise.all(visitors.map(async (visitor) => (await visitor.peers()).filter((peer) => peer.via === 'direct').length));
    log(`all have it after ${(took / 1000).toFixed(1)} s; the seed sent ${copies.toFixed(2)} copies; ${Math.min(...linked)} to ${Math.max(...linked)} links each`);
    return [
      { what: `${TABS} tabs, 10 MB, from one seed`, ours: (leeches.length * TABS_SIZE) / 1e3 / took, unit: 'MB/s', wanted: 'all finish', ok: true, samples: { took, linked } },
      { what: `${TABS} tabs, copies sent by the seed`, ours: copies, unit: 'copies', samples: { copies } },
    ];
  } finally {
    await browser.close();
    await relay.forget();
  }
}

/** A tab that receives and passes on in four swarms, looked at once a minute. */
export async function endurance({ log, kind }) {
  const relay = await startRelay();
  const browser = await launch(kind);
  try {
    const arrive = async () => {
      const context = await browser.context();
      return Visitor.arrive(kind, relay, { browser: { ...context, page: (url) => counted(context, url) } });
    };
    const [seed, subject, other] = [await arrive(), await arrive(), await arrive()];
    for (const visitor of [seed, subject, other]) await visitor.node((gyre) => gyre.setUpload(true));
    // More than can come in the time, so that all four go on to the end.
    const size = Math.ceil((RATE * MINUTES * 60 * 1.2) / SWARMS) + BURST;
    for (const visitor of [subject, other]) await visitor.node((gyre, downRate) => gyre.setLimits({ downRate }), RATE);
    const links = [];
    for (let i = 0; i < SWARMS; i++) links.push(await seed.node(shareRandom, size, `swarm ${i}`));
    for (const visitor of [subject, other]) await visitor.node((gyre, urls) => urls.forEach((url) => gyre.open(url).catch(() => {})), links);
    await until('all four to begin', async () => (await Promise.all(links.map((link) => subject.swarm(link)))).every((swarm) => swarm?.have > 0), { timeout: 5 * MINUTE_MS });

    const session = await subject.page.createCDPSession();
    await session.send('Performance.enable');
    const looks = [];
    const began = performance.now();
    while (performance.now() - began < MINUTES * MINUTE_MS) {
      await wait(Math.min(MINUTE_MS, (MINUTES * MINUTE_MS) / 4));
      looks.push(await look(subject, session));
      const { wasm, heap, listeners, timers, links: open, down, up } = looks.at(-1);
      log(`minute ${((performance.now() - began) / MINUTE_MS).toFixed(1)}: WebAssembly ${(wasm / MIB).toFixed(1)} MiB, heap ${(heap / MIB).toFixed(1)} MiB, ${listeners} listeners, ${timers} timers, ${open} links, ${(down / MB).toFixed(1)} MB in, ${(up / MB).toFixed(1)} MB out`);
    }
    const swarms = await Promise.all(links.map((link) => subject.swarm(link)));
    const busy = swarms.filter((swarm) => swarm.state !== 'complete' && swarm.have > 0).length;
    const first = looks[Math.floor(looks.length * WARM_UP_SHARE)];
    const last = looks.at(-1);
    const grown = (key) => last[key] - first[key];
    const row = (what, key, unit, by = 1) => ({ what: `${MINUTES} minutes in four swarms, ${what}`, ours: grown(key) / by, unit, wanted: `≤ ${MOST_MORE[key] / by}`, ok: grown(key) <= MOST_MORE[key] });
    return [
      { what: 'swarms under way at the end', ours: busy, unit: 'swarms', wanted: '4', ok: busy === SWARMS },
      { ...row('WebAssembly memory', 'wasm', 'MiB more', MIB), samples: looks },
      row('heap after a collection', 'heap', 'MiB more', MIB),
      row('event listeners', 'listeners', 'more'),
      row('timers', 'timers', 'more'),
      row('peer connections', 'links', 'more'),
    ];
  } finally {
    await browser.close();
    await relay.forget();
  }
}

/** A page that counts its timers and peer connections from the first script on. */
async function counted(context, url) {
  const page = await context.page();
  await page.evaluateOnNewDocument(() => {
    const timers = new Set();
    const counts = { links: 0, timers: () => timers.size };
    window.counted = counts;
    for (const [set, clear, repeats] of [['setTimeout', 'clearTimeout', false], ['setInterval', 'clearInterval', true]]) {
      const [begin, end] = [window[set].bind(window), window[clear].bind(window)];
      window[set] = (run, ...rest) => {
        const id = begin((...given) => {
          if (!repeats) timers.delete(id);
          return run(...given);
        }, ...rest);
        timers.add(id);
        return id;
      };
      window[clear] = (id) => {
        timers.delete(id);
        end(id);
      };
    }
    const Plain = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Plain {
      #open = true;

      constructor(...given) {
        super(...given);
        counts.links++;
      }

      close() {
        if (this.#open) counts.links--;
        this.#open = false;
        super.close();
      }
    };
  });
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  return page;
}

async function look(visitor, session) {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  const metric = (name) => metrics.find((each) => each.name === name).value;
  const told = await visitor.node((gyre) => {
    const { down, up } = gyre.stats();
    return { down, up, wasm: gyre.memoryBytes(), timers: window.counted.timers(), links: window.counted.links };
  });
  return { ...told, heap: metric('JSHeapUsedSize'), listeners: metric('JSEventListeners') };
}

async function shareRandom(gyre, size, name) {
  const parts = [];
  for (let at = 0; at < size; at += 65_536) parts.push(crypto.getRandomValues(new Uint8Array(Math.min(65_536, size - at))));
  return (await gyre.share(new Blob(parts), { name })).link;
}
