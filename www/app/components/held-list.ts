/** What this browser holds, fetches and serves. */

import type { SwarmInfo } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { PlainElement, SessionElement } from '../element.js';
import { count, displayName, formatBytes, liveRate, percent } from '../lib/format.js';
import { Eta } from '../lib/rate.js';
import { swarmAddress } from '../lib/router.js';
import { sizeLine, swarmLine } from '../lib/status.js';
import { exportFile } from '../export.js';
import { session } from '../session.js';
import './bars.js';
import { confirmDialog } from './confirm-dialog.js';
import './copy-button.js';
import { icon } from './icons.js';

@customElement('gyre-held-list')
export class HeldListElement extends SessionElement {
  protected override render(): unknown {
    // What is being imported now has a card of its own.
    const importing = session.shares.some((task) => task.state === 'importing');
    const shown = session.swarms
      .filter((swarm) => !(importing && swarm.state === 'importing'))
      .sort((a, b) => b.addedAt - a.addedAt);
    return html`<section class="held" aria-labelledby="held-title">
      <header class="section-head">
        <h2 id="held-title">In this browser</h2>
        ${shown.length > 0 ? html`<span class="soft">${count(shown.length, 'file')}</span>` : nothing}
      </header>
      ${
        shown.length === 0
          ? html`<p class="empty">${session.stats === null ? 'Shown once the peer of this page runs.' : 'Nothing yet. What you share or open is kept here and passed on to whoever asks for it.'}</p>`
          : html`<ul class="held-list" data-testid="held-list">
            ${repeat(
              shown,
              (swarm) => swarm.cid,
              (swarm) => html`<gyre-held-item role="listitem" .swarm=${swarm}></gyre-held-item>`,
            )}
          </ul>`
      }
    </section>`;
  }
}

/** One row of it. */
@customElement('gyre-held-item')
export class HeldItemElement extends PlainElement {
  @property({ attribute: false }) swarm!: SwarmInfo;
  readonly #eta = new Eta();

  protected override render(): unknown {
    const swarm = this.swarm;
    const name = displayName(swarm.name, swarm.cid);
    const left =
      swarm.state === 'fetching' ? this.#eta.note(swarm.have, swarm.size, swarm.downRate, performance.now()) : null;
    const complete = swarm.state === 'complete';
    return html`<div class="held-item" data-testid="held-item" data-cid=${swarm.cid} data-state=${swarm.state}>
      <div class="held-main">
        ${
          swarm.fragment
            ? html`<a class="held-name clip" href=${swarm.fragment}>${name}</a>`
            : html`<span class="held-name clip">${name}</span>`
        }
        <p class="held-line soft tabular">
          <span class=${`dot dot-${swarm.state}`} aria-hidden="true"></span>
          <span>${swarmLine(swarm, left)}</span>
        </p>
        ${
          complete
            ? nothing
            : html`<gyre-bar aria-label=${`Progress of ${name}`} .value=${percent(swarm.have, swarm.size)} ?busy=${swarm.state === 'finding'}></gyre-bar>`
        }
        <p class="held-facts soft tabular">
          <span>${sizeLine(swarm)}</span>
          ${swarm.public ? html`<span>${icon('globe')} public</span>` : nothing}
          ${swarm.up > 0 ? html`<span title="Sent to others">${icon('up')}<span class="visually-hidden">sent</span> ${formatBytes(swarm.up)}${rate(swarm.upRate)}</span>` : nothing}
          ${swarm.down > 0 ? html`<span title="Received from others">${icon('down')}<span class="visually-hidden">received</span> ${formatBytes(swarm.down)}${rate(swarm.downRate)}</span>` : nothing}
          ${swarm.state === 'importing' ? nothing : html`<a class="soft watch" href=${swarmAddress(swarm.cid)} aria-label=${`Watch the swarm of ${name}`}>${icon('swarm')} ${swarm.peers > 0 ? `${count(swarm.peers, 'peer')} linked` : 'swarm'}</a>`}
        </p>
      </div>
      <div class="held-actions">${this.actions(swarm, name)}</div>
    </div>`;
  }

  private actions(swarm: SwarmInfo, name: string): unknown {
    const { cid } = swarm;
    const running = swarm.state === 'fetching' || swarm.state === 'finding';
    const stopped = swarm.state === 'paused' || swarm.state === 'failed';
    // A link whose key does not fit would only disappoint somebody else.
    const link = swarm.state === 'complete' && swarm.size === null ? null : session.linkOf(cid);
    return html`
      ${
        running
          ? html`<button class="icon-button" title="Pause" aria-label=${`Pause ${name}`} @click=${() => session.act((gyre) => gyre.pause(cid))}>${icon('pause')}</button>`
          : nothing
      }
      ${
        stopped
          ? html`<button class="icon-button" title="Go on" aria-label=${`Go on fetching ${name}`} @click=${() => session.act((gyre) => gyre.resume(cid))}>${icon('play')}</button>`
          : nothing
      }
      <button
        class="icon-button"
        aria-pressed=${swarm.pinned ? 'true' : 'false'}
        title=${swarm.pinned ? 'Kept on purpose. Press to let it go when room is needed' : 'May be dropped when room is needed. Press to keep it'}
        aria-label=${`Keep ${name}`}
        @click=${() => session.setPinned(cid, !swarm.pinned)}
      >
        ${icon('pin')}
      </button>
      ${
        swarm.state === 'complete' && swarm.size !== null
          ? html`<button class="icon-button" data-testid="export" title="Export to a file; share that file to bring it back" aria-label=${`Export ${name}`} @click=${() => session.act((gyre) => exportFile(gyre, cid))}>${icon('save')}</button>`
          : nothing
      }
      ${link === null ? nothing : html`<gyre-copy compact .link=${link} .name=${name}></gyre-copy>`}
      <button class="icon-button" title="Remove" aria-label=${`Remove ${name}`} @click=${() => this.removeBlob(swarm, name)}>${icon('trash')}</button>
    `;
  }

  private async removeBlob(swarm: SwarmInfo, name: string): Promise<void> {
    const others =
      swarm.sources > 0
        ? `${count(swarm.sources, 'other peer')} connected now ${swarm.sources === 1 ? 'holds' : 'hold'} all of it.`
        : 'No other peer connected now holds all of it: its link may stop working.';
    const sure = await confirmDialog({
      title: `Remove “${name}”?`,
      text: `It is deleted from this browser. ${others}`,
      action: 'Remove',
    });
    if (sure) await session.remove(swarm.cid);
  }
}

function rate(bytesPerSecond: number): string {
  const live = liveRate(bytesPerSecond);
  return live === '' ? '' : ` (${live})`;
}
