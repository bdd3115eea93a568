/** Who this browser is linked to, and how. */

import type { PeerInfo } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { SessionElement } from '../element.js';
import { liveRate, shortId } from '../lib/format.js';
import { viaLabel } from '../lib/status.js';
import { session } from '../session.js';
import { icon } from './icons.js';

@customElement('gyre-peer-list')
export class PeerListElement extends SessionElement {
  @state() private all = false;

  protected override render(): unknown {
    const ordered = [...session.peers].sort((a, b) => rank(a) - rank(b) || a.since - b.since);
    const shown = this.all ? ordered : ordered.slice(0, SHOWN);
    const hidden = ordered.length - shown.length;
    return html`<section class="panel" aria-labelledby="peers-title">
      <header class="section-head"><h2 id="peers-title">Peers</h2></header>
      ${
        ordered.length === 0
          ? html`<p class="empty">Nobody yet. Peers appear when somebody opens what you hold, or you open what they hold.</p>`
          : html`<ul class="peer-list" data-testid="peer-list">${repeat(shown, (peer) => peer.peerId, row)}</ul>`
      }
      ${hidden > 0 ? html`<button class="text-button" @click=${() => (this.all = true)}>Show ${hidden} more</button>` : nothing}
    </section>`;
  }
}

function row(peer: PeerInfo): unknown {
  return html`<li class="peer-item" data-testid="peer-item" data-via=${peer.via} data-role=${peer.role} data-peer=${peer.peerId}>
    <p class="peer-head">
      <span class=${`dot dot-${peer.via}`} aria-hidden="true"></span>
      <code title=${peer.peerId}>${shortId(peer.peerId)}</code>
      <span class="tag">${peer.role === 'relay' ? 'relay' : 'browser'}</span>
      <span class="peer-via">${viaLabel(peer.via)}</span>
    </p>
    ${
      peer.via === 'failed' || peer.via === 'connecting'
        ? nothing
        : html`<p class="peer-facts soft tabular">
          ${peer.rtt === null ? nothing : html`<span>${Math.round(peer.rtt)} ms</span>`}
          ${flow('up', 'sending', peer.upRate)} ${flow('down', 'receiving', peer.downRate)}
        </p>`
    }
    ${peer.detail === '' ? nothing : html`<p class="hint">${peer.detail}</p>`}
  </li>`;
}

function flow(way: 'up' | 'down', word: string, rate: number): unknown {
  const live = liveRate(rate);
  return live === '' ? nothing : html`<span>${icon(way)}<span class="visually-hidden">${word}</span> ${live}</span>`;
}

function rank(peer: PeerInfo): number {
  const via = ['direct', 'relayed', 'connecting', 'websocket', 'failed'].indexOf(peer.via);
  return peer.role === 'relay' ? 10 + via : via;
}

/** Rows before “show more”. */
const SHOWN = 8;
