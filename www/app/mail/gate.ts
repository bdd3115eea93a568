/** What stands before the mail: keys to make, to bring or to unlock, words to write down, a name, an address to give away. Fires `gyre-mail-entered`. */

import { html, nothing, type TemplateResult } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import '../components/bars.js';
import '../components/error-note.js';
import { icon } from './icons.js';
import '../components/unlock-form.js';
import '../components/words-card.js';
import '../components/words-form.js';
import { SessionElement } from '../element.js';
import { keyring } from '../keyring.js';
import { count } from '../lib/format.js';
import { keepStorage } from '../persist.js';
import { session } from '../session.js';
import { watch } from '../watching.js';
import { gateOf, type MailProblem } from './desk.js';
import './my-card.js';
import { desk, toProblem } from './room.js';

@customElement('gyre-mail-gate')
export class MailGateElement extends SessionElement {
  /** A step that the state of keys and mailbox does not tell. */
  @state() private step: 'welcome' | 'restore' | 'words' | 'recovering' | 'notFound' | 'address' = 'welcome';
  @state() private name = '';
  @state() private wrong = '';
  @state() private busy = false;
  @state() private problem: MailProblem | null = null;
  @state() private progress: { readonly done: number; readonly total: number | null } = { done: 0, total: null };
  #abort = new AbortController();
  #tried = false;

  constructor() {
    super();
    watch(this, desk, keyring);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void keyring.look();
  }

  override disconnectedCallback(): void {
    this.#abort.abort();
    super.disconnectedCallback();
  }

  protected override updated(): void {
    // Keys that were unlocked elsewhere.
    if (this.gate === 'starting' && desk.state?.state === 'locked' && !this.#tried) {
      this.#tried = true;
      void desk.enter();
    }
    // A mailbox that opened while nothing is asked for any more.
    if (this.gate === 'open' && this.step !== 'address' && this.step !== 'recovering' && this.step !== 'words') this.entered();
  }

  protected override render(): unknown {
    return html`<div class="mail-gate" data-testid="mail-gate" data-gate=${this.gate} data-step=${this.step}>${this.body()}
      ${desk.problem ? html`<gyre-error subject="mail" .error=${desk.problem} .retry=${() => { desk.calm(); void desk.enter(); }}></gyre-error>` : nothing}
    </div>`;
  }

  private get gate(): ReturnType<typeof gateOf> {
    return gateOf(desk.state?.state ?? null, keyring.state?.state ?? null);
  }

  private body(): TemplateResult {
    if (this.step === 'words') return html`${this.head('Your keys')}${steps(1)}<gyre-words @gyre-words-done=${() => (this.step = 'welcome')}></gyre-words>`;
    if (this.step === 'recovering') return this.recovering();
    if (this.step === 'address') return this.address();
    switch (this.gate) {
      case 'loading':
        return html`${this.head('Mail')}<p class="soft">${session.phase === 'failed' ? 'Waiting until the peer of this page can start.' : 'One moment…'}</p>`;
      case 'unsupported':
        return html`${this.head('Mail')}<p class="note note-warm">${icon('alert')}<span>This browser cannot keep a mailbox: it keeps nothing for this page, or lacks WebAssembly. An ordinary window of a current browser can.</span></p>`;
      case 'keys':
        return this.step === 'restore' ? this.restore() : this.welcome();
      case 'unlock':
        return html`${this.head('Unlock your mail')}<section class="card"><p>Your mail and your name are sealed with your keys, and those are locked.</p><gyre-unlock @gyre-unlocked=${() => void desk.enter()}></gyre-unlock></section>`;
      case 'identity':
        return this.step === 'notFound' ? this.notFound() : this.naming();
      case 'starting':
      case 'open':
        return html`${this.head('Mail')}<p class="soft" role="status">Opening your mailbox…</p>`;
    }
  }

  private head(title: string, lead = ''): TemplateResult {
    return html`<div class="hero hero-small"><h1>${title}</h1>${lead === '' ? nothing : html`<p class="lead">${lead}</p>`}</div>`;
  }

  private welcome(): TemplateResult {
    return html`${this.head('Mail with no mail server', 'Your letters are sealed in this browser and kept by other people’s, who cannot open them, until the one they are for comes by.')}
      ${steps(0)}
      <section class="card" data-testid="mail-welcome">
        <h2>First, your keys</h2>
        <p>They are made in this browser and stay in it: no account, no phone number, no password to forget.</p>
        <div class="row">
          <button class="button primary" data-testid="mail-make-keys" ?disabled=${keyring.busy} @click=${() => void this.makeKeys()}>${icon('check')} Make my keys</button>
          <button class="button quiet" data-testid="mail-restore" @click=${() => (this.step = 'restore')}>I have 24 words already</button>
        </div>
        ${keyring.problem ? html`<gyre-error .error=${keyring.problem}></gyre-error>` : nothing}
      </section>
      <p class="hint">What others can see: a machine that keeps your letters sees their number, their time and the network address you connect from; never what is in them, nor who wrote them.</p>`;
  }

  private restore(): TemplateResult {
    return html`${this.head('Bring your mail')}<section class="card">
      <gyre-words-form @gyre-restored=${() => void this.recover()}></gyre-words-form>
      <p class="hint">You have a file or another device instead? <a href="#/keys">Go to Keys</a>, then come back.</p>
      <p><button class="text-button" @click=${() => (this.step = 'welcome')}>I have no words yet</button></p></section>`;
  }

