/** Writing a mail. It is kept as a draft while it is written, and goes out by itself once there is a connection. */

import type { Draft } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import '../components/bars.js';
import { confirmDialog } from '../components/confirm-dialog.js';
import '../components/error-note.js';
import { icon } from './icons.js';
import { PlainElement } from '../element.js';
import { formatBytes, percent } from '../lib/format.js';
import { watch } from '../watching.js';
import { withQuote, type Begun } from './answer.js';
import { addFiles, asFiles, safeName, totalBytes } from './attach.js';
import type { MailProblem } from './desk.js';
import { DraftKeeper, draftWords } from './drafts.js';
import { mailAddress } from './place.js';
import { MailRecipientsElement } from './recipients.js';
import { desk, toProblem } from './room.js';
import { networkNote } from './words.js';

/** What a compose form starts with. */
export interface Start {
  readonly draft: string | null;
  readonly to: string | null;
}

@customElement('gyre-mail-compose')
export class MailComposeElement extends PlainElement {
  /** An answer; else `start` says what it begins with. */
  @property({ attribute: false }) begun: Begun | null = null;
  @property({ attribute: false }) start: Start | null = null;
  /** It stands under a conversation. */
  @property({ type: Boolean }) within = false;
  @state() private to: readonly string[] = [];
  @state() private subject = '';
  @state() private text = '';
  @state() private quote = '';
  @state() private files: readonly File[] = [];
  @state() private elsewhere: readonly string[] = [];
  @state() private refused = '';
  @state() private wrong = '';
  @state() private problem: MailProblem | null = null;
  @state() private loading = false;
  @state() private sending: { readonly done: number; readonly total: number | null } | null = null;
  @query('gyre-mail-recipients') private recipients!: MailRecipientsElement | null;
  @query('textarea') private area!: HTMLTextAreaElement | null;
  #keeper = new DraftKeeper(() => desk.box());
  #base: Pick<Draft, 'thread' | 'inReplyTo'> = {};
  #abort = new AbortController();
  readonly #left = new AbortController();
  readonly #update = (): void => this.kept();

