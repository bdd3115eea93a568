/**
 * What the node tells about itself: plain objects, each a snapshot of one moment.
 *
 * All sizes are bytes, all rates bytes per second, all times milliseconds; a point in time is
 * milliseconds since the Unix epoch.
 */

import type { GyreError } from './errors.js';

/** How far one blob has come on this peer. */
export type SwarmState = 'importing' | 'finding' | 'fetching' | 'paused' | 'complete' | 'failed';

/** A web server that may be asked for a blob. */
export interface ServerInfo {
  /** Host, and port where there is one. */
  readonly host: string;
  /** Bytes received from it. */
  readonly down: number;
  /** `waiting` after a failure, `dropped` for good: it sent wrong bytes, or serves no parts of files. */
  readonly state: 'ready' | 'busy' | 'waiting' | 'dropped';
  /** One plain sentence when something is wrong, else empty. */
  readonly detail: string;
}

/** One blob that this peer holds, fetches or imports. */
export interface SwarmInfo {
  /** CIDv1 of the stored bytes (base32). */
  readonly cid: string;
  /** `#/f/<cid>?…` with the key if this peer knows it, `null` if it does not. */
  readonly fragment: string | null;
  /** File name, `null` until it is known. */
  readonly name: string | null;
  /** Media type, `null` until it is known. */
  readonly type: string | null;
  /** Content size in bytes, `null` until it is known. */
  readonly size: number | null;
  /** Verified and stored content, in bytes. */
  readonly have: number;
  readonly state: SwarmState;
  /** Why `state` is `failed`; `code` is one of {@link ErrorCode}. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Kept on purpose; what is not pinned may be evicted when room is needed. */
  readonly pinned: boolean;
  /** Stored in the clear, so that the CID is the BLAKE3 hash of the file itself. */
  readonly public: boolean;
  /** Bytes sent to other peers. */
  readonly up: number;
  /** Bytes received from other peers and from web servers. */
  readonly down: number;
  /** Sending now, in bytes per second. */
  readonly upRate: number;
  /** Receiving now, in bytes per second. */
  readonly downRate: number;
  /** Bytes received in vain: duplicates and bytes that failed verification. */
  readonly wasted: number;
  /** Peers of this swarm that are connected now. */
  readonly peers: number;
  /** Those of them that hold all of it. */
  readonly sources: number;
  /** Web servers that the link names, while it is not all here and in this run. */
  readonly servers: readonly ServerInfo[];
  /** When it came to this peer, in milliseconds since the epoch. */
  readonly addedAt: number;
  /** Number of 256 KiB chunks. */
  readonly chunks: number;
  /** Chunks verified and stored. */
  readonly chunksHave: number;
}

/** How a peer is reached. */
export type PeerVia = 'direct' | 'relayed' | 'websocket' | 'connecting' | 'failed';

/** One peer that this one is, was just, or tries to be connected to. */
export interface PeerInfo {
  readonly peerId: string;
  readonly role: 'browser' | 'relay';
  /** `direct` is WebRTC, `relayed` passes through a relay, `websocket` leads to a relay itself. */
  readonly via: PeerVia;
  /** What it says it is, as in libp2p's identify. */
  readonly agent: string;
  /** Round-trip time in milliseconds, `null` until measured. */
  readonly rtt: number | null;
  /** Bytes sent to it. */
  readonly up: number;
  /** Bytes received from it. */
  readonly down: number;
  /** Bytes per second to it. */
  readonly upRate: number;
  /** Bytes per second from it. */
  readonly downRate: number;
  /** Since when, in milliseconds since the epoch. */
  readonly since: number;
  /** One plain sentence when something is wrong, else empty. */
  readonly detail: string;
}

/**
 * Who has what of one blob, as far as this peer knows: its own chunks, what its neighbours say they have, and what flows
 * between them and itself. What flows between two others is not known.
 *
 * Chunks are summed up in cells, at most 512: cell `i` of `n` stands for the chunks from `i * chunks / n` (rounded down)
 * up to, not including, `(i + 1) * chunks / n`. A share is 0 for none of a cell, 255 for all of it, in between for a part.
 */
