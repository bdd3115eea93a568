/** What the person decides about their mail, the machines it is on, and what is and is not protected. */

import type { Mailbox, MailSettings } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { confirmDialog } from '../components/confirm-dialog.js';
import '../components/error-note.js';
import { PlainElement } from '../element.js';
import { count, formatBytes } from '../lib/format.js';
import { watch } from '../watching.js';
import { icon } from './icons.js';
import './identity-view.js';
import './my-card.js';
import { shortcutsOn } from './notify.js';
import { desk } from './room.js';
import './transfer.js';

@customElement('gyre-mail-settings')
export class MailSettingsElement extends PlainElement {
  @state() private settings: MailSettings | null = null;
  @state() private kept: Awaited<ReturnType<Mailbox['kept']>> | null = null;
  @state() private refused = false;

  constructor() {
    super();
    watch(this, desk);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void desk.run((box) => box.settings()).then((settings) => (this.settings = settings?.value ?? null));
    void desk.run((box) => box.kept()).then((kept) => (this.kept = kept?.value ?? null));
  }

  protected override render(): unknown {
    const { state: mail } = desk;
    return html`<header class="section-head"><h1 tabindex="-1">Mail settings</h1></header>
      <div class="mail-settings">
        ${desk.problem ? html`<gyre-error .error=${desk.problem}></gyre-error>` : nothing}
        ${mail?.forked ? html`<p class="note note-bad" role="alert" data-testid="mail-forked">${icon('alert')}<span>Somebody has used your keys against you: there are two versions of your identity. Tell your contacts by another way, and compare the safety numbers with them.</span></p>` : nothing}
        <section class="card" aria-labelledby="me-head"><h2 id="me-head">${mail?.name ?? 'You'}</h2><gyre-mail-mine></gyre-mail-mine></section>
        ${this.choices()} ${this.devices()}
        <gyre-mail-identity></gyre-mail-identity>
        <section class="card" aria-labelledby="transfer-head"><h2 id="transfer-head">Import and export</h2><gyre-mail-transfer></gyre-mail-transfer></section>
        ${this.forOthers()} ${this.honest()}
      </div>`;
  }

  private choices(): unknown {
    const { settings } = this;
    if (!settings) return html`<p class="soft">One moment…</p>`;
    return html`<section class="card" aria-labelledby="choices-head"><h2 id="choices-head">Choices</h2>
      ${toggle('read-receipts', 'Say that I have read a mail', 'Off, senders see at most that it was delivered.', settings.readReceipts, (on) => this.set({ readReceipts: on }))}
      ${toggle('strangers', 'Let people I do not know write to me', 'First letters wait under Requests. Off, only your contacts reach you.', settings.strangers === 'ask', (on) => this.set({ strangers: on ? 'ask' : 'closed' }))}
      <div class="setting-line"><label for="stamp">Work a stranger’s machine has to do for a first letter</label>
        <select id="stamp" class="field" data-testid="setting-stamp" ?disabled=${settings.strangers === 'closed'} @change=${(event: Event) => this.set({ stampBits: Number((event.target as HTMLSelectElement).value) })}>
          ${stamps(settings.stampBits).map(({ bits, words }) => html`<option value=${bits} ?selected=${bits === settings.stampBits}>${words}</option>`)}
        </select></div>
      ${toggle('notifications', 'Show a notification when mail comes', 'By the system, while this page is open somewhere. Of strangers it says nothing but that they wrote.', settings.notifications, (on) => void this.notify(on))}
      ${this.refused ? html`<p class="hint bad" role="alert">The browser does not let this page notify. Allow it in the settings of the browser for this address, then try again.</p>` : nothing}
      ${toggle('keys', 'Single letters are commands', 'j and k to move, e to archive, and so on; press ? in the mail for all of them.', shortcutsOn.on, (on) => { shortcutsOn.set(on); this.requestUpdate(); })}
    </section>`;
  }

