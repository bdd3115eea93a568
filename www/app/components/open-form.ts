/** A field for a link that somebody sent. */

import { GyreError, parseLink } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { placeLink, readTyped } from '../site/place.js';

@customElement('gyre-open-form')
export class OpenFormElement extends PlainElement {
  @state() private problem: GyreError | null = null;

  protected override render(): unknown {
    return html`<form class="open-form" novalidate @submit=${this.submit}>
      <label class="label" for="open-input">Got a link?</label>
      <div class="link-row">
        <input
          id="open-input"
          class="field"
          type="text"
          inputmode="url"
          autocomplete="off"
          spellcheck="false"
          placeholder="Paste it here"
          data-testid="open-input"
          aria-invalid=${this.problem ? 'true' : 'false'}
          aria-describedby=${this.problem ? 'open-problem' : nothing}
          @input=${() => (this.problem = null)}
        />
        <button class="button" data-testid="open-button">Open</button>
      </div>
      ${
        this.problem
          ? html`<p id="open-problem" class="hint bad" role="alert" data-testid="error-message" data-code=${this.problem.code}>${this.problem.message}</p>`
          : nothing
      }
    </form>`;
  }

  private submit(event: SubmitEvent): void {
    event.preventDefault();
    const input = this.querySelector('input');
    if (!input) return;
    try {
      const place = input.value.trim().startsWith('/') ? null : readTyped(input.value, '');
      location.hash = place ? placeLink(place) : parseLink(input.value).fragment;
    } catch (thrown) {
      this.problem = GyreError.from(thrown);
      input.focus();
    }
  }
}
