/** How much room the held files take, and how much they may. */

import { html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { formatBytes, liveRate } from '../lib/format.js';
import { sendingWords } from '../lib/limits.js';
import { persistence, type Kept } from '../persist.js';
import { session } from '../session.js';
import './bars.js';
import { openSettings } from './events.js';
import { icon } from './icons.js';

@customElement('gyre-storage')
export class StorageElement extends SessionElement {
  readonly #told = (): void => this.requestUpdate();

  override connectedCallback(): void {
    super.connectedCallback();
    persistence.addEventListener('change', this.#told);
    void persistence.look();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    persistence.removeEventListener('change', this.#told);
  }

  protected override render(): unknown {
    const { stats } = session;
    const used = stats?.storage.used ?? 0;
    const quota = stats?.storage.quota ?? 0;
    const filled = quota > 0 ? Math.min(100, (used / quota) * 100) : 0;
    const over = quota > 0 ? used - quota : 0;
    const cap = stats?.limits.upPerDay ?? null;
    return html`<section class="panel" aria-labelledby="storage-title">
      <header class="section-head">
        <h2 id="storage-title">Room and traffic</h2>
        <button class="text-button" @click=${() => openSettings(this)}>Change</button>
      </header>
      <gyre-bar kind="meter" class=${filled > 90 ? 'full' : ''} data-testid="storage-meter" aria-label="Storage used" .value=${filled}></gyre-bar>
      <p class="soft tabular">${quota > 0 ? `${formatBytes(used)} of ${formatBytes(quota)} used` : stats ? 'Being measured…' : 'Known once the peer has started'}</p>
      ${over > 0 ? html`<p class="hint bad" data-testid="storage-over">${formatBytes(over)} more than you allow. What is kept on purpose stays: remove something, or stop keeping it.</p>` : nothing}
      ${
        stats
          ? html`<dl class="facts tabular">
            <div><dt>${icon('up')} Sent</dt><dd>${formatBytes(stats.up)}${rate(stats.upRate)}</dd></div>
            <div><dt>${icon('down')} Received</dt><dd>${formatBytes(stats.down)}${rate(stats.downRate)}</dd></div>
            <div><dt>Today</dt><dd data-testid="today">${formatBytes(stats.today.up)}${cap === null ? '' : ` of ${formatBytes(cap)}`} sent, ${formatBytes(stats.today.down)} received</dd></div>
            <div><dt>Sending</dt><dd data-testid="sending">${sendingWords(stats)}</dd></div>
            ${persistence.kept === 'unknown' ? nothing : html`<div><dt>Kept here</dt><dd data-testid="kept">${KEPT[persistence.kept]}</dd></div>`}
          </dl>`
          : ''
      }
    </section>`;
  }
}

/** What the browser said about keeping what is stored. */
const KEPT: Record<Exclude<Kept, 'unknown'>, string> = {
  kept: 'until you remove it',
  refused: 'while the disk has room',
  unasked: 'while the disk has room',
};

function rate(bytesPerSecond: number): unknown {
  const live = liveRate(bytesPerSecond);
  return live === '' ? nothing : html` <span class="soft">${live}</span>`;
}
