/**
 * What tabs of one origin say to each other, and how it is read. docs/tabs.md has the table.
 *
 * Whoever can speak here is of our own origin, but may be of another version, so everything is
 * checked before it is believed; what does not fit is dropped.
 */

import { MAX_LINK_LENGTH } from '../link.js';
import type { MailCall } from '../mail/calls.js';
import {
  PLAIN_CALLS,
  WORK_CALLS,
  type PlainCall,
  type PublishSettings,
  type Snapshot,
  type WorkCall,
} from '../node.js';
import type { PeerInfo, Stats, SwarmInfo } from '../types.js';
import type { SitePiece } from '../wasm/gyre.js';

/** Version of these messages; tabs of different versions do not work together. */
export const VERSION = 3;

/** Relays and STUN servers, as the leader has them, so that a successor need not ask for them. */
export interface Network {
  readonly relays: string[];
  readonly stun: string[];
  readonly puzzleBits?: number;
}

/** Said to all tabs, over the channel that has the database's name. */
export type Notice =
  /** A tab asks who leads. */
  | { readonly kind: 'hello'; readonly version: number; readonly tab: string }
  /** The leader names itself; it serves once `ready`. `client` is its id at the service worker. */
  | {
      readonly kind: 'leader';
      readonly version: number;
      readonly tab: string;
      readonly ready: boolean;
      readonly client: string | null;
    }
  /** A tab asks the leader `to` to talk over the channel `channel`. */
  | { readonly kind: 'link'; readonly to: string; readonly tab: string; readonly channel: string }
  /** The leader has stopped. */
  | { readonly kind: 'bye'; readonly tab: string };

/** From a follower to the leader, over their own wire. */
export type ToLeader =
  | { readonly kind: 'call'; readonly id: number; readonly name: PlainCall; readonly args: readonly unknown[] }
  /** A call that can be given up, and that may tell how far it has come. */
  | { readonly kind: 'work'; readonly id: number; readonly name: WorkCall; readonly args: readonly unknown[] }
  | { readonly kind: 'open'; readonly id: number; readonly link: string }
  | {
      readonly kind: 'read';
      readonly id: number;
      readonly file: number;
      readonly offset: number;
      readonly length: number;
    }
  | { readonly kind: 'free'; readonly file: number }
  /** With `blob` the leader reads that; else it pulls pieces. */
  | {
      readonly kind: 'import';
      readonly id: number;
      readonly blob: Blob | null;
      readonly name: string;
      readonly type: string;
      readonly size: number | null;
      readonly public: boolean;
      readonly exported: boolean;
      readonly sources: readonly string[];
    }
  /** A call of the mailbox; what has the same token is the same call, made again. */
  | { readonly kind: 'mail'; readonly id: number; readonly name: MailCall; readonly args: readonly unknown[]; readonly token: string }
  /** The leader pulls the pieces of the files. */
  | { readonly kind: 'publish'; readonly id: number; readonly settings: PublishSettings }
  /** The answer to `pull`; `bytes` is `null` at the end of the source. */
  | { readonly kind: 'piece'; readonly id: number; readonly bytes: SitePiece | null }
  | { readonly kind: 'abort'; readonly id: number }
  /** A snapshot of this kind has arrived; the next may follow. */
  | { readonly kind: 'ack'; readonly what: Changed }
  | { readonly kind: 'ping' }
  | { readonly kind: 'bye' };

/** From the leader to a follower, over their own wire. */
export type ToFollower =
  | { readonly kind: 'welcome'; readonly peerId: string; readonly network: Network; readonly snapshot: Snapshot }
  /** With `snapshot` where the call may have changed it. */
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown; readonly snapshot: Snapshot | null }
  | { readonly kind: 'failed'; readonly id: number; readonly error: Failure; readonly snapshot: Snapshot | null }
  | { readonly kind: 'progress'; readonly id: number; readonly done: unknown }
  | { readonly kind: 'pull'; readonly id: number }
  | { readonly kind: 'changed'; readonly what: 'state'; readonly value: Stats; readonly memoryBytes: number }
  | { readonly kind: 'changed'; readonly what: 'swarms'; readonly value: SwarmInfo[] }
  | { readonly kind: 'changed'; readonly what: 'peers'; readonly value: PeerInfo[] }
  /** An event of the mailbox. */
  | { readonly kind: 'mailed'; readonly type: string; readonly detail: unknown }
  | { readonly kind: 'pong' }
  | { readonly kind: 'bye' };

/** A kind of snapshot, as the events of the node name it. */
export type Changed = 'state' | 'swarms' | 'peers';

/** A `GyreError` as it travels. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly cid: string | null;
}

/** What an `open` is answered with. */
export interface OpenedFile {
  readonly file: number;
  readonly cid: string;
  readonly name: string;
  readonly type: string;
  readonly size: number;
}

/** Reads what was said to all. */
export function readNotice(value: unknown): Notice | null {
  if (!isRecord(value)) return null;
  const { kind, version, tab, to, channel, ready, client } = value;
  if (!isName(tab)) return null;
  if (kind === 'hello' && isCount(version)) return { kind, version, tab };
  if (kind === 'leader' && isCount(version) && typeof ready === 'boolean' && (client === null || isName(client))) {
    return { kind, version, tab, ready, client };
  }
  if (kind === 'link' && isName(to) && isName(channel)) return { kind, to, tab, channel };
  return kind === 'bye' ? { kind, tab } : null;
}