export interface SwarmChart {
  readonly cid: string;
  /** Number of 256 KiB chunks; 0 until the size is known, and then there are no cells. */
  readonly chunks: number;
  /** Chunks verified and stored. */
  readonly chunksHave: number;
  /** Chunks verified and not yet stored. */
  readonly unstored: number;
  /** Chunks asked for. */
  readonly asked: number;
  /** Share of each cell that is stored here. */
  readonly stored: Uint8Array;
  /** Of whom something in the cell is asked: `k` is `peers[k - 1]`, 0 nobody, 255 one that is not in `peers`. */
  readonly askedOf: Uint8Array;
  /** Who brought most of the cell: `k` is `bringers[k - 1]`, 0 for what was here before, 255 one that is not in `bringers`. */
  readonly broughtBy: Uint8Array;
  /** How many neighbours have the chunk of the cell that the fewest have, 255 at most. */
  readonly copies: Uint8Array;
  /** Who brought chunks that are here now, those that have left included; at most 64. */
  readonly bringers: readonly { readonly peerId: string | null; readonly chunks: number }[];
  /** The neighbours; at most the 64 that most has flowed to and from. */
  readonly peers: readonly ChartPeer[];
  /** How many there are in all. */
  readonly peersTotal: number;
}

/** One neighbour in a {@link SwarmChart}; bytes and rates are those of this blob alone, since it is connected. */
export interface ChartPeer {
  readonly peerId: string;
  readonly via: PeerVia;
  /** Round-trip time in milliseconds, `null` until measured. */
  readonly rtt: number | null;
  /** How long it has been in this swarm with us, in milliseconds. */
  readonly connected: number;
  /** Chunks that it says it has. */
  readonly chunks: number;
  /** Whether it says that it has all of them. */
  readonly hasAll: boolean;
  /** Share of each cell that it says it has; empty where that is all or nothing. */
  readonly has: Uint8Array;
  /** Bytes sent to it. */
  readonly up: number;
  /** Bytes received from it. */
  readonly down: number;
  /** Bytes per second to it. */
  readonly upRate: number;
  /** Bytes per second from it. */
  readonly downRate: number;
  /** It serves this peer now. */
  readonly servesUs: boolean;
  /** It has something that is wanted here. */
  readonly wanted: boolean;
  /** This peer serves it now. */
  readonly isServed: boolean;
  /** It says that it wants something. */
  readonly wants: boolean;
  /** Chunks asked of it. */
  readonly asked: number;
  /** Chunks being sent to it. */
  readonly serving: number;
  /** It let requests stall and has not delivered since. */
  readonly stalled: boolean;
}

/** One relay of this node's list. */
export interface RelayInfo {
  /** Multiaddr. */
  readonly address: string;
  /** `reserved` means other peers can reach this one through it. */
  readonly state: 'connecting' | 'connected' | 'reserved' | 'failed';
  /** One plain sentence when something is wrong, else empty. */
  readonly detail: string;
}

/** The node as a whole. */
export interface Stats {
  readonly peerId: string;
  /** `joined` once a relay holds a reservation for this peer; `peers` while none does and linked peers introduce it. */
  readonly state: 'connecting' | 'joined' | 'peers' | 'offline';
  readonly relays: readonly RelayInfo[];
  /** The person's consent to sending; `null` means not asked yet, and nothing is sent. */
  readonly uploadAllowed: boolean | null;
  /** Why nothing is sent now, `null` while sending is on. `day`: today's amount has been sent. */
  readonly uploadHold: 'unasked' | 'refused' | 'metered' | 'battery' | 'day' | null;
  /** What the person allows of their connection. */
  readonly limits: Limits;
  /** Bytes sent and received since midnight (UTC), over all visits. */
  readonly today: { readonly up: number; readonly down: number };
  /** Bytes sent since the start. */
  readonly up: number;
  /** Bytes received since the start. */
  readonly down: number;
  /** Bytes per second. */
  readonly upRate: number;
  /** Bytes per second. */
  readonly downRate: number;
  /** Bytes used by the chunk store, and the most it may use. */
  readonly storage: { readonly used: number; readonly quota: number };
}

