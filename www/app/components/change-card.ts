/** What a new version changes, to be looked at before it is signed. */

import type { SiteChange } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { changeWarnings, changeWords } from '../lib/publish-words.js';
import { icon } from './icons.js';

@customElement('gyre-change')
export class ChangeElement extends PlainElement {
  @property({ attribute: false }) change!: SiteChange;

  protected override render(): unknown {
    const { change } = this;
    return html`<p data-testid="change-words">${changeWords(change)}</p>
      ${changeWarnings(change).map((words) => html`<p class="hint warm" data-testid="change-warning">${words}</p>`)}
      ${change.previous === null ? nothing : html`${list('added', 'New', '+', change.added, change.addedCount)} ${list('changed', 'Changed', '~', change.changed, change.changedCount)} ${list('removed', 'Removed', '−', change.removed, change.removedCount)}`}`;
  }
}

function list(kind: string, title: string, sign: string, paths: readonly string[], total: number): unknown {
  if (total === 0) return nothing;
  return html`<details class="change" ?open=${paths.length <= OPEN} data-testid=${`change-${kind}`}>
    <summary>${title} (${total})</summary>
    <ul class="change-list">
      ${paths.map((path) => html`<li class=${`change-${kind}`}><span class="change-sign" aria-hidden="true">${sign}</span> <span class="wrap">${path}</span></li>`)}
      ${total > paths.length ? html`<li class="soft">and ${total - paths.length} more</li>` : nothing}
    </ul>
  </details>`;
}

/** Asks for agreement. Fires `gyre-answer` with it. */
@customElement('gyre-review')
export class ReviewElement extends PlainElement {
  @property({ attribute: false }) change!: SiteChange;

  protected override firstUpdated(): void {
    this.querySelector<HTMLElement>('h2')?.focus({ preventScroll: true });
  }

  protected override render(): unknown {
    return html`<section class="card" aria-labelledby="review-title" data-testid="review">
      <h2 id="review-title" tabindex="-1">${this.change.previous === null ? 'Before it is signed' : 'This is what changes'}</h2>
      <gyre-change .change=${this.change}></gyre-change>
      <div class="row">
        <button class="button primary" data-testid="review-sign" @click=${() => this.tell(true)}>${icon('check')} Sign and publish</button>
        <button class="button quiet" data-testid="review-stop" @click=${() => this.tell(false)}>Not now</button>
      </div>
      <p class="hint">Until you sign, readers see the version before.</p>
    </section>`;
  }

  private tell(agreed: boolean): void {
    this.dispatchEvent(new CustomEvent('gyre-answer', { detail: agreed }));
  }
}

/** Paths up to which a list is open at once. */
const OPEN = 12;
