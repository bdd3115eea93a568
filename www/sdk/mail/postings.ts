/**
 * Which mails have which words: lists of pairs, kept on the disk as blocks of words in order.
 *
 * A mail is known by the number of its arrival. What has the words between two others lies in a few blocks, so a search
 * reads these alone. docs/mailbox.md has the format.
 */

/** Of each word the mails that have it, as they came: arrival, weight, arrival, weight… */
export type Postings = Map<string, number[]>;

/** One block on the disk. */
export interface Block {
  /** Its first word. */
  readonly first: string;
  /** The number of its row. */
  readonly row: number;
}

/** What the index has of mails that came one after the other. */
export interface Part {
  /** Arrivals beyond `after` up to `to`. */
  readonly after: number;
  readonly to: number;
  /** Mails of them that were there when it was written. */
  readonly mails: number;
  readonly blocks: readonly Block[];
}

/** A block as JSON holds it: each word with its pairs, of arrivals what they are more than the one before. */
export type BlockValue = (readonly [word: string, pairs: readonly number[]])[];

/** Cuts postings into blocks of about {@link BLOCK_NUMBERS} numbers, words in order. */
export function* inBlocks(postings: Postings): Generator<{ first: string; value: BlockValue }> {
  let value: BlockValue = [];
  let numbers = 0;
  for (const word of [...postings.keys()].sort()) {
    const pairs = postings.get(word)!;
    value.push([word, gaps(pairs)]);
    numbers += pairs.length + NUMBERS_OF_A_WORD;
    if (numbers < BLOCK_NUMBERS) continue;
    yield { first: value[0]![0], value };
    value = [];
    numbers = 0;
  }
  if (value.length > 0) yield { first: value[0]![0], value };
}

/** The words of a block that are `word`, or begin with it, with their pairs. */
export function matching(value: BlockValue, word: string, beginning: boolean): [word: string, pairs: number[]][] {
  const found: [string, number[]][] = [];
  let low = 0;
  for (let high = value.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if (value[middle]![0] < word) low = middle + 1;
    else high = middle;
  }
  for (; low < value.length && fits(value[low]![0], word, beginning); low++) found.push([value[low]![0], arrivals(value[low]![1])]);
  return found;
}

/** The blocks in which such words can be. */
export function blocksFor({ blocks }: Part, word: string, beginning: boolean): readonly Block[] {
  let end = blocks.findIndex(({ first }) => first > word && !(beginning && first.startsWith(word)));
  if (end < 0) end = blocks.length;
  let begin = end;
  // The last that begins before the word may still have it.
  while (begin > 0 && (begin === end || blocks[begin]!.first > word)) begin--;
  return blocks.slice(begin, end);
}

/** Puts the pairs of mails that are still there behind what `into` has. */
export function gather(into: Postings, word: string, pairs: readonly number[], alive: ReadonlySet<number>): void {
  const kept = pairs.filter((_, at) => alive.has(pairs[at - (at % 2)]!));
  if (kept.length === 0) return;
  const before = into.get(word);
  if (before) for (const number of kept) before.push(number);
  else into.set(word, kept);
}

/** All of a block. */
export function* entries(value: BlockValue): Generator<[word: string, pairs: number[]]> {
  for (const [word, pairs] of value) yield [word, arrivals(pairs)];
}

export function fits(found: string, word: string, beginning: boolean): boolean {
  return beginning ? found.startsWith(word) : found === word;
}

function gaps(pairs: readonly number[]): number[] {
  return pairs.map((number, at) => (at % 2 === 0 ? number - (pairs[at - 2] ?? 0) : number));
}

function arrivals(pairs: readonly number[]): number[] {
  let last = 0;
  return pairs.map((number, at) => (at % 2 === 0 ? (last += number) : number));
}

/** Numbers of a block, some 20 kB of JSON: little to read for one word, few rows for a box. */
const BLOCK_NUMBERS = 6_000;
/** What a word itself counts for in a block. */
const NUMBERS_OF_A_WORD = 4;
