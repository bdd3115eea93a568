/** Where one starts: share, open, and see what is held. */

import { html } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import '../components/drop-zone.js';
import '../components/held-list.js';
import '../components/open-form.js';
import '../components/peer-list.js';
import '../components/share-list.js';
import '../components/storage-meter.js';

@customElement('gyre-home')
export class HomePage extends PlainElement {
  @property({ type: Boolean }) public = false;

  protected override render(): unknown {
    return html`<div class="hero">
        <h1>Files, browser to browser.</h1>
        <p class="lead">Your file goes straight from this page to theirs, and everyone who opens it helps to pass it on. No account, nothing to install.</p>
      </div>
      <div class="columns">
        <div class="column-main">
          <gyre-drop-zone ?public=${this.public}></gyre-drop-zone>
          <gyre-share-list></gyre-share-list>
          <gyre-open-form></gyre-open-form>
          <gyre-held-list></gyre-held-list>
        </div>
        <aside class="column-side" aria-label="Network and storage">
          <gyre-peer-list></gyre-peer-list>
          <gyre-storage></gyre-storage>
        </aside>
      </div>`;
  }
}
