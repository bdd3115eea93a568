/**
 * What flowed over the last minutes, for the chart: one sample for each look, in columns, the oldest forgotten.
 *
 * Received lies above zero and sent below, each stacked by the colour of the neighbour.
 */

import type { SwarmChart } from 'gyre';
import { OTHERS, type Colours } from './swarm-chart.js';

/** One look: bytes per second by colour, from 1. */
export interface FlowSample {
  /** Seconds of a steady clock. */
  readonly at: number;
  readonly down: readonly number[];
  readonly up: readonly number[];
}

/** A bounded series of looks. */
export class FlowHistory {
  readonly #samples: FlowSample[] = [];

  get samples(): readonly FlowSample[] {
    return this.#samples;
  }

  /** Notes the rates of a chart at `now`, in milliseconds of a steady clock. */
  note(chart: SwarmChart, colours: Colours, now: number): void {
    const down = new Array<number>(OTHERS).fill(0);
    const up = new Array<number>(OTHERS).fill(0);
    for (const { peerId, downRate, upRate } of chart.peers) {
      const at = colours.of(peerId) - 1;
      down[at] = (down[at] ?? 0) + downRate;
      up[at] = (up[at] ?? 0) + upRate;
    }
    this.#samples.push({ at: now / 1000, down, up });
    while (this.#samples.length > MAX_SAMPLES || now / 1000 - this.#samples[0]!.at > SPAN_SECONDS + 5) {
      this.#samples.shift();
    }
  }

  /**
   * The columns that are drawn: the time, a line at zero, what was received summed up over the first 1, 2, … colours, and
   * the same for what was sent, below zero.
   */
  columns(): [number[], ...number[][]] {
    const times = this.#samples.map(({ at }) => at);
    const stack = (of: (sample: FlowSample) => readonly number[], sign: number): number[][] => {
      const sums = new Array<number>(times.length).fill(0);
      return Array.from({ length: OTHERS }, (_, colour) =>
        this.#samples.map((sample, at) => (sums[at] = (sums[at] ?? 0) + sign * (of(sample)[colour] ?? 0))),
      );
    };
    return [times, times.map(() => 0), ...stack(({ down }) => down, 1), ...stack(({ up }) => up, -1)];
  }

  /** Received and sent in one look; the latest by default. */
  totals(index = this.#samples.length - 1): { down: number; up: number } {
    const sample = this.#samples[index];
    const sum = (list: readonly number[] = []): number => list.reduce((a, b) => a + b, 0);
    return { down: sum(sample?.down), up: sum(sample?.up) };
  }
}

/** Seconds that the chart shows. */
export const SPAN_SECONDS = 120;
/** Looks kept: more than come in the time shown. */
const MAX_SAMPLES = 400;
