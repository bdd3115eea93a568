/** A folder, or what a search has found: rows that are opened, selected, starred and moved. */

import type { ThreadSummary } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { confirmDialog } from '../components/confirm-dialog.js';
import '../components/error-note.js';
import { icon } from './icons.js';
import { PlainElement } from '../element.js';
import { count } from '../lib/format.js';
import { watch } from '../watching.js';
import { archiveFrom, canArchive, markRead, starsOn, trashFrom } from './moves.js';
import { isClaimed, nameList } from './people.js';
import { mailAddress, type MailPlace } from './place.js';
import { desk, doThenOffer, moveThen } from './room.js';
import type { Command } from './shortcuts.js';
import type { ThreadList } from './threads.js';
import { emptyFolder, folderName, fullTime, listTime, rowLabel, statusWords, type StatusWords } from './words.js';

type ListPlace = Extract<MailPlace, { view: 'list' | 'search' }>;

@customElement('gyre-mail-list')
export class MailListElement extends PlainElement {
  @property({ attribute: false }) list!: ThreadList;
  @property({ attribute: false }) place!: ListPlace;
  readonly #update = (): void => this.requestUpdate();
  /** The keyboard is in the list: the row of the cursor has the focus. */
  #follow = false;

  constructor() {
    super();
    watch(this, desk);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.list?.addEventListener('change', this.#update);
  }

  override disconnectedCallback(): void {
    this.list.removeEventListener('change', this.#update);
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('list')) return;
    changed.get('list')?.removeEventListener('change', this.#update);
    this.list.addEventListener('change', this.#update);
  }

  protected override updated(): void {
    if (!this.#follow) return;
    this.#follow = false;
    const row = this.querySelector<HTMLElement>('[data-cursor]');
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: 'nearest' });
  }

  /** What a key asks for; `false` if it is none of the list's affairs. */
  command(command: Command): boolean {
    const { list } = this;
    switch (command) {
      case 'next':
      case 'previous':
        list.step(command === 'next' ? 1 : -1);
        if (command === 'next' && list.cursor === list.threads.at(-1)?.id) void list.more();
        this.#follow = true;
        this.requestUpdate();
        return true;
      case 'open': {
        const thread = list.threads.find(({ id }) => id === list.cursor);
        if (thread) location.hash = this.addressOf(thread);
        return thread !== undefined;
      }
      case 'select':
        if (list.cursor !== null) list.select(list.cursor, !list.selected.has(list.cursor));
        return true;
      case 'star':
        void this.star(list.targets());
        return true;
      case 'archive':
        void this.archive();
        return true;
      case 'trash':
        void this.trash();
        return true;
      case 'read':
      case 'unread':
        void this.mark(command === 'read');
        return true;
      default:
        return false;
    }
  }

  protected override render(): unknown {
    const { threads, loading, problem, total } = this.list;
    const title = this.place.view === 'search' ? `Results for “${this.place.query}”` : folderName(this.place.folder);
    return html`<section class="mail-list" aria-labelledby="list-title">
      <header class="section-head"><h1 id="list-title" class="clip" tabindex="-1">${title}</h1><span class="soft tabular">${total === null || total === 0 ? '' : count(total, this.isDrafts ? 'draft' : 'conversation')}</span></header>
      ${this.bar()}
      ${this.list.complete ? nothing : html`<p class="hint" role="status" data-testid="search-goes-on">Not all of your mail has been looked through yet. What is found is added here.</p>`}
      ${problem ? html`<gyre-error subject="mail-list" .error=${problem} .retry=${() => void this.list.refresh()}></gyre-error>` : nothing}
      ${
        threads.length > 0
          ? html`<div role="feed" aria-label=${title} aria-busy=${loading ? 'true' : 'false'} class="rows" data-testid="mail-rows">
              ${repeat(threads, ({ id }) => id, (thread, i) => this.row(thread, i))}</div>
              ${this.list.hasMore ? html`<p class="row more"><button class="button" data-testid="mail-more" ?disabled=${loading} @click=${() => void this.list.more()}>${loading ? 'Loading…' : 'Show more'}</button></p>` : nothing}`
          : this.nothingHere(loading)
      }
    </section>`;
  }

  private get isDrafts(): boolean {
    return this.place.view === 'list' && this.place.folder === 'drafts';
  }

  private nothingHere(loading: boolean): unknown {
    if (this.list.problem) return nothing;
    if (loading || this.list.total === null) return html`<p class="soft empty-list">One moment…</p>`;
    if (this.place.view === 'search') return html`<p class="empty empty-list" data-testid="mail-empty">${this.list.complete ? 'Nothing found.' : 'Nothing found so far.'} All words must be in the mail: in its text, its subject, or the names in it.</p>`;
    return html`<div class="empty empty-list" data-testid="mail-empty"><p>${emptyFolder(this.place.folder)}</p>
      ${this.place.folder === 'inbox' ? html`<p class="row"><a class="button" href="#/mail/contacts">Give somebody your address</a></p>` : nothing}</div>`;
  }

  /** What can be done with what is selected. */
  private bar(): unknown {
    const { selected, threads } = this.list;
    if (threads.length === 0) return nothing;
    const all = selected.size === threads.length;
    const some = selected.size > 0;
    const folder = this.place.view === 'list' ? this.place.folder : 'inbox';
    const action = (name: Parameters<typeof icon>[0], label: string, id: string, run: () => void): unknown =>
      html`<button class="icon-button" aria-label=${label} title=${label} data-testid=${id} @click=${run}>${icon(name)}</button>`;
    return html`<div class="list-bar" role="toolbar" aria-label=${some ? `${selected.size} selected` : 'Selection'}>
      <label class="check"><input type="checkbox" aria-label="Select all that are shown" data-testid="select-all" .checked=${all} .indeterminate=${some && !all} @change=${(event: Event) => this.list.selectAll((event.target as HTMLInputElement).checked)} /></label>
      ${
        some
          ? html`<span class="soft tabular">${selected.size} selected</span>
            ${this.isDrafts ? nothing : html`${canArchive(folder) ? action('archive', archiveFrom(folder) === 'archive' ? 'Archive' : 'Move to the inbox', 'bar-archive', () => void this.archive()) : nothing}
            ${action('mail', 'Mark as read', 'bar-read', () => void this.mark(true))} ${action('unread', 'Mark as unread', 'bar-unread', () => void this.mark(false))}
            ${action('star', 'Star, or take the stars off', 'bar-star', () => void this.star(this.list.targets()))}`}
            ${action('trash', this.isDrafts || folder === 'trash' ? 'Delete for good' : 'Move to the trash', 'bar-trash', () => void this.trash())}`
          : html`<span class="soft only-wide">${this.isDrafts ? '' : 'Press ? for the keys'}</span>`
      }
    </div>`;
  }

  private row(thread: ThreadSummary, i: number): unknown {
    const { list } = this;
    const now = Date.now();
    const here = list.cursor === thread.id;
    const picked = list.selected.has(thread.id);
    const status = this.isDrafts ? null : shownStatus(thread, this.place);
    const stop = here || (list.cursor === null && i === 0) ? 0 : -1;
    const requests = thread.folder === 'requests';
    return html`<article
      class=${`row-item${thread.unread ? ' unread' : ''}${picked ? ' picked' : ''}`}
      tabindex=${stop}
      aria-label=${rowLabel(thread, now)}
      aria-posinset=${i + 1}
      aria-setsize=${list.hasMore ? -1 : list.threads.length}
      ?data-cursor=${here}
      data-testid="mail-row"
      data-thread=${thread.id}
      @focus=${() => list.point(thread.id)}
      @keydown=${(event: KeyboardEvent) => this.key(event, thread)}
    >
      <label class="check"><input type="checkbox" tabindex=${stop} aria-label=${`Select ${thread.subject || 'this conversation'}`} .checked=${picked} @click=${(event: MouseEvent) => list.select(thread.id, (event.target as HTMLInputElement).checked, event.shiftKey)} /></label>
      ${this.isDrafts ? html`<span class="star-room"></span>` : html`<button class="icon-button star" tabindex=${stop} aria-pressed=${thread.starred ? 'true' : 'false'} aria-label=${thread.starred ? 'Starred' : 'Star'} @click=${() => void this.star([thread])}>${icon('star')}</button>`}
      <a class="row-link" tabindex="-1" href=${this.addressOf(thread)} aria-label=${`Open ${thread.subject || 'no subject'}`} @click=${() => list.point(thread.id)}>
        <span class="who clip">${this.isDrafts ? html`<em>Draft</em> ` : this.place.view === 'list' && this.place.folder === 'sent' && thread.from.length > 0 ? 'To ' : nothing}<span class=${thread.from.some(isClaimed) && requests ? 'claimed' : ''}>${nameList(thread.from) || 'Nobody yet'}</span>${thread.count > 1 ? html` <span class="soft tabular">${thread.count}</span>` : nothing}</span>
        <span class="what clip"><span class="subject">${thread.subject || 'No subject'}</span>${thread.snippet === '' ? nothing : html`<span class="soft"> – ${thread.snippet}</span>`}</span>
        <span class="marks">${status ? html`<span class="tag status-tag"><span class=${`dot tone-${status.tone}`}></span>${status.short}</span>` : nothing}${this.place.view === 'search' ? html`<span class="tag">${folderName(thread.folder)}</span>` : nothing}${thread.attachments > 0 ? icon('clip') : nothing}</span>
        <time class="soft tabular" datetime=${new Date(thread.time).toISOString()} title=${fullTime(thread.time)}>${listTime(thread.time, now)}</time>
      </a>
    </article>`;
  }

  private addressOf(thread: ThreadSummary): string {
    if (thread.folder === 'drafts') return mailAddress({ view: 'write', draft: thread.id, to: null });
    return mailAddress({ ...this.place, thread: thread.id });
  }

  /** Arrows and spaces on a row; letters reach the page. */
  private key(event: KeyboardEvent, thread: ThreadSummary): void {
    if (event.target !== event.currentTarget) return;
    const command = ({ ArrowDown: 'next', ArrowUp: 'previous', PageDown: 'next', PageUp: 'previous', Enter: 'open' } as const)[event.key];
    if (event.key === ' ') this.list.select(thread.id, !this.list.selected.has(thread.id));
    else if (!command || event.ctrlKey || event.metaKey || event.altKey || !this.command(command)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  private async star(threads: readonly ThreadSummary[]): Promise<void> {
    if (threads.length === 0 || this.isDrafts) return;
    const starred = starsOn(threads);
    const ids = threads.map(({ id }) => id);
    this.list.patch(new Set(ids), { starred });
    await desk.run((box) => box.mark(ids, { starred }));
  }

  private async mark(read: boolean): Promise<void> {
    const threads = this.list.targets();
    if (threads.length === 0 || this.isDrafts) return;
    this.list.patch(new Set(threads.map(({ id }) => id)), { unread: !read });
    await doThenOffer((box) => markRead(box, threads, read));
  }

  private async archive(): Promise<void> {
    const threads = this.list.targets();
    const folder = this.place.view === 'list' ? this.place.folder : 'inbox';
    if (threads.length === 0 || !canArchive(folder)) return;
    this.leave(threads);
    if (!(await moveThen(threads, archiveFrom(folder)))) void this.list.refresh();
  }

  private async trash(): Promise<void> {
    const threads = this.list.targets();
    if (threads.length === 0) return;
    const folder = this.place.view === 'list' ? this.place.folder : 'inbox';
    if (!this.isDrafts && trashFrom(folder) === 'trash') {
      this.leave(threads);
      if (!(await moveThen(threads, 'trash'))) void this.list.refresh();
      return;
    }
    const what = count(threads.length, this.isDrafts ? 'draft' : 'conversation');
    if (!(await confirmDialog({ title: `Delete ${what} for good?`, text: 'Nothing brings it back, on any of your machines.', action: 'Delete' }))) return;
    this.leave(threads);
    const ids = threads.map(({ id }) => id);
    await desk.run(async (box) => {
      if (this.isDrafts) await Promise.all(ids.map((id) => box.deleteDraft(id)));
      else await box.remove(ids);
    });
    desk.tell(`${what} deleted.`);
    void this.list.refresh();
  }

  private leave(threads: readonly ThreadSummary[]): void {
    const inList = this.contains(document.activeElement);
    if (this.place.view === 'list') this.list.drop(new Set(threads.map(({ id }) => id)));
    this.#follow = inList;
  }
}

/** How far one's own latest mail has come: always where that is what the list is about, elsewhere only if it wants attention. */
function shownStatus({ status }: ThreadSummary, place: ListPlace): StatusWords | null {
  const words = status && statusWords(status);
  return words && ((place.view === 'list' && place.folder === 'sent') || words.tone !== 'good') ? words : null;
}
