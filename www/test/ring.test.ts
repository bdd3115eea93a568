import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RingMotion,
  along,
  angleOf,
  laneBetween,
  laneWidth,
  placeAt,
  ringLayout,
  sparkBytes,
  turnBetween,
  type RingPeer,
} from '../app/lib/ring.js';

const SIZES = [[300, 352], [328, 352], [656, 496], [1100, 496]] as const;

function peers(count: number, down = 0): RingPeer[] {
  return Array.from({ length: count }, (_, at) => ({ id: `peer ${at}`, rates: { down, up: 0, elsewhere: 0 } }));
}

test('all peers have room, none over another, over the middle or over the edge', () => {
  for (const [width, height] of SIZES) {
    for (let count = 1; count <= 64; count += 1) {
      const layout = ringLayout(width, height, count);
      const places = Array.from({ length: count }, (_, at) => placeAt(layout, angleOf(at, count)));
      const what = `${count} in ${width} x ${height}`;
      for (const [at, place] of places.entries()) {
        const edge = Math.min(place.x, width - place.x, place.y, height - place.y);
        assert.ok(edge >= layout.node + 2, `${what}: peer ${at} is ${edge} from the edge`);
        const toCentre = Math.hypot(place.x - layout.centre.x, place.y - layout.centre.y);
        assert.ok(toCentre > layout.core + layout.node, `${what}: peer ${at} lies on the middle`);
        const next = places[(at + 1) % count]!;
        const apart = Math.hypot(place.x - next.x, place.y - next.y);
        assert.ok(count === 1 || apart > 1.6 * layout.node, `${what}: ${apart} between peers of ${layout.node}`);
      }
    }
  }
});

test('names are left out where there is no room for them', () => {
  assert.equal(ringLayout(656, 496, 6).labels, true);
  assert.equal(ringLayout(656, 496, 40).labels, false);
  assert.equal(ringLayout(300, 352, 4).labels, true);
});

test('two peers stand left and right, others from the top', () => {
  const layout = ringLayout(600, 400, 2);
  assert.ok(placeAt(layout, angleOf(0, 2)).x < 300 && placeAt(layout, angleOf(1, 2)).x > 300);
  assert.ok(placeAt(layout, angleOf(0, 5)).y < 100);
});

test('there and back are two ways that begin and end at the discs', () => {
  const [a, b] = [{ x: 0, y: 0 }, { x: 200, y: 0 }];
  const there = laneBetween(a, b, 20, 50);
  const back = laneBetween(b, a, 50, 20);
  assert.ok(along(there, 0.5).y > 10 && along(back, 0.5).y < -10);
  for (const [point, disc, radius] of [[along(there, 0), a, 20], [along(there, 1), b, 50], [along(back, 0), b, 50], [along(back, 1), a, 20]] as const) {
    const distance = Math.hypot(point.x - disc.x, point.y - disc.y);
    assert.ok(Math.abs(distance - radius) < radius * 0.05, `${distance} of ${radius}`);
  }
});

test('a flow is broader the more of the largest it is', () => {
  assert.equal(laneWidth(0, 100), 0);
  assert.ok(laneWidth(100, 100) > laneWidth(25, 100) && laneWidth(25, 100) > laneWidth(1, 100));
  assert.equal(laneWidth(200, 100), laneWidth(100, 100));
});

test('a spark stands for so much that one flow sends few of them', () => {
  assert.equal(sparkBytes([]), 25_000);
  assert.equal(sparkBytes([100_000]), 25_000);
  assert.equal(sparkBytes([600_000]), 100_000);
  for (const rates of [[1e9], new Array<number>(60).fill(2e6)]) {
    const bytes = sparkBytes(rates);
    assert.ok(Math.max(...rates) / bytes <= 8 && rates.reduce((a, b) => a + b) / bytes <= 60);
  }
});

test('sparks leave in proportion to the rate, and are bounded', () => {
  const motion = new RingMotion();
  motion.fit(ringLayout(600, 400, 2));
  const [slow, fast] = ['slow', 'fast'];
  motion.update([
    { id: slow, rates: { down: 50_000, up: 0, elsewhere: 0 } },
    { id: fast, rates: { down: 150_000, up: 0, elsewhere: 0 } },
  ]);
  const sent = new Map<string, number>();
  const seen = new Set<object>();
  for (let frame = 0; frame < 60 * 60; frame += 1) {
    assert.equal(motion.step(1000 / 60), true);
    for (const spark of motion.sparks) {
      assert.ok(spark.t >= 0 && spark.t < 1);
      if (seen.has(spark)) continue;
      seen.add(spark);
      sent.set(spark.id, (sent.get(spark.id) ?? 0) + 1);
    }
  }
  // 25 kB each, for a minute.
  assert.ok(Math.abs((sent.get(slow) ?? 0) - 120) <= 2, `${sent.get(slow)}`);
  assert.ok(Math.abs((sent.get(fast) ?? 0) - 360) <= 2, `${sent.get(fast)}`);

  motion.update(peers(64, 1e9));
  for (let frame = 0; frame < 1000; frame += 1) motion.step(1000 / 60);
  assert.ok(motion.sparks.length <= 160, `${motion.sparks.length}`);
});

test('when nothing flows all comes to rest, and peers drift to their places', () => {
  const motion = new RingMotion();
  motion.update(peers(3));
  motion.update(peers(4));
  let frames = 0;
  while (motion.step(1000 / 60)) frames += 1;
  assert.ok(frames > 20 && frames < 600, `${frames} frames`);
  peers(4).forEach(({ id }, at) => assert.equal(motion.angle(id), angleOf(at, 4)));
  motion.update(peers(5));
  motion.settle();
  assert.equal(motion.step(16), false);
  assert.equal(motion.angle('peer 1'), angleOf(1, 5));
});

test('a peer that has gone takes its sparks along', () => {
  const motion = new RingMotion();
  motion.update(peers(2, 100_000));
  for (let frame = 0; frame < 120; frame += 1) motion.step(1000 / 60);
  assert.ok(motion.sparks.some(({ id }) => id === 'peer 1'));
  motion.update(peers(1, 100_000));
  assert.ok(motion.sparks.every(({ id }) => id === 'peer 0'));
});

test('a turn is the shorter one', () => {
  assert.ok(Math.abs(turnBetween(3, -3) - (2 * Math.PI - 6)) < 1e-9);
  assert.ok(Math.abs(turnBetween(-3, 3) + (2 * Math.PI - 6)) < 1e-9);
});
