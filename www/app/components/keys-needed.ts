/**
 * What stands between somebody and publishing: keys to make, to bring or to unlock, words to write down, own sites to find.
 * Fires `gyre-keys-ready` when nothing does any more.
 */

import { GyreError } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { keyring } from '../keyring.js';
import { count } from '../lib/format.js';
import { mySites } from '../lib/my-sites.js';
import { findMySites } from '../publishing.js';
import { watch } from '../watching.js';
import './error-note.js';
import { icon } from './icons.js';
import './unlock-form.js';
import './words-card.js';
import './words-form.js';

@customElement('gyre-keys-needed')
export class KeysNeededElement extends PlainElement {
  /** A new site takes a number, so all own sites must be known. */
  @property({ type: Boolean }) fresh = false;
  @state() private shows: 'choice' | 'words' | 'restore' | 'looking' | 'looked' | 'failed' = 'choice';
  @state() private found = 0;
  @state() private trouble: GyreError | null = null;
  readonly #left = new AbortController();

  constructor() {
    super();
    watch(this, keyring, mySites);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void keyring.look().then(() => this.next());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#left.abort();
  }

  protected override render(): unknown {
    const { state } = keyring;
    if (!state) return html`<p class="soft">One moment…</p>`;
    if (this.shows === 'words') return html`<gyre-words @gyre-words-done=${() => this.ready()}></gyre-words>`;
    if (state.state === 'locked') {
      return html`<section class="card" aria-labelledby="needed-title"><h2 id="needed-title">Unlock your keys</h2>
        <p>They sign what you publish, so that readers know it is from you.</p>
        <gyre-unlock @gyre-unlocked=${() => this.next()}></gyre-unlock></section>`;
    }
    if (state.state === 'missing') return this.shows === 'restore' ? this.restore() : this.choice();
    return this.looking();
  }

  private choice(): unknown {
    return html`<section class="card" aria-labelledby="needed-title" data-testid="keys-choice">
      <h2 id="needed-title">One thing first: your keys</h2>
      <p>A site’s address belongs to whoever holds its key. Keys are made in this browser and stay in it: no account, no e-mail address, no password.</p>
      <div class="row">
        <button class="button primary" data-testid="keys-create" ?disabled=${keyring.busy} @click=${this.create}>${icon('check')} Make my keys</button>
        <button class="button quiet" data-testid="keys-restore" @click=${() => (this.shows = 'restore')}>I have 24 words already</button>
      </div>
      ${keyring.problem ? html`<gyre-error .error=${keyring.problem}></gyre-error>` : nothing}
    </section>`;
  }

  private restore(): unknown {
    return html`<section class="card" aria-labelledby="needed-title">
      <h2 id="needed-title">Bring your keys</h2>
      <gyre-words-form @gyre-restored=${() => this.next()}></gyre-words-form>
      <p class="hint">You have a file or another device instead? <a href="#/keys">Go to Keys</a>, then come back: what you chose stays.</p>
      <p><button class="text-button" @click=${() => (this.shows = 'choice')}>I have no words yet</button></p>
    </section>`;
  }

  private looking(): unknown {
    if (this.shows === 'failed') {
      return html`<section class="card" aria-labelledby="needed-title"><h2 id="needed-title">Your other sites</h2>
        <p>These keys may have sites that this browser does not know, and a new one must not take the place of one of them.</p>
        <gyre-error .error=${this.trouble} .retry=${() => void this.look()} subject="find"></gyre-error></section>`;
    }
    if (this.shows === 'looked') {
      return html`<section class="card" aria-labelledby="needed-title" data-testid="sites-found"><h2 id="needed-title">Your other sites</h2>
        <p>${
          this.found > 0
            ? `${count(this.found, 'site')} of yours ${this.found === 1 ? 'was' : 'were'} found: ${mySites.all().map(({ title }) => title).join(', ')}. Do you want to publish a new one, or a new version of one of these?`
            : 'None was found. If you have published with these keys before, somebody who knows that site must be reachable: look again later rather than take its place.'
        }</p>
        <div class="row">
          <button class="button primary" data-testid="publish-new" @click=${() => this.done()}>Publish a new site</button>
          ${this.found > 0 ? html`<a class="button" href="#/sites">My sites</a>` : html`<button class="button" @click=${() => void this.look()}>${icon('retry')} Look again</button>`}
        </div></section>`;
    }
    return html`<section class="card" aria-labelledby="needed-title"><h2 id="needed-title">Looking for your other sites…</h2>
      <gyre-bar aria-label="Looking for your sites" busy></gyre-bar>
      <p class="hint">These keys are new in this browser. Whoever knows your sites is asked for them; that takes up to half a minute.</p></section>`;
  }

  private async create(): Promise<void> {
    if (!(await keyring.create())) return;
    this.shows = 'words';
  }

  private next(): void {
    if (keyring.state?.state !== 'unlocked' || this.shows === 'words') return;
    this.ready();
  }

  /** There are keys that can be used. */
  private ready(): void {
    const { identity } = keyring;
    if (this.fresh && identity !== null && !mySites.isWhole(identity)) void this.look();
    else this.done();
  }

  private async look(): Promise<void> {
    this.shows = 'looking';
    try {
      this.found = await findMySites(this.#left.signal);
      this.shows = 'looked';
    } catch (thrown) {
      this.trouble = GyreError.from(thrown);
      this.shows = 'failed';
    }
  }

  private done(): void {
    this.dispatchEvent(new CustomEvent('gyre-keys-ready', { bubbles: true }));
  }
}
