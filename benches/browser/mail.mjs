// Mail between tabs that are online, what a tab spends on mail and on being there, and one letter in the mail module alone.
//
//   BENCH_TABS=20      tabs that are online
//   BENCH_LETTERS=60   letters that are timed, and as many that are counted
//   BENCH_MINUTES=5    minutes for which tabs are watched at rest

import { fileURLToPath } from 'node:url';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from '../../scripts/lib/places.mjs';
import { Visitor } from '../../tests/e2e/lib/app.mjs';
import { launch, until, wait } from '../../tests/e2e/lib/browser.mjs';
import { serveFolder } from '../../tests/e2e/lib/files.mjs';
import { MAIL_TIMEOUT_MS } from '../../tests/e2e/lib/mail.mjs';
import { startRelay } from '../../tests/e2e/lib/relay.mjs';
import { median, p95 } from './statistics.mjs';

const TABS = Number(process.env.BENCH_TABS ?? 20);
const LETTERS = Number(process.env.BENCH_LETTERS ?? 60);
const MINUTES = Number(process.env.BENCH_MINUTES ?? 5);
const MINUTE_MS = 60_000;
/** Pause between two letters in milliseconds: a custodian takes one a second of a peer. */
const PAUSE_MS = 1_500;
/** Until links, indexes and look-ups of the beginning have come to rest, in milliseconds. */
const SETTLE_MS = 90_000;
/** Operations by which one identity is longer than another. */
const OPERATIONS = 50;
/** Letters that somebody gets in a day, as in the design's table of load. */
const A_DAY = 40;

export const mailMeasures = [
  {
    name: 'mail',
    needsApp: true,
    about: `${TABS} tabs online: from sending a letter to seeing it`,
    run: ({ log, rounds }) => latency({ log, letters: Math.ceil((LETTERS * rounds) / 3) }),
  },
  {
    name: 'mail-load',
    needsApp: true,
    long: true,
    about: `what ${TABS} tabs send and receive, at rest and for letters (BENCH_MINUTES=5); only when asked for`,
    run: ({ log }) => load({ log }),
  },
  {
    name: 'mail-module',
    needsApp: true,
    about: 'one letter in the mail module: written and sealed, opened and verified',
    run: ({ log, rounds }) => letters({ log, count: Math.min(100 * rounds, 200) }),
  },
];

/** Two people who know each other, among tabs that keep mail. */
async function withPeople(log, body) {
  const relay = await startRelay();
  const browser = await launch('chromium');
  try {
    const arrive = async () => {
      const context = await browser.context();
      const visitor = await Visitor.arrive('chromium', relay, { browser: { ...context, page: (url) => counted(context, url) } });
      await visitor.node((gyre) => gyre.setUpload(true));
      return visitor;
    };
    const tabs = [];
    while (tabs.length < TABS) tabs.push(await arrive());
    const [ada, bob] = tabs;
    for (const [visitor, name] of [[ada, 'Ada'], [bob, 'Bob']]) {
      await visitor.node(async (gyre, called) => {
        await gyre.keys.create();
        await gyre.mail.create(called);
        await gyre.mail.set({ stampBits: 8 });
        window.heard = [];
        gyre.mail.addEventListener('mail', ({ detail }) => window.heard.push({ subject: detail.subject, at: Date.now() }));
      }, name);
    }
    const people = { ada, bob, keepers: tabs.slice(2), adaId: await id(ada), bobId: await id(bob) };
    for (const visitor of [ada, bob]) await until('both to be findable', () => visitor.node(async (gyre) => (await gyre.mail.state()).findable), { timeout: MAIL_TIMEOUT_MS });
    for (const [visitor, other] of [[ada, bob], [bob, ada]]) {
      const card = await other.node(async (gyre) => (await gyre.mail.card()).link);
      await visitor.node((gyre, link) => gyre.mail.addContact(link, 'a contact'), card);
    }
    await arrived(bob, await send(ada, people.bobId, 'hello'));
    await arrived(ada, await send(bob, people.adaId, 'welcome'));
    log(`${TABS} tabs have joined, two of them write to each other; load ${loadavg()[0].toFixed(1)}`);
    return await body(people);
  } finally {
    await browser.close();
    await relay.forget();
  }
}

const id = (visitor) => visitor.node(async (gyre) => (await gyre.mail.state()).id);

