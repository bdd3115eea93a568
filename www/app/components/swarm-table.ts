/** The swarm as a table: the same facts as the drawings, for whoever reads rather than looks. */

import type { ChartPeer, SwarmChart } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { PlainElement } from '../element.js';
import { count, formatBytes, shortId } from '../lib/format.js';
import { viaLabel } from '../lib/status.js';
import { flowWords, peerPercent, peerShares, peerWords, type Colours } from '../lib/swarm-chart.js';
import { lookAt } from './events.js';
import { ink } from './ink.js';

@customElement('gyre-swarm-table')
export class SwarmTableElement extends PlainElement {
  @property({ attribute: false }) chart!: SwarmChart;
  @property({ attribute: false }) colours!: Colours;
  @property({ attribute: false }) elsewhere: ReadonlyMap<string, number> = new Map();

  protected override render(): unknown {
    const { peers, peersTotal } = this.chart;
    // On narrow screens rows become blocks, and browsers would forget that this is a table: so the roles are said.
    return html`<section class="panel" aria-labelledby="table-title">
      <header class="section-head"><h2 id="table-title">Who has what</h2></header>
      ${
        peers.length === 0
          ? html`<p class="empty">Nobody is linked for this file right now.</p>`
          : html`<table class="swarm-table tabular" role="table" aria-labelledby="table-title" data-testid="swarm-table">
            <thead role="rowgroup">
              <tr role="row">
                ${HEADS.map((head) => html`<th role="columnheader" scope="col">${head}</th>`)}
              </tr>
            </thead>
            <tbody role="rowgroup">${repeat(
              peers,
              (peer) => peer.peerId,
              (peer) => this.row(peer),
            )}</tbody>
          </table>`
      }
      ${peersTotal > peers.length ? html`<p class="hint">${peersTotal - peers.length} more are linked; these are the ones that most has flowed to and from.</p>` : nothing}
    </section>`;
  }

  protected override updated(_changed: PropertyValues<this>): void {
    const colours = ink();
    for (const peer of this.chart.peers) {
      const strip = this.querySelector<HTMLCanvasElement>(`canvas[data-peer="${peer.peerId}"]`);
      if (strip) paintStrip(strip, peerShares(peer, this.chart.stored.length), colours.peers[this.colours.of(peer.peerId) - 1] ?? colours.line);
    }
  }

  private row(peer: ChartPeer): unknown {
    const { chunks, bringers } = this.chart;
    const brought = bringers.find(({ peerId }) => peerId === peer.peerId)?.chunks ?? 0;
    const colour = this.colours.of(peer.peerId);
    return html`<tr role="row" data-testid="swarm-row" data-peer=${peer.peerId} data-via=${peer.via} @pointerenter=${() => lookAt(this, peer.peerId)} @pointerleave=${() => lookAt(this, null)}>
      <th role="rowheader" scope="row"><span class="table-name"><i class=${`cell stored q4 peer-${colour}`} aria-hidden="true"></i><code title=${peer.peerId}>${shortId(peer.peerId)}</code></span></th>
      <td role="cell" data-label=${HEADS[1]}>${viaLabel(peer.via)}${peer.rtt === null ? nothing : html` <span class="soft">${Math.round(peer.rtt)} ms</span>`}</td>
      <td role="cell" data-label=${HEADS[2]} data-testid="swarm-has"><span class="table-has"><span>${peerPercent(peer, chunks)} %</span><canvas class="strip" height="1" width="1" data-peer=${peer.peerId} aria-hidden="true"></canvas></span></td>
      <td role="cell" data-label=${HEADS[3]}>${flowWords(peer.downRate)} <span class="soft">${formatBytes(peer.down)}${brought > 0 ? ` · ${count(brought, 'chunk')}` : ''}</span></td>
      <td role="cell" data-label=${HEADS[4]}>${flowWords(peer.upRate)} <span class="soft">${formatBytes(peer.up)}</span></td>
      <td role="cell" data-label=${HEADS[5]}>${peerWords(peer, this.elsewhere.get(peer.peerId) ?? 0)}</td>
    </tr>`;
  }
}

/** A bitmap one pixel high, stretched by the style sheet. */
function paintStrip(strip: HTMLCanvasElement, shares: Uint8Array, colour: string): void {
  if (shares.length === 0) return;
  if (strip.width !== shares.length) strip.width = shares.length;
  const context = strip.getContext('2d');
  if (!context) return;
  context.clearRect(0, 0, strip.width, 1);
  context.fillStyle = colour;
  shares.forEach((share, at) => {
    if (share === 0) return;
    context.globalAlpha = 0.25 + (0.75 * share) / 255;
    context.fillRect(at, 0, 1, 1);
  });
}

const HEADS = ['Peer', 'Link', 'Has', 'Gives you', 'Gets from you', 'What goes on'] as const;

