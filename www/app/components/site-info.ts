/** What is known of a shown site, and what the person decides about it. */

import { GyreError, type Site, type SiteInfo, type SiteOwner, type SiteVersionInfo } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { count, formatBytes } from '../lib/format.js';
import { MAX_PETNAME, petnames, readPetname } from '../lib/petnames.js';
import { outsideAllowed } from '../site/allowed.js';
import { placeLink } from '../site/place.js';
import './copy-button.js';
import { icon } from './icons.js';

@customElement('gyre-site-info')
export class SiteInfoElement extends SessionElement {
  @property({ attribute: false }) site: Site | null = null;
  /** The whole address of the place that is shown. */
  @property() link = '';
  /** Bytes that the site has stored in its own origin; `null` if that is not known. */
  @property({ attribute: false }) stored: number | null = null;
  /** It is shown without an origin of its own. */
  @property({ type: Boolean }) paper = false;
  @state() private info: SiteInfo | null = null;
  @state() private versions: readonly SiteVersionInfo[] | null = null;
  @state() private problem: GyreError | null = null;
  @state() private owner: SiteOwner | null = null;
  /** Its key has signed two versions under one number. */
  @property({ type: Boolean }) fork = false;
  #asking: ReturnType<typeof setInterval> | undefined;

  /** Opens the panel. */
  show(): void {
    const dialog = this.querySelector('dialog');
    if (!dialog || dialog.open) return;
    this.versions = null;
    this.problem = null;
    dialog.showModal();
    void this.look();
    void this.history();
    this.owner = null;
    void this.site?.owner().then((owner) => (this.owner = owner), () => undefined);
    this.#asking = setInterval(() => void this.look(), LOOK_MS);
    this.dispatchEvent(new CustomEvent('gyre-measure'));
  }