  constructor() {
    super();
    watch(this, desk);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = this.#left;
    window.addEventListener('gyre-attach', (event) => this.given(event as CustomEvent<File[]>), { signal });
    window.addEventListener('beforeunload', (event) => (this.sending || this.#keeper.state === 'changed') && event.preventDefault(), { signal });
    document.addEventListener('visibilitychange', () => document.hidden && void this.#keeper.flush(), { signal });
  }

  override disconnectedCallback(): void {
    this.#left.abort();
    this.#abort.abort();
    void this.#keeper.flush();
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('begun') && this.begun) this.take(this.begun);
    else if (changed.has('start') && this.start && !this.begun) void this.open(this.start);
  }

  protected override updated(): void {
    const { area } = this;
    if (!area) return;
    // As tall as what is in it.
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight + 2}px`;
  }

  protected override render(): unknown {
    if (this.loading) return html`<p class="soft">Opening the draft…</p>`;
    const { sending } = this;
    const offline = networkNote(desk.state?.network ?? 'online');
    return html`<form class="compose card" novalidate aria-label=${this.within ? 'Your answer' : 'New mail'} data-testid="compose" @submit=${this.submit} @keydown=${this.key} @gyre-recipients=${() => this.typed()}>
      <fieldset ?disabled=${sending !== null}>
        <gyre-mail-recipients .to=${this.to}></gyre-mail-recipients>
        <label class="visually-hidden" for="mail-subject">Subject</label>
        <input id="mail-subject" class="subject-field" placeholder="Subject" maxlength="500" autocomplete="off" data-testid="mail-subject" .value=${this.subject} @input=${(event: Event) => { this.subject = (event.target as HTMLInputElement).value; this.typed(); }} />
        <label class="visually-hidden" for="mail-area">Text</label>
        <textarea id="mail-area" rows=${this.within ? 6 : 10} dir="auto" placeholder="Write…" data-testid="mail-area" .value=${this.text} @input=${(event: Event) => { this.text = (event.target as HTMLTextAreaElement).value; this.typed(); }}></textarea>
        ${this.quote === '' ? nothing : html`<details class="quoted"><summary>Quoted text</summary><p class="quote-text">${this.quote}</p><button type="button" class="text-button" @click=${() => { this.quote = ''; this.typed(); }}>Leave it out</button></details>`}
        ${this.attachments()}
      </fieldset>
      ${this.wrong === '' ? nothing : html`<p class="hint bad" role="alert" data-testid="compose-wrong">${this.wrong}</p>`}
      ${this.problem ? html`<gyre-error subject="send" .error=${this.problem} .retry=${() => void this.send()}></gyre-error>` : nothing}
      ${offline === '' ? nothing : html`<p class="hint">${offline}</p>`}
      ${sending ? this.progress(sending) : this.bar()}
    </form>`;
  }

  private bar(): unknown {
    return html`<div class="row compose-bar">
      <button class="button primary" data-testid="mail-send">${icon('send')} Send</button>
      <label class="button" title="Attach files"><input class="visually-hidden" type="file" multiple data-testid="mail-attach" @change=${this.picked} />${icon('clip')} Attach</label>
      <span class="soft draft-state" role="status" data-testid="draft-state" data-state=${this.#keeper.state}>${draftWords(this.#keeper.state)}</span>
      <button type="button" class="icon-button" aria-label="Throw this mail away" title="Throw this mail away" data-testid="mail-discard" @click=${() => void this.discard()}>${icon('trash')}</button>
    </div>`;
  }

  private progress({ done, total }: { done: number; total: number | null }): unknown {
    return html`<div class="compose-progress">
      <gyre-bar aria-label="Sealing the mail" data-testid="send-progress" .value=${percent(done, total)} ?busy=${total === null || total === 0}></gyre-bar>
      <p class="row"><span class="soft tabular">${total ? `Sealing: ${formatBytes(done)} of ${formatBytes(total)}` : 'Sealing it…'}</span>
        <button type="button" class="button" data-testid="send-stop" @click=${() => this.#abort.abort()}>${icon('close')} Cancel</button></p>
    </div>`;
  }

  private attachments(): unknown {
    if (this.files.length === 0 && this.refused === '' && this.elsewhere.length === 0) return nothing;
    return html`<ul class="attached" aria-label="Attachments" data-testid="compose-files">
        ${this.files.map((file, i) => html`<li class="attachment">${icon('file')}<span class="attachment-name"><span class="clip">${safeName(file.name)}</span><span class="soft">${formatBytes(file.size)}</span></span>
          <button type="button" class="icon-button" aria-label=${`Take ${file.name} off`} @click=${() => { this.files = this.files.filter((_, at) => at !== i); this.refused = ''; this.typed(); }}>${icon('close')}</button></li>`)}
        ${this.elsewhere.map((name) => html`<li class="attachment" data-testid="compose-elsewhere">${icon('file')}<span class="attachment-name"><span class="clip">${safeName(name)}</span><span class="soft">on another of your machines</span></span>
          <button type="button" class="icon-button" aria-label=${`Leave ${name} out`} @click=${() => { this.elsewhere = this.elsewhere.filter((other) => other !== name); this.typed(); }}>${icon('close')}</button></li>`)}
      </ul>
      ${this.elsewhere.length > 0 ? html`<p class="hint">Only names come along from your other machines. Attach the files here too, or leave them out.</p>` : nothing}
      ${this.files.length > 1 ? html`<p class="hint tabular">${formatBytes(totalBytes(this.files))} in all</p>` : nothing}
      ${this.refused === '' ? nothing : html`<p class="hint bad" role="alert">${this.refused}</p>`}`;
  }

  /** An answer begins. */
  private take({ draft, quote, carries }: Begun): void {
    this.reset(null);
    this.to = draft.to;
    this.subject = draft.subject;
    this.text = draft.text;
    this.quote = quote;
    this.#base = { ...(draft.thread === undefined ? {} : { thread: draft.thread }), ...(draft.inReplyTo === undefined ? {} : { inReplyTo: draft.inReplyTo }) };
    void this.updateComplete.then(() => (draft.to.length === 0 ? this.recipients?.focus() : this.area?.focus({ preventScroll: true })));
    if (carries) void this.carry(carries.id, carries.attachments);
  }

  /** A new mail, or a draft that was kept. */
  private async open({ draft, to }: Start): Promise<void> {
    this.reset(draft);
    if (to !== null) this.to = [to];
    if (draft === null) {
      void this.updateComplete.then(() => (to === null ? this.recipients?.focus() : this.querySelector<HTMLElement>('#mail-subject')?.focus()));
      return;
    }
    this.loading = true;
    const found = await desk.run((box) => box.draft(draft));
    this.loading = false;
    if (!found) return;
    const { value } = found;
    this.to = value.to;
    this.subject = value.subject;
    this.text = value.text;
    this.files = asFiles(value.attachments);
    this.elsewhere = value.elsewhere ?? [];
    this.#base = { ...(value.thread === undefined ? {} : { thread: value.thread }), ...(value.inReplyTo === undefined ? {} : { inReplyTo: value.inReplyTo }) };
    void this.updateComplete.then(() => this.area?.focus());
  }

  private reset(draft: string | null): void {
    void this.#keeper.flush();
    this.#keeper.removeEventListener('change', this.#update);
    this.#keeper = new DraftKeeper(() => desk.box(), draft);
    this.#keeper.addEventListener('change', this.#update);
    this.#base = {};
    this.to = [];
    this.subject = this.text = this.quote = this.refused = this.wrong = '';
    this.files = [];
    this.elsewhere = [];
    this.problem = null;
  }

  /** Attachments of a forwarded mail go along. */
  private async carry(message: string, attachments: readonly { name: string; type: string }[]): Promise<void> {
    const missing: string[] = [];
    for (const [i, { name, type }] of attachments.entries()) {
      try {
        const content = await (await desk.box()).attachment(message, i, { signal: this.#left.signal });
        this.attach([new File([content], safeName(name), { type })]);
      } catch {
        missing.push(safeName(name));
      }
    }
    if (missing.length > 0 && this.isConnected) this.refused = `Not to be had now, so not forwarded: ${missing.join(', ')}`;
  }

  private typed(): void {
    this.wrong = '';
    if (this.problem) this.problem = null;
    this.#keeper.note(this.draft());
  }

  private draft(): Draft {
    return { to: this.recipients?.recipients ?? [], subject: this.subject, text: withQuote(this.text, this.quote), attachments: this.files, elsewhere: this.elsewhere, ...this.#base };
  }

  private kept(): void {
    const { id } = this.#keeper;
    // Who reloads the page shall find what they wrote.
    if (!this.within && id !== null && this.#keeper.state === 'saved' && this.isConnected) history.replaceState(null, '', mailAddress({ view: 'write', draft: id, to: null }));
    this.requestUpdate();
  }

  private attach(more: readonly File[]): void {
    const { files, refused } = addFiles(this.files, more);
    this.elsewhere = this.elsewhere.filter((name) => !files.some((file) => file.name === name));
    this.files = files;
    this.refused = refused;
    this.typed();
  }

  private readonly picked = (event: Event): void => {
    const input = event.target as HTMLInputElement;
    this.attach([...(input.files ?? [])]);
    input.value = '';
  };

  /** Files dropped or pasted anywhere on the page. */
  private given(event: CustomEvent<File[]>): void {
    if (event.defaultPrevented || this.sending) return;
    event.preventDefault();
    this.attach(event.detail);
  }

  private readonly key = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    void this.send();
  };

  private readonly submit = (event: SubmitEvent): void => {
    event.preventDefault();
    void this.send();
  };

  private async send(): Promise<void> {
    if (this.sending) return;
    this.problem = null;
    this.wrong = (await this.recipients?.settle()) ?? '';
    if (this.wrong !== '') return this.recipients?.focus();
    const draft = this.draft();
    if (draft.text.trim() === '' && draft.subject.trim() === '' && draft.attachments.length === 0) {
      this.wrong = 'There is nothing in it yet.';
      return this.area?.focus();
    }
    if (this.elsewhere.length > 0) {
      this.wrong = 'Some attachments lie on another of your machines. Attach them here, or leave them out.';
      return;
    }
    await this.#keeper.flush();
    this.#abort = new AbortController();
    this.sending = { done: 0, total: null };
    try {
      const { id } = this.#keeper;
      const box = await desk.box();
      const { thread } = await box.send(id === null ? draft : { ...draft, id }, { signal: this.#abort.signal, onProgress: (progress) => (this.sending = progress) });
      this.sending = null;
      await this.#keeper.discard().catch(() => undefined);
      this.over(thread);
    } catch (thrown) {
      this.sending = null;
      const problem = toProblem(thrown);
      if (problem.code === 'ABORTED') this.wrong = 'Not sent. It is kept as a draft.';
      else this.problem = problem;
    }
  }

  private async discard(): Promise<void> {
    const empty = this.text.trim() === '' && this.files.length === 0;
    if (!empty && !(await confirmDialog({ title: 'Throw this mail away?', text: 'What you wrote is deleted, also as a draft.', action: 'Throw away' }))) return;
    await this.#keeper.discard().catch(() => undefined);
    this.over(null);
  }

  private over(thread: string | null): void {
    this.dispatchEvent(new CustomEvent('gyre-compose-done', { bubbles: true }));
    if (thread !== null) desk.tell(desk.state?.network === 'online' ? 'It is on its way.' : 'It waits here and goes out by itself.');
    if (this.within) return;
    location.hash = thread === null ? '#/mail' : mailAddress({ view: 'list', folder: 'sent', thread });
  }
}
