/** The frame of the app: header, the page the address asks for, and what reaches every page. */

import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { parseLink } from 'gyre';
import { SessionElement } from '../element.js';
import { dropped } from '../lib/dropped.js';
import { parseRoute, publishAddress, type Route } from '../lib/router.js';
import '../pages/file-page.js';
import '../pages/home-page.js';
import { session } from '../session.js';
import { placeLink, readTyped } from '../site/place.js';
import './error-note.js';
import { icon, mark } from './icons.js';
import './join-status.js';
import { SettingsElement } from './settings-dialog.js';

@customElement('gyre-app')
export class AppElement extends SessionElement {
  @state() private route: Route = parseRoute(location.hash);
  @state() private dragging = false;
  @state() private public = false;
  /** How far the code of pages is that is loaded when they are asked for. */
  @state() private code: ReadonlyMap<string, 'loading' | 'here' | 'failed'> = new Map();
  readonly #listeners = new AbortController();
  #focused: Element | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = this.#listeners;
    window.addEventListener('hashchange', () => this.navigated(), { signal });
    document.addEventListener('dragenter', (event) => this.drag(event), { signal });
    document.addEventListener('dragover', (event) => this.drag(event), { signal });
    document.addEventListener('dragleave', (event) => event.relatedTarget === null && (this.dragging = false), {
      signal,
    });
    document.addEventListener('drop', (event) => this.drop(event), { signal });
    document.addEventListener('paste', (event) => this.paste(event), { signal });
    document.addEventListener('focusin', (event) => (this.#focused = event.target as Element), { signal });
    new MutationObserver(() => this.keepFocus()).observe(this, { childList: true, subtree: true });
    this.addEventListener('gyre-files', (event) => this.share((event as CustomEvent<File[]>).detail), { signal });
    this.addEventListener('gyre-public', (event) => (this.public = (event as CustomEvent<boolean>).detail), { signal });
    this.addEventListener('gyre-settings', () => this.settings(), { signal });
  }

  protected override willUpdate(): void {
    const { page } = this.route;
    // A site has the window to itself.
    this.classList.toggle('browsing', page === 'site');
    const load = LATE_PAGES[page];
    if (!load || this.code.has(page)) return;
    const note = (state: 'loading' | 'here' | 'failed'): void => void (this.code = new Map(this.code).set(page, state));
    note('loading');
    load().then(
      () => note('here'),
      () => note('failed'),
    );
  }

  protected override render(): unknown {
    return html`<a class="skip-link" href="#main" @click=${this.skip}>Skip to the content</a>
      <header class="top">
        <a class="brand" href="#/" aria-label="Gyre, start page"><span class=${session.phase === 'connecting' || session.phase === 'loading' ? 'turning' : ''}>${mark()}</span> Gyre</a>
        <gyre-join-status></gyre-join-status>
        <a class="icon-button mail-button" href="#/mail" aria-label=${session.unread > 0 ? `Mail, ${session.unread} unread` : 'Mail'} title="Mail" data-testid="mail-button">${icon('mail')}${session.unread > 0 ? html`<span class="badge tabular" aria-hidden="true">${session.unread > 99 ? '99+' : session.unread}</span>` : nothing}</a>
        <a class="icon-button" href="#/sites" aria-label="Sites" title="Sites" data-testid="sites-button">${icon('globe')}</a>
        <button class="icon-button" aria-label="Settings" title="Settings" data-testid="settings-button" @click=${this.settings}>${icon('settings')}</button>
      </header>
      <main id="main" tabindex="-1">
        <gyre-join-note></gyre-join-note>
        ${this.page()}
      </main>
      <footer class="foot soft">
        <p>Nothing is stored or passed on before it is verified. Peers that are linked to you see your IP address.</p>
      </footer>
      <gyre-settings></gyre-settings>
      <div class="toast" role="status" aria-live="polite">${session.notice === '' ? nothing : html`<p>${session.notice}</p>`}</div>
      ${this.dragging ? html`<div class="drop-veil" aria-hidden="true"><p>${mark()} Let go to ${this.route.page === 'mail' ? 'attach it' : this.route.page === 'publish' ? 'publish it' : `share it${this.public ? ' publicly' : ''}`}</p></div>` : nothing}`;
  }

  private page(): unknown {
    switch (this.route.page) {
      case 'home':
        return html`<gyre-home ?public=${this.public}></gyre-home>`;
      case 'file':
        return html`<gyre-file-page .fragment=${this.route.fragment}></gyre-file-page>`;
      case 'swarm':
        return this.late(html`<gyre-swarm-page .cid=${this.route.cid}></gyre-swarm-page>`);
      case 'sites':
        return this.late(html`<gyre-sites-page></gyre-sites-page>`);
      case 'publish':
        return this.late(html`<gyre-publish-page .site=${this.route.site}></gyre-publish-page>`);
      case 'keys':
        return this.late(html`<gyre-keys-page .fragment=${this.route.fragment}></gyre-keys-page>`);
      case 'site':
        return this.late(html`<gyre-site-page .place=${this.route.place}></gyre-site-page>`);
      case 'mail':
        return this.late(html`<gyre-mail-page .fragment=${this.route.fragment}></gyre-mail-page>`);
      case 'unknown':
        return html`<div class="hero"><h1>There is no such page</h1></div>
          <gyre-error .error=${{ code: 'BAD_LINK', message: 'This address is not one that this version of Gyre can open.' }}></gyre-error>`;
    }
  }

  /** A page whose code may still be on its way. */
  private late(page: unknown): unknown {
    const state = this.code.get(this.route.page);
    if (state === 'here') return page;
    if (state !== 'failed') return html`<p class="soft">Loading the view…</p>`;
    const again = (): void => void (this.code = new Map([...this.code].filter(([name]) => name !== this.route.page)));
    return html`<div class="hero"><h1>The view could not be loaded</h1>
      <p class="lead">Check your connection, then try again.</p>
      <p><button class="button primary" @click=${again}>${icon('retry')} Try again</button></p></div>`;
  }

  private navigated(): void {
    const before = this.route;
    this.route = parseRoute(location.hash);
    // Within a site the keyboard stays where it is.
    if (before.page === 'site' && this.route.page === 'site' && before.place.address === this.route.place.address) return;
    window.scrollTo(0, 0);
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('#main')?.focus({ preventScroll: true }));
  }

