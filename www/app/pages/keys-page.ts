/** The person's keys: whether there are some and how they are locked, the words, a second device, and forgetting them. */

import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { confirmDialog } from '../components/confirm-dialog.js';
import '../components/error-note.js';
import { icon } from '../components/icons.js';
import '../components/key-file-form.js';
import '../components/key-lock.js';
import '../components/key-move.js';
import '../components/unlock-form.js';
import '../components/words-card.js';
import '../components/words-form.js';
import { SessionElement } from '../element.js';
import { keyring } from '../keyring.js';
import { offeredFile } from '../lib/key-offer.js';
import { mySites } from '../lib/my-sites.js';
import { session } from '../session.js';
import '../styles/sites.css';
import { watch } from '../watching.js';

@customElement('gyre-keys-page')
export class KeysPage extends SessionElement {
  @property() fragment = '';
  @state() private words: 'hidden' | 'ask' | 'show' = 'hidden';
  @state() private offer: Uint8Array | null = null;
  @state() private brokenOffer = false;

  constructor() {
    super();
    watch(this, keyring, mySites);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = 'Keys – Gyre';
    keyring.calm();
    void keyring.look();
  }

  override disconnectedCallback(): void {
    document.title = TITLE;
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('fragment') || !this.fragment.startsWith('#/keys/take')) return;
    this.offer = offeredFile(this.fragment);
    this.brokenOffer = this.offer === null;
    // What is in the address would stay in the history.
    history.replaceState(null, '', '#/keys');
  }

  protected override render(): unknown {
    return html`<a class="back soft" href="#/sites">${icon('back')} Sites</a>
      <div class="hero hero-small"><h1>Keys</h1>
        <p class="lead">They sign what you publish. They were made in a browser of yours, and nobody else has them.</p></div>
      <div class="keys" data-testid="keys" data-state=${keyring.state?.state ?? 'unknown'}>${this.offered()} ${this.body()}</div>`;
  }

  private body(): unknown {
    switch (keyring.state?.state) {
      case undefined:
        return keyring.problem ? html`<gyre-error .error=${keyring.problem} .retry=${() => void keyring.look()}></gyre-error>` : html`<p class="soft">${session.phase === 'failed' ? 'Waiting until the peer of this page can start.' : 'One moment…'}</p>`;
      case 'missing':
        return this.missing();
      case 'locked':
        return html`<section class="card" aria-labelledby="locked-title"><h2 id="locked-title">${icon('lock')} Locked</h2>
            <p>Unlock them to publish, or to see your words. Your sites stay up either way.</p><gyre-unlock></gyre-unlock>
            <p class="hint">Forgot the passphrase? Remove the keys below, then bring them back with your 24 words.</p></section>
          ${this.forget()}`;
      case 'unlocked':
        return this.unlocked();
    }
  }

  private offered(): unknown {
    if (this.brokenOffer) return html`<gyre-error .error=${{ code: 'BAD_KEY_FILE', message: '' }}></gyre-error>`;
    if (!this.offer) return nothing;
    return html`<section class="card share-card" aria-labelledby="offer-title" data-testid="key-offer">
      <h2 id="offer-title">Keys from your other device</h2>
      <p>Type the code that it shows beside the picture.</p>
      <gyre-key-file code .file=${this.offer} @gyre-restored=${() => (this.offer = null)}></gyre-key-file>
    </section>`;
  }

  private missing(): unknown {
    return html`<section class="card" aria-labelledby="none-title"><h2 id="none-title">There are none here yet</h2>
        <p>They are made when you publish your first site. If you have keys already, bring them.</p>
        <div class="row"><a class="button primary" href="#/publish">${icon('globe')} Publish a site</a></div></section>
      <section class="card" aria-labelledby="bring-words"><h2 id="bring-words">With 24 words</h2><gyre-words-form @gyre-restored=${this.restored}></gyre-words-form></section>
      <section class="card" aria-labelledby="bring-file"><h2 id="bring-file">With a key file</h2><gyre-key-file @gyre-restored=${this.restored}></gyre-key-file></section>
      <section class="card" aria-labelledby="bring-device"><h2 id="bring-device">From another device</h2>
        <p>Open Gyre there, go to Keys, and choose “To another device”. Its camera-readable code leads back here.</p></section>`;
  }

  private unlocked(): unknown {
    const { words } = keyring;
    return html`${
        words === 'checked'
          ? nothing
          : html`<p class="note note-warm" role="status" data-testid="words-reminder">${icon('alert')}<span>${words === 'later' ? 'Your 24 words are not written down yet.' : 'Do you have your 24 words on paper?'} Without them your sites cannot be updated any more once this browser’s data is gone.</span></p>`
      }
      <section class="card" aria-labelledby="words-head"><h2 id="words-head">The 24 words</h2>
        ${this.words === 'hidden' ? this.wordsHidden() : html`<gyre-words ?again=${this.words === 'show'} @gyre-words-done=${() => (this.words = 'hidden')}></gyre-words>`}</section>
      <section class="card" aria-labelledby="lock-head"><h2 id="lock-head">Passphrase and passkey</h2><gyre-key-lock></gyre-key-lock></section>
      <section class="card" aria-labelledby="move-head"><h2 id="move-head">To another device</h2><gyre-key-move></gyre-key-move></section>
      ${this.forget()}`;
  }

  private wordsHidden(): unknown {
    return html`<p>${keyring.words === 'checked' ? 'You have written them down. They can be shown again; see that nobody looks over your shoulder.' : 'See that nobody looks over your shoulder.'}</p>
      <div class="row">
        <button class="button" data-testid="words-show" @click=${() => (this.words = keyring.words === 'checked' ? 'show' : 'ask')}>${keyring.words === 'checked' ? 'Show them' : 'Write them down'}</button>
      </div>`;
  }

  private forget(): unknown {
    return html`<section class="card" aria-labelledby="forget-head"><h2 id="forget-head">Remove them from this browser</h2>
      <p>Your sites stay up as long as others have them. To update them you need your 24 words, a key file, or another device that has the keys.</p>
      <div class="row"><button class="button danger" data-testid="keys-forget" @click=${this.askToForget}>${icon('trash')} Remove my keys</button></div></section>`;
  }

  private async askToForget(): Promise<void> {
    const sites = mySites.all().length;
    const sure = await confirmDialog({
      title: 'Remove your keys from this browser?',
      text: `${keyring.words === 'checked' ? 'Only your 24 words bring them back.' : 'You have not shown that you have your 24 words. Without them the keys are lost for good'}${keyring.words === 'checked' ? '' : sites > 0 ? `, and nobody can ever update your ${sites === 1 ? 'site' : `${sites} sites`} again.` : '.'}`,
      action: 'Remove',
    });
    if (sure && (await keyring.forget())) session.notify('The keys are gone from this browser.');
  }

  private restored(): void {
    session.notify('Your keys are here. Your sites are under Sites.');
  }
}

const TITLE = document.title;
