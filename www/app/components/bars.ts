/** Bars: how far something has come, and how full something is. */

import { html, type PropertyValues } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { PlainElement } from '../element.js';

/**
 * A bar from 0 to 100. The element itself has the role, so its label and test id stand on it.
 * The width is set through the style object, which a strict content policy allows.
 */
@customElement('gyre-bar')
export class BarElement extends PlainElement {
  /** Percent. */
  @property({ type: Number }) value = 0;
  /** `progressbar` or `meter`. */
  @property() kind = 'progressbar';
  /** Something is happening, but nobody knows how far it is. */
  @property({ type: Boolean }) busy = false;

  override connectedCallback(): void {
    super.connectedCallback();
    this.setAttribute('aria-valuemin', '0');
    this.setAttribute('aria-valuemax', '100');
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has('kind')) this.setAttribute('role', this.kind);
    const value = Math.round(Math.min(100, Math.max(0, this.value)));
    if (this.busy) this.removeAttribute('aria-valuenow');
    else this.setAttribute('aria-valuenow', String(value));
    this.classList.toggle('busy', this.busy);
    this.style.setProperty('--value', String(value / 100));
  }

  protected override render(): unknown {
    return html`<span class="bar-fill"></span>`;
  }
}
