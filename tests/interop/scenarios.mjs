// What two peers must manage over a direct WebRTC connection, whoever wrote them. Each takes the dialling page, the other
// side's PeerId, and throws when it fails.

import assert from 'node:assert/strict';

/** How long the dialler's link may take from the dial, in milliseconds. */
const LINK_TIMEOUT_MS = 40_000;

const MIB = 1024 * 1024;

export const scenarios = [
  {
    name: 'ping',
    run: async (page, peer) => {
      const milliseconds = await page.evaluate((id) => window.peer.ping(id), peer);
      assert.ok(milliseconds >= 0 && milliseconds < 5_000, `round trip of ${milliseconds} ms`);
    },
  },
  {
    name: 'echo of 1 MiB',
    run: async (page, peer) => assert.equal(await page.evaluate((id, size) => window.peer.echo(id, size), peer, MIB), true, 'the echo differs'),
  },
  {
    name: 'half-close, then read',
    run: async (page, peer) => assert.equal(await page.evaluate((id) => window.peer.halfCloseThenRead(id, 100_000), peer), true, 'the answer after half-close is wrong'),
  },
  {
    name: '500 streams opened and closed',
    run: async (page, peer) => {
      assert.equal(await page.evaluate((id) => window.peer.openClose(id, 500, 10), peer), 500);
    },
  },
  {
    name: '2 MiB burst into a slow reader',
    run: async (page, peer) => assert.equal(await page.evaluate((id, size) => window.peer.burst(id, size), peer, 2 * MIB), true, 'the slow reader saw other bytes'),
  },
];

/**
 * Links the two pages through a relay; resolves with the PeerId that was dialled.
 *
 * `tries` is above 1 only between two js-libp2p peers, which may miss each other: the answering one closes the channel `init` as
 * soon as it sees it, and when that happens before the dialling one looks, that one waits in vain for the channel to open.
 */
export async function linkThrough(dialler, listener, { tries = 1, log = () => {} } = {}) {
  // The dialling side has joined, too, before it dials.
  const [address] = await Promise.all([listener, dialler].map((page) => page.evaluate(() => window.peer.listenAddress())));
  assert.match(address, /\/p2p-circuit\/webrtc\/p2p\//);
  for (let attempt = 1; ; attempt++) {
    try {
      const peer = await Promise.race([
        dialler.evaluate((to) => window.peer.dial(to), address),
        new Promise((_, reject) => setTimeout(reject, LINK_TIMEOUT_MS, new Error(`no link within ${LINK_TIMEOUT_MS / 1000} s`))),
      ]);
      const connections = await dialler.evaluate((id) => window.peer.connections(id), peer);
      assert.ok(connections.direct >= 1, `no direct connection: ${JSON.stringify(connections)}`);
      return peer;
    } catch (error) {
      if (attempt >= tries) throw error;
      log(`attempt ${attempt}: ${error.message}`);
    }
  }
}
