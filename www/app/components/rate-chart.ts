/**
 * Rates over the last two minutes: received above the line, sent below, each in layers by neighbour.
 *
 * Drawn with uPlot; what is pointed at is read in the legend, which else tells of now.
 */

import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { PlainElement } from '../element.js';
import { SPAN_SECONDS, type FlowHistory } from '../lib/flow-history.js';
import { formatDuration, formatRate, liveRate } from '../lib/format.js';
import { OTHERS } from '../lib/swarm-chart.js';
import { faded, ink } from './ink.js';

@customElement('gyre-rate-chart')
export class RateChartElement extends PlainElement {
  @property({ attribute: false }) history!: FlowHistory;
  /** Names of the colours that are in use, from 1. */
  @property({ attribute: false }) names: ReadonlyMap<number, string> = new Map();
  /** Changes with each look, so that the chart is drawn anew. */
  @property({ type: Number }) looks = 0;
  @state() private pointed: number | null = null;
  readonly #resized = new ResizeObserver(() => this.fit());
  #plot: uPlot | null = null;
  #dark: boolean | null = null;

  override disconnectedCallback(): void {
    this.#resized.disconnect();
    this.#plot?.destroy();
    this.#plot = null;
    super.disconnectedCallback();
  }

  protected override render(): unknown {
    const { samples } = this.history;
    const at = this.pointed ?? samples.length - 1;
    const { down, up } = this.history.totals(at);
    const newest = samples.at(-1)?.at ?? 0;
    const ago = this.pointed === null ? 0 : newest - (samples[at]?.at ?? newest);
    const when = this.pointed === null || ago < 1 ? 'Now' : `${formatDuration(Math.max(4, ago))} ago`;
    return html`<section class="panel" aria-labelledby="rates-title">
      <header class="section-head rates-head">
        <h2 id="rates-title">Rates</h2>
        <p class="rates-now tabular" data-testid="rates-now">
          <span class="soft">${when}</span>
          <span><i class="key key-in"></i>in ${formatRate(down)}</span>
          <span><i class="key key-out"></i>out ${formatRate(up)}</span>
        </p>
      </header>
      <div class="rates-plot" role="img" aria-label=${`Rates over the last two minutes: in ${formatRate(down)}, out ${formatRate(up)}. The table below has the figures of each peer.`}></div>
      <ul class="map-legend soft tabular" aria-hidden="true">
        ${[...this.names].map(([colour, name]) => {
          const [gives, takes] = [liveRate(samples[at]?.down[colour - 1] ?? 0), liveRate(samples[at]?.up[colour - 1] ?? 0)];
          return html`<li><i class=${`cell stored q4 peer-${colour}`}></i><code>${name}</code>${gives === '' ? nothing : ` in ${gives}`}${takes === '' ? nothing : ` out ${takes}`}</li>`;
        })}
      </ul>
    </section>`;
  }

  protected override updated(changed: PropertyValues<this>): void {
    const { dark } = ink();
    if (dark !== this.#dark) {
      this.#dark = dark;
      this.#plot?.destroy();
      this.#plot = null;
    }
    const place = this.querySelector<HTMLElement>('.rates-plot');
    if (!place) return;
    if (!this.#plot) {
      if (place.clientWidth === 0) return this.#resized.observe(place);
      this.#plot = new uPlot(this.options(place), this.history.columns(), place);
      this.#resized.observe(place);
    } else if (changed.has('looks')) {
      this.#plot.setData(this.history.columns());
    }
  }

  private options(place: HTMLElement): uPlot.Options {
    const { peers, accent, sent, soft, line } = ink();
    const common: uPlot.Series = { points: { show: false }, ...(uPlot.paths.spline ? { paths: uPlot.paths.spline() } : {}) };
    const layer = (): uPlot.Series => ({ ...common, width: 0 });
    const outline = (colour: string): uPlot.Series => ({ ...common, width: 1.75, stroke: colour });
    const layers = Array.from({ length: OTHERS }, (_, at) => at);
    const [down, up] = [2, 2 + OTHERS];
    // The last layer of each stack is its whole, so its line is the total.
    const series = [...layers.map(() => layer()), ...layers.map(() => layer())];
    series[OTHERS - 1] = outline(accent);
    series[2 * OTHERS - 1] = outline(sent);
    return {
      width: place.clientWidth,
      height: HEIGHT,
      padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, range: (_plot, least, most) => window(least ?? 0, most ?? 0) },
        y: { range: (_plot, least, most) => reach(least ?? 0, most ?? 0) },
      },
      axes: [
        {
          stroke: soft,
          grid: { show: false },
          ticks: { show: false },
          size: 26,
          splits: (_plot, _axis, least, most) => marks(most - least).map((back) => most - back),
          values: (plot, splits) => splits.map((at) => ago((plot.scales['x']?.max ?? 0) - at)),
        },
        {
          stroke: soft,
          grid: { stroke: faded(line, 0.8), width: 1 },
          ticks: { show: false },
          size: 74,
          values: (_plot, splits) => splits.map((rate) => formatRate(Math.abs(rate))),
        },
      ],
      series: [{}, { width: 1, stroke: faded(soft, 0.5), points: { show: false } }, ...series],
      bands: [
        ...layers.map((at) => ({ series: [down + at, at === 0 ? 1 : down + at - 1] as [number, number], fill: faded(peers[at]!, 0.55) })),
        ...layers.map((at) => ({ series: [at === 0 ? 1 : up + at - 1, up + at] as [number, number], fill: faded(peers[at]!, 0.3) })),
      ],
      hooks: { setCursor: [(plot) => (this.pointed = plot.cursor.left !== undefined && plot.cursor.left >= 0 ? (plot.cursor.idx ?? null) : null)] },
    };
  }

  private fit(): void {
    const width = this.querySelector<HTMLElement>('.rates-plot')?.clientWidth ?? 0;
    if (width === 0) return;
    if (this.#plot) this.#plot.setSize({ width, height: HEIGHT });
    else this.requestUpdate();
  }
}

/** The time shown: as much as there is, in steps, so that a young chart is not mostly empty. */
function window(least: number, most: number): [number, number] {
  const span = [30, 60].find((seconds) => most - least <= seconds) ?? SPAN_SECONDS;
  return [most - span, most];
}

/** Seconds back that are named. */
function marks(span: number): number[] {
  const parts = span <= 30 ? 3 : 4;
  return Array.from({ length: parts + 1 }, (_, at) => (span * at) / parts);
}

/** From the most that was sent to the most that was received, with room to breathe. */
function reach(least: number, most: number): [number, number] {
  const whole = Math.max(most - least, LEAST_RATE);
  return [least < 0 ? least - whole * 0.08 : 0, Math.max(most, least < 0 ? 0 : LEAST_RATE) + whole * 0.08];
}

function ago(seconds: number): string {
  return seconds < 1 ? 'now' : seconds < 60 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 6) / 10} min`;
}

/** Pixels. */
const HEIGHT = 220;
/** Bytes per second that the chart shows at least. */
const LEAST_RATE = 20_000;
