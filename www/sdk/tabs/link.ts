/** A follower's way to its leader: a port through the service worker, or else a channel that only these two know. */

import type { Notice } from './messages.js';
import type { Platform } from './platform.js';
import { RemoteNode } from './remote.js';
import { channelWire, portWire } from './wire.js';

/** Who wants to talk to whom. */
export interface Link {
  readonly database: string;
  /** The follower. */
  readonly tab: string;
  readonly leader: string;
  /** The leader's id at the service worker, `null` if it has none. */
  readonly client: string | null;
}

/** Waits for the leader's welcome; `null` if it does not come. `heard` is called for all that it says from then on. */
export async function connect(
  link: Link,
  platform: Platform,
  say: (notice: Notice) => void,
  heard: () => void,
): Promise<RemoteNode | null> {
  return (await throughBroker(link, platform, heard)) ?? (await throughChannel(link, platform, say, heard));
}

async function throughBroker(
  { database, tab, leader, client }: Link,
  { broker, timing }: Platform,
  heard: () => void,
): Promise<RemoteNode | null> {
  if (!broker || !client || (await broker.clientId()) === null) return null;
  const { port1, port2 } = new MessageChannel();
  const welcome = RemoteNode.welcomed(portWire(port1), timing.welcome, heard);
  broker.pass(client, { database, leader, tab }, port2);
  return welcome;
}

function throughChannel(
  { database, tab, leader }: Link,
  platform: Platform,
  say: (notice: Notice) => void,
  heard: () => void,
): Promise<RemoteNode | null> {
  const channel = `gyre-tab:${database}:${platform.name()}`;
  const welcome = RemoteNode.welcomed(channelWire(platform.channel(channel)), platform.timing.welcome, heard);
  say({ kind: 'link', to: leader, tab, channel });
  return welcome;
}
