/** Mail: folders, conversations, search, writing; and what stands before it the first time. */

import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import '../components/consent-card.js';
import '../components/error-note.js';
import { SessionElement } from '../element.js';
import '../mail/compose.js';
import '../mail/contacts-view.js';
import { gateOf } from '../mail/desk.js';
import '../mail/folders.js';
import '../mail/gate.js';
import { showHelp } from '../mail/help.js';
import { icon } from '../mail/icons.js';
import { MailListElement } from '../mail/list-view.js';
import { shortcutsOn } from '../mail/notify.js';
import { mailAddress, parseMailPlace, sameList, type MailPlace } from '../mail/place.js';
import { desk, toProblem, undo, undoLast } from '../mail/room.js';
import '../mail/settings-view.js';
import { Shortcuts, takesKeys, type Command } from '../mail/shortcuts.js';
import { ThreadList } from '../mail/threads.js';
import { MailThreadElement } from '../mail/thread-view.js';
import { folderName, networkNote, windowTitle } from '../mail/words.js';
import '../styles/mail.css';
import '../styles/mail-read.css';
import '../styles/sites.css';
import { watch } from '../watching.js';

@customElement('gyre-mail-page')
export class MailPage extends SessionElement {
  @property() fragment = '';
  @state() private place: MailPlace = parseMailPlace('');
  /** The steps before the mail are over. */
  @state() private entered = false;
  @state() private list: ThreadList | null = null;
  #shortcuts = new Shortcuts();
  #soon: ReturnType<typeof setTimeout> | undefined;
  readonly #left = new AbortController();

  constructor() {
    super();
    watch(this, desk, undo);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = this.#left;
    document.addEventListener('keydown', (event) => this.key(event), { signal });
    desk.addEventListener('threads', () => this.refreshSoon(), { signal });
    desk.addEventListener('status', () => this.refreshSoon(), { signal });
    window.addEventListener('gyre-attach', (event) => this.attach(event as CustomEvent<File[]>), { signal });
    this.entered = desk.state?.state === 'ready';
    void desk.enter().then(() => (this.entered ||= desk.state?.state === 'ready'));
  }

  override disconnectedCallback(): void {
    this.#left.abort();
    clearTimeout(this.#soon);
    document.title = TITLE;
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('fragment')) {
      const place = parseMailPlace(this.fragment);
      if (!this.list || !sameList(place, this.place) || !isList(this.place)) this.list = isList(place) || !this.list ? this.listFor(place) : this.list;
      this.place = place;
    }
    if (changed.has('fragment') || this.isOpen) this.titled();
  }

  protected override updated(changed: PropertyValues): void {
    // Once there is a mailbox, and whenever another list is shown.
    if (this.isOpen && this.list && (this.list.total === null || changed.has('list')) && !this.list.loading && !this.list.problem) void this.list.refresh();
  }

  protected override render(): unknown {
    if (!this.isOpen) return html`<gyre-mail-gate @gyre-mail-entered=${() => (this.entered = true)}></gyre-mail-gate>${this.live()}`;
    const network = networkNote(desk.state?.network ?? 'online');
    return html`<div class=${`mail${isList(this.place) && this.place.thread === null ? ' at-list' : ''}`} data-testid="mail-page">
      <gyre-mail-folders .place=${this.place}></gyre-mail-folders>
      <div class="mail-main">
        ${this.searchForm()}
        ${network === '' || this.place.view === 'write' ? nothing : html`<p class="hint network-note" data-testid="mail-network">${network}</p>`}
        ${desk.problem && this.place.view !== 'contacts' && this.place.view !== 'settings' ? html`<gyre-error subject="mail" .error=${desk.problem} .retry=${() => this.again()}></gyre-error>` : nothing}
        ${this.view()}
      </div>
    </div>
    ${this.live()}`;
  }

  private get isOpen(): boolean {
    return this.entered && gateOf(desk.state?.state ?? null, 'unlocked') === 'open';
  }

  private view(): unknown {
    const { place, list } = this;
    switch (place.view) {
      case 'list':
      case 'search':
        if (!list) return nothing;
        return place.thread === null ? html`<gyre-consent></gyre-consent><gyre-mail-list .list=${list} .place=${place}></gyre-mail-list>` : html`<gyre-mail-thread .list=${list} .place=${place}></gyre-mail-thread>`;
      case 'write':
        return html`<h1 class="visually-hidden" tabindex="-1">New mail</h1><gyre-mail-compose .start=${place}></gyre-mail-compose>`;
      case 'contacts':
        return html`<gyre-mail-contacts></gyre-mail-contacts>`;
      case 'settings':
        return html`<gyre-mail-settings></gyre-mail-settings>`;
    }
  }

