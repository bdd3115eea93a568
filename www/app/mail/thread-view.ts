/** One conversation: its mails, what can be done with it, and the answer that is being written below. */

import type { Mail, ThreadSummary } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { confirmDialog } from '../components/confirm-dialog.js';
import '../components/error-note.js';
import { icon } from './icons.js';
import { PlainElement } from '../element.js';
import { readPetname } from '../lib/petnames.js';
import { watch } from '../watching.js';
import { answer, hasOthers, type AnswerKind, type Begun } from './answer.js';
import './compose.js';
import type { MailProblem } from './desk.js';
import { handOver } from './handing.js';
import './mail-card.js';
import { archiveFrom, canArchive, trashFrom } from './moves.js';
import { isOfStrangers, personName } from './people.js';
import { listOf, mailAddress, type MailPlace } from './place.js';
import { desk, moveThen, toProblem } from './room.js';
import type { Command } from './shortcuts.js';
import type { ThreadList } from './threads.js';
import { windowTitle } from './words.js';

@customElement('gyre-mail-thread')
export class MailThreadElement extends PlainElement {
  @property({ attribute: false }) place!: Extract<MailPlace, { view: 'list' | 'search' }>;
  @property({ attribute: false }) list!: ThreadList;
  @state() private mails: readonly Mail[] | null = null;
  @state() private problem: MailProblem | null = null;
  @state() private open: ReadonlySet<string> = new Set();
  @state() private begun: Begun | null = null;
  @state() private petname = '';
  #shown: string | null = null;
  /** It was marked as unread on purpose: new looks at it leave it so. */
  #unread = false;
  readonly #changed = (event: Event): void => {
    const { detail } = event as CustomEvent<readonly string[]>;
    if (detail.length === 0 || (this.place.thread !== null && detail.includes(this.place.thread))) void this.load();
  };

  constructor() {
    super();
    watch(this, desk);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    desk.addEventListener('threads', this.#changed);
    desk.addEventListener('status', this.#statusChanged);
    document.addEventListener('visibilitychange', this.#seen);
  }

  override disconnectedCallback(): void {
    desk.removeEventListener('threads', this.#changed);
    desk.removeEventListener('status', this.#statusChanged);
    document.removeEventListener('visibilitychange', this.#seen);
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('place') || this.#shown === this.place.thread) return;
    this.#shown = this.place.thread;
    this.#unread = false;
    this.mails = null;
    this.begun = null;
    this.open = new Set();
    void this.load();
  }

  protected override updated(): void {
    if (this.mails) document.title = windowTitle(this.mails[0]?.subject || 'No subject', desk.state?.unread ?? 0);
  }

  command(command: Command): boolean {
    const last = this.mails?.at(-1);
    switch (command) {
      case 'reply':
      case 'replyAll':
      case 'forward':
        if (last) this.begin(last, command);
        return true;
      case 'archive':
        if (canArchive(this.folder)) void this.move(archiveFrom(this.folder));
        return true;
      case 'trash':
        void this.trash();
        return true;
      case 'star':
        void this.star();
        return true;
      case 'read':
      case 'unread':
        void this.markUnread(command === 'unread');
        return true;
      case 'next':
      case 'previous':
        this.goBeside(command === 'next' ? 1 : -1);
        return true;
      case 'back':
        location.hash = mailAddress(listOf(this.place));
        return true;
      default:
        return false;
    }
  }

  protected override render(): unknown {
    const { mails, problem } = this;
    const back = mailAddress(listOf(this.place));
    if (!mails) {
      return html`<p class="thread-bar"><a class="icon-button" href=${back} aria-label="Back to the list">${icon('back')}</a></p>
        ${problem ? html`<gyre-error subject="thread" .error=${problem} .retry=${() => void this.load()}></gyre-error>` : html`<p class="soft">One moment…</p>`}`;
    }
    const last = mails.at(-1);
    if (!last) return html`<p class="empty">This conversation is gone. <a href=${back}>Back to the list</a></p>`;
    const subject = mails[0]?.subject || 'No subject';
    const starred = this.summary?.starred === true;
    const action = (name: Parameters<typeof icon>[0], label: string, id: string, run: () => void): unknown =>
      html`<button class="icon-button" aria-label=${label} title=${label} data-testid=${id} @click=${run}>${icon(name)}</button>`;
    return html`<section aria-labelledby="thread-title" class="thread">
      <div class="thread-bar" role="toolbar" aria-label="Conversation">
        <a class="icon-button" href=${back} aria-label="Back to the list" title="Back to the list" data-testid="thread-back">${icon('back')}</a>
        ${canArchive(this.folder) ? action('archive', archiveFrom(this.folder) === 'archive' ? 'Archive' : 'Move to the inbox', 'thread-archive', () => void this.move(archiveFrom(this.folder))) : nothing}
        ${action('trash', trashFrom(this.folder) === null ? 'Delete for good' : 'Move to the trash', 'thread-trash', () => void this.trash())}
        ${action('unread', 'Mark as unread', 'thread-unread', () => void this.markUnread(true))}
        <button class="icon-button" aria-label="Star" title="Star" aria-pressed=${starred ? 'true' : 'false'} data-testid="thread-star" @click=${() => void this.star()}>${icon('star')}</button>
        ${action('save', 'Save as .eml', 'thread-export', () => void this.save())}
        <span class="beside">${action('up', 'Newer conversation', 'thread-newer', () => this.goBeside(-1))} ${action('down', 'Older conversation', 'thread-older', () => this.goBeside(1))}</span>
      </div>
      <h1 id="thread-title" class="wrap" tabindex="-1" data-testid="thread-subject">${subject}</h1>
      ${this.isRequest ? this.request(last) : nothing} ${this.muted(last)}
      <div class="mails">${repeat(mails, ({ id }) => id, (mail) => html`<gyre-mail-card .mail=${mail} ?open=${this.open.has(mail.id)} ?stranger=${this.isRequest && !mail.own} @gyre-mail-toggle=${() => this.toggle(mail.id)}></gyre-mail-card>`)}</div>
      ${
        this.begun
          ? html`<gyre-mail-compose .begun=${this.begun} within @gyre-compose-done=${() => (this.begun = null)}></gyre-mail-compose>`
          : this.isRequest
            ? nothing
            : html`<div class="row answers">
                <button class="button" data-testid="reply" @click=${() => this.begin(last, 'reply')}>${icon('reply')} Reply</button>
                ${hasOthers(last, desk.state?.id ?? null) ? html`<button class="button" data-testid="reply-all" @click=${() => this.begin(last, 'replyAll')}>${icon('replyAll')} Reply to all</button>` : nothing}
                <button class="button" data-testid="forward" @click=${() => this.begin(last, 'forward')}>${icon('forward')} Forward</button>
              </div>`
      }
    </section>`;
  }

  private get summary(): ThreadSummary | null {
    return this.list.threads.find(({ id }) => id === this.place.thread) ?? null;
  }

  private get folder(): ThreadSummary['folder'] {
    return this.summary?.folder ?? (this.place.view === 'list' ? this.place.folder : 'inbox');
  }

  private get isRequest(): boolean {
    return isOfStrangers(this.mails ?? [], desk.contacts);
  }

  /** Somebody who is not known: nothing happens before the person says so. */
  private request(mail: Mail): unknown {
    const { id } = mail.from;
    const name = personName(mail.from);
    return html`<div class="consent request" role="group" aria-labelledby="request-title" data-testid="request">
      <div><strong id="request-title">You do not know “${name}”</strong>
        <p>The name is their own choice. Accept them, and their mail comes to your inbox; they are told nothing until you answer.</p></div>
      <form class="link-row" @submit=${(event: SubmitEvent) => { event.preventDefault(); void this.accept(id); }}>
        <label class="visually-hidden" for="request-petname">What you want to call them</label>
        <input id="request-petname" class="field" placeholder="What do you call them?" autocomplete="off" maxlength="60" data-testid="request-petname" .value=${this.petname} @input=${(event: Event) => (this.petname = (event.target as HTMLInputElement).value)} />
        <button class="button primary" data-testid="request-accept" ?disabled=${id === null}>${icon('check')} Accept</button>
      </form>
      <div class="row">
        <button class="button" data-testid="request-delete" @click=${() => void this.move('trash')}>${icon('trash')} Delete</button>
        <button class="button quiet" data-testid="request-block" ?disabled=${id === null} @click=${() => void this.block(id, name)}>${icon('close')} Block</button>
      </div>
    </div>`;
  }

  private muted(mail: Mail): unknown {
    const contact = desk.contact(mail.from.id);
    if (contact?.forked) return html`<p class="note note-bad" role="alert" data-testid="sender-forked">${icon('alert')}<span>Somebody has used old keys of ${personName(mail.from)} against them. Compare the safety number with them before you trust new mail. <a href="#/mail/contacts">Contacts</a></span></p>`;
    if (contact?.state === 'muted') return html`<p class="hint">${personName(mail.from)} is muted: their mail comes without a word. <a href="#/mail/contacts">Contacts</a></p>`;
    if (contact?.state === 'blocked') return html`<p class="hint">${personName(mail.from)} is blocked. <a href="#/mail/contacts">Contacts</a></p>`;
    return nothing;
  }

  private async load(): Promise<void> {
    const { thread } = this.place;
    if (thread === null) return;
    try {
      const mails = await (await desk.box()).thread(thread);
      if (thread !== this.place.thread) return;
      const known = new Set(this.mails?.map(({ id }) => id));
      // What is new, or not read yet, is open, and the last one.
      const open = new Set(this.open);
      for (const mail of mails) if (!known.has(mail.id) && (mail === mails.at(-1) || (!mail.read && !mail.own))) open.add(mail.id);
      const first = this.mails === null;
      this.open = open;
      this.mails = mails;
      this.problem = null;
      if (first) void this.updateComplete.then(() => this.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true }));
      if (!this.#unread && mails.some(({ read, own }) => !read && !own) && !document.hidden && !isOfStrangers(mails, desk.contacts)) await (await desk.box()).mark([thread], { read: true });
    } catch (thrown) {
      this.problem = toProblem(thrown);
    }
  }

  readonly #statusChanged = (event: Event): void => {
    const { message } = (event as CustomEvent<{ message: string }>).detail;
    if (this.mails?.some(({ id }) => id === message)) void this.load();
  };

  /** What came while nobody looked is read now. */
  readonly #seen = (): void => {
    if (!document.hidden) void this.load();
  };

  private toggle(id: string): void {
    const open = new Set(this.open);
    if (!open.delete(id)) open.add(id);
    this.open = open;
  }

  private begin(mail: Mail, kind: AnswerKind): void {
    if (this.isRequest) return;
    this.begun = answer(mail, kind, desk.state?.id ?? null);
    void this.updateComplete.then(() => this.querySelector('gyre-mail-compose')?.scrollIntoView({ block: 'nearest' }));
  }

  private goBeside(by: 1 | -1): void {
    const beside = this.place.thread === null ? null : this.list.beside(this.place.thread, by);
    if (beside) location.hash = mailAddress({ ...this.place, thread: beside.id });
  }

  private async star(): Promise<void> {
    const { thread } = this.place;
    if (thread === null) return;
    const starred = this.summary?.starred !== true;
    this.list.patch(new Set([thread]), { starred });
    this.requestUpdate();
    await desk.run((box) => box.mark([thread], { starred }));
  }

  private async markUnread(unread: boolean): Promise<void> {
    const { thread } = this.place;
    if (thread === null) return;
    this.#unread = unread;
    if (await desk.run((box) => box.mark([thread], { read: !unread }))) location.hash = mailAddress(listOf(this.place));
  }

  /** Moves it, and goes back to where it was opened from. */
  private async move(folder: 'inbox' | 'archive' | 'trash'): Promise<void> {
    const summary = this.asSummary();
    if (!summary) return;
    if (this.place.view === 'list') this.list.drop(new Set([summary.id]));
    location.hash = mailAddress(listOf(this.place));
    if (!(await moveThen([summary], folder))) void this.list.refresh();
  }

  private async trash(): Promise<void> {
    const summary = this.asSummary();
    if (!summary) return;
    if (trashFrom(this.folder) === 'trash') return this.move('trash');
    if (!(await confirmDialog({ title: 'Delete this conversation for good?', text: 'Nothing brings it back, on any of your machines.', action: 'Delete' }))) return;
    this.list.drop(new Set([summary.id]));
    location.hash = mailAddress(listOf(this.place));
    await desk.run((box) => box.remove([summary.id]));
  }

  /** It may have been opened by its address, without its list. */
  private asSummary(): ThreadSummary | null {
    const { thread } = this.place;
    const last = this.mails?.at(-1);
    if (thread === null || !last) return null;
    return this.summary ?? { id: thread, subject: last.subject, snippet: '', from: [last.from], time: last.time, unread: false, count: this.mails?.length ?? 1, starred: false, attachments: 0, folder: this.folder, status: null };
  }

  private async save(): Promise<void> {
    const { thread } = this.place;
    if (thread === null) return;
    const many = (this.mails?.length ?? 0) > 1;
    const made = await desk.run((box) => box.export('eml', { threads: [thread] }));
    if (made) handOver(made.value, `${this.mails?.[0]?.subject || 'mail'}.${many ? 'zip' : 'eml'}`);
  }

  private async accept(id: string | null): Promise<void> {
    if (id === null) return;
    const petname = readPetname(this.petname);
    const done = await desk.run((box) => box.setContact(id, { state: 'accepted', ...(petname === null ? {} : { petname }) }));
    if (!done) return;
    desk.tell('Accepted. Their mail comes to your inbox.');
    location.hash = mailAddress({ view: 'list', folder: 'inbox', thread: this.place.thread });
  }

  private async block(id: string | null, name: string): Promise<void> {
    const summary = this.asSummary();
    if (id === null || !summary) return;
    if (!(await confirmDialog({ title: `Block “${name}”?`, text: 'Their mail is thrown away before you see it. They are not told. You can change that under Contacts.', action: 'Block' }))) return;
    if (!(await desk.run((box) => box.setContact(id, { state: 'blocked' })))) return;
    this.list.drop(new Set([summary.id]));
    location.hash = mailAddress(listOf(this.place));
    desk.tell('Blocked.');
  }
}
