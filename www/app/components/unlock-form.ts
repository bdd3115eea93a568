/** Unlocks the person's keys with what they set: a passphrase, a passkey. Fires `gyre-unlocked`. */

import { html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { keyring } from '../keyring.js';
import { watch } from '../watching.js';
import './error-note.js';
import { icon } from './icons.js';

@customElement('gyre-unlock')
export class UnlockElement extends PlainElement {
  constructor() {
    super();
    watch(this, keyring);
  }

  protected override render(): unknown {
    const kinds = new Set(keyring.state?.locks.map(({ kind }) => kind));
    const { busy, problem } = keyring;
    return html`<form class="unlock" novalidate @submit=${this.withPassphrase}>
      ${
        kinds.has('passphrase')
          ? html`<label class="label" for="unlock-passphrase">Your passphrase</label>
            <div class="link-row">
              <input id="unlock-passphrase" class="field" type="password" autocomplete="current-password" data-testid="unlock-passphrase" @input=${() => keyring.calm()} />
              <button class="button primary" data-testid="unlock-button" ?disabled=${busy}>${icon('lock')} ${busy ? 'Unlocking…' : 'Unlock'}</button>
            </div>`
          : nothing
      }
      ${kinds.has('external') ? html`<div class="row"><button type="button" class="button" data-testid="unlock-passkey" ?disabled=${busy} @click=${this.withPasskey}>${icon('lock')} Unlock with a passkey</button></div>` : nothing}
      ${problem ? html`<gyre-error .error=${problem}></gyre-error>` : nothing}
    </form>`;
  }

  private async withPassphrase(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const field = this.querySelector<HTMLInputElement>('#unlock-passphrase');
    if (!field) return;
    const passphrase = field.value;
    if (await keyring.run((keys) => keys.unlock(passphrase))) this.done();
    else field.select();
  }

  private async withPasskey(): Promise<void> {
    if (await keyring.run((keys) => keys.unlockWithPasskey())) this.done();
  }

  private done(): void {
    this.dispatchEvent(new CustomEvent('gyre-unlocked', { bubbles: true }));
  }
}
