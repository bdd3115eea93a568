import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowHistory, SPAN_SECONDS } from '../app/lib/flow-history.js';
import { parseRoute, swarmAddress } from '../app/lib/router.js';
import {
  Announcer,
  BEFORE,
  COLOURS,
  Colours,
  Elsewhere,
  OTHERS,
  cellChunks,
  cellWords,
  flowWords,
  mapCells,
  peerPercent,
  peerShares,
  peerWords,
  quartersOf,
  rarest,
  swarmSummary,
} from '../app/lib/swarm-chart.js';
import type { ChartPeer, SwarmChart } from '../sdk/types.js';
import { CID, swarmInfo } from './fake-node.js';

const CHUNK = 262_144;

function peer(change: Partial<ChartPeer> = {}): ChartPeer {
  return {
    peerId: '12D3KooWaaaabbbb',
    via: 'direct',
    rtt: 4,
    connected: 1000,
    chunks: 0,
    hasAll: false,
    has: new Uint8Array(),
    up: 0,
    down: 0,
    upRate: 0,
    downRate: 0,
    servesUs: true,
    wanted: false,
    isServed: true,
    wants: false,
    asked: 0,
    serving: 0,
    stalled: false,
    ...change,
  };
}

function chart(change: Partial<SwarmChart> = {}): SwarmChart {
  const cells = change.stored?.length ?? 4;
  return {
    cid: CID,
    chunks: cells,
    chunksHave: 0,
    unstored: 0,
    asked: 0,
    stored: new Uint8Array(cells),
    askedOf: new Uint8Array(cells),
    broughtBy: new Uint8Array(cells),
    copies: new Uint8Array(cells),
    bringers: [],
    peers: [],
    peersTotal: change.peers?.length ?? 0,
    ...change,
  };
}

test('each peer keeps its colour, and those beyond the palette share one', () => {
  const colours = new Colours();
  const ids = Array.from({ length: COLOURS + 3 }, (_, at) => `peer ${at}`);
  assert.deepEqual(
    ids.map((id) => colours.of(id)),
    ids.map((_, at) => Math.min(at + 1, OTHERS)),
  );
  assert.equal(colours.of('peer 2'), 3);
  assert.equal(colours.of(null), OTHERS);
});

test('who brought something gets a colour before who is only linked', () => {
  const colours = new Colours();
  colours.note(chart({ peers: [peer({ peerId: 'linked' })], bringers: [{ peerId: 'gone', chunks: 0 }, { peerId: 'brought', chunks: 2 }] }));
  assert.deepEqual([colours.of('brought'), colours.of('linked'), colours.of('gone')], [1, 2, 3]);
});

test('the map tells stored, in part, asked for and missing, each in its colour', () => {
  const colours = new Colours();
  const made = chart({
    chunks: 12,
    stored: Uint8Array.of(255, 255, 100, 0, 0, 255),
    broughtBy: Uint8Array.of(0, 1, 2, 0, 0, 255),
    askedOf: Uint8Array.of(0, 0, 0, 1, 0, 0),
    copies: Uint8Array.of(1, 1, 1, 1, 0, 2),
    bringers: [{ peerId: 'first', chunks: 2 }, { peerId: null, chunks: 1 }],
    peers: [peer({ peerId: 'asked' })],
  });
  colours.note(made);
  assert.deepEqual(mapCells(made, colours), [
    { state: 'stored', quarters: 4, colour: BEFORE },
    { state: 'stored', quarters: 4, colour: 1 },
    { state: 'part', quarters: 2, colour: OTHERS },
    { state: 'asked', quarters: 0, colour: 2 },
    { state: 'missing', quarters: 0, colour: BEFORE },
    { state: 'stored', quarters: 4, colour: OTHERS },
  ]);
  assert.equal(cellWords(made, 0), 'Chunks 1 to 2: here before · 1 linked peer has it');
  assert.equal(cellWords(made, 2), 'Chunks 5 to 6: 39 % here, from another peer · 1 linked peer has it');
  assert.equal(cellWords(made, 3), 'Chunks 7 to 8: asked of asked · 1 linked peer has it');
  assert.equal(cellWords(made, 4), 'Chunks 9 to 10: not here yet · no linked peer has it');
});

