/** Denylists of the person's: their own rules, files, and lists from the web; what is on them is not opened here. */

import { GyreError, type DenylistInfo } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { count } from '../lib/format.js';
import { OWN_RULES, skippedWords } from '../lib/denylists.js';
import { session } from '../session.js';
import { icon } from './icons.js';

@customElement('gyre-denylists')
export class DenylistsElement extends SessionElement {
  @state() private lists: readonly DenylistInfo[] | null = null;
  @state() private problem = '';
  @state() private said = '';
  @state() private busy = false;

  override connectedCallback(): void {
    super.connectedCallback();
    void this.look();
  }

  protected override render(): unknown {
    const { lists, problem, busy } = this;
    const others = lists?.filter(({ name }) => name !== OWN_RULES) ?? [];
    const own = lists?.find(({ name }) => name === OWN_RULES);
    return html`<section class="setting denylists" aria-labelledby="deny-title" data-testid="denylists" aria-busy=${busy ? 'true' : 'false'}>
      <h3 id="deny-title" class="label">Denylists</h3>
      <p class="hint">Sites and files on these lists are neither opened nor passed on here. They are files in the denylist format of IPFS.</p>
      <ul class="relay-list">
        ${others.map(
          (list) => html`<li data-testid="denylist" data-rules=${list.rules}>
            <span class="wrap">${list.name}</span>
            <span class="soft">${count(list.rules, 'rule')}${skippedWords(list)}</span>
            <button class="text-button" aria-label=${`Remove the list ${list.name}`} ?disabled=${busy} @click=${() => this.set(list.name, null)}>Remove</button>
          </li>`,
        )}
      </ul>
      <form class="row" @submit=${this.addAddress}>
        <input class="field" type="url" inputmode="url" autocomplete="off" placeholder="https://…/list.deny" aria-label="Address of a denylist on the web" data-testid="denylist-address" ?disabled=${lists === null} />
        <button class="button" data-testid="denylist-add" ?disabled=${lists === null || busy}>Add</button>
        <label class="button quiet">Add a file
          <input class="visually-hidden" type="file" accept=".deny,.txt,text/plain" data-testid="denylist-file" ?disabled=${lists === null || busy} @change=${this.addFile} />
        </label>
      </form>
      <form @submit=${this.saveOwn}>
        <label class="label" for="own-rules">Rules of your own, one a line</label>
        <textarea id="own-rules" class="field" rows="3" spellcheck="false" autocapitalize="none" autocomplete="off" placeholder="/ipns/k51… or /ipfs/bafy…" aria-describedby="deny-note" data-testid="own-rules" ?disabled=${lists === null} @input=${() => (this.said = '')}></textarea>
        <div class="row"><button class="button" data-testid="own-rules-save" ?disabled=${lists === null || busy}>Save the rules</button>
          ${own ? html`<span class="soft" data-testid="own-rules-count">${count(own.rules, 'rule')} in force${skippedWords(own)}</span>` : nothing}</div>
      </form>
      <p id="deny-note" class=${problem === '' ? 'hint' : 'hint bad'} role="status" data-testid="denylist-note">${problem === '' ? this.said : html`${icon('alert')} ${problem}`}</p>
    </section>`;
  }

  private async look(): Promise<void> {
    try {
      const gyre = await session.ready();
      this.lists = await gyre.denylists();
      const text = await gyre.denylist(OWN_RULES);
      await this.updateComplete;
      const area = this.querySelector<HTMLTextAreaElement>('#own-rules');
      if (area && area.value === '') area.value = text ?? '';
    } catch (thrown) {
      this.problem = GyreError.from(thrown).message;
    }
  }

  private addAddress = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const field = this.querySelector<HTMLInputElement>('[data-testid="denylist-address"]');
    const address = field?.value.trim() ?? '';
    if (!field || !URL.canParse(address) || !/^https?:/i.test(address)) {
      this.problem = 'Give the address of a list, beginning with https://.';
      return field?.focus();
    }
    const added = await this.set(address, async () => {
      // Neither who asks nor from where is the list's keeper's business.
      const response = await fetch(address, { credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store' });
      if (!response.ok) throw new Error(`The server answers with ${response.status}.`);
      return new Uint8Array(await response.arrayBuffer());
    });
    if (added) field.value = '';
  };

  private addFile = async (event: Event): Promise<void> => {
    const field = event.target as HTMLInputElement;
    const file = field.files?.[0];
    if (file) await this.set(file.name, async () => new Uint8Array(await file.arrayBuffer()));
    field.value = '';
  };

  private saveOwn = (event: SubmitEvent): void => {
    event.preventDefault();
    const text = this.querySelector<HTMLTextAreaElement>('#own-rules')?.value ?? '';
    void this.set(OWN_RULES, text.trim() === '' ? null : async () => text);
  };

  /** Adds or removes a list; whether that worked. */
  private async set(name: string, read: (() => Promise<Uint8Array | string>) | null): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.problem = '';
    this.said = '';
    try {
      const list = read && (await read());
      this.lists = await (await session.ready()).setDenylist(name, list);
      this.said = read ? 'It is in force.' : 'It is in force no longer.';
      return true;
    } catch (thrown) {
      this.problem = thrown instanceof TypeError ? 'The list cannot be fetched: its server does not answer, or does not let other pages read it. Add it as a file.' : GyreError.from(thrown).message;
      return false;
    } finally {
      this.busy = false;
    }
  }
}
