import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Eta, RateMeter } from '../app/lib/rate.js';

test('a steady stream is measured exactly', () => {
  const meter = new RateMeter();
  for (let now = 0; now <= 5000; now += 250) meter.note(now * 1000, now);
  assert.equal(Math.round(meter.rate), 1_000_000);
});

test('a stall brings the rate down, but not at once', () => {
  const meter = new RateMeter();
  for (let now = 0; now <= 5000; now += 250) meter.note(now * 1000, now);
  meter.note(5_000_000, 5250);
  assert.ok(meter.rate > 800_000, String(meter.rate));
  for (let now = 5500; now <= 25_000; now += 250) meter.note(5_000_000, now);
  assert.ok(meter.rate < 5_000, String(meter.rate));
});

test('a count that falls starts the measurement again', () => {
  const meter = new RateMeter();
  meter.note(100, 0);
  meter.note(1100, 1000);
  assert.equal(meter.rate, 1000);
  meter.note(0, 2000);
  assert.equal(meter.rate, 0);
});

test('remaining time appears after a moment and does not jump', () => {
  const eta = new Eta();
  assert.equal(eta.note(0, 100_000, 1000, 0), null);
  assert.equal(eta.note(1000, 100_000, 1000, 1000), null);
  const first = eta.note(2000, 100_000, 1000, 2000);
  assert.ok(first !== null && Math.abs(first - 98) < 1, String(first));
  const afterDip = eta.note(2100, 100_000, 100, 2100);
  assert.ok(afterDip !== null && afterDip < 140, String(afterDip));
});

test('remaining time is not guessed without a size, a rate or something left', () => {
  const eta = new Eta();
  for (let now = 0; now < 10_000; now += 500) {
    assert.equal(eta.note(5, null, 1000, now), null);
    assert.equal(eta.note(5, 10_000, 0, now), null);
    assert.equal(eta.note(10_000, 10_000, 1000, now), null);
  }
});
