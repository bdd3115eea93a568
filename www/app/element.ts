/** Base of the app's elements: light DOM, so that styles, ids and labels are shared by the page. */

import { LitElement } from 'lit';
import { session } from './session.js';

/** An element that renders again when the session changes. */
export abstract class SessionElement extends LitElement {
  readonly #update = (): void => this.requestUpdate();

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    session.addEventListener('change', this.#update);
  }

  override disconnectedCallback(): void {
    session.removeEventListener('change', this.#update);
    super.disconnectedCallback();
  }
}

/** An element that renders from its properties alone. */
export abstract class PlainElement extends LitElement {
  protected override createRenderRoot(): HTMLElement {
    return this;
  }
}
