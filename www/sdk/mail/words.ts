/** Full-text search; the package holds the library in this file. */

/*! minisearch 7.2.0, Copyright 2022 Luca Ongaro, MIT licence: LICENSE-minisearch */

import MiniSearch from 'minisearch';

/** What is found of one mail. */
export interface WordsOf {
  readonly id: string;
  readonly thread: string;
  readonly subject: string;
  readonly text: string;
  readonly people: string;
}

/** An index of words in memory. */
export class Words {
  #index: MiniSearch<WordsOf>;

  constructor() {
    this.#index = new MiniSearch<WordsOf>(SETTINGS);
  }

  /** How many mails it knows. */
  get size(): number {
    return this.#index.documentCount;
  }

  has(id: string): boolean {
    return this.#index.has(id);
  }

  add(mails: readonly WordsOf[]): void {
    for (const mail of mails) {
      if (this.#index.has(mail.id)) this.#index.replace(mail);
      else this.#index.add(mail);
    }
  }

  remove(id: string): void {
    if (this.#index.has(id)) this.#index.discard(id);
  }

  /** Threads of mails that have words beginning with all of those asked for, best first; words of one or two letters are whole. */
  threads(query: string, limit: number): string[] {
    const found = new Set<string>();
    for (const { thread } of this.#index.search(query, ASKING)) {
      found.add(thread as string);
      if (found.size >= limit) break;
    }
    return [...found];
  }

  save(): string {
    return JSON.stringify(this.#index);
  }

  /** Takes what {@link save} made, in turns short enough for the page to go on. */
  async load(saved: string): Promise<void> {
    this.#index = await MiniSearch.loadJSONAsync<WordsOf>(saved, SETTINGS);
  }
}

/** Letters and digits of any script; accents and case do not count. */
function plain(term: string): string {
  return term.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().slice(0, MAX_TERM_LENGTH);
}

/** The words of a text, and the addresses in it once more as a whole. */
function indexed(text: string): string[] {
  return [...split(text), ...(text.match(ADDRESS) ?? [])];
}

/** The words that are asked for: of an address the whole alone, since most of its words are in every mail. */
function asked(query: string): string[] {
  return [...split(query.replace(ADDRESS, ' ')), ...(query.match(ADDRESS) ?? [])];
}

const split = MiniSearch.getDefault('tokenize') as (text: string) => string[];
const ADDRESS = /[^\s<>()[\]",;:@]+@[^\s<>()[\]",;:@]+/gu;

/** Characters of a word that count; longer ones are addresses, keys and encoded data. */
const MAX_TERM_LENGTH = 40;
const SETTINGS = {
  fields: ['subject', 'people', 'text'],
  storeFields: ['thread'],
  tokenize: indexed,
  processTerm: (term: string): string | null => plain(term) || null,
};
/** One or two letters begin too many words to mean any of them. */
const ASKING = { tokenize: asked, prefix: (term: string): boolean => term.length > 2, combineWith: 'AND' as const, boost: { subject: 3, people: 2 } };
