/** The state of the node, always in sight. */

import { html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { joinStatus } from '../lib/status.js';
import { session } from '../session.js';
import './error-note.js';

@customElement('gyre-join-status')
export class JoinStatusElement extends SessionElement {
  protected override render(): unknown {
    const { phase, label, short, hint } = joinStatus(
      session.phase,
      session.stats,
      session.peers,
      session.error?.code ?? null,
    );
    // A tab of another version is no fault of this one.
    const dot = session.error?.code === 'STORE_BUSY' ? 'offline' : phase;
    return html`<p class="join-state" role="status" data-testid="join-state" data-state=${phase} title=${hint === '' ? nothing : hint}>
      <span class=${`dot dot-${dot}`} aria-hidden="true"></span><span class="clip only-wide">${label}</span><span class="clip only-narrow">${short}</span>
    </p>`;
  }
}

/** The same, in full, where something has to be done about it. */
@customElement('gyre-join-note')
export class JoinNoteElement extends SessionElement {
  protected override render(): unknown {
    if (session.phase === 'failed' && session.error) {
      return html`<gyre-error subject="join" .error=${session.error} .retry=${() => void session.start()}></gyre-error>`;
    }
    if (session.phase !== 'offline') return nothing;
    const { label, hint } = joinStatus(session.phase, session.stats, session.peers, null);
    return html`<div class="note note-warm" role="status"><div class="note-text"><strong>${label}</strong><p>${hint}</p></div></div>`;
  }
}
