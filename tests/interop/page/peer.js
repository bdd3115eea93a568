// A js-libp2p peer in a page, driven from outside through `window.peer`. The same names are offered by our own peer's page,
// so that either can stand on either side.

import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { echo } from '@libp2p/echo';
import { identify } from '@libp2p/identify';
import { ping } from '@libp2p/ping';
import { webRTC } from '@libp2p/webrtc';
import { webSockets } from '@libp2p/websockets';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';

/** Enough for the test that opens 500 streams, with those that are still closing. */
const MAX_STREAMS = 2048;
const SINK = '/gyre-interop/sink/1.0.0';
const SLOW_SINK = '/gyre-interop/slow-sink/1.0.0';
/** How long the slow reader rests after every 64 KiB, in milliseconds. */
const SLOW_PAUSE_MS = 20;
const SLOW_STEP_BYTES = 65536;
/** js-libp2p's 64 KiB of unread bytes a stream would end the burst before its turn. */
const READ_BUFFER_BYTES = 8 * 1024 * 1024;

let node;

const limits = { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS };

window.peer = {
  implementation: 'js-libp2p',

  async start(relay) {
    node = await createLibp2p({
      addresses: { listen: ['/webrtc', `${relay}/p2p-circuit`] },
      transports: [webSockets(), webRTC({ rtcConfiguration: { iceServers: [] } }), circuitRelayTransport()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      // Loopback is where the tests run.
      connectionGater: { denyDialMultiaddr: () => false },
      services: { identify: identify(), ping: ping(limits), echo: echo(limits) },
    });
    await node.handle(SINK, (stream) => sink(stream, false), limits);
    await node.handle(SLOW_SINK, (stream) => sink(stream, true), limits);
    return node.peerId.toString();
  },

  /** The address others dial for a direct connection; waits until the relay has granted the reservation. */
  async listenAddress() {
    for (;;) {
      const found = node.getMultiaddrs().map(String).find((address) => address.includes('/p2p-circuit/webrtc'));
      if (found) return found;
      await new Promise((resolve) => node.addEventListener('self:peer:update', resolve, { once: true }));
    }
  },

  async dial(address) {
    const connection = await node.dial(multiaddr(address), { signal: AbortSignal.timeout(30_000) });
    return connection.remotePeer.toString();
  },

  /** How many connections to a peer there are, direct and over the relay. */
  connections(peer) {
    const all = node.getConnections().filter((connection) => connection.remotePeer.toString() === peer);
    const relayed = all.filter((connection) => connection.limits != null || connection.remoteAddr.toString().includes('/p2p-circuit/p2p/'));
    return { direct: all.length - relayed.length, relayed: relayed.length };
  },

  /** Round trip in milliseconds. */
  ping: (peer) => node.services.ping.ping(direct(peer).remoteAddr, { signal: AbortSignal.timeout(10_000) }),

  /** Sends random bytes and compares what comes back. */
  async echo(peer, size) {
    const bytes = random(size);
    const stream = await direct(peer).newStream('/echo/1.0.0', { maxOutboundStreams: MAX_STREAMS });
    stream.maxReadBufferLength = READ_BUFFER_BYTES;
    const back = collect(stream);
    await write(stream, bytes);
    await stream.close();
    const received = await back;
    return received.length === bytes.length && received.every((byte, i) => byte === bytes[i]);
  },

  /** Writes, closes its half, and only then reads what the other side made of it. */
  halfCloseThenRead: (peer, size) => intoSink(peer, SINK, size),

  /** As above, into a reader that rests. */
  burst: (peer, size) => intoSink(peer, SLOW_SINK, size),

  /** Opens and closes streams, `width` at a time; each echoes one byte. Resolves with how many did. */
  async openClose(peer, count, width) {
    let left = count;
    let good = 0;
    await Promise.all(Array.from({ length: width }, async () => {
      while (left-- > 0) if (await this.echo(peer, 1)) good++;
    }));
    return good;
  },

  /** Streams that are open to a peer now. */
  streams: (peer) => direct(peer).streams.length,

  stop: () => node.stop(),
};

function direct(peer) {
  const connection = node.getConnections().find((open) => open.remotePeer.toString() === peer && open.limits == null && open.status === 'open');
  if (!connection) throw new Error(`no direct connection to ${peer}`);
  return connection;
}

async function intoSink(peer, protocol, size) {
  const bytes = random(size);
  const stream = await direct(peer).newStream(protocol, { maxOutboundStreams: MAX_STREAMS });
  const answer = collect(stream);
  await write(stream, bytes);
  await stream.close();
  const [count, sum] = decode(await answer);
  return count === bytes.length && sum === checksum(0, bytes);
}

async function sink(stream, slow) {
  stream.maxReadBufferLength = READ_BUFFER_BYTES;
  let count = 0;
  let sum = 0;
  let rested = 0;
  for await (const chunk of stream) {
    const bytes = chunk.subarray();
    count += bytes.length;
    sum = checksum(sum, bytes);
    while (slow && count - rested >= SLOW_STEP_BYTES) {
      rested += SLOW_STEP_BYTES;
      await new Promise((resolve) => setTimeout(resolve, SLOW_PAUSE_MS));
    }
  }
  const answer = new DataView(new ArrayBuffer(12));
  answer.setBigUint64(0, BigInt(count));
  answer.setUint32(8, sum);
  await write(stream, new Uint8Array(answer.buffer));
  await stream.close();
}

/** The polynomial sum that both languages compute: `sum * 31 + byte`, modulo 2^32. */
function checksum(sum, bytes) {
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum;
}

function decode(answer) {
  const view = new DataView(answer.buffer, answer.byteOffset, 12);
  return [Number(view.getBigUint64(0)), view.getUint32(8)];
}

async function write(stream, bytes) {
  for (let at = 0; at < bytes.length; at += 65536) {
    if (!stream.send(bytes.subarray(at, at + 65536))) await stream.onDrain();
  }
}

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part.subarray().slice());
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function random(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, size)));
  return bytes;
}
