/**
 * Shows a file inside the page, where that is safe.
 *
 * Pictures, sound and film go through elements that run no scripts; a vector drawing through a
 * `data:` address, which browsers refuse to open as a page; markup is shown as text.
 */

import type { GyreFile } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { previewKind, type Preview } from '../lib/preview.js';

@customElement('gyre-preview')
export class PreviewElement extends PlainElement {
  @property({ attribute: false }) file: GyreFile | null = null;
  @state() private kind: Preview = null;
  @state() private url = '';
  @state() private text = '';
  @state() private broken = false;
  #abort: AbortController | null = null;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.clear();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('file')) void this.load();
  }

  protected override render(): unknown {
    if (!this.file || this.kind === null || (this.url === '' && this.kind !== 'text')) return nothing;
    if (this.broken) return html`<p class="hint">This browser cannot show it. Saving it still works.</p>`;
    const { name } = this.file;
    const failed = (): void => void (this.broken = true);
    switch (this.kind) {
      case 'image':
      case 'vector':
        return html`<img class="preview" src=${this.url} alt=${name} @error=${failed} />`;
      case 'video':
        return html`<video class="preview" src=${this.url} controls preload="metadata" aria-label=${name} @error=${failed}></video>`;
      case 'audio':
        return html`<audio class="preview preview-audio" src=${this.url} controls aria-label=${name} @error=${failed}></audio>`;
      case 'pdf':
        return html`<iframe class="preview preview-page" src=${this.url} title=${name}></iframe>`;
      case 'text':
        return html`<pre class="preview preview-text" tabindex="0" aria-label=${name}>${this.text}</pre>`;
    }
  }

  private async load(): Promise<void> {
    this.clear();
    const file = this.file;
    const kind = file ? previewKind(file.type, file.size) : null;
    this.kind = kind;
    if (!file || kind === null) return;
    const abort = (this.#abort = new AbortController());
    try {
      const blob = await file.blob({
        signal: abort.signal,
        type: (file.type.split(';')[0] ?? '').trim().toLowerCase(),
      });
      const text = kind === 'text' ? await blob.text() : '';
      const url = kind === 'vector' ? await dataUrl(blob) : kind === 'text' ? '' : URL.createObjectURL(blob);
      if (abort.signal.aborted) {
        if (url.startsWith('blob:')) URL.revokeObjectURL(url);
        return;
      }
      this.text = text;
      this.url = url;
    } catch {
      // Not having a preview takes nothing away; the page says what is wrong with the file itself.
      if (!abort.signal.aborted) this.kind = null;
    }
  }

  private clear(): void {
    this.#abort?.abort();
    this.#abort = null;
    if (this.url.startsWith('blob:')) URL.revokeObjectURL(this.url);
    this.url = '';
    this.text = '';
    this.broken = false;
  }
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error('unreadable'));
    reader.readAsDataURL(blob);
  });
}
