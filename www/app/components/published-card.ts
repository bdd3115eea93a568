/** A site that was published just now: its address, and whether others have it. */

import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { keyring } from '../keyring.js';
import { mySites } from '../lib/my-sites.js';
import { changeWords, isSame, keeperWords, standingOf } from '../lib/publish-words.js';
import { siteAddress } from '../lib/router.js';
import { publication } from '../publishing.js';
import { session } from '../session.js';
import { watch } from '../watching.js';
import './copy-button.js';
import { icon } from './icons.js';
import './qr-code.js';

@customElement('gyre-published')
export class PublishedElement extends SessionElement {
  @state() private code = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    watch(this, publication, mySites, keyring);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const look = (): void => {
      if (!document.hidden) void publication.look().catch(() => {});
      // A keeper fetches it from here, so it can be asked once this page may send.
      if (session.stats?.uploadAllowed === true) void publication.askKeepers();
    };
    look();
    this.#timer = setInterval(look, LOOK_MS);
    void keyring.look();
  }

  override disconnectedCallback(): void {
    clearInterval(this.#timer);
    super.disconnectedCallback();
  }

  protected override firstUpdated(): void {
    this.querySelector<HTMLElement>('h2')?.focus({ preventScroll: true });
  }

  protected override render(): unknown {
    const { version, change, title } = publication;
    if (!version || !change) return nothing;
    const address = version.name ?? version.cid;
    return html`<section class="card share-card" aria-labelledby="published-title" data-testid="published" data-name=${address} data-cid=${version.cid}>
      <h2 id="published-title" tabindex="-1">${isSame(change) ? 'Nothing has changed' : change.previous === null ? `“${title}” has an address` : `“${title}” has a new version`}</h2>
      <p class="soft">${isSame(change) ? 'This folder is the version that is there already; it keeps its address.' : changeWords(change)}</p>
      <div class="link-row">
        <input class="field link-field" readonly data-testid="site-link" aria-label="Link to the site" .value=${version.link} @focus=${(event: Event) => (event.target as HTMLInputElement).select()} />
        <gyre-copy class="row" primary .link=${version.link} .name=${title}></gyre-copy>
      </div>
      ${this.standing()}
      ${this.owner()}
      <div class="row">
        <a class="button" href=${siteAddress(address)} data-testid="site-open">${icon('globe')} Open it</a>
        <button class="button quiet" aria-expanded=${this.code ? 'true' : 'false'} data-testid="show-qr" @click=${() => (this.code = !this.code)}>${this.code ? 'Hide the QR code' : 'QR code'}</button>
      </div>
      ${this.code ? html`<gyre-qr .text=${version.link} label=${`QR code of the link to ${title}`}></gyre-qr>` : nothing}
      <p class="hint">The link stays the same when you publish a new version.</p>
      ${this.reminder()}
    </section>`;
  }

  private standing(): unknown {
    const { info, version, keeper } = publication;
    const { stats } = session;
    if (!info || !stats || !version) return html`<p class="soft">Looking who has it…</p>`;
    const before = mySites.all().some(({ cid, confirmed }) => cid === version.cid && confirmed);
    const { published, title, text } = standingOf(info, stats.uploadAllowed === true, before);
    return html`<div class=${`note ${published ? 'note-good' : 'note-warm'}`} role="status" data-testid="standing" data-published=${published} data-keepers=${info.keepers}>
      ${icon(published ? 'check' : 'alert')}
      <div class="note-text"><strong>${title}</strong>
        <p>${text}</p>
        ${info.holders > 0 || keeper === null ? nothing : html`<p data-testid="keeper-word" data-keeper=${keeper}>${keeperWords(keeper)}</p>`}
        ${stats.uploadAllowed === true ? nothing : html`<div class="row"><button class="button primary" data-testid="share-allow" @click=${() => session.act((gyre) => gyre.setUpload(true))}>Allow sending</button></div>
          <p class="hint">It uses your upload bandwidth, and the peers it links to see your IP address. The settings turn it off again.</p>`}
      </div></div>`;
  }

  /** Whether the identity says of the site what the site says of it. */
  private owner(): unknown {
    const { vouched } = publication;
    if (vouched === null) return nothing;
    if (typeof vouched === 'string') return html`<p class="hint" role="status" data-testid="site-vouched" data-vouched=${vouched}>${VOUCHED[vouched]}</p>`;
    return html`<div class="note note-warm" role="alert" data-testid="site-vouched" data-vouched="failed">${icon('alert')}
      <div class="note-text"><strong>It says that it is yours, but your identity does not yet</strong>
        <p class="wrap">${vouched.message} Until it does, readers are told that nothing vouches for it.</p>
        <div class="row"><button class="button" data-testid="vouch-again" @click=${() => void publication.vouch()}>Try again</button></div></div></div>`;
  }

  private reminder(): unknown {
    if (keyring.words !== 'later') return nothing;
    return html`<p class="hint warm" data-testid="words-reminder">Your 24 words are not written down yet. <a href="#/keys">Do it under Keys</a>, so that you can update this site whatever happens to this browser.</p>`;
  }
}

const VOUCHED = {
  asking: 'Your identity is asked to name it…',
  here: 'It says that it is yours, and your identity says so too.',
  moved: html`Your identity leads the readers of this address on to another one. <a href="#/mail/settings">You can change that under Mail, Settings.</a>`,
};
/** Milliseconds between two looks at who has it. */
const LOOK_MS = 2_000;