/** Sends one letter with a small attachment; resolves with its subject, when it was sent, and how long that call took. */
const send = (visitor, to, subject) => visitor.node(async (gyre, recipient, about) => {
  const file = new File([crypto.getRandomValues(new Uint8Array(4_000))], 'a.bin');
  const at = Date.now();
  const { message } = await gyre.mail.send({ to: [recipient], subject: about, text: 'Some words, as one writes them.', attachments: [file] });
  return { subject: about, message, at, took: Date.now() - at };
}, to, subject);

/** When the page heard of it. */
const arrived = (visitor, { subject }) => until(`"${subject}" to arrive`, () => visitor.node((_, about) => window.heard.find((heard) => heard.subject === about)?.at, subject), { timeout: MAIL_TIMEOUT_MS, every: 20 });

function latency({ log, letters: count }) {
  return withPeople(log, async ({ ada, bob, bobId }) => {
    const [seen, safe] = [[], []];
    const load = loadavg()[0];
    for (let number = 1; number <= count; number++) {
      const sent = await send(ada, bobId, `number ${number}`);
      seen.push((await arrived(bob, sent)) - sent.at);
      safe.push(sent.took);
      if (number % 20 === 0) log(`${number} letters: median ${median(seen)} ms, 95 % within ${p95(seen)} ms`);
      await wait(PAUSE_MS);
    }
    const listed = await bob.node(async (gyre) => (await gyre.mail.list('inbox', { limit: 500 })).threads.filter(({ subject }) => subject.startsWith('number')).length);
    if (listed !== count) throw new Error(`${listed} of ${count} letters are listed`);
    log(`load ${load.toFixed(1)} before, ${loadavg()[0].toFixed(1)} after`);
    const samples = { seen, safe, load: [load, loadavg()[0]] };
    return [
      { what: `sent to seen, ${TABS} tabs online, median`, ours: median(seen), unit: 'ms', samples },
      { what: `sent to seen, ${TABS} tabs online, 95th percentile`, ours: p95(seen), unit: 'ms', wanted: '< 1000', ok: p95(seen) < 1000 },
      { what: 'sent to safe in the outbox, median', ours: median(safe), unit: 'ms' },
    ];
  });
}

function load({ log }) {
  return withPeople(log, async ({ ada, bob, bobId, adaId, keepers }) => {
    const groups = { sender: [ada], recipient: [bob], keepers };
    const read = async () => Object.fromEntries(await Promise.all(Object.entries(groups).map(async ([name, visitors]) => {
      const all = await Promise.all(visitors.map((visitor) => visitor.node(async () => ({ ...(await window.traffic()) }))));
      return [name, Object.fromEntries(Object.keys(all[0]).map((key) => [key, all.reduce((sum, one) => sum + one[key], 0) / all.length]))];
    })));
    const between = (before, after) => Object.fromEntries(Object.keys(before).map((name) => [name, Object.fromEntries(Object.keys(before[name]).map((key) => [key, after[name][key] - before[name][key]]))]));
    await wait(SETTLE_MS);
    let before = await read();
    await wait(MINUTES * MINUTE_MS);
    const rest = between(before, await read());
    log(`at rest for ${MINUTES} minutes: ${JSON.stringify(rest)}`);
    before = await read();
    const began = performance.now();
    let lastSent;
    for (let number = 1; number <= LETTERS; number++) {
      const [from, to, recipient] = number % 2 ? [ada, bobId, bob] : [bob, adaId, ada];
      lastSent = await send(from, to, `counted ${number}`);
      await arrived(recipient, lastSent);
      await wait(PAUSE_MS);
    }
    // Receipts and deletions belong to it.
    await until('the last letter to be delivered', () => bob.node(async (gyre) => {
      const states = (await gyre.mail.list('sent', { limit: 500 })).threads.map(({ status }) => status?.state);
      return states.every((state) => state === 'delivered' || state === 'read');
    }), { timeout: 2 * MAIL_TIMEOUT_MS });
    const during = performance.now() - began;
    const busy = between(before, await read());
    log(`${LETTERS} letters in ${(during / 1000).toFixed(0)} s: ${JSON.stringify(busy)}`);
    const rows = [];
    const perDay = (value) => (value * 24 * 60) / MINUTES;
    for (const name of Object.keys(groups)) {
      // A snapshot of what is known to one of the two may fall into these minutes: eight envelopes.
      const who = { sender: 'who has a mailbox (1)', recipient: 'who has a mailbox (2)', keepers: 'who keeps mail' }[name];
      rows.push({ what: `${who}, at rest: sent`, ours: perDay(rest[name].up) / 1e6, unit: 'MB/day' });
      rows.push({ what: `${who}, at rest: received`, ours: perDay(rest[name].down) / 1e6, unit: 'MB/day' });
      rows.push({ what: `${who}, at rest: streams opened`, ours: rest[name].opened / MINUTES, unit: 'a minute' });
      rows.push({ what: `${who}, at rest: streams accepted`, ours: rest[name].accepted / MINUTES, unit: 'a minute' });
    }
    // Each of the two sends one half and receives the other.
    const own = (key) => (busy.sender[key] + busy.recipient[key] - ((rest.sender[key] + rest.recipient[key]) * during) / (MINUTES * MINUTE_MS)) / LETTERS;
    const kept = (key) => ((busy.keepers[key] - (rest.keepers[key] * during) / (MINUTES * MINUTE_MS)) * keepers.length) / LETTERS;
    for (const [what, of] of [['both ends together', own], [`all ${keepers.length} that may keep it together`, kept]]) {
      rows.push({ what: `a letter, ${what}: sent`, ours: of('up') / 1e3, unit: 'kB' });
      rows.push({ what: `a letter, ${what}: received`, ours: of('down') / 1e3, unit: 'kB' });
      rows.push({ what: `a letter, ${what}: streams opened`, ours: of('opened'), unit: '' });
    }
    rows.push({ what: `${A_DAY} letters a day, sent for them by everybody, for each person`, ours: (A_DAY * (own('up') + kept('up'))) / 1e6, unit: 'MB/day' });
    return rows.map((row, at) => (at === 0 ? { ...row, samples: { rest, busy, during } } : row));
  });
}

