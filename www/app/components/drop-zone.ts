/** The place to share from: drop, paste or pick. */

import { html } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { shareFiles } from './events.js';
import { icon, spiral } from './icons.js';

@customElement('gyre-drop-zone')
export class DropZoneElement extends PlainElement {
  @property({ type: Boolean }) public = false;
  /** Small, when what was shared has the stage. */
  @property({ type: Boolean }) compact = false;

  protected override render(): unknown {
    return html`<div class=${this.compact ? 'drop-zone compact' : 'drop-zone'}>
      <label class="drop-target">
        <input class="visually-hidden" type="file" multiple data-testid="share-input" aria-labelledby="share-name" aria-describedby="share-how" @change=${this.picked} />
        ${spiral(0)}
        <span class="drop-words">
          <span class="button primary large" aria-hidden="true">${icon('file')} Choose ${this.compact ? 'another' : 'a'} file</span>
          <span id="share-name" class="visually-hidden">Choose a file to share</span>
          <span id="share-how" class="soft">or drop it anywhere on this page, or paste it</span>
        </span>
      </label>
      <label class="choice">
        <input type="checkbox" role="switch" class="switch" data-testid="share-public" aria-labelledby="public-name" aria-describedby="public-what" .checked=${this.public} @change=${this.toggled} />
        <span>
          <strong id="public-name">Public</strong>
          <span id="public-what" class="soft">
            ${
              this.public
                ? 'Stored in the clear. Anybody with the address can read it, and check it with b3sum.'
                : 'Off: encrypted before it is stored. Only somebody with the link can read it.'
            }
          </span>
        </span>
      </label>
    </div>`;
  }

  private picked(event: Event): void {
    const input = event.target as HTMLInputElement;
    const files = [...(input.files ?? [])];
    input.value = '';
    if (files.length > 0) shareFiles(this, files);
  }

  private toggled(event: Event): void {
    const { checked } = event.target as HTMLInputElement;
    this.dispatchEvent(new CustomEvent('gyre-public', { bubbles: true, detail: checked }));
  }
}
