/** The people one writes with: what one calls them, how one knows it is them, who may write. And one's own address. */

import type { Contact } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { confirmDialog } from '../components/confirm-dialog.js';
import '../components/copy-button.js';
import '../components/error-note.js';
import { icon } from './icons.js';
import { PlainElement } from '../element.js';
import { readPetname } from '../lib/petnames.js';
import { watch } from '../watching.js';
import type { MailProblem } from './desk.js';
import './my-card.js';
import { contactName, safetyGroups } from './people.js';
import { mailAddress } from './place.js';
import { desk, toProblem } from './room.js';
import './scan.js';

@customElement('gyre-mail-contacts')
export class MailContactsElement extends PlainElement {
  @state() private opened: string | null = null;
  @state() private scanning = false;
  @state() private link = '';
  @state() private petname = '';
  @state() private problem: MailProblem | null = null;

  constructor() {
    super();
    watch(this, desk);
  }

  protected override render(): unknown {
    const groups: readonly [string, Contact['state'][]][] = [
      ['Contacts', ['accepted', 'muted']],
      ['Waiting to be accepted', ['request']],
      ['Blocked', ['blocked']],
    ];
    return html`<header class="section-head"><h1 tabindex="-1">Contacts</h1></header>
      <div class="mail-settings">
        <section class="card" aria-labelledby="mine-head"><h2 id="mine-head">Your address</h2><gyre-mail-mine></gyre-mail-mine></section>
        ${this.addForm()}
        ${desk.problem ? html`<gyre-error .error=${desk.problem}></gyre-error>` : nothing}
        ${groups.map(([title, states]) => this.group(title, desk.contacts.filter(({ state: how }) => states.includes(how))))}
      </div>`;
  }

  private addForm(): unknown {
    return html`<form class="card" novalidate aria-labelledby="add-head" @submit=${this.add}>
      <h2 id="add-head">Add somebody</h2>
      <label class="label" for="contact-link">Their link or card</label>
      <div class="link-row"><input id="contact-link" class="field" autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="https://…/#/m/…" data-testid="contact-link" .value=${this.link} @input=${(event: Event) => { this.link = (event.target as HTMLInputElement).value; this.problem = null; }} />
        <button type="button" class="button" data-testid="contact-scan" @click=${() => (this.scanning = !this.scanning)}>${icon('qr')} Read a code</button></div>
      ${this.scanning ? html`<gyre-mail-scan @gyre-scanned=${(event: CustomEvent<string>) => { this.link = event.detail; this.scanning = false; }} @gyre-scan-over=${() => (this.scanning = false)}></gyre-mail-scan>` : nothing}
      <label class="label" for="contact-name">What you call them</label>
      <input id="contact-name" class="field" autocomplete="off" maxlength="60" data-testid="contact-name" .value=${this.petname} @input=${(event: Event) => (this.petname = (event.target as HTMLInputElement).value)} />
      ${this.problem ? html`<gyre-error .error=${this.problem}></gyre-error>` : nothing}
      <div class="row"><button class="button primary" data-testid="contact-add">${icon('check')} Add</button></div>
    </form>`;
  }

  private group(title: string, contacts: readonly Contact[]): unknown {
    if (contacts.length === 0 && title !== 'Contacts') return nothing;
    const sorted = [...contacts].sort((a, b) => contactName(a).localeCompare(contactName(b)));
    return html`<section aria-label=${title}>
      <header class="section-head"><h2>${title}</h2>${sorted.length > 0 ? html`<span class="soft">${sorted.length}</span>` : nothing}</header>
      ${sorted.length === 0 ? html`<p class="empty">Nobody yet. Add somebody by their link, or give them yours.</p>` : html`<ul class="contacts" data-testid="contacts">${repeat(sorted, ({ id }) => id, (contact) => this.one(contact))}</ul>`}
    </section>`;
  }

