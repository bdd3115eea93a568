// What is measured in real browsers, and how. Each measure resolves with rows `{ what, ours?, yardstick?, unit, ratio?, wanted?, ok? }`;
// several rounds alternate between ours and the yardstick, and the median of each is reported.

import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashOf, Visitor } from '../../tests/e2e/lib/app.mjs';
import { launch, until } from '../../tests/e2e/lib/browser.mjs';
import { serveFolder } from '../../tests/e2e/lib/files.mjs';
import { startRelay } from '../../tests/e2e/lib/relay.mjs';
import { firstLoad, packed, wasmFile } from '../../tests/size/measure.mjs';
import { crowd } from './crowd.mjs';
import { endurance, tabs } from './endurance.mjs';
import { mailMeasures } from './mail.mjs';
import { mailbox } from './mailbox.mjs';
import { throughput } from './raw.mjs';
import { siteMeasures } from './sites.mjs';
import { median } from './statistics.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const MB = 1_000_000;
const MIB = 1024 * 1024;
const BIG = 100 * MB;
const GB = 1_000 * MB;
/** A quota that never stops a measurement. */
const QUOTA = 8_000 * MB;
const KIND = process.env.BENCH_BROWSER ?? 'chromium';

export const measures = [
  {
    name: 'raw',
    about: 'raw RTCDataChannel and IndexedDB, nothing of ours',
    run: async ({ rounds, log }) => withRawPair(async (a, b) => {
      const [large, small, stored] = [[], [], []];
      for (let round = 0; round < rounds; round++) {
        large.push((await throughput(a, b, BIG, 65_536)).receiver);
        small.push((await throughput(a, b, BIG, 16_384)).receiver);
        stored.push(await b.evaluate((bytes) => window.raw.store(bytes, 262_144, 16), BIG));
        log(`round ${round + 1}: ${large.at(-1).toFixed(1)} MB/s in 64 KiB, ${small.at(-1).toFixed(1)} MB/s in 16 KiB, IndexedDB ${stored.at(-1).write.toFixed(0)} MB/s in, ${stored.at(-1).read.toFixed(0)} out`);
      }
      return [
        { what: 'raw channel, 64 KiB messages', yardstick: median(large), unit: 'MB/s' },
        { what: 'raw channel, 16 KiB messages', yardstick: median(small), unit: 'MB/s' },
        { what: 'IndexedDB write, 256 KiB values', yardstick: median(stored.map((s) => s.write)), unit: 'MB/s' },
        { what: 'IndexedDB read, 256 KiB values', yardstick: median(stored.map((s) => s.read)), unit: 'MB/s' },
      ];
    }),
  },
  {
    name: 'pair',
    needsApp: true,
    about: 'one pair, 100 MB, against a raw RTCDataChannel in the same arrangement',
    run: async ({ rounds, log }) => withStage(async (relay) => {
      const sender = await arrive(relay);
      const receiver = await arrive(relay);
      const [ours, whole, raw] = [[], [], []];
      try {
        for (let round = 0; round < rounds; round++) {
          const link = await sender.node(shareRandom, BIG, `pair ${round}`);
          const took = await receiver.node(fetchAll, link);
          ours.push(took.rate);
          whole.push(BIG / 1e3 / took.done);
          await Promise.all([sender, receiver].map((visitor) => visitor.node((gyre, url) => gyre.remove(url), link)));
          // Two more tabs of the same two browsers: the same processes, the same load.
          raw.push(await rawBetween(sender, receiver));
          log(`round ${round + 1}: ours ${ours.at(-1).toFixed(1)} MB/s (${whole.at(-1).toFixed(1)} with finding it), raw ${raw.at(-1).toFixed(1)} MB/s`);
        }
      } finally {
        await Promise.all([sender.leave(), receiver.leave()]);
      }
      const ratio = median(ours) / median(raw);
      return [
        { what: 'pair, 100 MB, while it flows', ours: median(ours), yardstick: median(raw), unit: 'MB/s', ratio, wanted: '≥ 80 %', ok: ratio >= 0.8, samples: { ours, raw } },
        { what: 'pair, 100 MB, link opened to last', ours: median(whole), unit: 'MB/s', samples: { whole } },
      ];
    }),
  },
  {
    name: 'crowd',
    needsApp: true,
    about: 'one seed and eight leeches, 20 MB, against WebTorrent and raw channels',
    run: ({ rounds, log }) => crowd({ rounds, log, kind: KIND }),
  },
  {
    name: 'tabs30',
    needsApp: true,
    long: true,
    about: 'thirty tabs in one swarm (BENCH_TABS=30); only when asked for',
    run: ({ log }) => tabs({ log, kind: KIND }),
  },
  {
    name: 'endurance',
    needsApp: true,
    long: true,
    about: 'one tab in four swarms for half an hour (BENCH_MINUTES=30); only when asked for',
    run: ({ log }) => endurance({ log, kind: KIND }),
  },
  {
    name: 'join',
    needsApp: true,
    about: 'page load to the first relay connected and reserved, and opening 1 MB',
    run: async ({ rounds, log }) => withStage(async (relay) => {
      const sender = await arrive(relay);
      const times = { join: [], again: [], first: [], done: [], cold: [] };
      try {
        for (let round = 0; round < rounds; round++) {
          const visitor = await Visitor.arrive(KIND, relay, { join: false });
          try {
            times.join.push(await sinceLoad(visitor, (gyre) => gyre?.stats().state === 'joined'));
            await visitor.page.reload({ waitUntil: 'domcontentloaded' });
            times.again.push(await sinceLoad(visitor, (gyre) => gyre?.stats().state === 'joined'));
            const link = await sender.node(shareRandom, MB, `open ${round}`);
            const opened = await visitor.node(openStreamed, link);
            times.first.push(opened.first);
            times.done.push(opened.done);
          } finally {
            await visitor.leave();
          }
          const cold = await sender.node(shareRandom, MB, `cold ${round}`);
          const stranger = await Visitor.arrive(KIND, relay, { hash: hashOf(cold), join: false });
          try {
            times.cold.push(await sinceLoad(stranger, (gyre) => gyre?.swarms().some((swarm) => swarm.state === 'complete')));
          } finally {
            await stranger.leave();
          }
          log(`round ${round + 1}: ${Object.entries(times).map(([name, list]) => `${name} ${list.at(-1).toFixed(0)}`).join(', ')} ms`);
        }
      } finally {
        await sender.leave();
      }
      return [
        { what: 'page load to joined, first visit', ours: median(times.join), unit: 'ms', samples: times },
        { what: 'page load to joined, after a reload', ours: median(times.again), unit: 'ms' },
        { what: 'link opened to first byte, 1 MB', ours: median(times.first), unit: 'ms' },
        { what: 'link opened to done, 1 MB', ours: median(times.done), unit: 'ms' },
        { what: 'page load by the link to done, 1 MB', ours: median(times.cold), unit: 'ms' },
      ];
    }),
  },
  {
    name: 'import',
    needsApp: true,
    about: 'importing 100 MB: hash, encrypt, store; against IndexedDB alone',
    run: async ({ rounds, log }) => withStage(async (relay) => {
      const visitor = await arrive(relay);
      const [ours, plain] = [[], []];
      try {
        const raw = await rawPage(visitor);
        for (let round = 0; round < rounds; round++) {
          const took = await visitor.node(importRandom, BIG, `import ${round}`);
          ours.push(BIG / 1e3 / took);
          plain.push((await raw.page.evaluate((bytes) => window.raw.store(bytes, 262_144, 16), BIG)).write);
          log(`round ${round + 1}: ours ${ours.at(-1).toFixed(1)} MB/s, IndexedDB alone ${plain.at(-1).toFixed(1)} MB/s`);
        }
        await raw.close();
      } finally {
        await visitor.leave();
      }
      return [{ what: 'import, 100 MB', ours: median(ours), yardstick: median(plain), unit: 'MB/s', ratio: median(ours) / median(plain), wanted: '≥ 60 MB/s', ok: median(ours) >= 60, samples: { ours, plain } }];
    }),
  },
  {
    name: 'memory',
    needsApp: true,
    about: 'growth of the WebAssembly memory for 1 GB in and out',
    run: async ({ log }) => withStage(async (relay) => {
      const sender = await arrive(relay);
      const receiver = await arrive(relay);
      try {
        const before = await Promise.all([sender, receiver].map(memory));
        const link = await sender.node(shareGenerated, GB);
        const imported = await memory(sender);
        log(`imported: ${(before[0] / MIB).toFixed(1)} MiB became ${(imported / MIB).toFixed(1)}`);
        await receiver.node(openStreamed, link);
        const after = await Promise.all([sender, receiver].map(memory));
        log(`sent: ${(after[0] / MIB).toFixed(1)} MiB; received and read: ${(before[1] / MIB).toFixed(1)} MiB became ${(after[1] / MIB).toFixed(1)}`);
        // WebAssembly memory never shrinks, so the last reading is the peak.
        const grown = after.map((now, i) => (now - before[i]) / MIB);
        return [
          { what: 'memory, 1 GB imported and sent', ours: grown[0], unit: 'MiB more', wanted: '< 64 MiB', ok: grown[0] < 64 },
          { what: 'memory, 1 GB received and read', ours: grown[1], unit: 'MiB more', wanted: '< 64 MiB', ok: grown[1] < 64 },
        ];
      } finally {
        await Promise.all([sender.leave(), receiver.leave()]);
      }
    }),
  },
  ...mailMeasures,
  {
    name: 'mailbox',
    about: 'a mailbox of 10,000 mails: lists and searches',
    run: ({ rounds, log }) => mailbox({ kind: KIND, rounds, log }),
  },
  {
    name: 'size',
    needsApp: true,
    about: 'what a page loads',
    run: async () => {
      const wasm = packed(readFileSync(wasmFile()));
      const shell = firstLoad().map((file) => packed(readFileSync(file)));
      const sum = (key) => shell.reduce((total, size) => total + size[key], 0) / 1e3;
      return [
        { what: 'WebAssembly, raw', ours: wasm.raw / 1e3, unit: 'kB' },
        { what: 'WebAssembly, gzip', ours: wasm.gzip / 1e3, unit: 'kB', wanted: '≤ 819 kB', ok: wasm.gzip <= 800 * 1024 },
        { what: 'WebAssembly, brotli', ours: wasm.brotli / 1e3, unit: 'kB' },
        { what: 'first load without it, raw', ours: sum('raw'), unit: 'kB' },
        { what: 'first load without it, gzip', ours: sum('gzip'), unit: 'kB', wanted: '≤ 60 kB', ok: sum('gzip') <= 60 },
        { what: 'first load without it, brotli', ours: sum('brotli'), unit: 'kB' },
      ];
    },
  },
  ...siteMeasures,
];

