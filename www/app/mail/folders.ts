/** The way through the mail: folders, contacts, settings, and the button to write. */

import { html, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { icon } from './icons.js';
import { PlainElement } from '../element.js';
import { watch } from '../watching.js';
import { FOLDERS, mailAddress, type MailPlace } from './place.js';
import { desk } from './room.js';
import { folderName } from './words.js';

@customElement('gyre-mail-folders')
export class MailFoldersElement extends PlainElement {
  @property({ attribute: false }) place!: MailPlace;

  constructor() {
    super();
    watch(this, desk);
  }

  protected override render(): unknown {
    const { place } = this;
    const here = place.view === 'list' ? place.folder : place.view;
    const entry = (name: string, words: string, address: string, count = 0): unknown =>
      html`<li><a href=${address} class="folder" aria-current=${here === name ? 'page' : nothing} data-testid=${`folder-${name}`}>
        <span class="clip">${words}</span>${count > 0 ? html`<span class="count tabular" aria-label=${name === 'requests' ? `${count} waiting` : `${count} unread`}>${count}</span>` : nothing}</a></li>`;
    const counts: Partial<Record<string, number>> = { inbox: desk.state?.unread ?? 0, requests: desk.state?.requests ?? 0 };
    return html`<nav class="mail-nav" aria-label="Mail">
      <a class="button primary write" href="#/mail/write" data-testid="mail-write" aria-current=${here === 'write' ? 'page' : nothing}>${icon('pen')} Write</a>
      <ul>
        ${FOLDERS.map((folder) => entry(folder, folderName(folder), mailAddress({ view: 'list', folder, thread: null }), counts[folder]))}
        ${entry('contacts', 'Contacts', '#/mail/contacts')} ${entry('settings', 'Settings', '#/mail/settings')}
      </ul>
    </nav>`;
  }
}
