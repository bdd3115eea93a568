/** The state of the node and of each file, in one short line. */

import type { ErrorCode, PeerInfo, PeerVia, Stats, SwarmInfo } from 'gyre';
import { adviceFor } from './advice.js';
import { count, formatBytes, formatDuration, formatRate, percent } from './format.js';

/** Where the page stands: its peer is being loaded, runs, or could not be started. */
export type Phase = 'loading' | 'connecting' | 'joined' | 'peers' | 'offline' | 'failed';

/** What the header shows. */
export interface JoinStatus {
  readonly phase: Phase;
  readonly label: string;
  /** The same for narrow windows. */
  readonly short: string;
  /** What to do, where there is something to do; else empty. */
  readonly hint: string;
}

/** Words for the state of the node. */
export function joinStatus(
  phase: Phase,
  stats: Stats | null,
  peers: readonly PeerInfo[],
  error: ErrorCode | null,
): JoinStatus {
  switch (phase) {
    case 'loading':
      return { phase, label: 'Starting…', short: 'Starting…', hint: '' };
    case 'connecting':
      return { phase, label: 'Joining…', short: 'Joining…', hint: '' };
    case 'joined': {
      const relays = (stats?.relays ?? []).filter((relay) => relay.state === 'reserved').length;
      const linked = count(connectedPeers(peers).length, 'peer');
      return { phase, label: `Joined · ${count(relays, 'relay')} · ${linked}`, short: `Joined · ${linked}`, hint: '' };
    }
    case 'peers': {
      const linked = count(connectedPeers(peers).length, 'peer');
      const hint = 'No relay answers. Linked peers introduce this one to others, so it still finds and is found.';
      return { phase, label: `No relay · joined through ${linked}`, short: `No relay · ${linked}`, hint };
    }
    case 'offline': {
      const reason = (stats?.relays ?? []).find((relay) => relay.detail !== '')?.detail ?? '';
      const linked = connectedPeers(peers).length;
      const label = linked > 0 ? `No relay · ${count(linked, 'peer')}` : 'Offline';
      const hint =
        linked > 0
          ? 'Linked peers stay linked; new ones cannot be met until a relay answers.'
          : 'No relay answers. Check your connection; this page keeps trying.';
      return { phase, label, short: label, hint: reason === '' ? hint : `${hint} (${reason})` };
    }
    case 'failed': {
      const { title, advice } = adviceFor(error ?? 'INTERNAL');
      const label = error === 'STORE_BUSY' ? 'Another version runs' : error === 'NO_RELAY' ? 'Offline' : 'Not running';
      const short = error === 'STORE_BUSY' ? 'Other version' : label;
      return { phase, label, short, hint: `${title}. ${advice}` };
    }
  }
}

/** Browsers that this one is linked to now. */
export function connectedPeers(peers: readonly PeerInfo[]): PeerInfo[] {
  return peers.filter((peer) => peer.role === 'browser' && (peer.via === 'direct' || peer.via === 'relayed'));
}

/** How a peer is connected. */
export function viaLabel(via: PeerVia): string {
  return VIA[via];
}

/** What a file on this peer is doing; `eta` in seconds, `null` if unknown. */
export function swarmLine(swarm: SwarmInfo, eta: number | null = null): string {
  const sources = sourceWords(swarm);
  switch (swarm.state) {
    case 'importing':
      return 'Importing';
    case 'finding':
      return swarm.have > 0 ? 'Looking for somebody who has the rest' : 'Looking for somebody who has it';
    case 'fetching': {
      const left = eta === null ? '' : ` · ${formatDuration(eta)} left`;
      return `${percent(swarm.have, swarm.size)} % · ${formatRate(swarm.downRate)} ${sources}${left}`;
    }
    case 'paused':
      return `Paused at ${percent(swarm.have, swarm.size)} %`;
    case 'complete':
      // All of it is here, yet its header could not be read: the key of this link is another file's.
      if (swarm.size === null) return 'Held here, but the key does not open it';
      return swarm.sources === 0
        ? 'Complete · held here'
        : `Complete · held here and by ${count(swarm.sources, 'other')}`;
    case 'failed':
      return failureTitle(swarm.error?.code ?? 'INTERNAL');
  }
}

/** What is wrong with the web servers of a file, in a sentence for each. */
export function serverTroubles(swarm: Pick<SwarmInfo, 'servers'>): string[] {
  const words = { waiting: 'will be asked again', dropped: 'is not asked again' };
  return swarm.servers.flatMap(({ host, state, detail }) => {
    if (state !== 'waiting' && state !== 'dropped') return [];
    const what = detail.replace(/^This server /, '').replace(/\.$/, '');
    return [`The web server ${host} ${what}, and ${words[state]}.`];
  });
}

/** Whom a file comes from: `from 3 peers and the web server example.org`. */
function sourceWords({ peers, servers }: SwarmInfo): string {
  const hosts = [...new Set(servers.filter(({ state }) => state === 'busy').map(({ host }) => host))];
  const names = hosts.length > 1 ? `${hosts.length} web servers` : `the web server ${hosts[0]}`;
  const from = [...(peers > 0 ? [count(peers, 'peer')] : []), ...(hosts.length > 0 ? [names] : [])];
  return from.length === 0 ? 'waiting for a peer' : `from ${from.join(' and ')}`;
}

/** `1.2 MB of 5 MB`, or just the size once it is all here. */
export function sizeLine(swarm: Pick<SwarmInfo, 'have' | 'size'>): string {
  if (swarm.size === null) return 'Size not known';
  return swarm.have >= swarm.size
    ? formatBytes(swarm.size)
    : `${formatBytes(swarm.have)} of ${formatBytes(swarm.size)}`;
}

function failureTitle(code: string): string {
  return adviceFor(code as ErrorCode)?.title ?? 'Something went wrong';
}

const VIA: Record<PeerVia, string> = {
  direct: 'Direct',
  relayed: 'Via relay, slow',
  websocket: 'WebSocket',
  connecting: 'Connecting…',
  failed: 'No link',
};
