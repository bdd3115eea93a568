/** A link as a QR code, drawn by a library that is loaded when a code is asked for. */

import { html, nothing, svg, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { qrPath } from '../lib/qr.js';

@customElement('gyre-qr')
export class QrElement extends PlainElement {
  @property() text = '';
  /** What the code is for, in words. */
  @property() label = '';
  @state() private drawing: { path: string; size: number } | null = null;
  @state() private failed = false;

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('text')) void this.draw(this.text);
  }

  protected override render(): unknown {
    if (this.failed) return html`<p class="hint">The code could not be drawn. Copy the link instead.</p>`;
    if (!this.drawing) return nothing;
    const { path, size } = this.drawing;
    // Dark on light in either theme: that is what cameras look for.
    return svg`<svg class="qr" viewBox=${`0 0 ${size} ${size}`} role="img" aria-label=${this.label} shape-rendering="crispEdges" data-testid="qr"><path class="qr-paper" d=${`M0 0h${size}v${size}H0z`} /><path class="qr-ink" d=${path} /></svg>`;
  }

  private async draw(text: string): Promise<void> {
    try {
      const { default: encodeQR } = await import(/* webpackChunkName: "qr" */ 'qr');
      if (text === this.text) this.drawing = qrPath(encodeQR(text, 'raw', { ecc: 'medium', border: BORDER }));
    } catch {
      this.failed = true;
    }
  }
}

/** Modules around the code, as the standard asks. */
const BORDER = 4;
