/**
 * Shows a file inside the page, where that is safe, and if it can while the file is still arriving.
 *
 * Pictures, sound, film and documents come from the address that the service worker answers, so that they are
 * read as far as they are looked at. Without a worker they are shown once they are complete. Markup is shown as text.
 */

import type { GyreFile } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { fileServer } from '../files.js';
import { previewKind, type Preview } from '../lib/preview.js';
import { icon } from './icons.js';

@customElement('gyre-preview')
export class PreviewElement extends PlainElement {
  @property({ attribute: false }) file: GyreFile | null = null;
  /** All of it is here. */
  @property({ type: Boolean }) complete = false;
  @state() private kind: Preview = null;
  @state() private url = '';
  @state() private text = '';
  /** Why it is not shown: `type` is for good, anything else may pass. */
  @state() private problem: { for: 'type' | 'now'; words: string } | null = null;
  #abort: AbortController | null = null;
  /** Where the person was when the sound or film broke off, in seconds. */
  #place = 0;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.clear();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const waited = changed.has('complete') && this.complete && this.url === '' && this.text === '';
    if (changed.has('file') || waited) void this.load();
  }

  protected override render(): unknown {
    if (!this.file || this.kind === null) return nothing;
    if (this.problem) {
      const { words } = this.problem;
      return html`<p class="hint" data-testid="preview-problem">${words}</p>
        ${this.problem.for === 'now' ? html`<button class="button" data-testid="preview-retry" @click=${() => this.load()}>${icon('retry')} Show it again</button>` : nothing}`;
    }
    if (this.kind === 'text') {
      return this.text === ''
        ? nothing
        : html`<pre class="preview preview-text" tabindex="0" aria-label=${this.file.name}>${this.text}</pre>`;
    }
    if (this.url === '') return nothing;
    const { name } = this.file;
    const failed = (event: Event): void => void this.failed(event.target as HTMLElement);
    const placed = (event: Event): void => this.goBack(event.target as HTMLMediaElement);
    switch (this.kind) {
      case 'image':
      case 'vector':
        return html`<img class="preview" data-testid="preview" src=${this.url} alt=${name} @error=${failed} />`;
      case 'video':
        return html`<video class="preview" data-testid="preview" src=${this.url} controls playsinline preload="metadata" aria-label=${name} @error=${failed} @loadedmetadata=${placed}></video>`;
      case 'audio':
        return html`<audio class="preview preview-audio" data-testid="preview" src=${this.url} controls preload="metadata" aria-label=${name} @error=${failed} @loadedmetadata=${placed}></audio>`;
      case 'pdf':
        return html`<iframe class="preview preview-page" data-testid="preview" src=${this.url} title=${name}></iframe>`;
    }
  }

  private async load(): Promise<void> {
    this.clear();
    const { file } = this;
    if (!file) return;
    const abort = (this.#abort = new AbortController());
    const server = await fileServer();
    if (abort.signal.aborted) return;
    const kind = previewKind(file.type, file.size, server !== null);
    this.kind = kind;
    if (kind === null) return;
    try {
      if (kind === 'text') this.text = await (await file.blob({ signal: abort.signal })).text();
      else if (server) this.url = server.url(file);
      else if (this.complete) await this.loadBlob(file, kind, abort.signal);
    } catch {
      // Not having a preview takes nothing away; the page says what is wrong with the file itself.
      if (!abort.signal.aborted) this.kind = null;
    }
  }

  /** Without a worker: the whole file in memory. */
  private async loadBlob(file: GyreFile, kind: Preview, signal: AbortSignal): Promise<void> {
    const blob = await file.blob({ signal, type: (file.type.split(';')[0] ?? '').trim().toLowerCase() });
    // A vector drawing goes through a `data:` address, which browsers refuse to open as a page of this origin.
    const url = kind === 'vector' ? await dataUrl(blob) : URL.createObjectURL(blob);
    if (!signal.aborted) this.url = url;
    else if (url.startsWith('blob:')) URL.revokeObjectURL(url);
  }

  /** Finds out whether the browser cannot show it, or cannot have it. */
  private async failed(element: HTMLElement): Promise<void> {
    const { url } = this;
    if (element instanceof HTMLMediaElement) this.#place = element.currentTime;
    const broke = element instanceof HTMLMediaElement && element.error?.code === MediaError.MEDIA_ERR_NETWORK;
    const refused = url.startsWith('blob:') || broke ? null : await reason(url);
    if (this.url !== url) return;
    if (broke) this.problem = { for: 'now', words: 'The file stopped arriving here.' };
    else if (refused) this.problem = { for: 'now', words: refused };
    else this.problem = { for: 'type', words: 'This browser cannot show it. Saving it still works.' };
  }

  private goBack(media: HTMLMediaElement): void {
    if (this.#place > 0 && this.#place < media.duration) media.currentTime = this.#place;
    this.#place = 0;
  }

  private clear(): void {
    this.#abort?.abort();
    this.#abort = null;
    if (this.url.startsWith('blob:')) URL.revokeObjectURL(this.url);
    this.url = '';
    this.text = '';
    this.problem = null;
  }
}

/** What the worker says against an address, `null` if it answers well. */
async function reason(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { headers: { Range: 'bytes=0-0' } });
    const text = response.ok ? null : (await response.text()).trim();
    await response.body?.cancel().catch(() => undefined);
    return text;
  } catch {
    return 'The file cannot be read right now.';
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