  private searchForm(): unknown {
    const query = this.place.view === 'search' ? this.place.query : '';
    return html`<search class="mail-search"><form @submit=${this.search}>
      <label class="visually-hidden" for="mail-query">Search your mail</label>
      ${icon('search')}<input id="mail-query" class="field" type="search" enterkeyhint="search" placeholder="Search your mail" autocomplete="off" maxlength="200" data-testid="mail-query" .value=${query} />
    </form></search>`;
  }

  /** What was just done or said: one place, so that nothing is read out twice. */
  private live(): unknown {
    const { done } = undo;
    const said = done?.text ?? desk.news;
    return html`<div class="toast mail-toast" role="status" aria-live="polite" data-testid="mail-toast" @pointerenter=${() => undo.hold()} @focusin=${() => undo.hold()}>
      ${said === '' ? nothing : html`<p><span>${said}</span>${done?.undo ? html` <button class="text-button" data-testid="mail-undo" @click=${() => void undoLast()}>Undo</button><button class="toast-close" aria-label="Close" @click=${() => undo.dismiss()}>${icon('close')}</button>` : nothing}</p>`}
    </div>`;
  }

  private listFor(place: MailPlace): ThreadList {
    if (place.view === 'search') {
      const { query } = place;
      return new ThreadList(async ({ limit }) => {
        const { threads, complete } = await (await desk.box()).search(query, { limit });
        return { threads, next: null, total: threads.length, complete };
      }, toProblem);
    }
    const folder = place.view === 'list' ? place.folder : 'inbox';
    return new ThreadList(async (options) => (await desk.box()).list(folder, options), toProblem);
  }

  private titled(): void {
    const { place } = this;
    // A conversation says its own subject.
    if (isList(place) && place.thread !== null) return;
    const what = place.view === 'list' ? folderName(place.folder) : { search: 'Search', write: 'New mail', contacts: 'Contacts', settings: 'Mail settings' }[place.view];
    document.title = windowTitle(what, desk.state?.unread ?? 0);
  }

  private refreshSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      if (this.isOpen) void this.list?.refresh();
    }, REFRESH_MS);
  }

  private again(): void {
    desk.calm();
    void desk.enter();
    void this.list?.refresh();
  }

  private readonly search = (event: SubmitEvent): void => {
    event.preventDefault();
    const query = this.querySelector<HTMLInputElement>('#mail-query')?.value.trim() ?? '';
    location.hash = query === '' ? '#/mail' : mailAddress({ view: 'search', query, thread: null });
  };

  private key(event: KeyboardEvent): void {
    if (!this.isOpen || !shortcutsOn.on || event.defaultPrevented || document.querySelector('dialog[open]')) return;
    const target = event.target as HTMLElement;
    if (event.key === 'Escape' && target.id === 'mail-query') return target.blur();
    if (takesKeys(target)) return;
    // On a button or a link, Enter is that one's own.
    if (event.key === 'Enter' && target.closest('a, button, summary, [role="button"], label')) return;
    const command = this.#shortcuts.command(event, performance.now());
    if (command && this.run(command)) event.preventDefault();
  }

  private run(command: Command): boolean {
    switch (command) {
      case 'write':
        location.hash = '#/mail/write';
        return true;
      case 'search':
        this.querySelector<HTMLInputElement>('#mail-query')?.select();
        this.querySelector<HTMLInputElement>('#mail-query')?.focus();
        return true;
      case 'undo':
        void undoLast();
        return true;
      case 'help':
        showHelp();
        return true;
      case 'inbox':
      case 'sent':
      case 'drafts':
        location.hash = mailAddress({ view: 'list', folder: command, thread: null });
        return true;
      case 'contacts':
        location.hash = '#/mail/contacts';
        return true;
      default: {
        const view = this.querySelector('gyre-mail-list, gyre-mail-thread');
        return (view instanceof MailListElement || view instanceof MailThreadElement) && view.command(command);
      }
    }
  }

  /** Files that nobody took: they begin a mail. */
  private attach(event: CustomEvent<File[]>): void {
    if (!this.isOpen || this.querySelector('gyre-mail-compose')) return;
    event.preventDefault();
    location.hash = '#/mail/write';
    const give = (): unknown => window.dispatchEvent(new CustomEvent('gyre-attach', { detail: event.detail, cancelable: true }));
    window.addEventListener('hashchange', () => void this.updateComplete.then(() => setTimeout(give)), { once: true });
  }
}

function isList(place: MailPlace): place is Extract<MailPlace, { view: 'list' | 'search' }> {
  return place.view === 'list' || place.view === 'search';
}

/** Milliseconds in which many changes become one look. */
const REFRESH_MS = 60;
const TITLE = document.title;
