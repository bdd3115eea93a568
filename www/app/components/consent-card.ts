/** Asks, before the first byte leaves, whether this page may send, and says what else holds it back. Blocks nothing else. */

import type { Limits } from 'gyre';
import { html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { holdNote } from '../lib/limits.js';
import { session } from '../session.js';

@customElement('gyre-consent')
export class ConsentElement extends SessionElement {
  override connectedCallback(): void {
    super.connectedCallback();
    this.setAttribute('aria-live', 'polite');
  }

  protected override render(): unknown {
    if (!session.asksConsent) return this.held();
    const sharing = session.shares.length > 0;
    return html`<section class="consent" role="region" aria-labelledby="consent-title" aria-describedby="consent-text">
      <div>
        <h2 id="consent-title">${sharing ? 'May others fetch it from this browser?' : 'May this browser pass on what you open?'}</h2>
        <p id="consent-text">
          ${
            sharing
              ? 'What you share is sent straight from here, while this tab is open. Until you allow it, nobody can open the link.'
              : 'Others can then get it from here too, while this tab is open. That is what keeps files alive.'
          }
          It uses your upload bandwidth, and the peers it links to see your IP address. You can change this at any time in the settings.
        </p>
      </div>
      <div class="row">
        <button class="button primary" data-testid="consent-allow" @click=${() => this.answer(true)}>Allow</button>
        <button class="button quiet" data-testid="consent-deny" @click=${() => this.answer(false)}>Not now</button>
      </div>
    </section>`;
  }

  /** What was shared just now cannot be fetched, and why: the person would wonder. */
  private held(): unknown {
    const note = session.stats && session.shares.length > 0 ? holdNote(session.stats) : null;
    if (!note) return nothing;
    return html`<section class="consent" role="region" aria-labelledby="hold-title" data-testid="hold">
      <div>
        <h2 id="hold-title">${note.title}</h2>
        <p>${note.text}</p>
      </div>
      <div class="row">
        <button class="button" data-testid="hold-lift" @click=${() => this.lift(note.change)}>${note.action}</button>
      </div>
    </section>`;
  }

  private lift(change: Partial<Limits>): Promise<boolean> {
    return session.act((gyre) => gyre.setLimits(change));
  }

  private answer(allowed: boolean): Promise<boolean> {
    return session.act((gyre) => gyre.setUpload(allowed));
  }
}
