/** One site in a list: whose it is, how it is, and what can be done with it. */

import type { SiteInfo, SiteVersionInfo } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { count, formatBytes } from '../lib/format.js';
import { mySites, type MySite } from '../lib/my-sites.js';
import { petnames, readPetname, shortAddress, siteLabel } from '../lib/petnames.js';
import { healthWords } from '../lib/publish-words.js';
import { publishAddress, siteAddress } from '../lib/router.js';
import { folderOf } from '../lib/site-folder.js';
import { visits } from '../lib/visits.js';
import { publication } from '../publishing.js';
import { session } from '../session.js';
import { watch } from '../watching.js';
import { confirmDialog } from './confirm-dialog.js';
import './copy-button.js';
import { icon } from './icons.js';

@customElement('gyre-site-row')
export class SiteRowElement extends SessionElement {
  /** Its name, or the CID of a version without one. */
  @property() address = '';
  /** The version that is known here. */
  @property() cid = '';
  /** What its publisher calls it. */
  @property() override title = '';
  /** Set if it is the person's own. */
  @property({ attribute: false }) mine: MySite | null = null;
  @state() private info: SiteInfo | null = null;
  @state() private versions: readonly SiteVersionInfo[] | 'loading' | null = null;
  @state() private naming = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    watch(this, petnames);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
  }

  override disconnectedCallback(): void {
    clearInterval(this.#timer);
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('cid')) return;
    this.info = null;
    this.versions = null;
    void this.look();
  }

  protected override render(): unknown {
    const { info, mine } = this;
    const label = this.label;
    const petname = petnames.get(this.address);
    const time = mine?.time ?? info?.time ?? 0;
    return html`<div class="held-item site-item" data-testid=${mine ? 'my-site' : 'known-site'} data-address=${this.address} data-cid=${this.cid}>
      <div class="held-main">
        <a class="held-name clip" href=${siteAddress(this.address)}>${label}</a>
        ${this.naming ? this.nameForm() : html`<p class="held-facts soft"><span class="clip" title=${this.address}>${petname === undefined ? '' : `calls itself “${this.title}” · `}${shortAddress(this.address)}</span></p>`}
        <p class="held-line soft">
          <span class=${`dot ${info && info.holders > 0 ? 'dot-complete' : 'dot-paused'}`} aria-hidden="true"></span>
          <span data-testid="site-health">${info ? healthWords(info) : session.stats ? 'Looking who has it…' : 'Known once the peer has started'}</span>
        </p>
        <p class="held-facts soft tabular">
          ${mine ? html`<span data-testid="site-version">version ${mine.sequence + 1}</span>` : nothing}
          ${time > 0 ? html`<span>${new Date(time).toLocaleDateString(undefined, { dateStyle: 'medium' })}</span>` : nothing}
          ${info ? html`<span>${count(info.files, 'file')}, ${formatBytes(info.bytes)}</span>` : nothing}
          ${info && info.here.files < info.files ? html`<span>${formatBytes(info.here.bytes)} of it here</span>` : nothing}
        </p>
      </div>
      <div class="held-actions">${this.actions(label)}</div>
      ${this.history()}
    </div>`;
  }

  private get label(): string {
    return this.mine && petnames.get(this.address) === undefined ? this.title || shortAddress(this.address) : siteLabel(this.address, this.title);
  }

  private actions(label: string): unknown {
    const { info, mine } = this;
    const pinned = info?.pinned ?? false;
    const link = new URL(siteAddress(this.address), document.baseURI).href;
    return html`
      ${mine ? html`<a class="button site-update" href=${publishAddress(mine.site)} data-testid="site-update" @click=${() => publication.busy || publication.restart(mine.site)}>${icon('up')} Update</a>` : nothing}
      <button class="icon-button" title="Name it" aria-label=${`Give ${label} a name of your own`} aria-expanded=${this.naming ? 'true' : 'false'} @click=${this.rename}>${icon('pen')}</button>
      <button class="icon-button" title="Versions" aria-label=${`Versions of ${label}`} aria-expanded=${this.versions ? 'true' : 'false'} data-testid="site-history" @click=${this.toggleHistory}>${icon('clock')}</button>
      ${
        mine
          ? nothing
          : html`<button class="icon-button" aria-pressed=${pinned ? 'true' : 'false'} data-testid="site-pin" title=${pinned ? 'Kept whole on purpose. Press to let it go when room is needed' : 'What you read of it is kept while there is room. Press to keep all of it'} aria-label=${`Keep ${label}`} @click=${() => this.pin(!pinned)}>${icon('pin')}</button>`
      }
      <gyre-copy compact .link=${link} .name=${label}></gyre-copy>
      <button class="icon-button" title="Remove" aria-label=${`Remove ${label}`} data-testid="site-remove" @click=${() => this.removeSite(label)}>${icon('trash')}</button>`;
  }

  private nameForm(): unknown {
    return html`<form class="link-row petname-form" @submit=${this.saveName}>
      <input class="field" maxlength="60" aria-label="Your name for it, which only you see" placeholder="Your name for it" .value=${petnames.get(this.address) ?? ''} data-testid="petname" />
      <button class="button">Save</button>
    </form>`;
  }

  private history(): unknown {
    const { versions, mine } = this;
    if (versions === null) return nothing;
    if (versions === 'loading') return html`<p class="hint">Looking for earlier versions…</p>`;
    return html`<ol class="versions" data-testid="site-versions">
      ${versions.map(
        ({ cid, time, title }, i) => html`<li>
          <span class="tabular">${time === null ? shortAddress(cid) : new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })}${title === '' ? '' : ` · ${title}`}${i === 0 ? ' · this is it now' : ''}</span>
          <a class="text-button" href=${siteAddress(cid)}>Look at it</a>
          ${mine && i > 0 ? html`<button class="text-button" data-testid="version-back" @click=${() => this.goBack(cid)}>Go back to it</button>` : nothing}
        </li>`,
      )}
      ${versions.length === 1 ? html`<li class="hint">No earlier version was found.</li>` : nothing}
    </ol>`;
  }

  private rename(): void {
    this.naming = !this.naming;
    if (this.naming) void this.updateComplete.then(() => this.querySelector<HTMLInputElement>('.petname-form input')?.focus());
  }

  private saveName(event: SubmitEvent): void {
    event.preventDefault();
    petnames.set(this.address, readPetname(this.querySelector<HTMLInputElement>('.petname-form input')?.value));
    this.naming = false;
  }

  private async toggleHistory(): Promise<void> {
    if (this.versions) {
      this.versions = null;
      return;
    }
    this.versions = 'loading';
    const done = await session.act(async (gyre) => {
      const site = await gyre.site(this.cid, { follow: false });
      try {
        this.versions = await site.versions(MAX_VERSIONS);
      } finally {
        site.close();
      }
    });
    if (!done) this.versions = null;
  }

  /** What was is published once more, as the newest version: it is looked at, compared and signed as any other. */
  private async goBack(cid: string): Promise<void> {
    const { mine } = this;
    if (!mine || publication.busy) return;
    location.hash = publishAddress(mine.site);
    publication.restart(mine.site);
    let fallback: string | null = null;
    await publication.choose(async ({ signal, onFound }) => {
      const gyre = await session.ready(signal);
      const site = await gyre.site(cid, { follow: false, ...(signal ? { signal } : {}) });
      ({ fallback } = await site.info());
      return folderOf(site, '', onFound);
    });
    // It answers as it did then, whatever versions after it did.
    if (publication.stage === 'plan') publication.edit({ fallback });
  }

  private pin(pinned: boolean): Promise<boolean> {
    return session.act(async (gyre) => {
      const site = await gyre.site(this.cid, { follow: false });
      try {
        if (!pinned) await site.unpin();
        else {
          session.notify('All of it is fetched and kept.');
          await site.keep();
        }
        this.info = await site.info();
      } finally {
        site.close();
      }
    });
  }

  private async removeSite(label: string): Promise<void> {
    const { mine, info } = this;
    const others = info && info.holders > 0 ? `${count(info.holders, 'other peer')} ${info.holders === 1 ? 'has' : 'have'} all of it.` : 'No other peer is known to have all of it now.';
    const sure = await confirmDialog({
      title: `Remove “${label}”?`,
      text: mine
        ? `Its files leave this browser, and it leaves this list. ${others} Its address stays yours: with your keys you can publish a new version at any time.`
        : `Its files leave this browser. ${others}`,
      action: 'Remove',
    });
    if (!sure) return;
    const removed = await session.act(async (gyre) => {
      const site = await gyre.site(this.cid, { follow: false });
      await site.remove();
      site.close();
    });
    if (!removed) return;
    visits.set(this.address, null);
    if (mine) mySites.drop(mine.site);
    this.dispatchEvent(new CustomEvent('gyre-site-removed', { bubbles: true }));
  }

  private async look(): Promise<void> {
    const { cid } = this;
    if (document.hidden || cid === '') return;
    try {
      const gyre = await session.ready();
      const site = await gyre.site(cid, { follow: false });
      const info = await site.info();
      site.close();
      if (cid !== this.cid) return;
      this.info = info;
      if (info.holders > 0) mySites.confirm(cid);
    } catch {
      // Its list of files is not here, or the peer moves to another tab: the next look tells.
    }
  }
}

/** Milliseconds between two looks at who has it. */
const LOOK_MS = 4_000;
const MAX_VERSIONS = 20;
