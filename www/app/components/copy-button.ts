/** Puts a link on the clipboard, or hands it to the system's share sheet where there is one. */

import { html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { session } from '../session.js';
import { icon } from './icons.js';

@customElement('gyre-copy')
export class CopyElement extends PlainElement {
  @property() link = '';
  @property() name = '';
  @property() label = 'Copy link';
  /** Icon only, for lists. */
  @property({ type: Boolean }) compact = false;
  /** The main thing to do where it stands. */
  @property({ type: Boolean }) primary = false;
  @state() private copied = false;

  protected override render(): unknown {
    const label = this.copied ? 'Copied' : this.label;
    // The share sheet takes one link.
    const shares = !this.compact && !this.link.includes('\n') && typeof navigator.share === 'function';
    return html`<button
        class=${this.compact ? 'icon-button' : this.primary ? 'button primary' : 'button'}
        aria-label=${this.compact ? `${label} to ${this.name}` : nothing}
        title=${this.compact ? label : nothing}
        @click=${this.copy}
      >
        ${icon(this.copied ? 'check' : 'copy')}${this.compact ? nothing : html` <span aria-live="polite">${label}</span>`}
      </button>
      ${shares ? html`<button class="button" @click=${this.send}>${icon('share')} Send…</button>` : nothing}`;
  }

  private async copy(): Promise<void> {
    const written = await navigator.clipboard?.writeText(this.link).then(
      () => true,
      () => false,
    );
    if (!written && !copyOldWay(this.link)) {
      session.notify('The browser did not allow copying. Select the link and copy it by hand.');
      return;
    }
    this.copied = true;
    setTimeout(() => (this.copied = false), SHOWN_MS);
  }

  private async send(): Promise<void> {
    try {
      await navigator.share({ title: this.name, url: this.link });
    } catch (thrown) {
      if ((thrown as DOMException).name !== 'AbortError')
        session.notify('The system’s share sheet could not be opened.');
    }
  }
}

/** For pages without the clipboard API, such as one from an address in the local network without TLS. */
function copyOldWay(text: string): boolean {
  const before = document.activeElement;
  const field = document.createElement('textarea');
  field.className = 'visually-hidden';
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return copied;
}

/** Milliseconds. */
const SHOWN_MS = 2_000;