/** Reads what a follower said. */
export function readToLeader(value: unknown): ToLeader | null {
  if (!isRecord(value)) return null;
  const { kind, id, name, args, link, file, offset, length, blob, type, size, bytes, what, settings } = value;
  switch (kind) {
    case 'ping':
    case 'bye':
      return { kind };
    case 'ack':
      return isChanged(what) ? { kind, what } : null;
    case 'free':
      return isCount(file) ? { kind, file } : null;
  }
  if (!isCount(id)) return null;
  switch (kind) {
    case 'call':
      return isPlainCall(name) && Array.isArray(args) && args.length <= MAX_ARGUMENTS ? { kind, id, name, args } : null;
    case 'work':
      return isWorkCall(name) && Array.isArray(args) && args.length <= MAX_ARGUMENTS ? { kind, id, name, args } : null;
    case 'mail':
      // Whoever answers it knows the names of its calls.
      return isName(name) && Array.isArray(args) && args.length <= MAX_ARGUMENTS && isName(value['token'])
        ? { kind, id, name: name as MailCall, args, token: value['token'] }
        : null;
    case 'open':
      return typeof link === 'string' && link.length <= MAX_LINK_LENGTH ? { kind, id, link } : null;
    case 'read':
      return isCount(file) && isCount(offset) && isCount(length)
        ? { kind, id, file, offset, length: Math.min(length, MAX_READ_BYTES) }
        : null;
    case 'import': {
      if (blob !== null && !(blob instanceof Blob)) return null;
      if (typeof name !== 'string' || typeof type !== 'string' || !(size === null || isCount(size))) return null;
      {
        const flag = (key: string): boolean => value[key] === true;
        const { sources } = value;
        if (!Array.isArray(sources) || sources.length > MAX_SOURCES) return null;
        if (!sources.every((source) => typeof source === 'string')) return null;
        return { kind, id, blob, name, type, size, public: flag('public'), exported: flag('exported'), sources };
      }
    }
    case 'publish':
      return isRecord(settings) && Object.values(settings).every((text) => typeof text === 'string')
        ? { kind, id, settings }
        : null;
    case 'piece':
      return bytes === null || bytes instanceof Uint8Array || isFileStart(bytes) ? { kind, id, bytes } : null;
    case 'abort':
      return { kind, id };
    default:
      return null;
  }
}

/** Reads what the leader said. Snapshots and values are its own words, of the same version as ours. */
export function readToFollower(value: unknown): ToFollower | null {
  if (!isRecord(value)) return null;
  const { kind, id, done, what, error, snapshot, peerId, network } = value;
  switch (kind) {
    case 'pong':
    case 'bye':
      return { kind };
    case 'welcome':
      return typeof peerId === 'string' && isNetwork(network) && isSnapshot(snapshot)
        ? { kind, peerId, network, snapshot }
        : null;
    case 'mailed':
      return isName(value['type']) ? { kind, type: value['type'], detail: value['detail'] } : null;
    case 'changed': {
      const fits =
        what === 'state' ? isRecord(value['value']) && isCount(value['memoryBytes']) : Array.isArray(value['value']);
      return isChanged(what) && fits ? (value as ToFollower) : null;
    }
  }
  if (!isCount(id)) return null;
  const after = isSnapshot(snapshot) ? snapshot : null;
  switch (kind) {
    case 'done':
      return { kind, id, value: value['value'], snapshot: after };
    case 'failed':
      return isFailure(error) ? { kind, id, error, snapshot: after } : null;
    case 'progress':
      return { kind, id, done };
    case 'pull':
      return { kind, id };
    default:
      return null;
  }
}

/** Whether this is what an `open` is answered with. */
export function isOpenedFile(value: unknown): value is OpenedFile {
  if (!isRecord(value)) return false;
  const { file, cid, name, type, size } = value;
  return isCount(file) && isCount(size) && [cid, name, type].every((text) => typeof text === 'string');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH;
}

function isChanged(value: unknown): value is Changed {
  return value === 'state' || value === 'swarms' || value === 'peers';
}

function isPlainCall(value: unknown): value is PlainCall {
  return (PLAIN_CALLS as readonly unknown[]).includes(value);
}

function isWorkCall(value: unknown): value is WorkCall {
  return (WORK_CALLS as readonly unknown[]).includes(value);
}

function isFileStart(value: unknown): value is Exclude<SitePiece, Uint8Array> {
  if (!isRecord(value)) return false;
  const { path, type, cache, csp, bytes } = value;
  const texts = [type, cache, csp].every((text) => text === null || typeof text === 'string');
  return texts && typeof path === 'string' && bytes instanceof Uint8Array;
}

function isNetwork(value: unknown): value is Network {
  if (!isRecord(value) || !['undefined', 'number'].includes(typeof value['puzzleBits'])) return false;
  return [value['relays'], value['stun']].every(
    (list) => Array.isArray(list) && list.every((item) => typeof item === 'string'),
  );
}

function isSnapshot(value: unknown): value is Snapshot {
  if (!isRecord(value)) return false;
  const { stats, swarms, peers, memoryBytes } = value;
  return isRecord(stats) && Array.isArray(swarms) && Array.isArray(peers) && isCount(memoryBytes);
}

function isFailure(value: unknown): value is Failure {
  if (!isRecord(value)) return false;
  const { code, message, cid } = value;
  return typeof code === 'string' && typeof message === 'string' && (cid === null || typeof cid === 'string');
}

/** Characters of a tab's, a channel's or a client's name; ours have at most 120. */
const MAX_NAME_LENGTH = 256;
/** Web sources that an import may name; the node takes four. */
const MAX_SOURCES = 16;
/** Arguments of a call of plain values; the longest list has four. */
const MAX_ARGUMENTS = 8;
/** Bytes that one read may return, as in file.ts. */
const MAX_READ_BYTES = 1024 * 1024;
