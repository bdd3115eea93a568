/** The attachments of one mail: saved, or shown if they are pictures; fetched from whoever has them. */

import type { Mail, MailAttachment } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import '../components/bars.js';
import '../components/error-note.js';
import { icon } from './icons.js';
import { PlainElement } from '../element.js';
import { formatBytes, percent, typeLabel } from '../lib/format.js';
import { previewKind } from '../lib/preview.js';
import { safeName } from './attach.js';
import type { MailProblem } from './desk.js';
import { handOver } from './handing.js';
import { desk, toProblem } from './room.js';

/** One fetch, by the attachment's place. */
interface Fetching {
  readonly done: number;
  readonly total: number | null;
  readonly problem: MailProblem | null;
}

@customElement('gyre-mail-attached')
export class MailAttachedElement extends PlainElement {
  @property({ attribute: false }) mail!: Mail;
  @state() private fetching: ReadonlyMap<number, Fetching> = new Map();
  @state() private shown: ReadonlyMap<number, string> = new Map();
  readonly #aborts = new Map<number, AbortController>();

  override disconnectedCallback(): void {
    for (const abort of this.#aborts.values()) abort.abort();
    for (const url of this.shown.values()) URL.revokeObjectURL(url);
    this.shown = new Map();
    super.disconnectedCallback();
  }

  protected override render(): unknown {
    const { attachments } = this.mail;
    if (attachments.length === 0) return nothing;
    return html`<ul class="attached" aria-label="Attachments" data-testid="attachments">${attachments.map((attachment, i) => html`<li>${this.one(attachment, i)}</li>`)}</ul>`;
  }

  private one(attachment: MailAttachment, i: number): unknown {
    const name = safeName(attachment.name);
    const running = this.fetching.get(i);
    const picture = this.shown.get(i);
    return html`<div class="attachment">
        ${icon('file')}<span class="attachment-name"><span class="clip" title=${name}>${name}</span>
          <span class="soft">${[formatBytes(attachment.size), typeLabel(attachment.type), attachment.here ? '' : 'not here yet'].filter((part) => part !== '').join(' · ')}</span></span>
        ${
          running && !running.problem
            ? html`<button class="icon-button" aria-label=${`Stop fetching ${name}`} @click=${() => this.#aborts.get(i)?.abort()}>${icon('close')}</button>`
            : html`${previewKind(attachment.type, attachment.size) === 'image' ? html`<button class="text-button" aria-expanded=${picture ? 'true' : 'false'} aria-label=${`${picture ? 'Hide' : 'Show'} ${name}`} @click=${() => void this.show(i)}>${picture ? 'Hide' : 'Show'}</button>` : nothing}
              <button class="icon-button" aria-label=${`Save ${name}`} title="Save" data-testid="attachment-save" @click=${() => void this.save(i)}>${icon('save')}</button>`
        }
      </div>
      ${running && !running.problem ? html`<gyre-bar aria-label=${`Fetching ${name}`} .value=${percent(running.done, running.total)} ?busy=${running.total === null}></gyre-bar>` : nothing}
      ${running?.problem ? html`<gyre-error subject="attachment" .error=${running.problem} .retry=${() => void this.save(i)}></gyre-error>` : nothing}
      ${picture ? html`<img class="attachment-picture" src=${picture} alt=${name} />` : nothing}`;
  }

  private async save(i: number): Promise<void> {
    const content = await this.fetch(i);
    if (content) handOver(content, this.mail.attachments[i]?.name ?? '');
  }

  private async show(i: number): Promise<void> {
    const before = this.shown.get(i);
    const shown = new Map(this.shown);
    if (before !== undefined) {
      URL.revokeObjectURL(before);
      shown.delete(i);
    } else {
      const content = await this.fetch(i);
      if (!content || !this.isConnected) return;
      shown.set(i, URL.createObjectURL(new Blob([content], { type: this.mail.attachments[i]?.type ?? '' })));
    }
    this.shown = shown;
  }

  private async fetch(i: number): Promise<Blob | null> {
    const abort = new AbortController();
    this.#aborts.get(i)?.abort();
    this.#aborts.set(i, abort);
    this.note(i, { done: 0, total: this.mail.attachments[i]?.size ?? null, problem: null });
    try {
      const box = await desk.box();
      const content = await box.attachment(this.mail.id, i, { signal: abort.signal, onProgress: ({ done, total }) => this.note(i, { done, total, problem: null }) });
      this.note(i, null);
      return content;
    } catch (thrown) {
      const problem = toProblem(thrown);
      this.note(i, problem.code === 'ABORTED' ? null : { done: 0, total: null, problem: attachmentProblem(problem) });
      return null;
    }
  }

  private note(i: number, state: Fetching | null): void {
    const fetching = new Map(this.fetching);
    if (state) fetching.set(i, state);
    else fetching.delete(i);
    this.fetching = fetching;
  }
}

/** What is not to be had now may be later. */
function attachmentProblem(problem: MailProblem): MailProblem {
  return problem.code === 'NOT_FOUND' ? { code: 'NOT_FOUND', message: 'Nobody who has this attachment is reachable now.' } : problem;
}