test('cells stand for all chunks, each for its own', () => {
  for (const [chunks, cells] of [[1, 1], [611, 512], [4000, 512], [1 << 22, 512]] as const) {
    const made = chart({ chunks, stored: new Uint8Array(cells) });
    let next = 1;
    for (let cell = 0; cell < cells; cell += 1) {
      const { first, last } = cellChunks(made, cell);
      assert.equal(first, next);
      assert.ok(last >= first);
      next = last + 1;
    }
    assert.equal(next, chunks + 1);
  }
});

test('a share is shown as none or all only if it is so', () => {
  assert.deepEqual([0, 1, 64, 128, 200, 254, 255].map(quartersOf), [0, 1, 1, 2, 3, 3, 4]);
});

test('what a peer has is drawn also where it is all or nothing', () => {
  assert.deepEqual(peerShares(peer({ has: Uint8Array.of(0, 255) }), 2), Uint8Array.of(0, 255));
  assert.deepEqual(peerShares(peer({ hasAll: true }), 2), Uint8Array.of(255, 255));
  assert.deepEqual(peerShares(peer(), 2), Uint8Array.of(0, 0));
  assert.deepEqual([peerPercent(peer({ chunks: 39 }), 40), peerPercent(peer({ hasAll: true }), 0), peerPercent(peer({ chunks: 3 }), 0)], [97, 100, 0]);
});

test('what goes on with a peer is said in words', () => {
  const cases: [Partial<ChartPeer>, number, string][] = [
    [{ downRate: 5000, upRate: 5000 }, 0, 'Swaps with you'],
    [{ downRate: 5000, chunks: 1 }, 9000, 'Sends to you, and gets more from others'],
    [{ downRate: 5000, hasAll: true }, 9000, 'Sends to you'],
    [{ upRate: 5000 }, 0, 'Gets it from you'],
    [{ stalled: true }, 0, 'Does not answer'],
    [{ asked: 2 }, 0, 'Asked, and not answered yet'],
    [{ wanted: true, servesUs: false }, 0, 'You wait for your turn'],
    [{ wants: true, isServed: false }, 0, 'Waits for its turn'],
    [{ chunks: 2 }, 9000, 'Gets it from others'],
    [{ hasAll: true }, 0, 'Has all of it'],
    [{}, 0, 'Has nothing of it yet'],
    [{ chunks: 3 }, 0, 'Nothing to swap right now'],
  ];
  for (const [change, elsewhere, words] of cases) assert.equal(peerWords(peer(change), elsewhere), words);
  assert.deepEqual([flowWords(0), flowWords(499), flowWords(1_200_000)], ['–', '–', '1.2 MB/s']);
});

test('the swarm is summed up in words', () => {
  const fetching = swarmInfo({ chunks: 10, chunksHave: 4 });
  const complete = swarmInfo({ state: 'complete', chunks: 10, chunksHave: 10 });
  const [whole, part] = [peer({ hasAll: true }), peer({ chunks: 1 })];
  assert.equal(swarmSummary(fetching, null), 'You have 40 %.');
  assert.equal(swarmSummary(fetching, chart()), 'You have 40 %. Nobody is linked for it right now.');
  assert.match(swarmSummary(complete, chart()), /^You hold all of it\. Nobody is linked .* whoever opens its link appears here\.$/);
  assert.equal(swarmSummary(fetching, chart({ peers: [whole] })), 'You have 40 %. 1 peer is linked, and has all of it.');
  assert.equal(swarmSummary(fetching, chart({ peers: [part] })), 'You have 40 %. 1 peer is linked, which has only a part of it.');
  assert.equal(swarmSummary(fetching, chart({ peers: [whole, part] })), 'You have 40 %. 2 peers are linked, 1 of them with all of it.');
  assert.equal(swarmSummary(complete, chart({ peers: [whole, whole] })), 'You hold all of it. 2 peers are linked, and all have all of it.');
  assert.equal(swarmSummary(complete, chart({ peers: [part, part] })), 'You hold all of it. 2 peers are linked, none of them has all of it.');
  assert.equal(rarest(chart({ peers: [part], copies: Uint8Array.of(2, 0, 1, 1) })), 'Some chunks are with none of them.');
  assert.equal(rarest(chart({ peers: [part], copies: Uint8Array.of(2, 3, 2, 2) })), 'Every chunk is with at least 2 of them.');
  assert.equal(rarest(chart()), '');
});

