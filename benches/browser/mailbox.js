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

let box;

window.mailbox = {
  /** Three of five mails stand alone, the others are conversations of four. */
  async fill(count, seed) {
    const random = numbers(seed);
    const text = language(random);
    const people = Array.from({ length: 300 }, (_, n) => ({ id: null, name: `${text(2)}`, address: `p${n}@example.org` }));
    box = await Box.open(`bench-${seed}`, await Seal.of(new Uint8Array(32).fill(seed)));
    const began = performance.now();
    let thread = '';
    for (let at = 0; at < count; ) {
      await box.edit(async (edit) => {
        for (const end = Math.min(count, at + 100); at < end; at++) {
          const id = at.toString(16).padStart(32, '0');
          if (at % 10 < 6 || at % 4 === 0) thread = id;
          const subject = text(5);
          const body = text(40 + Math.floor(random() * 260));
          const mail = {
            id, thread, time: 1_700_000_000_000 + at * 60_000, from: people[Math.floor(random() * people.length)], to: [people[0]], subject, text: body, html: null,
            attachments: [], own: at % 7 === 0, read: at % 5 !== 0, status: [], verified: 'device', messageId: `${id}@example.org`, pending: null,
          };
          await edit.add(mail, new TextEncoder().encode(`Subject: ${subject}\r\n\r\n${body}`), () => undefined);
        }
      });
    }
    return { took: performance.now() - began, threads: (await box.list('inbox', undefined, 1)).total };
  },

  /** The first page of the inbox, and one from its middle, each with what a page shows. */
  async list(rounds) {
    const first = [];
    const middle = [];
    let before;
    for (let page = 0; page < 40; page++) before = (await box.list('inbox', before, 50)).next ?? before;
    for (let round = 0; round < rounds; round++) {
      let began = performance.now();
      await box.list('inbox', undefined, 50);
      first.push(performance.now() - began);
      began = performance.now();
      await box.list('inbox', before, 50);
      middle.push(performance.now() - began);
    }
    return { first, middle };
  },

  /** The first search makes the index; the longest pause is how long the page could not answer meanwhile. */
  async search(queries) {
    const search = new Search(box);
    let longest = 0;
    let last = performance.now();
    const ticking = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    }, 1);
    const began = performance.now();
    await search.find('no such word', 50);
    const made = performance.now() - began;
    clearInterval(ticking);
    const took = [];
    let found = 0;
    for (const query of queries) {
      const start = performance.now();
      found += (await box.threads(await search.find(query, 100))).length;
      took.push(performance.now() - start);
    }
    return { made, longest, took, found };
  },
};
