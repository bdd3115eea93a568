/** One mail of a conversation: from whom, what it says, what hangs on it, how far it has come. */

import type { Mail, SendStatus } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { icon } from './icons.js';
import { PlainElement } from '../element.js';
import { holdNote } from '../lib/limits.js';
import { session } from '../session.js';
import { watch } from '../watching.js';
import './attached.js';
import { plainBody } from './body.js';
import { dataAddress } from './handing.js';
import './html-body.js';
import { nameList, personName, shortIdentity } from './people.js';
import { desk } from './room.js';
import { bareContentId, inlinePictures } from './pictures.js';
import { canRetry, fullTime, isHeld, isUnderway, listTime, statusWords } from './words.js';

@customElement('gyre-mail-card')
export class MailCardElement extends PlainElement {
  @property({ attribute: false }) mail!: Mail;
  @property({ type: Boolean }) open = false;
  /** From somebody who was not let in yet: text only, and no links. */
  @property({ type: Boolean }) stranger = false;
  @state() private asText = false;
  @state() private details = false;
  @state() private pictures: ReadonlyMap<string, string> = new Map();

  constructor() {
    super();
    watch(this, desk);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if ((changed.has('mail') || changed.has('open')) && this.open && this.mail.html !== null && !this.stranger && this.pictures.size === 0) void this.fetchPictures(this.mail);
  }

  protected override render(): unknown {
    const { mail, open } = this;
    const name = mail.own ? 'You' : personName(mail.from);
    return html`<article class=${`mail-card${open ? ' open' : ''}`} aria-label=${`${mail.own ? 'From you' : `From ${name}`}, ${fullTime(mail.time)}`} data-testid="mail" data-message=${mail.id}>
      <header>
        <button class="mail-head" aria-expanded=${open ? 'true' : 'false'} @click=${() => this.toggle()}>
          <span class="face" aria-hidden="true">${[...name][0]?.toUpperCase() ?? '?'}</span>
          <span class="mail-who"><strong class="clip">${name}</strong>${this.vouched()}
            <span class="soft clip">${open ? html`to ${mail.to.length === 0 ? 'nobody' : nameList(mail.to.map((person) => (person.id !== null && person.id === desk.state?.id ? { ...person, petname: 'you' } : person)), 4)}` : mail.text.slice(0, SNIPPET)}</span></span>
          <time class="soft tabular" datetime=${new Date(mail.time).toISOString()} title=${fullTime(mail.time)}>${listTime(mail.time, Date.now())}</time>
        </button>
      </header>
      ${open ? this.body() : nothing}
    </article>`;
  }

  private vouched(): unknown {
    switch (this.mail.verified) {
      case 'device':
        return nothing;
      case 'imported':
        return html` <span class="tag" title="It came from a file: nothing proves who wrote it">imported</span>`;
      case 'bridge':
        return html` <span class="tag" title="It came through a mail server of the old world, which can read it">by mail server</span>`;
    }
  }

  private body(): unknown {
    const { mail } = this;
    const formatted = mail.html !== null && !this.asText && !this.stranger;
    return html`<div class="mail-body" @gyre-html-failed=${() => (this.asText = true)}>
      ${formatted ? html`<gyre-mail-html .source=${mail.html ?? ''} .pictures=${this.pictures}></gyre-mail-html>` : plainBody(mail.text, { links: !this.stranger })}
      ${this.stranger && (mail.html !== null || /https?:/.test(mail.text)) ? html`<p class="hint">Shown as plain text, without links, until you accept them.</p>` : nothing}
      <gyre-mail-attached .mail=${mail}></gyre-mail-attached>
      ${mail.own ? this.statuses() : nothing}
      <p class="row mail-foot">
        ${mail.html !== null && !this.stranger ? html`<button class="text-button" data-testid="mail-as-text" @click=${() => (this.asText = !this.asText)}>${formatted ? 'Show as plain text' : 'Show as it was formatted'}</button>` : nothing}
        <button class="text-button" aria-expanded=${this.details ? 'true' : 'false'} @click=${() => (this.details = !this.details)}>${this.details ? 'Hide details' : 'Details'}</button>
      </p>
      ${this.details ? this.detailList() : nothing}
    </div>`;
  }

