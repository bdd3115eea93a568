/** An HTML mail in its sandbox; the sanitiser is loaded when the first one is shown. */

import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { count } from '../lib/format.js';
import { paper, SANDBOX } from './paper.js';
import type { Sanitised } from './sanitise.js';

@customElement('gyre-mail-html')
export class MailHtmlElement extends PlainElement {
  /** As it was sent. */
  @property({ attribute: false }) source = '';
  /** `data:` addresses of pictures that are attachments, by content id. */
  @property({ attribute: false }) pictures: ReadonlyMap<string, string> = new Map();
  @state() private sanitised: Sanitised | null = null;
  @state() private failed = false;
  @state() private height = MIN_HEIGHT;
  readonly #dark = matchMedia('(prefers-color-scheme: dark)');
  readonly #repaint = (): void => this.requestUpdate();

  override connectedCallback(): void {
    super.connectedCallback();
    this.#dark.addEventListener('change', this.#repaint);
  }

  override disconnectedCallback(): void {
    this.#dark.removeEventListener('change', this.#repaint);
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('source') || changed.has('pictures')) void this.clean(this.source, this.pictures);
  }

  protected override render(): unknown {
    if (this.failed) return html`<p class="hint">The formatted mail could not be shown here. Its plain text is below.</p>`;
    if (!this.sanitised) return html`<p class="soft">One moment…</p>`;
    const { html: body, ownColours, blocked } = this.sanitised;
    return html`<iframe
        class=${ownColours ? 'mail-html own-colours' : 'mail-html'}
        title="The mail as its sender formatted it"
        sandbox=${SANDBOX}
        referrerpolicy="no-referrer"
        data-testid="mail-html"
        style=${`height: ${this.height}px`}
        srcdoc=${paper(body, { dark: this.isDark(), ownColours })}
      ></iframe>
      ${blocked > 0 ? html`<p class="hint" data-testid="mail-blocked">${count(blocked, 'picture')} from elsewhere not loaded: fetching ${blocked === 1 ? 'it' : 'them'} would tell others that, when and where you read this.</p>` : nothing}`;
  }

  private async clean(source: string, pictures: ReadonlyMap<string, string>): Promise<void> {
    try {
      const { sanitise } = await import(/* webpackChunkName: "mail-html" */ './sanitise.js');
      if (source !== this.source) return;
      this.sanitised = sanitise(source, pictures);
      this.height = this.measure(this.sanitised.html);
      this.failed = false;
    } catch (thrown) {
      console.info('HTML mail is not shown:', (thrown as Error).message);
      this.failed = true;
      this.dispatchEvent(new CustomEvent('gyre-html-failed', { bubbles: true }));
    }
  }

  private isDark(): boolean {
    const { theme } = document.documentElement.dataset;
    return theme === 'dark' || (theme !== 'light' && this.#dark.matches);
  }

  /**
   * How tall the content will about be. The frame cannot say it: it runs nothing and belongs to nobody. So the same text is laid out
   * once, unseen, without its sheets and pictures; what is taller than that scrolls within the frame.
   */
  private measure(body: string): number {
    const probe = document.createElement('div');
    probe.className = 'mail-probe';
    probe.setAttribute('aria-hidden', 'true');
    const content = new DOMParser().parseFromString(body, 'text/html');
    let pictures = 0;
    for (const element of content.querySelectorAll('style, img')) {
      if (element instanceof HTMLImageElement && element.hasAttribute('src')) pictures += Number(element.getAttribute('height')) || PICTURE_HEIGHT;
      element.remove();
    }
    for (const element of content.querySelectorAll('[id]')) element.removeAttribute('id');
    probe.attachShadow({ mode: 'closed' }).append(document.importNode(content.body, true));
    this.append(probe);
    const height = probe.scrollHeight + Math.min(pictures, MAX_HEIGHT);
    probe.remove();
    return Math.min(MAX_HEIGHT, Math.max(MIN_HEIGHT, Math.ceil(height * SLACK) + PADDING));
  }
}

/** CSS pixels. */
const MIN_HEIGHT = 96;
/** About two windows: what is longer is read in the frame. */
const MAX_HEIGHT = 1_600;
const PICTURE_HEIGHT = 240;
const PADDING = 16;
/** Fonts and margins of the mail's own. */
const SLACK = 1.05;
