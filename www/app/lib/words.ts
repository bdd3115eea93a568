/** The 24 words that are a person's keys: how they are read, and whether they were written down. */

import { Kept } from './kept.js';

/** How many there are. */
export const WORDS = 24;

/** Whether the words of these keys were asked back, or put off. Under the name of the person's site 0. */
export const wordsKept = new Kept<WordsState>('gyre.words', (value) => (value === 'checked' || value === 'later' ? value : null), 4);
export type WordsState = 'checked' | 'later';

/** The words in what somebody typed or pasted; numbers, commas and line ends between them do not count. */
export function wordsIn(text: string): string[] {
  return text.toLowerCase().normalize('NFKD').split(/[^\p{L}]+/u).filter((word) => word !== '');
}

/** Two places to be asked back, in order, from 0. `random` gives numbers from 0 to below 1. */
export function placesToAsk(random: () => number = Math.random): [number, number] {
  const first = Math.floor(random() * WORDS);
  const second = (first + 1 + Math.floor(random() * (WORDS - 1))) % WORDS;
  return first < second ? [first, second] : [second, first];
}

/** What is wrong with words that are being typed, in one sentence; empty while there is nothing to say. `known` is the list, once it is there. */
export function wordsProblem(words: readonly string[], known: ReadonlySet<string> | null, finished: boolean): string {
  // The last one may still be on its way.
  const strange = words.findIndex((word, at) => known !== null && !known.has(word) && (finished || at < words.length - 1));
  if (strange >= 0) return `Word ${strange + 1}, “${words[strange]}”, is not one of the list.`;
  if (words.length > WORDS) return `These are ${words.length} words; there are ${WORDS}.`;
  if (finished && words.length < WORDS) return `These are ${words.length} words; ${WORDS - words.length} are missing.`;
  return '';
}

/** Words of the list that begin as the last typed one does. */
export function endings(text: string, list: readonly string[], most = 4): string[] {
  const start = /(\p{L}+)$/u.exec(text.toLowerCase())?.[1] ?? '';
  if (start.length < 2) return [];
  const found = list.filter((word) => word.startsWith(start));
  return found.length === 1 && found[0] === start ? [] : found.slice(0, most);
}

/** A code for one use, to be read from one screen and typed at another: 16 signs that are not mistaken for each other, 80 bits. */
export function oneTimeCode(bytes: Uint8Array = crypto.getRandomValues(new Uint8Array(16))): string {
  const signs = Array.from(bytes.subarray(0, 16), (byte) => SIGNS[byte % SIGNS.length]).join('');
  return signs.replace(/(.{4})(?=.)/g, '$1-');
}

/** The code that somebody typed, as it was made. */
export function readCode(text: string): string {
  const signs = text.toUpperCase().replace(/[^0-9A-Z]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
  return signs.replace(/(.{4})(?=.)/g, '$1-');
}

/** Crockford's base 32. */
const SIGNS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
