// In the page: a mailbox with generated mail, and how long lists and searches of it take. Bundled by mailbox.mjs.

import { Box } from '../../www/sdk/mail/box.ts';
import { Search } from '../../www/sdk/mail/search.ts';
import { Seal } from '../../www/sdk/mail/seal.ts';

/** Numbers that follow from a seed (mulberry32). */
function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Words as often as in a language: the n-th of 20,000 has a share of 1/n. */
function language(random) {
  const syllables = 'ba be bi bo bu da de di do du ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu ra re ri ro ru sa se si so su ta te ti to tu'.split(' ');
  const words = Array.from({ length: 20_000 }, (_, n) => Array.from({ length: 2 + (n % 3) }, () => syllables[Math.floor(random() * syllables.length)]).join('') + n.toString(36));
  const word = () => words[Math.floor(Math.exp(random() * Math.log(words.length)))- 1] ?? words[0];
  return (count) => Array.from({ length: count }, word).join(' ');
}

/** The mailbox, as whoever has the keys finds it. */
const opened = async (seed) => Box.open(`bench-${seed}`, await Seal.of(new Uint8Array(32).fill(seed)));

const timed = async (work) => {
  const began = performance.now();
  const value = await work();
  return { value, took: performance.now() - began };
};

/** A mail number `at` of a box that says the same for the same seed. */
function writer(seed) {
  const random = numbers(seed);
  const text = language(random);
  const people = Array.from({ length: 300 }, (_, n) => ({ id: null, name: `${text(2)}`, address: `p${n}@example.org` }));
  let thread = '';
  return (at) => {
    const id = at.toString(16).padStart(32, '0');
    // Three of five mails stand alone, the others are conversations of four.
    if (at % 10 < 6 || at % 4 === 0) thread = id;
    const subject = text(5);
    const body = text(40 + Math.floor(random() * 260));
    const mail = {
      id, thread, time: 1_700_000_000_000 + at * 60_000, from: people[Math.floor(random() * people.length)], to: [people[0]], subject, text: body, html: null,
      attachments: [], own: at % 7 === 0, read: at % 5 !== 0, status: [], verified: 'device', messageId: `${id}@example.org`, pending: null,
    };
    return { mail, raw: new TextEncoder().encode(`Subject: ${subject}\r\n\r\n${body}`) };
  };
}

/** Runs work while it looks how long the page could not answer. */
async function paused(work) {
  let longest = 0;
  let last = performance.now();
  const ticking = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  const done = await timed(work);
  clearInterval(ticking);
  return { ...done, longest };
}

window.mailbox = {
  async fill(count, seed) {
    const box = await opened(seed);
    const write = writer(seed);
    const { took } = await timed(async () => {
      for (let at = 0; at < count; ) {
        await box.edit(async (edit) => {
          for (const end = Math.min(count, at + 100); at < end; at++) {
            const { mail, raw } = write(at);
            await edit.add(mail, raw, () => undefined);
          }
        });
      }
    });
    const threads = (await box.list('inbox', undefined, 1)).total;
    box.close();
    return { took, threads };
  },

  /** What the first visit after so much mail does once: the index of words. A search meanwhile says that it is not all. */
  async index(seed) {
    const box = await opened(seed);
    const search = new Search(box);
    const { value: early, took: answered } = await timed(() => search.find('bab', 100));
    const { took, longest } = await paused(() => search.settled());
    const { usage } = await navigator.storage.estimate();
    search.stop();
    box.close();
    return { took, longest, answered, early: early.complete, usage };
  },

  /** The first thing that a page does which was just loaded. */
  async cold(seed, what) {
    const { value: box, took: opening } = await timed(() => opened(seed));
    const { took } = await timed(async () => {
      if (what.list) return box.list('inbox', undefined, 50);
      const { threads, complete } = await new Search(box).find(what.search, 100);
      if (!complete) throw new Error('not all was looked through');
      return box.threads(threads);
    });
    box.close();
    return { took, opening };
  },

  /** Lists and searches of an open box: the first page of the inbox, one from its middle, the first with a count that has just changed. */
  async warm(seed, rounds, queries) {
    const box = await opened(seed);
    const search = new Search(box);
    await search.settled();
    const times = { first: [], middle: [], changed: [], searches: [] };
    const first = () => box.list('inbox', undefined, 50);
    let before;
    for (let page = 0; page < 40; page++) before = (await box.list('inbox', before, 50)).next ?? before;
    for (let round = 0; round < rounds; round++) {
      times.first.push((await timed(first)).took);
      times.middle.push((await timed(() => box.list('inbox', before, 50))).took);
      const [{ id }] = (await first()).threads;
      await box.edit(async (edit) => {
        const thread = await edit.thread(id);
        thread.folder = 'archive';
      });
      times.changed.push((await timed(first)).took);
    }
    let found = 0;
    for (const query of queries) {
      const { value, took } = await timed(async () => box.threads((await search.find(query, 100)).threads));
      found += value.length;
      times.searches.push(took);
    }
    search.stop();
    box.close();
    return { ...times, found };
  },
};