  override disconnectedCallback(): void {
    clearInterval(this.#asking);
    super.disconnectedCallback();
  }

  protected override render(): unknown {
    return html`<dialog class="dialog" aria-labelledby="site-info-title" data-testid="site-info" @click=${this.outside} @close=${() => clearInterval(this.#asking)}>
      <div class="dialog-body">
        <header class="section-head">
          <h2 id="site-info-title">About this site</h2>
          <button class="icon-button" aria-label="Close" @click=${this.close}>${icon('close')}</button>
        </header>
        ${this.site ? this.body(this.site) : html`<p class="soft">It has not been found yet.</p>`}
      </div>
    </dialog>`;
  }

  private body(site: Site): unknown {
    const { head, address } = site;
    const info = this.info;
    return html`
      ${
        this.fork
          ? html`<div class="note note-bad" role="alert" data-testid="site-fork">${icon('alert')}
              <div class="note-text"><strong>Its key has signed two different versions under one number</strong>
              <p>Either two devices published at once, or somebody else has the key. Ask its publisher before you trust what it says.</p></div></div>`
          : nothing
      }
      <form class="setting" novalidate @submit=${this.saveName}>
        <label class="label" for="petname">What you call it</label>
        <div class="row">
          <input id="petname" class="field" autocomplete="off" maxlength=${MAX_PETNAME} .value=${petnames.get(address) ?? ''} placeholder=${info?.title ?? ''} aria-describedby="petname-note" data-testid="site-petname" />
          <button class="button" data-testid="site-petname-save">Set</button>
        </div>
        <p id="petname-note" class="hint">Only you see this name. ${info && info.title !== '' ? html`Its publisher calls it “${readPetname(info.title)}”, as anybody could.` : nothing}</p>
      </form>
      <section class="setting">
        <h3 class="label">${head ? 'Signed by the owner of this address' : 'One version, as it is for good'}</h3>
        <code class="wrap" data-testid="site-address">${address}</code>
        <p class="hint">
          ${
            head
              ? html`Every version is signed with the one key that this address stands for. Compare it with what its publisher gave you.
                  Version number <span data-testid="site-sequence">${head.sequence}</span>, valid until ${new Date(head.validUntil).toLocaleDateString()}.`
              : 'This address stands for the content itself: it never changes, and nobody has to be believed.'
          }
        </p>
        ${this.owner ? html`<p class="hint" data-testid="site-owner" data-state=${this.owner.state}>${ownerWords(this.owner)}</p>` : nothing}
        <div class="row"><gyre-copy .link=${this.link} .name=${info?.title ?? ''}></gyre-copy></div>
      </section>
      <section class="setting" data-testid="site-health">
        <h3 class="label">Who has it</h3>
        ${info ? this.health(info) : html`<p class="soft">Looking…</p>`}
        ${this.problem ? html`<p class="hint bad">${this.problem.message}</p>` : nothing}
      </section>
      <label class="choice">
        <input type="checkbox" role="switch" class="switch" data-testid="site-outside" ?disabled=${this.paper} aria-labelledby="outside-name" aria-describedby="outside-what" .checked=${outsideAllowed.get(address) === true} @change=${this.allow} />
        <span>
          <strong id="outside-name">Let it load from elsewhere</strong>
          <span id="outside-what" class="soft">Pictures, scripts and connections from anywhere in the web, and new windows. Whoever runs those places then sees your IP address and learns what you read here.</span>
        </span>
      </label>
      <section class="setting">
        <h3 class="label">What it can do here</h3>
        <p class="hint">${this.paper ? 'It is shown as paper: without scripts, forms or players.' : 'It runs in an origin of its own. It cannot see your files, your keys or other sites, leave its frame, or ask for your camera, microphone or place.'}</p>
        ${
          this.paper || shutsIn()
            ? nothing
            : html`<p class="hint" data-testid="site-webrtc">This browser does not keep a site from making calls (WebRTC): its code can send messages to places of its choice, which then learn your IP address.</p>`
        }
        ${
          this.stored === null || this.paper
            ? nothing
            : html`<div class="row"><span data-testid="site-stored">It has stored ${formatBytes(this.stored)} here.</span>
                <button class="button quiet" data-testid="site-clear" ?disabled=${this.stored === 0} @click=${() => this.dispatchEvent(new CustomEvent('gyre-clear'))}>Remove that</button></div>`
        }
      </section>
      <section class="setting">
        <h3 class="label">Versions</h3>
        ${this.past(site)}
      </section>`;
  }

  private health(info: SiteInfo): unknown {
    const whole = info.here.files >= info.files;
    return html`<p>
        ${count(info.files, 'file')}, ${formatBytes(info.bytes)}.
        <span data-testid="site-here">${whole ? 'All of it is here.' : `${info.here.files} of them here (${formatBytes(info.here.bytes)}).`}</span>
      </p>
      <p class=${info.holders === 0 && !whole ? 'hint bad' : 'hint'} data-testid="site-holders">
        ${info.holders === 0 ? 'Nobody else who is linked now is known to have all of it.' : `${count(info.holders, 'other peer has', 'other peers have')} all of it now.`}
        Seen in the last hour: ${info.seenHour}; in the last day: ${info.seenDay}.
      </p>`;
  }

  private past(site: Site): unknown {
    if (!this.versions) return html`<p class="soft">Looking…</p>`;
    return html`<ul class="site-versions" data-testid="site-versions">
      ${this.versions.map(
        ({ cid, time, title }) => html`<li>
          ${cid === site.cid ? html`<strong>This one</strong>` : html`<a href=${placeLink({ address: cid, path: '/' })} @click=${this.close}>${time === null ? 'An earlier one' : new Date(time).toLocaleString()}</a>`}
          <span class="soft clip">${readPetname(title) ?? ''} <code>${cid.slice(0, 14)}…</code></span>
        </li>`,
      )}
    </ul>`;
  }

  private async look(): Promise<void> {
    const { site } = this;
    try {
      const info = await site?.info();
      if (info && site === this.site) this.info = info;
    } catch (thrown) {
      this.problem = GyreError.from(thrown);
    }
  }

  private async history(): Promise<void> {
    const { site } = this;
    try {
      const versions = await site?.versions(MAX_VERSIONS);
      if (versions && site === this.site) this.versions = versions;
    } catch {
      this.versions = [];
    }
  }

  private saveName(event: SubmitEvent): void {
    event.preventDefault();
    if (this.site) petnames.set(this.site.address, readPetname(this.querySelector<HTMLInputElement>('#petname')?.value));
    this.requestUpdate();
  }

  private allow(event: Event): void {
    if (!this.site) return;
    outsideAllowed.set(this.site.address, (event.target as HTMLInputElement).checked ? true : null);
    this.dispatchEvent(new CustomEvent('gyre-outside'));
  }

  private close(): void {
    this.querySelector('dialog')?.close();
  }

  /** A click on the backdrop reaches the dialog itself. */
  private outside(event: MouseEvent): void {
    if (event.target === event.currentTarget) this.close();
  }
}

/** Whose it is, in one sentence. */
function ownerWords({ state, id }: SiteOwner): unknown {
  const who = html`<code class="wrap">dmail:${id}</code>`;
  if (state === 'here') return html`Signed by the identity ${who}, which can change the key of this address and lead its readers on.`;
  return state === 'unknown' ? html`It says that it is of ${who}, but nothing that could be found vouches for that.` : html`It was of ${who}, who does not publish it here any more.`;
}

/** Whether the browser holds a site to itself in WebRTC too. None tells; Chromium was seen to do so (docs/browsing.md). */
function shutsIn(): boolean {
  const { userAgentData } = navigator as { userAgentData?: { brands?: { brand: string; version: string }[] } };
  return userAgentData?.brands?.some(({ brand, version }) => brand === 'Chromium' && Number(version) >= SHUTTING_CHROMIUM) === true;
}

/** Version of Chromium in which it was seen. */
const SHUTTING_CHROMIUM = 156;
/** Milliseconds between two looks at who has it, while the panel is open. */
const LOOK_MS = 3_000;
/** Versions listed. */
const MAX_VERSIONS = 20;
