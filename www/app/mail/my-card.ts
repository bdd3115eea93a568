/** One's own address: a link and a code to give away. */

import type { Mailbox } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import '../components/copy-button.js';
import '../components/qr-code.js';
import { PlainElement } from '../element.js';
import { watch } from '../watching.js';
import { safetyGroups } from './people.js';
import { desk } from './room.js';

@customElement('gyre-mail-mine')
export class MailMineElement extends PlainElement {
  @state() private card: Awaited<ReturnType<Mailbox['card']>> | null = null;
  @state() private code = false;

  constructor() {
    super();
    watch(this, desk);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void desk.run((box) => box.card()).then((card) => (this.card = card?.value ?? null));
  }

  protected override render(): unknown {
    const link = this.card?.link ?? desk.state?.link ?? '';
    if (link === '') return html`<p class="soft">One moment…</p>`;
    return html`<div class="mine" data-testid="my-address">
      <div class="link-row">
        <input class="field link-field" readonly aria-label="Your address" .value=${link} data-testid="my-link" @focus=${(event: Event) => (event.target as HTMLInputElement).select()} />
        <gyre-copy primary .link=${link} name=${desk.state?.name ?? 'Write to me'} label="Copy"></gyre-copy>
      </div>
      ${desk.state?.findable === false ? html`<p class="hint" role="status" data-testid="my-findable">Your address is being made known. Keep this page open for a moment: until then nobody can write to it.</p>` : nothing}
      <p class="hint">Whoever opens it can write to you; it says nothing else about you. Their first letter waits under Requests until you accept them.</p>
      <p><button class="text-button" aria-expanded=${this.code ? 'true' : 'false'} data-testid="my-qr" @click=${() => (this.code = !this.code)}>${this.code ? 'Hide the code' : 'Show it as a QR code'}</button></p>
      ${this.card ? html`<p class="hint">Your safety number: <span class="safety" data-testid="my-safety">${safetyGroups(this.card.safety).map((group) => html`<span>${group}</span>`)}</span></p>` : nothing}
      ${this.code ? html`<gyre-qr .text=${link} label="QR code of your address"></gyre-qr>` : nothing}
    </div>`;
  }
}