async function withRawPair(body) {
  const server = await serveFolder(here);
  const browsers = [];
  try {
    const pages = [];
    for (let i = 0; i < 2; i++) {
      const browser = await launch(KIND);
      browsers.push(browser);
      pages.push(await loadRaw(browser, server));
    }
    return await body(...pages);
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()));
    await server.close();
  }
}

async function loadRaw(browser, server) {
  const page = await browser.page(`${server.url}/`);
  await until('the raw page', () => page.evaluate(() => Boolean(window.raw)));
  return page;
}

/** A tab with the yardstick beside a visitor's own. */
async function rawPage(visitor) {
  const server = await serveFolder(here);
  const page = await loadRaw(visitor.browser, server);
  return {
    page,
    async close() {
      await page.close();
      await server.close();
      await visitor.page.bringToFront();
    },
  };
}

async function rawBetween(sender, receiver) {
  const [a, b] = [await rawPage(sender), await rawPage(receiver)];
  try {
    return (await throughput(a.page, b.page, BIG, 65_536)).receiver;
  } finally {
    await a.close();
    await b.close();
  }
}

async function withStage(body) {
  const relay = await startRelay();
  try {
    return await body(relay);
  } finally {
    await relay.forget();
  }
}

async function arrive(relay) {
  const visitor = await Visitor.arrive(KIND, relay);
  await visitor.node(async (gyre, quota) => {
    await gyre.setUpload(true);
    await gyre.setQuota(quota);
  }, QUOTA);
  return visitor;
}