  private devices(): unknown {
    const devices = desk.state?.devices ?? [];
    return html`<section class="card" aria-labelledby="devices-head"><h2 id="devices-head">Your machines</h2>
      <p>All of them get the same mail. To add one, bring your 24 words to it; what it reads, moves and deletes follows on the others.</p>
      <ul class="devices" data-testid="devices">${devices.map(
        ({ key, me, since }) => html`<li><span><strong>${me ? 'This browser' : 'Another machine'}</strong> <span class="soft">since ${new Date(since).toLocaleDateString()}</span> <code class="soft">${key.slice(0, 8)}</code></span>
          ${me ? nothing : html`<button class="button quiet" @click=${() => void this.removeDevice(key)}>Remove</button>`}</li>`,
      )}</ul>
      <p class="row"><a class="button" href="#/keys">${icon('lock')} Keys and the 24 words</a></p>
    </section>`;
  }

  private forOthers(): unknown {
    const { kept } = this;
    return html`<section class="card" aria-labelledby="kept-head"><h2 id="kept-head">What this machine keeps for others</h2>
      <p data-testid="mail-kept">${kept === null ? 'One moment…' : kept.envelopes === 0 ? 'Nothing at the moment.' : `${count(kept.envelopes, 'sealed letter')}${kept.attachments > 0 ? ` and ${count(kept.attachments, 'attachment')}` : ''}, ${formatBytes(kept.bytes + kept.attachmentBytes)}.`} Others’ machines keep yours in return. It cannot open them, nor tell who wrote them. They go when they are fetched, or after their time. How much room and how much sending you allow is under <button class="text-button" @click=${() => this.dispatchEvent(new CustomEvent('gyre-settings', { bubbles: true }))}>Settings</button>.</p></section>`;
  }

  private honest(): unknown {
    return html`<section class="card" aria-labelledby="honest-head"><h2 id="honest-head">What is protected, and what is not</h2>
      <p>What you write, to whom, and your attachments are sealed in this browser; only the machines of those you write to open them. A mail that was changed or forged is not shown.</p>
      <p><strong>Not hidden</strong> are the time at which you send and fetch, how many letters there are, and the network addresses of those who are linked: somebody who watches many of these can guess who writes to whom. A reader can pass on what you wrote. Whoever takes an unlocked machine reads its mail. What nobody fetches in time is thrown away, and your own copy then says so.</p></section>`;
  }

  private set(change: Partial<MailSettings>): void {
    const before = this.settings;
    if (!before) return;
    this.settings = { ...before, ...change };
    void desk.run((box) => box.set(change)).then((done) => done === null && (this.settings = before));
  }

  private async notify(on: boolean): Promise<void> {
    this.refused = false;
    const granted = on && (await globalThis.Notification?.requestPermission()) === 'granted';
    this.refused = on && !granted;
    this.set({ notifications: on && granted });
    this.requestUpdate();
  }

  private async removeDevice(key: string): Promise<void> {
    const sure = await confirmDialog({ title: 'Remove this machine?', text: 'It gets no more mail. What it has already stays on it, if somebody else has it: then change nothing else before you have told your contacts.', action: 'Remove' });
    if (sure && (await desk.run((box) => box.removeDevice(key)))) desk.tell('Removed.');
  }
}

function toggle(id: string, name: string, what: string, on: boolean, set: (on: boolean) => void): unknown {
  return html`<label class="choice"><input type="checkbox" role="switch" class="switch" data-testid=${`setting-${id}`} aria-labelledby=${`${id}-name`} aria-describedby=${`${id}-what`} .checked=${on} @change=${(event: Event) => set((event.target as HTMLInputElement).checked)} />
    <span><strong id=${`${id}-name`}>${name}</strong><span id=${`${id}-what`} class="soft">${what}</span></span></label>`;
}

/** The usual amounts, and the one that is set. */
function stamps(bits: number): { bits: number; words: string }[] {
  const usual = [
    { bits: 16, words: 'little: under a second' },
    { bits: 20, words: 'some: a few seconds' },
    { bits: 24, words: 'much: about a minute' },
  ];
  return usual.some((one) => one.bits === bits) ? usual : [...usual, { bits, words: `${bits} bits` }].sort((a, b) => a.bits - b.bits);
}