  private naming(): TemplateResult {
    return html`${this.head('Your name')}${steps(2)}
      <form class="card" novalidate @submit=${this.create}>
        <label class="label" for="mail-name">What others shall read as your name</label>
        <input id="mail-name" class="field" autocomplete="name" maxlength="60" data-testid="mail-name" aria-invalid=${this.wrong === '' ? 'false' : 'true'} aria-describedby="name-note" .value=${this.name} @input=${(event: Event) => { this.name = (event.target as HTMLInputElement).value; this.wrong = ''; }} />
        <p id="name-note" class=${this.wrong === '' ? 'hint' : 'hint bad'} aria-live="polite">${this.wrong || 'It stands in what you write. It need not be unique, and proves nothing: others know you by your address.'}</p>
        ${this.problem ? html`<gyre-error subject="mail-create" .error=${this.problem} .retry=${() => this.create()}></gyre-error>` : nothing}
        <div class="row"><button class="button primary" data-testid="mail-create" ?disabled=${this.busy}>${this.busy ? 'Making your mailbox…' : 'Make my mailbox'}</button>
          <button type="button" class="button quiet" data-testid="mail-recover" ?disabled=${this.busy} @click=${() => void this.recover()}>I have one already</button></div>
        <p class="hint">“I have one already” looks for the mailbox of these keys: on an empty machine, or after this browser’s data was cleared.</p>
      </form>`;
  }

  private recovering(): TemplateResult {
    const { done, total } = this.progress;
    return html`${this.head('Looking for your mailbox…')}<section class="card" data-testid="mail-recovering">
      <gyre-bar aria-label="Looking for your mailbox" .value=${total ? (done / total) * 100 : 0} ?busy=${!total}></gyre-bar>
      <p class="soft" role="status">Others are asked for your identity, then for the mail that they keep for you. This needs a connection and may take some minutes.</p>
      ${this.problem ? html`<gyre-error subject="mail-recover" .error=${this.problem} .retry=${() => void this.recover()}></gyre-error>` : nothing}
      <div class="row"><button class="button" @click=${() => { this.#abort.abort(); this.step = 'welcome'; }}>${icon('close')} Cancel</button></div></section>`;
  }

  private notFound(): TemplateResult {
    return html`${this.head('Nobody reachable knows it')}<section class="card" data-testid="mail-not-found">
      <p>No mailbox of these keys was found among those who can be asked now. If you had one, somebody who knows it must be reachable: look again later, before you make another.</p>
      <div class="row"><button class="button primary" data-testid="mail-look-again" @click=${() => void this.recover()}>${icon('retry')} Look again</button>
        <button class="button quiet" data-testid="mail-new-anyway" @click=${() => (this.step = 'welcome')}>I never had one</button></div></section>`;
  }

  private address(): TemplateResult {
    if (this.gate !== 'open') return html`${this.head('Your address')}${steps(3)}<p class="soft" role="status">Making your mailbox…</p>`;
    return html`${this.head('Your address', 'Give it to whoever shall write to you.')}${steps(3)}
      <section class="card"><gyre-mail-mine></gyre-mail-mine>
        <div class="row"><button class="button primary" data-testid="mail-enter" @click=${() => this.entered()}>Go to the inbox</button></div></section>`;
  }

  private async makeKeys(): Promise<void> {
    if (await keyring.create()) this.step = 'words';
  }

  private readonly create = async (event?: SubmitEvent): Promise<void> => {
    event?.preventDefault();
    const name = this.name.trim();
    if (name === '') {
      this.wrong = 'Give a name; a first name will do.';
      return this.querySelector<HTMLElement>('#mail-name')?.focus();
    }
    this.busy = true;
    this.problem = null;
    // Before the mailbox opens, so that the page stays for the address.
    this.step = 'address';
    try {
      await (await desk.box()).create(name);
      keepStorage();
    } catch (thrown) {
      this.step = 'welcome';
      this.problem = toProblem(thrown);
    }
    this.busy = false;
    await desk.look();
  };

  private async recover(): Promise<void> {
    this.#abort = new AbortController();
    this.problem = null;
    this.step = 'recovering';
    this.progress = { done: 0, total: null };
    try {
      const { found, mails, contacts } = await (await desk.box()).recover({ signal: this.#abort.signal, onProgress: (progress) => (this.progress = progress) });
      await desk.look();
      if (!found) return void (this.step = 'notFound');
      keepStorage();
      desk.tell(`Your mailbox is here: ${count(mails, 'mail')} and ${count(contacts, 'contact')}. What others still keep follows.`);
      this.entered();
    } catch (thrown) {
      const problem = toProblem(thrown);
      if (problem.code !== 'ABORTED') this.problem = problem;
    }
  }

  private entered(): void {
    this.dispatchEvent(new CustomEvent('gyre-mail-entered', { bubbles: true }));
  }
}

function steps(at: number): TemplateResult {
  return html`<ol class="steps" aria-label="Steps">${['Keys', '24 words', 'Name', 'Address'].map((name, i) => html`<li class=${i < at ? 'done' : i === at ? 'now' : ''} aria-current=${i === at ? 'step' : nothing}>${name}</li>`)}</ol>`;
}
