/** The sites of this browser: the person's own, and those that were visited or are kept. */

import type { HeldSite } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import '../components/consent-card.js';
import { icon } from '../components/icons.js';
import '../components/open-form.js';
import '../components/site-row.js';
import { SessionElement } from '../element.js';
import { keyring } from '../keyring.js';
import { count } from '../lib/format.js';
import { knownSites, type KnownSite } from '../lib/known-sites.js';
import { mySites } from '../lib/my-sites.js';
import { petnames } from '../lib/petnames.js';
import { publishAddress } from '../lib/router.js';
import { visits } from '../lib/visits.js';
import { findMySites, publication } from '../publishing.js';
import { session } from '../session.js';
import '../styles/sites.css';
import { watch } from '../watching.js';

@customElement('gyre-sites-page')
export class SitesPage extends SessionElement {
  @state() private held: readonly HeldSite[] = [];
  @state() private finding = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    watch(this, mySites, visits, petnames, keyring, publication);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = 'Sites – Gyre';
    void keyring.look();
    void this.look();
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
  }

  override disconnectedCallback(): void {
    clearInterval(this.#timer);
    document.title = TITLE;
    super.disconnectedCallback();
  }

  protected override render(): unknown {
    const mine = mySites.all();
    const known = knownSites(this.held, visits.all(), mine);
    return html`<a class="back soft" href="#/">${icon('back')} Share and open files</a>
      <div class="hero hero-small">
        <h1>Sites</h1>
        <p class="row hero-actions"><a class="button primary" href="#/publish" data-testid="publish-link">${icon('globe')} Publish a site</a>
          <a class="button" href="#/keys" data-testid="keys-link">${icon('lock')} Keys</a></p>
      </div>
      <div class="sites" @gyre-site-removed=${() => void this.look()}>
        ${this.underWay()} ${this.reminder()}
        <gyre-consent></gyre-consent>
        <section aria-labelledby="mine-title">
          <header class="section-head"><h2 id="mine-title">Mine</h2>${mine.length > 0 ? html`<span class="soft">${count(mine.length, 'site')}</span>` : nothing}</header>
          ${
            mine.length === 0
              ? this.none()
              : html`<ul data-testid="my-sites">${repeat(mine, ({ site }) => site, (site) => html`<li><gyre-site-row .address=${site.name} .cid=${site.cid} .title=${site.title} .mine=${site}></gyre-site-row></li>`)}</ul>`
          }
        </section>
        <gyre-open-form></gyre-open-form>
        ${this.group('Kept', known.filter(({ pinned }) => pinned), 'kept-sites')}
        ${this.group('Visited', known.filter(({ pinned }) => !pinned), 'visited-sites', 'Sites that you open are listed here. What you read of them is passed on to whoever asks for it.')}
      </div>`;
  }

  private group(title: string, sites: readonly KnownSite[], id: string, empty = ''): unknown {
    if (sites.length === 0 && empty === '') return nothing;
    return html`<section aria-labelledby=${`${id}-title`}>
      <header class="section-head"><h2 id=${`${id}-title`}>${title}</h2>${sites.length > 0 ? html`<span class="soft">${count(sites.length, 'site')}</span>` : nothing}</header>
      ${
        sites.length === 0
          ? html`<p class="empty">${empty}</p>`
          : html`<ul data-testid=${id}>${repeat(sites, ({ address }) => address, ({ address, cid, title: name }) => html`<li><gyre-site-row .address=${address} .cid=${cid} .title=${name}></gyre-site-row></li>`)}</ul>`
      }
    </section>`;
  }

  private none(): unknown {
    const { state, identity } = keyring;
    if (state?.state === 'locked') return html`<p class="empty">Your keys are locked. <a href="#/keys">Unlock them</a> to see and update your sites.</p>`;
    if (state?.state === 'unlocked' && identity !== null && !mySites.isWhole(identity)) {
      return html`<p class="empty">These keys are new in this browser; they may have sites.
        <button class="text-button" data-testid="find-sites" ?disabled=${this.finding} @click=${this.find}>${this.finding ? 'Looking for them…' : 'Look for them'}</button></p>`;
    }
    return html`<p class="empty">Nothing published yet. Got 24 words or another device? <a href="#/keys">Bring your keys</a>, and your sites with them.</p>`;
  }

  private underWay(): unknown {
    const { stage, site, title, interrupted } = publication;
    if (stage !== 'choose') {
      const words = stage === 'done' ? 'was published just now' : publication.busy ? 'is being published' : 'waits to be published';
      return html`<p class="note note-good" role="status">${icon('up')}<span>${title === '' ? 'A site' : `“${title}”`} ${words}. <a href=${publishAddress(site)}>Go there</a></span></p>`;
    }
    if (!interrupted) return nothing;
    return html`<p class="note note-warm" role="status">${icon('pause')}<span>“${interrupted.title}” was not finished. <a href=${publishAddress(interrupted.site)}>Go on with it</a></span></p>`;
  }

  private reminder(): unknown {
    if (keyring.words !== 'later') return nothing;
    return html`<p class="note note-warm" role="status" data-testid="words-reminder">${icon('alert')}<span>Your 24 words are not written down yet: if this browser’s data is cleared, nobody can update your sites any more. <a href="#/keys">Write them down</a></span></p>`;
  }

  private async find(): Promise<void> {
    this.finding = true;
    await session.act(async () => {
      const found = await findMySites();
      session.notify(found === 0 ? 'None was found by whoever could be asked now.' : `${count(found, 'site')} found.`);
    });
    this.finding = false;
  }

  private async look(): Promise<void> {
    if (document.hidden) return;
    try {
      this.held = await (await session.ready()).sites();
    } catch {
      // The peer moves to another tab: the next look tells.
    }
  }
}

/** Milliseconds between two looks at what is here. */
const LOOK_MS = 5_000;
const TITLE = document.title;