test('what a peer gets from others is what it has more than was sent to it', () => {
  const elsewhere = new Elsewhere();
  const look = (at: number, chunks: number, up: number, more: Partial<ChartPeer> = {}): number =>
    elsewhere.note(chart({ peers: [peer({ chunks, up, ...more })] }), at).get('12D3KooWaaaabbbb') ?? 0;
  assert.equal(look(0, 10, 0), 0);
  // What it was sent shows a little later: nothing is from others.
  for (let at = 1; at <= 20; at += 1) assert.equal(look(at * 500, 10 + at - 1, at * CHUNK), 0, `look ${at}`);
  let rate = 0;
  for (let at = 21; at <= 60; at += 1) rate = look(at * 500, at * 2, 20 * CHUNK);
  // Two chunks in half a second.
  assert.ok(Math.abs(rate - 4 * CHUNK) < CHUNK, `${rate}`);
  for (let at = 61; at <= 160; at += 1) rate = look(at * 500, 120, 20 * CHUNK);
  assert.equal(rate, 0);
  assert.equal(look(90_000, 100_000, 20 * CHUNK), 0, 'a whole set told at once is no flow');
});

test('a link that was replaced says nothing of others', () => {
  const elsewhere = new Elsewhere();
  const look = (at: number, up: number, connected: number): number =>
    elsewhere.note(chart({ peers: [peer({ chunks: 20, up, connected })] }), at).get('12D3KooWaaaabbbb') ?? 0;
  look(0, 20 * CHUNK, 9_000);
  assert.equal(look(500, 20 * CHUNK, 9_500), 0);
  assert.equal(look(1000, 0, 100), 0);
  assert.equal(look(1500, 0, 600), 0);
});

test('the chart keeps two minutes, stacked by colour and mirrored', () => {
  const colours = new Colours();
  const history = new FlowHistory();
  const two = [peer({ peerId: 'a', downRate: 300, upRate: 10 }), peer({ peerId: 'b', downRate: 200, upRate: 40 })];
  history.note(chart({ peers: two }), colours, 500);
  const [times, zero, ...layers] = history.columns();
  assert.deepEqual([times, zero], [[0.5], [0]]);
  assert.equal(layers.length, 2 * OTHERS);
  assert.deepEqual(layers.slice(0, OTHERS).map(([rate]) => rate), [300, ...new Array<number>(OTHERS - 1).fill(500)]);
  assert.deepEqual(layers.slice(OTHERS).map(([rate]) => rate), [-10, ...new Array<number>(OTHERS - 1).fill(-50)]);
  assert.deepEqual(history.totals(), { down: 500, up: 50 });
  for (let look = 0; look < 2000; look += 1) history.note(chart({ peers: two }), colours, 1000 + look * 500);
  const kept = history.samples;
  assert.ok(kept.length <= 400 && kept.at(-1)!.at - kept[0]!.at >= SPAN_SECONDS);
  assert.deepEqual(new FlowHistory().totals(), { down: 0, up: 0 });
});

test('a screen reader hears news, seldom, and the end at once', () => {
  const announcer = new Announcer();
  assert.equal(announcer.note(0, 1, 'start', 0), 'start');
  assert.equal(announcer.note(10, 1, 'ten', 1_000), 'start', 'no news');
  assert.equal(announcer.note(30, 2, 'thirty', 2_000), 'start', 'too soon');
  assert.equal(announcer.note(31, 2, 'thirty-one', 25_000), 'thirty-one');
  assert.equal(announcer.note(99, 2, 'nearly', 26_000), 'thirty-one');
  assert.equal(announcer.note(100, 2, 'done', 27_000), 'done');
  assert.equal(announcer.note(100, 2, 'done, and more', 90_000), 'done');
});

test('the swarm view has an address without a key', () => {
  assert.equal(swarmAddress(CID), `#/swarm/${CID}`);
  assert.deepEqual(parseRoute(swarmAddress(CID)), { page: 'swarm', cid: CID });
  assert.deepEqual(parseRoute('#/swarm/'), { page: 'unknown', fragment: '#/swarm/' });
  assert.deepEqual(parseRoute('#/swarm/<b>'), { page: 'unknown', fragment: '#/swarm/<b>' });
});