  private one(contact: Contact): unknown {
    const name = contactName(contact);
    const open = this.opened === contact.id;
    return html`<li class="contact" data-testid="contact" data-state=${contact.state}>
      <div class="contact-head"><span class="face" aria-hidden="true">${[...name][0]?.toUpperCase() ?? '?'}</span>
        <span class="contact-name"><strong class="clip">${name}</strong>
          <span class="soft clip">${contact.petname !== null && contact.name !== null && contact.name !== contact.petname ? `calls themself “${readPetname(contact.name) ?? ''}” · ` : ''}${contact.petname === null ? 'a name of their own choice · ' : ''}${MET[contact.met]}</span></span>
        ${contact.state === 'muted' ? html`<span class="tag">muted</span>` : nothing}
        ${contact.state === 'blocked' ? nothing : html`<a class="icon-button" href=${mailAddress({ view: 'write', draft: null, to: contact.id })} aria-label=${`Write to ${name}`} title="Write">${icon('pen')}</a>`}
        <button class="icon-button" aria-expanded=${open ? 'true' : 'false'} aria-label=${`More about ${name}`} title="More" data-testid="contact-more" @click=${() => (this.opened = open ? null : contact.id)}>${icon('down')}</button></div>
      ${contact.ended ? html`<p class="hint bad" data-testid="contact-ended">They have given this identity up: nothing is sent to it any more.</p>` : nothing}
      ${contact.forked ? html`<p class="hint bad" role="alert" data-testid="contact-forked">Somebody has used old keys of this person against them. Compare the safety number, by voice or in person, before you trust new mail.</p>` : nothing}
      ${open ? this.more(contact, name) : nothing}
    </li>`;
  }

  private more(contact: Contact, name: string): unknown {
    const { id, state: how } = contact;
    return html`<div class="contact-more">
      ${how === 'request' ? nothing : html`<form class="link-row" @submit=${(event: SubmitEvent) => this.rename(event, contact)}>
        <label class="visually-hidden" for="petname">What you call them</label>
        <input id="petname" class="field" maxlength="60" autocomplete="off" placeholder="What you call them" .value=${contact.petname ?? ''} data-testid="contact-petname" /><button class="button" data-testid="contact-rename">Call them so</button>
      </form>`}
      <div><h3 class="label">Safety number</h3>
        <p class="safety" data-testid="safety">${safetyGroups(contact.safety).map((group) => html`<span>${group}</span>`)}</p>
        <p class="hint">Let them read out their own, by voice or side by side: it stands under “Your address”. If it is this one, it is really them, and nobody stands between you.</p></div>
      <p class="hint wrap">Id: <code>${id}</code> <gyre-copy compact .link=${id} name=${name} label="Copy the id"></gyre-copy></p>
      <div class="row">
        ${how === 'request' ? html`<button class="button primary" data-testid="contact-accept" @click=${() => this.set(id, 'accepted')}>Accept</button>` : nothing}
        ${how === 'accepted' ? html`<button class="button" data-testid="contact-mute" @click=${() => this.set(id, 'muted')}>Mute</button>` : nothing}
        ${how === 'muted' ? html`<button class="button" @click=${() => this.set(id, 'accepted')}>Unmute</button>` : nothing}
        ${how === 'blocked' ? html`<button class="button" data-testid="contact-unblock" @click=${() => this.set(id, 'accepted')}>Unblock</button>` : html`<button class="button quiet" data-testid="contact-block" @click=${() => void this.block(contact, name)}>Block</button>`}
      </div>
      <p class="hint">${how === 'blocked' ? 'Their mail is thrown away before you see it.' : 'Muted mail comes without a word; blocked mail is thrown away. They are told neither.'}</p>
    </div>`;
  }

  private readonly add = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const petname = readPetname(this.petname);
    if (this.link.trim() === '' || petname === null) {
      this.problem = { code: 'BAD_LINK', message: this.link.trim() === '' ? 'Paste the link or the card that they gave you.' : 'Say what you call them: only you see it.' };
      return this.querySelector<HTMLElement>(this.link.trim() === '' ? '#contact-link' : '#contact-name')?.focus();
    }
    try {
      const contact = await (await desk.box()).addContact(this.link.trim(), petname);
      this.link = this.petname = '';
      this.problem = null;
      this.opened = contact.id;
      desk.tell(`${contactName(contact)} is in your contacts.`);
    } catch (thrown) {
      this.problem = toProblem(thrown);
    }
  };

  private rename(event: SubmitEvent, { id }: Contact): void {
    event.preventDefault();
    const petname = readPetname(this.querySelector<HTMLInputElement>('#petname')?.value ?? '');
    if (petname !== null) void desk.run((box) => box.setContact(id, { petname })).then((done) => done && desk.tell('Done.'));
  }

  private set(id: string, how: Contact['state']): void {
    void desk.run((box) => box.setContact(id, { state: how }));
  }

  private async block({ id }: Contact, name: string): Promise<void> {
    if (await confirmDialog({ title: `Block ${name}?`, text: 'Their mail is thrown away before you see it. They are not told.', action: 'Block' })) this.set(id, 'blocked');
  }
}

const MET: Record<Contact['met'], string> = { card: 'by their card', link: 'by their link', mail: 'wrote to you' };
