/** Where a folder or an archive is chosen or dropped. Fires `gyre-folder` with a function that gathers it. */

import { html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { dropped } from '../lib/dropped.js';
import type { Folder } from '../lib/folder.js';
import { fromEntries, fromFiles, type GatherOptions } from '../lib/folder-sources.js';
import { icon, spiral } from './icons.js';

/** Gathers what was chosen. */
export type Gather = (options: GatherOptions) => Promise<Folder>;

@customElement('gyre-folder-picker')
export class FolderPickerElement extends PlainElement {
  /** Small, when there is a choice already. */
  @property({ type: Boolean }) compact = false;
  readonly #dropped = (): void => {
    const entries = dropped.take();
    if (entries.length > 0) this.tell((options) => fromEntries(entries, options));
  };

  override connectedCallback(): void {
    super.connectedCallback();
    dropped.addEventListener('change', this.#dropped);
    // What was dropped on another page has brought the person here; the page listens once it is drawn.
    void this.updateComplete.then(this.#dropped);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    dropped.removeEventListener('change', this.#dropped);
  }

  protected override render(): unknown {
    return html`<div class=${this.compact ? 'drop-zone compact' : 'drop-zone'}>
      <label class="drop-target">
        <input class="visually-hidden" type="file" webkitdirectory data-testid="folder-input" aria-labelledby="folder-name" aria-describedby="folder-how" @change=${this.picked} />
        ${this.compact ? nothing : spiral(0)}
        <span class="drop-words">
          <span class=${this.compact ? 'button' : 'button primary large'} aria-hidden="true">${icon('globe')} Choose ${this.compact ? 'another' : 'its'} folder</span>
          <span id="folder-name" class="visually-hidden">Choose the folder of the site</span>
          <span id="folder-how" class="soft">or drop a folder or a .zip anywhere on this page</span>
        </span>
      </label>
      <div class="choice archive-choice">
        <label class="button archive-button">
          <input class="visually-hidden" type="file" accept=".zip,application/zip" data-testid="archive-input" @change=${this.picked} />
          Choose a .zip instead
        </label>
        <span class="soft">It is unpacked here; nothing is sent anywhere.</span>
      </div>
    </div>`;
  }

  private picked(event: Event): void {
    const input = event.target as HTMLInputElement;
    const files = [...(input.files ?? [])];
    input.value = '';
    if (files.length > 0) this.tell((options) => fromFiles(files, options));
  }

  private tell(gather: Gather): void {
    this.dispatchEvent(new CustomEvent<Gather>('gyre-folder', { bubbles: true, detail: gather }));
  }
}
