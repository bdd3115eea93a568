/**
 * Rates and remaining time that a person can read: smoothed, so that they do not jump.
 *
 * Rate is an exponentially weighted mean over time; the remaining time is shown only after a few
 * seconds of evidence. Time is an argument, in milliseconds of any steady clock.
 */

/** Bytes per second from a growing byte count. */
export class RateMeter {
  #at: number | null = null;
  #bytes = 0;
  #rate: number | null = null;

  /** Notes that `bytes` in all were done at time `now`. */
  note(bytes: number, now: number): void {
    if (this.#at === null || bytes < this.#bytes) {
      this.#at = now;
      this.#bytes = bytes;
      this.#rate = null;
      return;
    }
    const elapsed = now - this.#at;
    if (elapsed < MIN_STEP_MS) return;
    const fresh = ((bytes - this.#bytes) * 1000) / elapsed;
    const weight = 1 - Math.exp(-elapsed / SMOOTHING_MS);
    this.#rate = this.#rate === null ? fresh : this.#rate + (fresh - this.#rate) * weight;
    this.#at = now;
    this.#bytes = bytes;
  }

  /** Bytes per second, 0 before there is evidence. */
  get rate(): number {
    return this.#rate ?? 0;
  }
}

/** Seconds until `total` is reached, smoothed; `null` while it cannot be said. */
export class Eta {
  #seconds: number | null = null;
  #at = 0;
  #since: number | null = null;

  /** Notes the state at `now` and returns the seconds left, or `null` while nobody could say. */
  note(done: number, total: number | null, rate: number, now: number): number | null {
    if (total === null || done >= total || rate < MIN_RATE) {
      this.#seconds = null;
      this.#since = null;
      return null;
    }
    this.#since ??= now;
    const fresh = (total - done) / rate;
    if (this.#seconds === null) this.#seconds = fresh;
    else {
      const elapsed = now - this.#at;
      // Time passes by itself; only the deviation from that is smoothed.
      const expected = Math.max(0, this.#seconds - elapsed / 1000);
      this.#seconds = expected + (fresh - expected) * (1 - Math.exp(-elapsed / SMOOTHING_MS));
    }
    this.#at = now;
    return now - this.#since < SETTLE_MS ? null : this.#seconds;
  }
}

/** Milliseconds after which an old measurement counts for a third. */
const SMOOTHING_MS = 3_000;
/** Milliseconds between measurements; closer ones would only measure the timer. */
const MIN_STEP_MS = 200;
/** Milliseconds of transfer before a remaining time is shown. */
const SETTLE_MS = 1_500;
/** Bytes per second below which a remaining time means nothing. */
const MIN_RATE = 64;