const memory = (visitor) => visitor.node((gyre) => gyre.memoryBytes());

/** Milliseconds from the navigation until `ask` says yes, by the page's own clock. */
function sinceLoad(visitor, ask) {
  return visitor.page.evaluate(`new Promise((resolve) => {
    const ask = ${ask};
    const look = () => (ask(window.gyre) ? resolve(performance.now()) : setTimeout(look, 5));
    look();
  })`);
}

// What follows runs in the page, as `ask(window.gyre, …)`.

async function shareRandom(gyre, size, name) {
  const parts = [];
  for (let at = 0; at < size; at += 65_536) parts.push(crypto.getRandomValues(new Uint8Array(Math.min(65_536, size - at))));
  return (await gyre.share(new Blob(parts), { name })).link;
}

async function importRandom(gyre, size, name) {
  const parts = [];
  for (let at = 0; at < size; at += 65_536) parts.push(crypto.getRandomValues(new Uint8Array(Math.min(65_536, size - at))));
  const blob = new Blob(parts);
  // Until it is read once, a blob may still be on its way to the browser's own storage.
  await blob.slice(size - 1).arrayBuffer();
  const began = performance.now();
  const { link } = await gyre.share(blob, { name });
  const took = performance.now() - began;
  await gyre.remove(link);
  return took;
}

async function shareGenerated(gyre, size) {
  const block = crypto.getRandomValues(new Uint8Array(65_536));
  let made = 0;
  const stream = new ReadableStream({
    pull(controller) {
      if (made >= size) return controller.close();
      const part = block.slice(0, Math.min(block.length, size - made));
      new DataView(part.buffer).setUint32(0, made);
      made += part.length;
      controller.enqueue(part);
    },
  });
  return (await gyre.share(stream, { name: 'generated', size })).link;
}

async function fetchAll(gyre, link) {
  const began = performance.now();
  const cid = link.match(/#\/f\/([^?]+)/)[1];
  let first;
  const opening = gyre.open(link);
  opening.catch(() => {});
  for (;;) {
    const swarm = gyre.swarms().find((each) => each.cid === cid);
    // What had arrived when the first bytes were seen counts for nothing: snapshots come a few times a second.
    if (swarm?.down > 0) first ??= { at: performance.now() - began, bytes: swarm.down };
    if (swarm?.state === 'complete') {
      const done = performance.now() - began;
      return { done, rate: (swarm.down - first.bytes) / 1e3 / (done - first.at) };
    }
    if (swarm?.state === 'failed') throw new Error(swarm.error?.message ?? 'the fetch failed');
    // Often enough to see the start, seldom enough not to take part in what is measured.
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function openStreamed(gyre, link) {
  const began = performance.now();
  const file = await gyre.open(link);
  const reader = file.stream().getReader();
  let first;
  let read = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    first ??= performance.now() - began;
    read += value.length;
  }
  if (read !== file.size) throw new Error(`${read} of ${file.size} bytes were read`);
  return { first, done: performance.now() - began };
}
