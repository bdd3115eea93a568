/** Reads a QR code with the camera, or from a picture. Nothing that the camera sees leaves the page. Fires `gyre-scanned`, or `gyre-scan-over`. */

import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { icon } from './icons.js';
import { PlainElement } from '../element.js';

type Decode = (typeof import('qr/decode.js'))['default'];

@customElement('gyre-mail-scan')
export class MailScanElement extends PlainElement {
  @state() private camera: 'asking' | 'on' | 'none' = 'asking';
  @state() private wrong = '';
  #stream: MediaStream | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    void this.start();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop();
  }

  protected override render(): unknown {
    return html`<section class="card scan" aria-label="Read a QR code" data-testid="scan">
      <video ?hidden=${this.camera !== 'on'} muted playsinline aria-label="What the camera sees"></video>
      <p class="soft" role="status">${this.camera === 'on' ? 'Hold the code before the camera.' : this.camera === 'asking' ? 'Asking for the camera…' : 'There is no camera that this page may use. Choose a picture of the code instead.'}</p>
      ${this.wrong === '' ? nothing : html`<p class="hint bad" role="alert">${this.wrong}</p>`}
      <div class="row">
        <label class="button"><input class="visually-hidden" type="file" accept="image/*" data-testid="scan-file" @change=${this.picked} />${icon('file')} Choose a picture</label>
        <button type="button" class="button quiet" @click=${() => this.dispatchEvent(new CustomEvent('gyre-scan-over'))}>Close</button>
      </div>
    </section>`;
  }

  private async start(): Promise<void> {
    try {
      const [{ default: decode }, stream] = await Promise.all([import(/* webpackChunkName: "qr-read" */ 'qr/decode.js'), navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } })]);
      this.#stream = stream;
      if (!this.isConnected) return this.stop();
      const video = this.querySelector('video');
      if (!video) return;
      video.srcObject = stream;
      await video.play();
      this.camera = 'on';
      this.#timer = setInterval(() => this.look(decode, video, video.videoWidth, video.videoHeight), LOOK_MS);
    } catch {
      this.camera = 'none';
    }
  }

  private stop(): void {
    clearInterval(this.#timer);
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
  }

  private readonly picked = async (event: Event): Promise<void> => {
    const file = (event.target as HTMLInputElement).files?.[0];
    if (!file) return;
    try {
      const [{ default: decode }, picture] = await Promise.all([import(/* webpackChunkName: "qr-read" */ 'qr/decode.js'), createImageBitmap(file)]);
      if (!this.look(decode, picture, picture.width, picture.height)) this.wrong = 'No code was found in this picture.';
      picture.close();
    } catch {
      this.wrong = 'This picture could not be read.';
    }
  };

  private look(decode: Decode, source: CanvasImageSource, width: number, height: number): boolean {
    if (width === 0 || height === 0) return false;
    const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (!context) return false;
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    let text: string;
    try {
      text = decode(context.getImageData(0, 0, canvas.width, canvas.height));
    } catch {
      return false;
    }
    this.stop();
    this.dispatchEvent(new CustomEvent('gyre-scanned', { detail: text }));
    return true;
  }
}

/** Milliseconds between two looks. */
const LOOK_MS = 250;
/** Pixels of the longer side that is looked at. */
const MAX_SIDE = 1_024;
