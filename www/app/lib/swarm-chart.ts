/** What the swarm view says of a chart: colours, words, sums. */

import type { ChartPeer, SwarmChart, SwarmInfo } from 'gyre';
import { count, formatRate, percent, shortId } from './format.js';

/** Colours of neighbours, from 1; the style sheet has one for each. */
export const COLOURS = 8;
/** The colour of what was here before. */
export const BEFORE = 0;
/** The colour of all neighbours beyond {@link COLOURS}. */
export const OTHERS = COLOURS + 1;

/** In a cell that names a peer: one that is not among those named. */
const UNNAMED = 255;

/** Gives each peer a colour that it keeps for as long as the view is open. */
export class Colours {
  readonly #of = new Map<string, number>();

  /** The colour of a peer, from 1 to {@link OTHERS}. */
  of(peerId: string | null): number {
    if (peerId === null) return OTHERS;
    const known = this.#of.get(peerId);
    if (known !== undefined) return known;
    const colour = Math.min(this.#of.size + 1, OTHERS);
    // Those without a colour of their own need not be remembered.
    if (colour < OTHERS) this.#of.set(peerId, colour);
    return colour;
  }

  /** Gives colours in the order in which peers came: those that brought something first. */
  note(chart: SwarmChart): void {
    for (const { peerId, chunks } of chart.bringers) if (chunks > 0) this.of(peerId);
    for (const { peerId } of chart.peers) this.of(peerId);
  }
}

/** One cell of the map of chunks. */
export interface MapCell {
  readonly state: 'stored' | 'part' | 'asked' | 'missing';
  /** Quarters of it that are here, from 0 to 4, none and all only if it is so. */
  readonly quarters: number;
  /** Colour of who brought most of it, or of whom it is asked. */
  readonly colour: number;
}

/** The map of what is here, cell by cell. */
export function mapCells(chart: SwarmChart, colours: Colours): MapCell[] {
  const bringers = chart.bringers.map(({ peerId }) => colours.of(peerId));
  const peers = chart.peers.map(({ peerId }) => colours.of(peerId));
  return Array.from(chart.stored, (share, at) => {
    const by = chart.broughtBy[at] ?? 0;
    const of = chart.askedOf[at] ?? 0;
    const quarters = quartersOf(share);
    if (share === 255) return { state: 'stored', quarters, colour: named(by, bringers) };
    if (of !== 0) return { state: 'asked', quarters, colour: named(of, peers) };
    if (share > 0) return { state: 'part', quarters, colour: named(by, bringers) };
    return { state: 'missing', quarters, colour: BEFORE };
  });
}

/** Quarters of a share from 0 to 255; none and all only if it is so. */
export function quartersOf(share: number): number {
  if (share <= 0) return 0;
  return share >= 255 ? 4 : Math.min(3, Math.max(1, Math.round((share * 4) / 255)));
}

/** What a neighbour says it has of each cell, 0 to 255. */
export function peerShares(peer: Pick<ChartPeer, 'has' | 'hasAll'>, cells: number): Uint8Array {
  if (peer.has.length === cells) return peer.has;
  return new Uint8Array(cells).fill(peer.hasAll ? 255 : 0);
}

/** The chunks of a cell, as a person counts them: from 1. */
export function cellChunks(chart: Pick<SwarmChart, 'chunks' | 'stored'>, cell: number): { first: number; last: number } {
  const cells = chart.stored.length;
  const start = (at: number): number => Math.floor((at * chart.chunks) / cells);
  return { first: start(cell) + 1, last: start(cell + 1) };
}

/** One cell in a sentence. */
export function cellWords(chart: SwarmChart, cell: number): string {
  const { first, last } = cellChunks(chart, cell);
  const name = first === last ? `Chunk ${first}` : `Chunks ${first} to ${last}`;
  const share = chart.stored[cell] ?? 0;
  const by = chart.broughtBy[cell] ?? 0;
  const of = chart.askedOf[cell] ?? 0;
  const giver = by === 0 ? 'here before' : `from ${nameAt(by, chart.bringers)}`;
  const parts: string[] = [];
  if (share === 255) parts.push(giver);
  else if (share > 0) parts.push(`${Math.round((share * 100) / 255)} % here, ${giver}`);
  if (of !== 0) parts.push(`asked of ${nameAt(of, chart.peers)}`);
  if (parts.length === 0) parts.push('not here yet');
  return `${name}: ${parts.join(', ')} · ${copiesWords(chart.copies[cell] ?? 0)}`;
}

/** How much of a blob a neighbour has, in whole percent. */
export function peerPercent(peer: Pick<ChartPeer, 'chunks' | 'hasAll'>, chunks: number): number {
  return peer.hasAll ? 100 : chunks === 0 ? 0 : percent(peer.chunks, chunks);
}

/** What goes on between a neighbour and this peer, in a few words. */
export function peerWords(peer: ChartPeer, elsewhere = 0): string {
  const gives = peer.downRate >= QUIET_RATE;
  const takes = peer.upRate >= QUIET_RATE;
  const also = elsewhere >= QUIET_RATE && !peer.hasAll ? ', and gets more from others' : '';
  if (gives && takes) return `Swaps with you${also}`;
  if (gives) return `Sends to you${also}`;
  if (takes) return `Gets it from you${also}`;
  if (peer.stalled) return 'Does not answer';
  if (peer.asked > 0) return 'Asked, and not answered yet';
  if (peer.wanted && !peer.servesUs) return 'You wait for your turn';
  if (peer.wants && !peer.isServed) return 'Waits for its turn';
  if (elsewhere >= QUIET_RATE && !peer.hasAll) return 'Gets it from others';
  if (peer.hasAll) return 'Has all of it';
  return peer.chunks === 0 ? 'Has nothing of it yet' : 'Nothing to swap right now';
}

/** The swarm in two sentences. */
export function swarmSummary(swarm: SwarmInfo, chart: SwarmChart | null): string {
  const mine = swarm.state === 'complete' ? 'You hold all of it.' : `You have ${percent(swarm.chunksHave, swarm.chunks || null)} %.`;
  if (!chart) return mine;
  if (chart.peersTotal === 0) {
    return swarm.state === 'complete'
      ? `${mine} Nobody is linked for it right now; whoever opens its link appears here.`
      : `${mine} Nobody is linked for it right now.`;
  }
  const whole = chart.peers.filter((peer) => peer.hasAll).length;
  const linked = `${count(chart.peersTotal, 'peer is', 'peers are')} linked`;
  const wholes = whole === 0 ? 'none of them has all of it' : whole === chart.peersTotal ? (whole === 1 ? 'and has all of it' : 'and all have all of it') : `${whole} of them with all of it`;
  return `${mine} ${linked}, ${chart.peersTotal === 1 && whole === 0 ? 'which has only a part of it' : wholes}.`;
}

/** How often neighbours have the rarest chunk, in words; empty where nothing can be said. */
export function rarest(chart: SwarmChart): string {
  if (chart.copies.length === 0 || chart.peersTotal === 0) return '';
  const least = chart.copies.reduce((a, b) => Math.min(a, b), 255);
  return least === 0 ? 'Some chunks are with none of them.' : `Every chunk is with ${least === 1 ? 'at least one' : `at least ${least}`} of them.`;
}

/** A flow for a cell of the table: `1.2 MB/s`, or a dash while next to nothing flows. */
export function flowWords(rate: number): string {
  return rate < QUIET_RATE ? '–' : formatRate(rate);
}

/**
 * What a neighbour gets from others: its chunks rise by more than what was sent to it from here. Only what it tells is
 * known, a while later and by the chunk, so the rate is a mean over some seconds.
 */
export class Elsewhere {
  readonly #seen = new Map<string, { most: number; at: number; rate: number; connected: number }>();

