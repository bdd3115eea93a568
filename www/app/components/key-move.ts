/** The keys on their way to another device: a picture for its camera with a code to type there, or a file with a passphrase. */

import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { keyring } from '../keyring.js';
import { offerFragment } from '../lib/key-offer.js';
import { oneTimeCode } from '../lib/words.js';
import { watch } from '../watching.js';
import './copy-button.js';
import './error-note.js';
import { icon } from './icons.js';
import './qr-code.js';

@customElement('gyre-key-move')
export class KeyMoveElement extends PlainElement {
  @state() private offer: { link: string; code: string } | null = null;
  @state() private file = false;
  @state() private tried = false;

  constructor() {
    super();
    watch(this, keyring);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.offer = null;
  }

  protected override render(): unknown {
    return html`${this.offer ? this.shown(this.offer) : this.choice()}
      ${this.tried && keyring.problem ? html`<gyre-error .error=${keyring.problem}></gyre-error>` : nothing}`;
  }

  private choice(): unknown {
    return html`<p>Publish from a second device, too: both then have the same keys. Publish from one at a time.</p>
      <div class="row">
        <button class="button" data-testid="move-qr" ?disabled=${keyring.busy} @click=${this.make}>${keyring.busy ? 'One moment…' : 'Show a code for its camera'}</button>
        <button class="button quiet" aria-expanded=${this.file ? 'true' : 'false'} data-testid="move-file" @click=${() => (this.file = !this.file)}>${icon('save')} Save a key file</button>
      </div>
      ${this.file ? this.fileForm() : nothing}`;
  }

  private shown({ link, code }: { link: string; code: string }): unknown {
    return html`<ol class="move-steps">
        <li>Point the other device’s camera at this, and open the link.<gyre-qr .text=${link} label="QR code with your locked keys"></gyre-qr>
          <p><gyre-copy class="row" label="Copy the link instead" .link=${link} name="your keys"></gyre-copy></p></li>
        <li>Type this code there: <output class="one-time-code" data-testid="move-code">${code}</output></li>
      </ol>
      <p class="hint">The link alone opens nothing, and the code alone neither: send them on different ways if you cannot hold the devices side by side. No server sees either.</p>
      <div class="row"><button class="button" data-testid="move-done" @click=${() => (this.offer = null)}>Done</button></div>`;
  }

  private fileForm(): unknown {
    return html`<form class="unlock" novalidate @submit=${this.save}>
      <label class="label" for="export-passphrase">A passphrase for the file</label>
      <div class="link-row">
        <input id="export-passphrase" class="field" type="password" autocomplete="new-password" minlength="10" data-testid="export-passphrase" />
        <button class="button primary" data-testid="export-save" ?disabled=${keyring.busy}>${keyring.busy ? 'One moment…' : 'Save'}</button>
      </div>
      <p class="hint">At least ten characters. The file is your keys to whoever knows it.</p>
    </form>`;
  }

  private async make(): Promise<void> {
    this.tried = true;
    const code = oneTimeCode();
    await keyring.run(async (keys) => {
      const link = new URL(offerFragment(await keys.export(code)), document.baseURI).href;
      this.offer = { link, code };
    });
  }

  private async save(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const field = this.querySelector<HTMLInputElement>('#export-passphrase');
    if (!field) return;
    if ([...field.value].length < 10) return field.focus();
    this.tried = true;
    const passphrase = field.value;
    await keyring.run(async (keys) => {
      const url = URL.createObjectURL(new Blob([(await keys.export(passphrase)) as Uint8Array<ArrayBuffer>]));
      const anchor = document.createElement('a');
      anchor.href = url;
      anchor.download = 'my-keys.gyre-key';
      anchor.click();
      setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
      field.value = '';
      this.file = false;
    });
  }
}

/** Milliseconds; browsers have taken the file over by then. */
const REVOKE_MS = 60_000;
