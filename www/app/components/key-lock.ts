/** What unlocks the keys in this browser: nothing, a passphrase, a passkey. */

import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { keyring } from '../keyring.js';
import { session } from '../session.js';
import { watch } from '../watching.js';
import './error-note.js';
import { icon } from './icons.js';

@customElement('gyre-key-lock')
export class KeyLockElement extends PlainElement {
  @state() private problem = '';
  @state() private tried = false;

  constructor() {
    super();
    watch(this, keyring);
  }

  protected override render(): unknown {
    const kinds = new Set(keyring.state?.locks.map(({ kind }) => kind));
    const { busy, isProtected } = keyring;
    const passkeys = 'PublicKeyCredential' in window;
    return html`<p data-testid="lock-state">${
        isProtected
          ? `They are locked by ${[...(kinds.has('passphrase') ? ['a passphrase'] : []), ...(kinds.has('external') ? ['a passkey'] : [])].join(' or ')} whenever this browser starts anew.`
          : 'They are not locked: whoever uses this browser can publish in your name.'
      }</p>
      <form class="unlock" novalidate @submit=${this.set}>
        <div class="word-fields">
          <div class="word-field"><label class="label" for="passphrase-new">${kinds.has('passphrase') ? 'A new passphrase' : 'A passphrase'}</label>
            <input id="passphrase-new" class="field" type="password" autocomplete="new-password" data-testid="passphrase-new" aria-invalid=${this.problem === '' ? 'false' : 'true'} aria-describedby="passphrase-note" @input=${() => (this.problem = '')} /></div>
          <div class="word-field"><label class="label" for="passphrase-again">Once more</label>
            <input id="passphrase-again" class="field" type="password" autocomplete="new-password" data-testid="passphrase-again" aria-describedby="passphrase-note" @input=${() => (this.problem = '')} /></div>
        </div>
        <p id="passphrase-note" class=${this.problem === '' ? 'hint' : 'hint bad'} aria-live="polite">${this.problem || 'Several words that only you put together. Nobody can reset it; your 24 words can replace it.'}</p>
        <div class="row">
          <button class="button" data-testid="passphrase-set" ?disabled=${busy}>${busy ? 'One moment…' : 'Set the passphrase'}</button>
          ${passkeys ? html`<button type="button" class="button" data-testid="passkey-add" ?disabled=${busy} @click=${this.addPasskey}>Add a passkey</button>` : nothing}
          ${isProtected ? html`<button type="button" class="button" data-testid="keys-lock" ?disabled=${busy} @click=${() => keyring.run((keys) => keys.lock())}>${icon('lock')} Lock now</button>
            <button type="button" class="button quiet" data-testid="passphrase-remove" ?disabled=${busy} @click=${this.unset}>Take the lock away</button>` : nothing}
        </div>
        ${kinds.has('passphrase') && kinds.has('external') ? html`<p class="hint">Add your passkeys again after you change the passphrase.</p>` : nothing}
        ${passkeys ? nothing : html`<p class="hint">This browser has no passkeys that can unlock keys.</p>`}
        ${this.tried && keyring.problem ? html`<gyre-error .error=${keyring.problem}></gyre-error>` : nothing}
      </form>`;
  }

  private async set(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const [first, second] = [...this.querySelectorAll<HTMLInputElement>('input')];
    if (!first || !second) return;
    const passphrase = first.value;
    this.problem = [...passphrase].length < MIN_PASSPHRASE ? `It is too short: take at least ${MIN_PASSPHRASE} characters.` : passphrase !== second.value ? 'The two are not the same.' : '';
    if (this.problem !== '') return (passphrase === second.value ? first : second).focus();
    this.tried = true;
    if (!(await keyring.run((keys) => keys.setPassphrase(passphrase)))) return;
    first.value = '';
    second.value = '';
    session.notify('The passphrase is set.');
  }

  private async addPasskey(): Promise<void> {
    this.tried = true;
    if (await keyring.run((keys) => keys.addPasskey())) session.notify('The passkey unlocks your keys from now on.');
  }

  private async unset(): Promise<void> {
    this.tried = true;
    if (await keyring.run((keys) => keys.setPassphrase(null))) session.notify('The keys are not locked any more.');
  }
}

/** Characters. Each guess costs whoever has the file a good part of a second. */
const MIN_PASSPHRASE = 10;
