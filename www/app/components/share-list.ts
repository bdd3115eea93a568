/** Files on their way into the swarm, and the links they became. */

import { html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { SessionElement } from '../element.js';
import { count, formatBytes, formatDuration, formatRate, percent } from '../lib/format.js';
import { session, type ShareTask } from '../session.js';
import './bars.js';
import './copy-button.js';
import './error-note.js';
import { icon } from './icons.js';

@customElement('gyre-share-list')
export class ShareListElement extends SessionElement {
  protected override render(): unknown {
    if (session.shares.length === 0) return nothing;
    const links = session.shares.flatMap((task) => task.link ?? []);
    return html`<section class="shares" aria-label="Shared just now">
      ${
        links.length > 1
          ? html`<div class="row">
            <gyre-copy class="row" label="Copy all links" .link=${links.join('\n')}></gyre-copy>
            <button class="button quiet" @click=${() => session.dismissDone()}>Clear this list</button>
          </div>`
          : nothing
      }
      ${repeat(
        session.shares,
        (task) => task.id,
        (task) => this.card(task),
      )}
    </section>`;
  }

  private card(task: ShareTask): unknown {
    return html`<article class="card share-card" data-testid="share-card" data-state=${task.state}>
      <header class="card-head">
        <div class="file-title">
          <h2 class="clip">${task.file.name}</h2>
          <p class="soft">${formatBytes(task.file.size)} · ${task.public ? html`${icon('globe')} public` : html`${icon('lock')} encrypted`}</p>
        </div>
        <button class="icon-button" aria-label=${this.closeLabel(task)} title=${this.closeLabel(task)} @click=${() => session.dismissShare(task.id)}>
          ${icon('close')}
        </button>
      </header>
      ${task.state === 'done' ? this.result(task) : task.state === 'failed' ? this.failure(task) : this.progress(task)}
    </article>`;
  }

  private progress(task: ShareTask): unknown {
    const waiting = task.state === 'waiting';
    const words = waiting
      ? session.phase === 'loading' || session.phase === 'failed'
        ? 'Waiting for the peer of this page to start…'
        : 'Waiting for the file before it…'
      : `${formatBytes(task.done)} of ${formatBytes(task.file.size)} · ${formatRate(task.rate)}${task.eta === null ? '' : ` · ${formatDuration(task.eta)} left`}`;
    return html`<gyre-bar data-testid="share-progress" aria-label=${`Importing ${task.file.name}`} ?busy=${waiting} .value=${percent(task.done, task.file.size)}></gyre-bar>
      <p class="soft tabular">${words}</p>`;
  }

  private failure(task: ShareTask): unknown {
    return html`<gyre-error subject="share" .error=${task.error} .retry=${() => session.retryShare(task.id)}></gyre-error>`;
  }

  private result(task: ShareTask): unknown {
    const link = task.link ?? '';
    return html`<div class="link-row">
        <input class="field link-field" readonly data-testid="share-link" aria-label=${`Link to ${task.file.name}`} .value=${link} @focus=${this.select} />
        <gyre-copy class="row" primary .link=${link} .name=${task.file.name}></gyre-copy>
      </div>
      ${this.availability(task)}`;
  }

  /** What must be true for the link to work, said before somebody finds out. */
  private availability(task: ShareTask): unknown {
    if (!session.stats) return nothing;
    const allowed = session.stats.uploadAllowed;
    if (allowed === false) {
      return html`<p class="hint warm">
        Sending is off, so nobody can fetch this yet.
        <button class="text-button" data-testid="share-allow" @click=${() => session.act((gyre) => gyre.setUpload(true))}>Allow sending</button>
      </p>`;
    }
    if (allowed === null)
      return html`<p class="hint warm">Others can fetch it as soon as you allow this page to send.</p>`;
    const swarm = session.swarms.find((candidate) => candidate.cid === task.cid);
    const holders = swarm?.sources ?? 0;
    const sent = swarm !== undefined && swarm.up > 0 && swarm.up >= task.file.size;
    return holders === 0
      ? html`<p class="hint">${sent ? 'Sent. Keep this tab open for others: nobody else connected now passes it on.' : 'Keep this tab open until somebody has fetched it: yours is the only copy seen.'}</p>`
      : html`<p class="hint">${count(holders, 'other peer')} connected now ${holders === 1 ? 'holds' : 'hold'} all of it too.</p>`;
  }

  private closeLabel(task: ShareTask): string {
    return task.state === 'done' || task.state === 'failed' ? 'Take off this list' : `Cancel sharing ${task.file.name}`;
  }

  private select(event: Event): void {
    (event.target as HTMLInputElement).select();
  }
}