/** The mail module in a page, with two people and a custodian that is a list. */
async function letters({ log, count }) {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const { outputFiles } = await build({ entryPoints: [`${here}mail-module.js`], bundle: true, format: 'esm', target: 'es2022', write: false, external: ['/gyre_mail.js'], logLevel: 'error' });
  const server = await serveFolder(join(root, 'pkg/wasm'), {
    '/letters': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<script type="module" src="/letters.js"></script>'),
    '/letters.js': (_, response) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(outputFiles[0].contents),
  });
  const rows = [];
  for (const kind of ['chromium', 'firefox']) {
    const browser = await launch(kind);
    try {
      const page = await browser.page(`${server.url}/letters`);
      await until('the module', () => page.evaluate(() => Boolean(window.letters)));
      const { sealed, opened } = await page.evaluate((times) => window.letters(times), count);
      log(`${kind}: ${sealed.length} sealed, ${opened.length} opened; load ${loadavg()[0].toFixed(1)}`);
      rows.push({ what: `letter written, sealed and saved, ${kind}`, ours: median(sealed), unit: 'ms', samples: { sealed } });
      rows.push({ what: `letter opened, verified and saved, ${kind}`, ours: median(opened), unit: 'ms', samples: { opened } });
      const { none, more } = await page.evaluate((operations, times) => window.chains(operations, times), OPERATIONS, count);
      rows.push({ what: `operation of an identity read and verified, ${kind}`, ours: (median(more) - median(none)) / OPERATIONS, unit: 'ms', samples: { none, more } });
    } finally {
      await browser.close();
    }
  }
  await server.close();
  return rows;
}

/** A page that counts what goes over its channels and its socket from the first script on. */
async function counted(context, url) {
  const page = await context.page();
  await page.evaluateOnNewDocument(() => {
    const counts = { up: 0, down: 0, opened: 0, accepted: 0, links: 0 };
    const size = (data) => data.byteLength ?? data.size ?? data.length;
    const heard = (from) => from.addEventListener('message', ({ data }) => { counts.down += size(data); });
    for (const kind of [RTCDataChannel, WebSocket]) {
      const plain = kind.prototype.send;
      kind.prototype.send = function (data) {
        counts.up += size(data);
        return plain.call(this, data);
      };
    }
    const Link = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Link {
      constructor(...given) {
        super(...given);
        counts.links++;
        this.addEventListener('datachannel', ({ channel }) => {
          counts.accepted++;
          heard(channel);
        });
      }

      createDataChannel(...given) {
        const channel = super.createDataChannel(...given);
        counts.opened++;
        heard(channel);
        return channel;
      }
    };
    const Socket = window.WebSocket;
    window.WebSocket = class extends Socket {
      constructor(...given) {
        super(...given);
        heard(this);
      }
    };
    window.traffic = () => counts;
  });
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  return page;
}
