/**
 * The chunks of a file as a map: what is here and who brought it, how many have each, or what one neighbour has.
 *
 * One drawing for a screen reader, with its sums as its name; whoever points at a cell reads about it below.
 */

import type { ChartPeer, SwarmChart } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { count, shortId } from '../lib/format.js';
import { BEFORE, OTHERS, cellWords, mapCells, peerPercent, peerShares, quartersOf, type Colours } from '../lib/swarm-chart.js';

@customElement('gyre-chunk-map')
export class ChunkMapElement extends PlainElement {
  @property({ attribute: false }) chart!: SwarmChart;
  @property({ attribute: false }) colours!: Colours;
  /** The neighbour that is looked at. */
  @property({ attribute: false }) peer: ChartPeer | null = null;
  /** The person's choice; without one, how many have a chunk is shown where all were here from the start. */
  @state() private chosen: 'here' | 'copies' | null = null;
  @state() private pointed: number | null = null;

  protected override render(): unknown {
    const { chart } = this;
    return html`<section class="panel" aria-labelledby="map-title">
      <header class="section-head">
        <h2 id="map-title">${this.peer ? html`What <code>${shortId(this.peer.peerId)}</code> has` : 'Chunks'}</h2>
        <fieldset class="segments map-mode" ?hidden=${this.peer !== null || chart.chunks === 0}>
          <legend class="visually-hidden">What the map shows</legend>
          ${this.choice('here', 'Here')} ${this.choice('copies', 'Copies')}
        </fieldset>
      </header>
      ${
        chart.chunks === 0
          ? html`<p class="empty">The map is drawn once the size of the file is known.</p>`
          : html`<div class="map" role="img" data-testid="chunk-map" aria-label=${this.label()} @pointerover=${this.point} @pointerleave=${() => (this.pointed = null)}>${this.cells()}</div>
            <p class="map-words soft tabular" aria-hidden="true">${this.pointed === null ? this.sums() : cellWords(chart, this.pointed)}</p>
            ${this.legend()}`
      }
    </section>`;
  }

  protected override updated(): void {
    const map = this.querySelector<HTMLElement>('.map');
    if (!map) return;
    // Beside the ring there is room for a square, below it for something flatter.
    const columns = Math.ceil(Math.sqrt(this.chart.stored.length * (map.clientWidth > FLAT_FROM ? 3 : 1)));
    map.style.setProperty('--columns', String(Math.max(columns, LEAST_COLUMNS)));
  }

  private get copies(): boolean {
    if (this.chosen !== null) return this.chosen === 'copies';
    const { bringers, chunks, chunksHave, peersTotal } = this.chart;
    return peersTotal > 0 && chunksHave === chunks && bringers.length === 0;
  }

  private choice(mode: 'here' | 'copies', words: string): unknown {
    return html`<label class="segment"><input class="visually-hidden" type="radio" name="map-mode" .checked=${this.copies === (mode === 'copies')} @change=${() => (this.chosen = mode)} /><span>${words}</span></label>`;
  }

  private cells(): unknown {
    const { chart, peer } = this;
    if (peer) {
      const colour = this.colours.of(peer.peerId);
      return Array.from(
        peerShares(peer, chart.stored.length),
        (share, at) => html`<i class=${`cell theirs peer-${colour} q${quartersOf(share)}`} data-cell=${at}></i>`,
      );
    }
    if (this.copies) {
      return Array.from(chart.copies, (copies, at) => html`<i class=${`cell copies c${Math.min(copies, 5)}`} data-cell=${at}></i>`);
    }
    return mapCells(chart, this.colours).map(
      ({ state, quarters, colour }, at) =>
        html`<i class=${`cell ${state} q${quarters} ${colour === BEFORE ? 'before' : `peer-${colour}`}`} data-cell=${at} data-state=${state}></i>`,
    );
  }

  private legend(): unknown {
    if (this.peer) return nothing;
    if (this.copies) {
      return html`<ul class="map-legend soft" aria-hidden="true">
        ${[0, 1, 2, 3, 4].map((copies) => html`<li><i class=${`cell copies c${copies}`}></i>${copies === 0 ? 'with nobody' : copies}</li>`)}
        <li><i class="cell copies c5"></i>5 and more linked peers</li>
      </ul>`;
    }
    const { bringers, chunksHave, unstored } = this.chart;
    const brought = bringers.reduce((sum, { chunks }) => sum + chunks, 0);
    const before = Math.max(0, chunksHave + unstored - brought);
    const byColour = new Map<number, { name: string; chunks: number }>();
    for (const { peerId, chunks } of bringers) {
      if (chunks === 0) continue;
      const colour = this.colours.of(peerId);
      const name = colour === OTHERS || peerId === null ? 'others' : shortId(peerId);
      byColour.set(colour, { name, chunks: chunks + (byColour.get(colour)?.chunks ?? 0) });
    }
    return html`<ul class="map-legend soft tabular" aria-hidden="true">
      ${before > 0 ? html`<li><i class="cell stored q4 before"></i>here before · ${before}</li>` : nothing}
      ${[...byColour].map(([colour, { name, chunks }]) => html`<li><i class=${`cell stored q4 peer-${colour}`}></i><code>${name}</code> · ${chunks}</li>`)}
      ${this.chart.asked > 0 ? html`<li><i class="cell asked q0 peer-9"></i>asked for · ${this.chart.asked}</li>` : nothing}
    </ul>`;
  }

  private sums(): string {
    const { chart, peer } = this;
    if (peer) return `${peerPercent(peer, chart.chunks)} % of ${count(chart.chunks, 'chunk')}`;
    const each = Math.ceil(chart.chunks / chart.stored.length);
    const scale = each > 1 ? ` · a square stands for up to ${each}` : '';
    return `${chart.chunksHave} of ${count(chart.chunks, 'chunk')} here${scale}`;
  }

  private label(): string {
    const { chart, peer } = this;
    if (peer) return `Map of the chunks that peer ${shortId(peer.peerId)} has: ${this.sums()}`;
    const missing = chart.chunks - chart.chunksHave - chart.unstored;
    return `Map of the chunks: ${chart.chunksHave} of ${chart.chunks} here, ${chart.asked} asked for, ${missing} missing`;
  }

  private point(event: PointerEvent): void {
    const cell = (event.target as HTMLElement).dataset['cell'];
    this.pointed = cell === undefined ? null : Number(cell);
  }
}

/** Pixels of width from which the map lies flat. */
const FLAT_FROM = 480;
/** Columns at least, so that a small file is not a few tiles. */
const LEAST_COLUMNS = 8;
