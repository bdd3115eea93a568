/** Opens a locked file of keys: one that is chosen, or one that came in a link. Fires `gyre-restored`. */

import { html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { keyring } from '../keyring.js';
import { readCode, type WordsState } from '../lib/words.js';
import { watch } from '../watching.js';
import './error-note.js';

@customElement('gyre-key-file')
export class KeyFileElement extends PlainElement {
  /** The file, if it is here already. */
  @property({ attribute: false }) file: Uint8Array | null = null;
  /** It is locked by a code for one use. */
  @property({ type: Boolean }) code = false;
  @state() private chosen: Uint8Array | null = null;
  @state() private tried = false;

  constructor() {
    super();
    watch(this, keyring);
  }

  protected override render(): unknown {
    const id = this.code ? 'offer-code' : 'file-passphrase';
    return html`<form class="unlock" novalidate @submit=${this.submit}>
      ${this.file ? nothing : html`<label class="label" for="key-file">The file</label><input id="key-file" class="file-field" type="file" data-testid="key-file" @change=${this.picked} />`}
      <label class="label" for=${id}>${this.code ? 'The code' : 'Its passphrase'}</label>
      <div class="link-row">
        <input id=${id} class=${this.code ? 'field code-field' : 'field'} type=${this.code ? 'text' : 'password'} autocomplete="off" autocapitalize="characters" spellcheck="false" data-testid=${id} @input=${() => keyring.calm()} />
        <button class="button primary" data-testid=${`${id}-open`} ?disabled=${keyring.busy || !(this.file ?? this.chosen)}>${keyring.busy ? 'Opening…' : 'Bring my keys'}</button>
      </div>
      ${this.tried && keyring.problem ? html`<gyre-error .error=${keyring.problem}></gyre-error>` : nothing}
    </form>`;
  }

  private async picked(event: Event): Promise<void> {
    keyring.calm();
    const file = (event.target as HTMLInputElement).files?.[0];
    this.chosen = file ? new Uint8Array(await file.slice(0, MAX_FILE).arrayBuffer()) : null;
  }

  private async submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const file = this.file ?? this.chosen;
    const field = this.querySelector<HTMLInputElement>('.link-row input');
    if (!file || !field) return;
    this.tried = true;
    const secret = this.code ? readCode(field.value) : field.value;
    if (!(await keyring.run((keys) => keys.import(file, secret)))) return field.select();
    field.value = '';
    // Another device has them, or the file: they are in two places.
    const kept: WordsState = keyring.words ?? 'later';
    keyring.setWords(kept);
    this.dispatchEvent(new CustomEvent('gyre-restored', { bubbles: true }));
  }
}

/** Bytes; a file of keys has 110. */
const MAX_FILE = 4096;
