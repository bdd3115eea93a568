/** Where one starts: share, open, and see what is held. The list of sites is loaded after the rest (later.ts). */

import { html } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import '../components/consent-card.js';
import '../components/drop-zone.js';
import '../components/held-list.js';
import { icon } from '../components/icons.js';
import '../components/open-form.js';
import '../components/peer-list.js';
import '../components/share-list.js';
import '../components/storage-meter.js';
import { SessionElement } from '../element.js';
import { session } from '../session.js';

@customElement('gyre-home')
export class HomePage extends SessionElement {
  @property({ type: Boolean }) public = false;

  protected override render(): unknown {
    return html`<div class="hero">
        <h1>Files, browser to browser.</h1>
        <p class="lead">Your file goes straight from this page to theirs, and everyone who opens it helps to pass it on. No account, nothing to install.</p>
      </div>
      <div class="columns">
        <div class="column-main">
          <gyre-consent></gyre-consent>
          <gyre-share-list></gyre-share-list>
          <gyre-start-sites></gyre-start-sites>
          <gyre-drop-zone ?public=${this.public} ?compact=${session.shares.length > 0 || session.swarms.length > 0}></gyre-drop-zone>
          <section class="sites-invitation" aria-labelledby="sites-invitation">
            <h2 id="sites-invitation">A whole web site?</h2>
            <p class="soft">Drop its folder here: it gets an address that stays, and its readers keep it up.</p>
            <p class="row"><a class="button" href="#/publish" data-testid="publish-link">${icon('globe')} Publish a site</a> <a class="button quiet" href="#/sites">Sites</a></p>
          </section>
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