  /** Notes a chart at `now` (milliseconds of a steady clock) and returns the bytes per second from others, by peer. */
  note(chart: SwarmChart, now: number): ReadonlyMap<string, number> {
    const rates = new Map<string, number>();
    const here = new Set<string>();
    for (const { peerId, chunks, connected, hasAll, up } of chart.peers) {
      here.add(peerId);
      const got = chunks * CHUNK_BYTES - up;
      const seen = this.#seen.get(peerId);
      // A link that was replaced counts what was sent anew.
      if (!seen || connected < seen.connected) {
        this.#seen.set(peerId, { most: got, at: now, rate: seen?.rate ?? 0, connected });
        rates.set(peerId, seen?.rate ?? 0);
        continue;
      }
      const elapsed = now - seen.at;
      if (elapsed <= 0) continue;
      // What was sent is told of a little later: only a new high says that others gave something.
      const gain = Math.max(0, got - seen.most);
      // A set told all at once is what it had before, not what flowed.
      const flowed = chunks > 0 && gain < LEAP_BYTES ? gain : 0;
      const weight = 1 - Math.exp(-elapsed / SMOOTHING_MS);
      seen.rate += ((flowed * 1000) / elapsed - seen.rate) * weight;
      seen.most = Math.max(seen.most, got);
      seen.at = now;
      seen.connected = connected;
      if (hasAll && gain === 0) seen.rate = 0;
      rates.set(peerId, seen.rate < QUIET_RATE ? 0 : seen.rate);
    }
    for (const id of [...this.#seen.keys()]) if (!here.has(id)) this.#seen.delete(id);
    return rates;
  }
}

/** Says what a screen reader should hear, and no more often than somebody can listen. */
export class Announcer {
  #said = '';
  #at = Number.NEGATIVE_INFINITY;
  #step = -1;
  #peers = -1;

  /** What to say at `now` (milliseconds): the same as before, until there is news worth a sentence. */
  note(percentHere: number, peers: number, summary: string, now: number): string {
    const step = Math.floor(percentHere / 25);
    const finished = step === 4 && this.#step !== 4;
    const news = step !== this.#step || peers !== this.#peers;
    if (news && (finished || now - this.#at >= ANNOUNCE_MS)) {
      this.#said = summary;
      this.#at = now;
      this.#step = step;
      this.#peers = peers;
    }
    return this.#said;
  }
}

function named(place: number, colours: readonly number[]): number {
  return place === 0 ? BEFORE : (colours[place - 1] ?? OTHERS);
}

function nameAt(place: number, list: readonly { readonly peerId: string | null }[]): string {
  const id = place === UNNAMED ? null : list[place - 1]?.peerId;
  return id ? shortId(id) : 'another peer';
}

function copiesWords(copies: number): string {
  return copies === 0 ? 'no linked peer has it' : `${count(copies, 'linked peer has it', 'linked peers have it')}`;
}

/** Bytes per second below which nothing worth a word flows. */
const QUIET_RATE = 500;
/** Bytes of a chunk. */
const CHUNK_BYTES = 256 * 1024;
/** Bytes; no link brings so much between two looks, so it was there before. */
const LEAP_BYTES = 64 * 1024 * 1024;
/** Milliseconds after which an old measurement counts for a third. */
const SMOOTHING_MS = 3_000;
/** Milliseconds between two announcements at least. */
const ANNOUNCE_MS = 20_000;