  private share(files: readonly File[]): void {
    if (files.length === 0 || this.attached(files)) return;
    session.share(files, this.public);
    if (this.route.page !== 'home') location.hash = '#/';
  }

  /** In the mail, files belong to the mail that is being written. */
  private attached(files: readonly File[]): boolean {
    return this.route.page === 'mail' && !window.dispatchEvent(new CustomEvent('gyre-attach', { detail: files, cancelable: true }));
  }

  private drag(event: DragEvent): void {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    this.dragging = true;
  }

  private drop(event: DragEvent): void {
    this.dragging = false;
    const transfer = event.dataTransfer;
    if (!transfer?.types.includes('Files')) return;
    event.preventDefault();
    // They are gone when this is over.
    const entries = [...transfer.items].flatMap((item) => (item.kind === 'file' ? (item.webkitGetAsEntry() ?? []) : []));
    if (this.route.page !== 'publish' && !entries.some((entry) => entry.isDirectory)) return this.share([...transfer.files]);
    dropped.put(entries);
    if (this.route.page !== 'publish') location.hash = publishAddress();
  }

  private paste(event: ClipboardEvent): void {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) {
      event.preventDefault();
      this.share(files);
      return;
    }
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) return;
    const text = event.clipboardData?.getData('text/plain') ?? '';
    const place = text.trim().startsWith('/') ? null : readTyped(text, '');
    try {
      location.hash = place ? placeLink(place) : parseLink(text).fragment;
    } catch {
      // Other text on the clipboard is none of this page's business.
    }
  }

  /** Whoever uses the keyboard shall not start at the top because the button just pressed has gone. */
  private keepFocus(): void {
    if (!this.#focused || this.#focused.isConnected || document.activeElement !== document.body) return;
    this.#focused = null;
    this.querySelector<HTMLElement>('#main')?.focus({ preventScroll: true });
  }

  /** The fragment is the router's, so the jump is made by hand. */
  private skip(event: Event): void {
    event.preventDefault();
    this.querySelector<HTMLElement>('#main')?.focus();
  }

  private settings(): void {
    const dialog = this.querySelector('gyre-settings');
    if (dialog instanceof SettingsElement) dialog.show();
  }
}

/** The code of the page that shows a site. */
export function loadSitePage(): Promise<unknown> {
  return import('../pages/site-page.js');
}

/** Pages whose code is loaded when they are asked for: few visits need it, and some of it is large. */
const LATE_PAGES: Partial<Record<Route['page'], () => Promise<unknown>>> = {
  swarm: () => import('../pages/swarm-page.js'),
  sites: () => import('../pages/sites-page.js'),
  publish: () => import('../pages/publish-page.js'),
  keys: () => import('../pages/keys-page.js'),
  site: loadSitePage,
  mail: () => import('../pages/mail-page.js'),
};
