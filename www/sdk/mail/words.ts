/**
 * Which words of a mail can be found, and how much each of them says of it (BM25, as whole numbers).
 *
 * Letters and digits of any script; accents and case do not count. What is usual of a mail stands here as constants, not as an
 * average of the box, so that what was weighed once holds however the box grows.
 */

import type { StoredMail } from './records.js';

/** The words of a mail, each with its weight: 1 to {@link MAX_WEIGHT}. */
export function weighed({ subject, text, from, to, attachments }: StoredMail): Map<string, number> {
  const people = [from, ...to].map(({ name, address }) => `${name} ${address ?? ''}`);
  const names = attachments.map(({ name }) => name);
  const exact = new Map<string, number>();
  weigh(exact, subject, SUBJECT);
  weigh(exact, [...people, ...names].join(' '), PEOPLE);
  weigh(exact, text.slice(0, MAX_TEXT), TEXT);
  for (const [word, weight] of exact) exact.set(word, Math.min(MAX_WEIGHT, Math.max(1, Math.round(weight * PARTS_OF_ONE))));
  return exact;
}

/** The words that are asked for: of an address the whole alone, since most of its words are in every mail. */
export function asked(query: string): string[] {
  const text = plain(query.slice(0, MAX_QUERY));
  return [...new Set([...split(text.replace(ADDRESS, ' ')), ...addresses(text)])];
}

/** Whether it may be the beginning of a word: one or two letters begin too many words to mean any of them. */
export function mayBegin(word: string): boolean {
  return word.length > 2;
}

/** How much a word that is in `mails` of `all` mails says. */
export function rarity(mails: number, all: number): number {
  return Math.log(1 + (Math.max(all, mails) - mails + 0.5) / (mails + 0.5));
}

/** How close a word is to what was asked for, which it begins with: 1 for the word itself. */
export function closeness(word: string, to: string): number {
  return word === to ? 1 : (BEGINNING * to.length) / word.length;
}

function weigh(weights: Map<string, number>, field: string, { boost, usual }: { boost: number; usual: number }): void {
  const text = plain(field);
  const words = [...split(text), ...addresses(text)];
  const times = new Map<string, number>();
  for (const word of words) times.set(word, (times.get(word) ?? 0) + 1);
  const length = SATURATION * (1 - LENGTH_SHARE + (LENGTH_SHARE * words.length) / usual);
  for (const [word, count] of times) weights.set(word, (weights.get(word) ?? 0) + (boost * count * (SATURATION + 1)) / (count + length));
}

function plain(text: string): string {
  return text.toLowerCase().normalize('NFKD').replace(/\p{M}/gu, '');
}

function split(text: string): string[] {
  return text.split(/[\s\p{Z}\p{P}]+/u).filter((word) => word !== '').map(cut);
}

function addresses(text: string): string[] {
  return (text.match(ADDRESS) ?? []).map(cut);
}

function cut(word: string): string {
  return word.slice(0, MAX_WORD);
}

const ADDRESS = /[^\s<>()[\]",;:@]+@[^\s<>()[\]",;:@]+/gu;
/** What a word counts by where it stands, and how many words usually stand there. */
const SUBJECT = { boost: 3, usual: 6 };
const PEOPLE = { boost: 2, usual: 12 };
const TEXT = { boost: 1, usual: 150 };
/** As BM25 has them: how soon more of one word says no more, and how much the length of a field counts. */
const SATURATION = 1.2;
const LENGTH_SHARE = 0.7;
/** What the beginning of a word is worth beside the whole. */
const BEGINNING = 0.4;
/** Steps of a weight. The sum of all boosts times 2.2 is the most that there can be. */
const PARTS_OF_ONE = 16;
export const MAX_WEIGHT = 255;
/** Characters of a word that count; longer ones are addresses, keys and encoded data. */
const MAX_WORD = 40;
/** Characters of a mail that can be found: some 15 pages. */
const MAX_TEXT = 50_000;
/** Characters of a question. */
const MAX_QUERY = 500;