  private detailList(): unknown {
    const { from, to, time, verified } = this.mail;
    const vouches = {
      device: 'Signed by a machine of this identity; the signature was checked.',
      imported: 'Nothing: it was imported from a file.',
      bridge: 'The mail server that took it in. It could read the mail, and so could others on its way.',
    }[verified];
    return html`<dl class="facts">
      <div><dt>From</dt><dd class="wrap">${personName(from)}${from.name !== '' && from.petname !== null && from.name !== from.petname ? ` (calls themself “${from.name}”)` : ''} <code>${from.id ?? from.address ?? ''}</code></dd></div>
      <div><dt>To</dt><dd class="wrap">${to.map((person) => html`<div>${personName(person)} <code>${person.id ? shortIdentity(person.id) : (person.address ?? '')}</code></div>`)}</dd></div>
      <div><dt>Written</dt><dd>${fullTime(time)}, by the sender’s clock</dd></div>
      <div><dt>Vouches for it</dt><dd>${vouches}</dd></div>
    </dl>`;
  }

  private statuses(): unknown {
    const { status, to } = this.mail;
    if (status.length === 0) return nothing;
    return html`<ul class="statuses" aria-label="How far it has come" data-testid="statuses">
      ${status.map((one) => {
        const person = to.find(({ id }) => id === one.to);
        const name = person ? personName(person) : shortIdentity(one.to);
        const { long, tone } = statusWords(one, name);
        return html`<li data-state=${one.state}><span class=${`dot tone-${tone}`} aria-hidden="true"></span><span>${to.length > 1 ? html`<strong>${name}</strong> – ` : nothing}${long}</span></li>`;
      })}
    </ul>
    ${this.remedies(status)}`;
  }

  private remedies(status: readonly SendStatus[]): unknown {
    const { id } = this.mail;
    const held = status.find(isHeld);
    const retry = status.some(canRetry);
    const stop = status.some(isUnderway);
    if (!retry && !stop) return nothing;
    return html`<p class="row">
      ${held ? this.allow(held) : nothing}
      ${retry ? html`<button class="button" data-testid="mail-retry" @click=${() => desk.run((box) => box.retry(id))}>${icon('retry')} Send again</button>` : nothing}
      ${stop ? html`<button class="text-button" data-testid="mail-cancel" @click=${() => desk.run((box) => box.cancel(id))}>Stop sending</button>` : nothing}
    </p>`;
  }

  private allow({ code }: SendStatus): unknown {
    const note = code === 'UPLOADS_HELD' && session.stats ? holdNote(session.stats) : null;
    const lift = (): Promise<boolean> => session.act((gyre) => (note ? gyre.setLimits(note.change) : gyre.setUpload(true)));
    return html`<button class="button primary" data-testid="mail-allow" title="It uses your upload bandwidth, and the peers it links to see your IP address. You can change this in the settings." @click=${lift}>${note?.action ?? 'Allow sending'}</button>`;
  }

  private toggle(): void {
    this.dispatchEvent(new CustomEvent('gyre-mail-toggle', { bubbles: true, detail: this.mail.id }));
  }

  /** Pictures within the text that are here; others are attachments like any. */
  private async fetchPictures(mail: Mail): Promise<void> {
    const pictures = new Map<string, string>();
    for (const { index, contentId, type } of inlinePictures(mail)) {
      try {
        const content = await (await desk.box()).attachment(mail.id, index);
        pictures.set(bareContentId(contentId), await dataAddress(new Blob([content], { type })));
      } catch {
        // It is not to be had: the mail shows its name instead.
      }
    }
    if (pictures.size > 0 && mail === this.mail) this.pictures = pictures;
  }
}

/** Characters of a mail that is closed. */
const SNIPPET = 140;
