/**
 * Finds relays: asks every source for its `bootstrap.json` and joins the answers.
 *
 * One answer is enough to join the swarm, so once a source has answered the others get only a
 * short grace; a source that is down or serves nonsense costs nothing but that. If none answers,
 * what they said on an earlier visit has to do.
 */

import { GyreError, raced, throwIfAborted } from './errors.js';
import type { RelayMemory } from './memory.js';

/** What a `bootstrap.json` says. */
export interface Bootstrap {
  /** Multiaddrs of relays. */
  readonly relays: readonly string[];
  /** `stun:host:port`. */
  readonly stun: readonly string[];
  /** Work that the ids of those who keep mail must show in this network, in bits; left out where the source does not say. */
  readonly puzzleBits?: number;
}

/** Options of {@link fetchBootstrap}. */
export interface BootstrapOptions {
  readonly signal?: AbortSignal | undefined;
  readonly fetch?: typeof fetch;
  /** Milliseconds until the sources are given up. */
  readonly timeout?: number;
  /** Milliseconds that the slower sources get after the first good answer. */
  readonly grace?: number;
  /** What they said on earlier visits. */
  readonly memory?: RelayMemory;
}

/** Asks all `sources` and joins what they say; rejects with `NO_RELAY` if no relay is named or remembered. */
export async function fetchBootstrap(
  sources: readonly (string | URL)[],
  options: BootstrapOptions = {},
): Promise<Bootstrap> {
  throwIfAborted(options.signal);
  const remembered = options.memory?.recall(sources.slice(0, MAX_SOURCES)) ?? NOTHING;
  const patience = remembered.relays.length > 0 ? REMEMBERED_TIMEOUT_MS : TIMEOUT_MS;
  const cut = new AbortController();
  const limit = setTimeout(() => cut.abort(), options.timeout ?? patience);
  const stop = (): void => cut.abort();
  options.signal?.addEventListener('abort', stop, { once: true });
  const answers: Bootstrap[] = [];
  const failures: unknown[] = [];
  let grace: ReturnType<typeof setTimeout> | undefined;
  const ask = async (source: string | URL): Promise<void> => {
    try {
      const answer = await fetchOne(source, cut.signal, options.fetch ?? fetch);
      answers.push(answer);
      options.memory?.remember(source, answer);
      grace ??= setTimeout(() => cut.abort(), options.grace ?? GRACE_MS);
    } catch (thrown) {
      failures.push(thrown);
    }
  };
  try {
    await raced(Promise.all(sources.slice(0, MAX_SOURCES).map(ask)), options.signal);
  } finally {
    clearTimeout(limit);
    clearTimeout(grace);
    options.signal?.removeEventListener('abort', stop);
  }
  const relays = unique(answers.flatMap((answer) => answer.relays));
  if (relays.length === 0) {
    if (remembered.relays.length > 0) return remembered;
    const asked = sources.map(String).join(', ');
    throw new GyreError('NO_RELAY', `No relay is known: nothing usable came from ${asked}.`, {
      cause: new AggregateError(failures, 'every bootstrap source failed'),
    });
  }
  return {
    relays: relays.slice(0, MAX_ADDRESSES),
    stun: unique(answers.flatMap((answer) => answer.stun)).slice(0, MAX_ADDRESSES),
    // Sources of one network say the same; where they do not, nobody is taken in by the lower one.
    ...workOf(Math.max(...answers.map((answer) => answer.puzzleBits ?? -1))),
  };
}

/** Reads the text of a `bootstrap.json`; strings that cannot be addresses are left out. */
export function parseBootstrap(text: string): Bootstrap {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new TypeError('bootstrap.json is not an object');
  return readBootstrap(value);
}

/** The same from an object of unknown origin. */
export function readBootstrap(value: object): Bootstrap {
  const { relays, stun, puzzleBits } = value as Record<string, unknown>;
  return { relays: addresses(relays, /^\/\S+$/), stun: addresses(stun, /^stuns?:\S+$/), ...workOf(puzzleBits) };
}

async function fetchOne(source: string | URL, signal: AbortSignal, get: typeof fetch): Promise<Bootstrap> {
  const response = await get(source, { signal, credentials: 'omit', cache: 'no-cache' });
  if (!response.ok) throw new Error(`${String(source)} answered ${response.status}`);
  return parseBootstrap(await readBounded(response, MAX_BYTES));
}

async function readBounded(response: Response, limit: number): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return '';
  const decoder = new TextDecoder();
  let text = '';
  for (let total = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    total += value.byteLength;
    if (total > limit) {
      await reader.cancel();
      throw new Error(`bootstrap.json is larger than ${limit} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}

/** The bits of work that were said, if they make sense; of several the most. */
export function workOf(value: unknown): { puzzleBits?: number } {
  const valid = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_PUZZLE_BITS;
  return valid ? { puzzleBits: value } : {};
}

function addresses(value: unknown, shape: RegExp): string[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter((item): item is string => typeof item === 'string' && item.length <= MAX_ADDRESS_LENGTH && shape.test(item))
    .slice(0, MAX_ADDRESSES);
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)];
}

/** More work than anybody can ask for in earnest: it would take a page hours. */
const MAX_PUZZLE_BITS = 32;
const NOTHING: Bootstrap = { relays: [], stun: [] };
/** Milliseconds; a relay that takes longer would be a poor one to join through. */
const TIMEOUT_MS = 8_000;
/** Milliseconds to wait for a fresh list where an earlier one is at hand: a slow mobile link's first answer. */
const REMEMBERED_TIMEOUT_MS = 3_000;
/** Milliseconds that the slower sources get after the first good answer. */
const GRACE_MS = 400;
/** Sources asked; a page lists a handful. */
const MAX_SOURCES = 16;
/** Bytes of one answer: room for the addresses below with their quotes. */
const MAX_BYTES = 64 * 1024;
/** Addresses of each kind; a node keeps a few relays, the rest are spares. */
const MAX_ADDRESSES = 64;
/** Characters; a DNS name of 253 and a peer id fit twice. */
const MAX_ADDRESS_LENGTH = 768;
