/** An error, in the words of lib/advice, with the one button that can help. */

import type { GyreError } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { adviceFor, isCalm } from '../lib/advice.js';
import { openSettings } from './events.js';
import { icon } from './icons.js';

@customElement('gyre-error')
export class ErrorElement extends PlainElement {
  @property({ attribute: false }) error: Pick<GyreError, 'code' | 'message'> | null = null;
  /** What the retry button does; without it there is none. */
  @property({ attribute: false }) retry: (() => void) | null = null;
  /** Test id of the retry button. */
  @property() subject = 'file';

  protected override render(): unknown {
    if (!this.error) return nothing;
    const { code, message } = this.error;
    const { title, advice, remedy } = adviceFor(code, message);
    return html`<div class=${`note ${isCalm(code) ? 'note-warm' : 'note-bad'}`} role="alert" data-testid="error-message" data-code=${code}>
      ${icon('alert')}
      <div class="note-text">
        <strong>${title}</strong>
        <p>${advice}</p>
        <div class="row">
          ${
            this.retry && (remedy === 'retry' || remedy === 'storage')
              ? html`<button class="button" data-testid=${`${this.subject}-retry`} @click=${this.retry}>${icon('retry')} Try again</button>`
              : nothing
          }
          ${remedy === 'storage' ? html`<button class="button quiet" @click=${() => openSettings(this)}>Storage settings</button>` : nothing}
          ${remedy === 'lists' ? html`<button class="button quiet" data-testid="denied-lists" @click=${() => openSettings(this)}>Look at the lists</button>` : nothing}
          ${remedy === 'reload' ? html`<button class="button" @click=${() => location.reload()}>Reload</button>` : nothing}
          ${remedy === 'home' ? html`<a class="button" href="#/">Back to the start</a>` : nothing}
        </div>
      </div>
    </div>`;
  }
}
