/** How much room the held files take, and how much they may. */

import { html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { formatBytes, liveRate } from '../lib/format.js';
import { session } from '../session.js';
import './bars.js';
import { openSettings } from './events.js';
import { icon } from './icons.js';

@customElement('gyre-storage')
export class StorageElement extends SessionElement {
  protected override render(): unknown {
    const { stats } = session;
    const used = stats?.storage.used ?? 0;
    const quota = stats?.storage.quota ?? 0;
    const filled = quota > 0 ? (used / quota) * 100 : 0;
    return html`<section class="panel" aria-labelledby="storage-title">
      <header class="section-head">
        <h2 id="storage-title">Room and traffic</h2>
        <button class="text-button" @click=${() => openSettings(this)}>Change</button>
      </header>
      <gyre-bar kind="meter" class=${filled > 90 ? 'full' : ''} data-testid="storage-meter" aria-label="Storage used" .value=${filled}></gyre-bar>
      <p class="soft tabular">${quota > 0 ? `${formatBytes(used)} of ${formatBytes(quota)} used` : stats ? 'Being measured…' : 'Known once the peer has started'}</p>
      ${
        stats
          ? html`<dl class="facts tabular">
            <div><dt>${icon('up')} Sent</dt><dd>${formatBytes(stats.up)}${rate(stats.upRate)}</dd></div>
            <div><dt>${icon('down')} Received</dt><dd>${formatBytes(stats.down)}${rate(stats.downRate)}</dd></div>
            <div><dt>Sending</dt><dd>${stats.uploadAllowed === null ? 'not asked yet' : stats.uploadAllowed ? 'allowed' : 'off'}</dd></div>
          </dl>`
          : ''
      }
    </section>`;
  }
}

function rate(bytesPerSecond: number): unknown {
  const live = liveRate(bytesPerSecond);
  return live === '' ? nothing : html` <span class="soft">${live}</span>`;
}