/** What a person allows of their connection; `null` is no cap. Remembered by the node, and holds at once. */
export interface Limits {
  /** Most bytes per second to others; at least 32 KiB. */
  readonly upRate: number | null;
  /** Most bytes per second from others; at least 32 KiB. */
  readonly downRate: number | null;
  /** Most bytes to others in a day (UTC); at least 16 MiB. */
  readonly upPerDay: number | null;
  /** Send also where the connection is metered or asks to save data; default `false`. */
  readonly sendOnMetered: boolean;
  /** Do not send while the machine runs on its battery; default `false`. */
  readonly pauseOnBattery: boolean;
  /** Show no address to peers: no direct link is made; default `false`. */
  readonly hideAddress: boolean;
}

/** What the browser says of the machine; `false` where it says nothing. */
export interface Surroundings {
  readonly metered: boolean;
  readonly onBattery: boolean;
}

/** How far long work has come. */
export interface Progress {
  /** Bytes done. */
  readonly done: number;
  /** Bytes in all, `null` if not known beforehand. */
  readonly total: number | null;
}

/** Part of a file: from byte `start` up to, not including, byte `end`. */
export interface ByteRange {
  /** First byte; 0 if left out. */
  readonly start?: number;
  /** The byte after the last one; the file's size if left out. */
  readonly end?: number;
}

/** Options of {@link Gyre.join}. */
export interface JoinOptions {
  /** Multiaddrs of relays; given, no bootstrap list is fetched unless `bootstrap` is given too. */
  readonly relays?: readonly string[];
  /** Where to ask for relays; default `/bootstrap.json` of the page's origin. All are asked, the answers are joined. */
  readonly bootstrap?: string | URL | readonly (string | URL)[];
  /** STUN servers (`stun:host:port`); given, they replace those of the bootstrap list. */
  readonly stun?: readonly string[];
  /** The most bytes the chunk store may use. */
  readonly quota?: number;
  /** The person's answer about sending, if the page has already asked. Left out, the remembered answer stands; without one, nothing is sent. */
  readonly upload?: boolean;
  /** IndexedDB database; give a name of its own to each node of one origin. */
  readonly databaseName?: string;
  /** Never connect directly, so that peers do not see this browser's IP address. Slower. */
  readonly relayOnly?: boolean;
  /** Gives up joining; a node that has started is left by {@link Gyre.leave}. */
  readonly signal?: AbortSignal;
  /** Where `gyre_bg.wasm` lies, if not beside the package. */
  readonly wasm?: URL | string;
  /** The page that opens links, for the links made here; default the root of the page's origin. */
  readonly linkBase?: URL | string;
}

/** Options of {@link Gyre.share}. */
export interface ShareOptions {
  /** File name; default that of a `File`, else `untitled`. */
  readonly name?: string;
  /** Media type; default that of a `Blob`, else `application/octet-stream`. */
  readonly type?: string;
  /** Content size in bytes, if a stream's is known beforehand. */
  readonly size?: number;
  /** Store in the clear: anybody who has the address can read it. Default `false`: encrypted, the key only in the link. */
  readonly public?: boolean;
  /**
   * Up to four `http` or `https` addresses at which the stored bytes will lie (of a public file: the file), each with the tree
   * of {@link Gyre.webTree} beside it. They become part of the link.
   */
  readonly sources?: readonly (string | URL)[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** Options of {@link Gyre.open}. */
export interface OpenOptions {
  /** More web sources than the link names: see {@link ShareOptions.sources}. */
  readonly sources?: readonly (string | URL)[];
  readonly signal?: AbortSignal;
}

/** What {@link Gyre.share} made. */
export interface Share {
  /** The full link. With an encrypted share it holds the key: whoever has it can read. */
  readonly link: string;
  /** The link's fragment, which any host of the app opens. */
  readonly fragment: string;
  readonly cid: string;
  /** Content size in bytes. */
  readonly size: number;
}

/** The events of a {@link Gyre}; `detail` is a fresh snapshot, at most five a second of each kind. */
export interface GyreEventMap {
  /** Joining, relays, consent, storage or totals changed. */
  state: CustomEvent<Stats>;
  /** A blob came, went or made progress. */
  swarms: CustomEvent<SwarmInfo[]>;
  /** A peer came, went or changed. */
  peers: CustomEvent<PeerInfo[]>;
  /** A blob has failed; the call that asked for it, if one waits, rejects as well. */
  error: CustomEvent<GyreError>;
}
