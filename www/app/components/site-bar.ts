/**
 * The bar above a shown site: where one is, and the ways on.
 *
 * What stands before the path is the app's own word about which site this is; nothing that the site says appears there.
 */

import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { petnames, shortAddress } from '../lib/petnames.js';
import { placeLink, readablePath, readTyped, type SitePlace } from '../site/place.js';
import { icon } from './icons.js';

/** What the buttons of the bar ask of the page. */
export type BarWish = 'back' | 'forward' | 'reload' | 'info' | 'pin' | 'share';

@customElement('gyre-site-bar')
export class SiteBarElement extends PlainElement {
  @property({ attribute: false }) place!: SitePlace;
  /** `null` while it is not known. */
  @property({ attribute: false }) pinned: boolean | null = null;
  @property({ type: Boolean }) loading = false;
  /** The same key has signed two versions under one number. */
  @property({ type: Boolean }) fork = false;
  @state() private problem = false;
  readonly #renamed = (): void => this.requestUpdate();

  override connectedCallback(): void {
    super.connectedCallback();
    petnames.addEventListener('change', this.#renamed);
  }

  override disconnectedCallback(): void {
    petnames.removeEventListener('change', this.#renamed);
    super.disconnectedCallback();
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (!changed.has('place')) return;
    const field = this.querySelector('input');
    // Nobody types over what is being typed.
    if (field && document.activeElement !== field) field.value = readablePath(this.place.path);
  }

  protected override render(): unknown {
    const { address } = this.place;
    const petname = petnames.get(address);
    const name = petname ?? shortAddress(address);
    return html`<nav class="site-bar" aria-label="Site">
      ${this.button('back', 'Back', 'back')} ${this.button('forward', 'Forward', 'back')}
      ${this.button('reload', this.loading ? 'Loading; load again' : 'Load again', 'retry', this.loading ? 'turning' : '')}
      <form class="site-address" novalidate @submit=${this.submit}>
        <button
          type="button"
          class=${`site-chip ${this.fork ? 'site-chip-bad' : ''}`}
          title=${`About this site: ${address}`}
          data-testid="site-chip"
          @click=${() => this.wish('info')}
        >
          ${icon(this.fork ? 'alert' : petname === undefined ? 'globe' : 'check')}
          <span class=${`clip ${petname === undefined ? 'site-chip-key' : ''}`}>${name}</span>
        </button>
        <input
          class="site-path"
          type="text"
          inputmode="url"
          autocomplete="off"
          autocapitalize="off"
          spellcheck="false"
          dir="ltr"
          aria-label="Place in this site, or another address"
          aria-invalid=${this.problem ? 'true' : 'false'}
          data-testid="site-path"
          .defaultValue=${readablePath(this.place.path)}
          @input=${() => (this.problem = false)}
          @focus=${(event: Event) => (event.target as HTMLInputElement).select()}
          @blur=${this.restore}
        />
      </form>
      ${
        this.pinned === null
          ? nothing
          : html`<button
              class="icon-button"
              aria-pressed=${this.pinned ? 'true' : 'false'}
              title=${this.pinned ? 'Kept on purpose. Press to let it go when room is needed' : 'Keep all of this site in this browser, and pass it on'}
              aria-label="Keep this site"
              data-testid="site-pin"
              @click=${() => this.wish('pin')}
            >
              ${icon('pin')}
            </button>`
      }
      ${this.button('share', 'Copy the link to this place', 'share')}
    </nav>`;
  }

  private button(wish: BarWish, words: string, drawing: Parameters<typeof icon>[0], style = ''): unknown {
    return html`<button class=${`icon-button ${style}`} title=${words} aria-label=${words} data-testid=${`site-${wish}`} @click=${() => this.wish(wish)}>
      ${icon(drawing)}
    </button>`;
  }

  private wish(wish: BarWish): void {
    this.dispatchEvent(new CustomEvent<BarWish>('gyre-bar', { detail: wish }));
  }

  private submit(event: SubmitEvent): void {
    event.preventDefault();
    const field = this.querySelector('input');
    if (!field) return;
    const to = readTyped(field.value, this.place.address);
    this.problem = to === null;
    if (!to) return;
    field.blur();
    if (placeLink(to) === location.hash) this.wish('reload');
    else location.hash = placeLink(to);
  }

  private restore(): void {
    const field = this.querySelector('input');
    if (field && !this.problem) field.value = readablePath(this.place.path);
  }
}
