/** What the person decides: sending, room, looks; and what the node knows about its relays. */

import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { formatBytes } from '../lib/format.js';
import { asGigabytes, parseGigabytes } from '../lib/storage.js';
import { session } from '../session.js';
import { currentTheme, setTheme, type Theme } from '../theme.js';
import { icon } from './icons.js';
import { LimitsElement } from './limit-fields.js';

@customElement('gyre-settings')
export class SettingsElement extends SessionElement {
  @state() private problem = '';
  @state() private saved = false;
  /** It was opened once: what is seldom looked at is loaded then. */
  @state() private opened = false;

  /** Opens the dialog. */
  show(): void {
    const dialog = this.querySelector('dialog');
    if (!dialog || dialog.open) return;
    this.problem = '';
    this.saved = false;
    if (!this.opened) void import(/* webpackChunkName: "denylists" */ './denylists.js').then(() => (this.opened = true));
    const field = this.querySelector<HTMLInputElement>('#quota');
    if (field && session.stats) field.value = asGigabytes(session.stats.storage.quota);
    const limits = this.querySelector('gyre-limits');
    if (limits instanceof LimitsElement) limits.fill();
    dialog.showModal();
  }

  protected override render(): unknown {
    return html`<dialog class="dialog" aria-labelledby="settings-title" @click=${this.outside}>
      <div class="dialog-body">
        <header class="section-head">
          <h2 id="settings-title">Settings</h2>
          <button class="icon-button" aria-label="Close settings" @click=${this.close}>${icon('close')}</button>
        </header>
        ${this.sending()}
        <gyre-limits></gyre-limits>
        ${this.room()} ${this.opened ? html`<gyre-denylists></gyre-denylists>` : nothing} ${this.looks()} ${this.network()}
      </div>
    </dialog>`;
  }

  private sending(): unknown {
    const running = session.stats !== null;
    return html`<label class="choice">
      <input
        type="checkbox"
        role="switch"
        class="switch"
        data-testid="settings-upload"
        aria-labelledby="upload-name"
        aria-describedby="upload-what"
        ?disabled=${!running}
        .checked=${session.stats?.uploadAllowed === true}
        @change=${(event: Event) => session.act((gyre) => gyre.setUpload((event.target as HTMLInputElement).checked))}
      />
      <span>
        <strong id="upload-name">Send to others</strong>
        <span id="upload-what" class="soft">Files held here are passed on while this tab is open. Without it you can fetch, but nobody can fetch from you.</span>
      </span>
    </label>`;
  }

  private room(): unknown {
    const storage = session.stats?.storage;
    return html`<form class="setting" novalidate @submit=${this.saveQuota}>
      <label class="label" for="quota">Room for files, in GB</label>
      <div class="row">
        <input
          id="quota"
          class="field field-short"
          inputmode="decimal"
          autocomplete="off"
          data-testid="settings-quota"
          aria-invalid=${this.problem === '' ? 'false' : 'true'}
          aria-describedby="quota-note"
          ?disabled=${!storage}
          @input=${() => ((this.problem = ''), (this.saved = false))}
        />
        <button class="button" data-testid="settings-quota-save" ?disabled=${!storage}>Set</button>
      </div>
      <p id="quota-note" class=${this.problem === '' ? 'hint' : 'hint bad'} aria-live="polite">
        ${this.problem !== '' ? this.problem : storage ? `${this.saved ? 'Set. ' : ''}${formatBytes(storage.used)} used of ${formatBytes(storage.quota)}. Files that are not kept on purpose make way for new ones, the longest unused first. The browser may grant less.` : ''}
      </p>
    </form>`;
  }

  private looks(): unknown {
    const theme = currentTheme();
    const option = (value: Theme, label: string): unknown =>
      html`<label class="segment"
        ><input type="radio" class="visually-hidden" name="theme" value=${value} .checked=${theme === value} @change=${() => (setTheme(value), this.requestUpdate())} /><span>${label}</span></label
      >`;
    return html`<section class="setting">
      <h3 id="looks-title" class="label">Looks</h3>
      <div class="segments" role="radiogroup" aria-labelledby="looks-title">${option('system', 'System')} ${option('light', 'Light')} ${option('dark', 'Dark')}</div>
    </section>`;
  }

  private network(): unknown {
    const { stats } = session;
    if (!stats) return nothing;
    return html`<section class="setting" aria-labelledby="network-title">
      <h3 id="network-title" class="label">This peer</h3>
      <code class="wrap">${stats.peerId}</code>
      <p class="hint" data-testid="settings-tab">${session.runsHere ? 'It runs in this tab.' : 'It runs in another tab of this browser; this one uses it, and goes on with it when that tab is closed.'}</p>
      <h3 class="label">Relays</h3>
      ${stats.relays.length === 0 ? html`<p class="hint">None known.</p>` : nothing}
      <ul class="relay-list">
        ${stats.relays.map(
          (relay) => html`<li>
            <span class=${`dot dot-relay-${relay.state}`} aria-hidden="true"></span>
            <code class="wrap">${relay.address}</code>
            <span class="soft">${RELAY[relay.state]}${relay.detail === '' ? '' : `: ${relay.detail}`}</span>
          </li>`,
        )}
      </ul>
    </section>`;
  }

  private async saveQuota(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const field = this.querySelector<HTMLInputElement>('#quota');
    const bytes = parseGigabytes(field?.value ?? '');
    if (bytes === null) {
      this.problem = 'Give a number of gigabytes, at least 0.01.';
      field?.focus();
      return;
    }
    this.saved = await session.setQuota(bytes);
  }

  private close(): void {
    this.querySelector('dialog')?.close();
  }

  /** A click on the backdrop reaches the dialog itself. */
  private outside(event: MouseEvent): void {
    if (event.target === event.currentTarget) this.close();
  }
}

const RELAY = {
  connecting: 'connecting…',
  connected: 'connected, not yet reachable through it',
  reserved: 'reachable through it',
  failed: 'no connection',
} as const;
