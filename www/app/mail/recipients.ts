/** To whom a mail goes: names with completion, links, ids, codes. What is not understood stays, and says why. */

import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { icon } from './icons.js';
import { PlainElement } from '../element.js';
import { watch } from '../watching.js';
import { completions, contactCalled, contactName, recipientsIn, shortIdentity } from './people.js';
import { desk, toProblem } from './room.js';
import './scan.js';

/** One recipient as it is shown. */
interface Chip {
  /** What was typed, or the id once it is known. */
  readonly text: string;
  readonly id: string | null;
  readonly state: 'looking' | 'known' | 'wrong';
  readonly problem: string;
}

@customElement('gyre-mail-recipients')
export class MailRecipientsElement extends PlainElement {
  /** What the draft holds: ids, or what was typed and not understood. */
  @property({ attribute: false }) to: readonly string[] = [];
  @state() private chips: readonly Chip[] = [];
  @state() private typed = '';
  @state() private active = -1;
  @state() private scanning = false;
  #given: readonly string[] | null = null;

  constructor() {
    super();
    watch(this, desk);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('to') || this.to === this.#given) return;
    this.#given = this.to;
    this.chips = [];
    for (const text of this.to) void this.add(text, false);
  }

  /** What stands there now, what is still being typed included. */
  get recipients(): string[] {
    return [...this.chips.map(({ id, text }) => id ?? text), ...recipientsIn(this.typed)];
  }

  /** Takes what is being typed as finished. Resolves with what is wrong; empty if all of them can be written to. */
  async settle(): Promise<string> {
    await this.commit();
    if (this.chips.length === 0) return 'Say to whom it goes.';
    const wrong = this.chips.find(({ state }) => state === 'wrong');
    return wrong ? `“${shown(wrong)}”: ${wrong.problem}` : '';
  }

  override focus(): void {
    this.querySelector<HTMLInputElement>('#mail-to')?.focus();
  }

  protected override render(): unknown {
    const found = this.found;
    const open = found.length > 0;
    return html`<div class="recipients" @click=${(event: Event) => event.target === event.currentTarget && this.focus()}>
      <label for="mail-to" class="soft">To</label>
      <ul class="chips" aria-label="Recipients">${this.chips.map((chip, i) => this.chip(chip, i))}</ul>
      <input
        id="mail-to" class="to-field" role="combobox" aria-expanded=${open ? 'true' : 'false'} aria-controls="to-list" aria-autocomplete="list"
        aria-activedescendant=${open && this.active >= 0 ? `to-${this.active}` : nothing} aria-describedby="to-hint"
        autocomplete="off" autocapitalize="none" spellcheck="false" placeholder=${this.chips.length === 0 ? 'A name, or a link' : ''} data-testid="mail-to"
        .value=${this.typed} @input=${this.input} @keydown=${this.key} @blur=${() => void this.commit()} @paste=${this.paste} />
      <button type="button" class="icon-button" aria-label="Read a QR code" title="Read a QR code" data-testid="mail-scan" @click=${() => (this.scanning = !this.scanning)}>${icon('qr')}</button>
      <ul id="to-list" role="listbox" aria-label="Contacts" class="completions" ?hidden=${!open}>
        ${found.map((contact, i) => html`<li id=${`to-${i}`} role="option" aria-selected=${i === this.active ? 'true' : 'false'} data-testid="mail-completion" @mousedown=${(event: Event) => event.preventDefault()} @click=${() => this.choose(contact.id)}><strong>${contactName(contact)}</strong> <code class="soft">${shortIdentity(contact.id)}</code></li>`)}
      </ul>
      <span id="to-hint" class="visually-hidden">Names of your contacts are completed. A link, an id or an address is taken with Enter or a comma.</span>
    </div>
    ${this.chips.filter(({ state }) => state === 'wrong').map((chip) => html`<p class="hint bad" role="alert">“<span class="wrap">${shown(chip)}</span>”: ${chip.problem}</p>`)}
    ${this.scanning ? html`<gyre-mail-scan @gyre-scanned=${(event: CustomEvent<string>) => { this.scanning = false; void this.add(event.detail); this.focus(); }} @gyre-scan-over=${() => (this.scanning = false)}></gyre-mail-scan>` : nothing}`;
  }

  private chip(chip: Chip, i: number): unknown {
    const contact = desk.contact(chip.id);
    const name = contact ? contactName(contact) : shown(chip);
    return html`<li class=${`chip chip-${chip.state}`} data-testid="mail-chip" data-state=${chip.state} title=${chip.problem || chip.id || chip.text}>
      <span class="clip">${chip.state === 'looking' ? `${name}…` : name}</span><button type="button" class="chip-remove" aria-label=${`Remove ${name}`} @click=${() => this.drop(i)}>${icon('close')}</button></li>`;
  }

  private get found(): ReturnType<typeof completions> {
    return completions(desk.contacts, this.typed, new Set(this.chips.flatMap(({ id }) => id ?? [])));
  }

  private readonly input = (event: Event): void => {
    this.typed = (event.target as HTMLInputElement).value;
    this.active = this.found.length > 0 ? 0 : -1;
    if (/[,;\n]/.test(this.typed)) void this.commit();
    this.changed();
  };

  private readonly key = (event: KeyboardEvent): void => {
    const found = this.found;
    if (event.isComposing) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      if (found.length === 0) return;
      this.active = (this.active + (event.key === 'ArrowDown' ? 1 : found.length - 1) + found.length) % found.length;
    } else if ((event.key === 'Enter' || event.key === 'Tab') && found[this.active]) {
      this.choose(found[this.active]!.id);
      // Tab goes on to the next field as well.
      if (event.key === 'Tab') return;
    } else if (event.key === 'Enter' && this.typed.trim() !== '') {
      void this.commit();
    } else if (event.key === 'Backspace' && this.typed === '' && this.chips.length > 0) {
      this.drop(this.chips.length - 1);
    } else if (event.key === 'Escape' && found.length > 0) {
      this.active = -1;
      event.stopPropagation();
    } else return;
    event.preventDefault();
  };

  private readonly paste = (event: ClipboardEvent): void => {
    const text = event.clipboardData?.getData('text/plain') ?? '';
    if (!/[/:,;\n]/.test(text)) return;
    event.preventDefault();
    event.stopPropagation();
    this.typed = '';
    for (const piece of recipientsIn(text)) void this.add(piece);
  };

  private choose(id: string): void {
    this.typed = '';
    this.active = -1;
    void this.add(id);
    this.focus();
  }

  private async commit(): Promise<void> {
    const pieces = recipientsIn(this.typed);
    this.typed = '';
    this.active = -1;
    await Promise.all(pieces.map((piece) => this.add(piece)));
  }

  /** Adds what was typed, and finds out who it is. */
  private async add(text: string, tell = true): Promise<void> {
    if (this.chips.length >= MAX_RECIPIENTS) return desk.tell(`A mail goes to ${MAX_RECIPIENTS} people at most.`);
    const known = desk.contact(text) ?? contactCalled(desk.contacts, text);
    const chip: Chip = { text, id: known?.id ?? null, state: known ? 'known' : 'looking', problem: '' };
    if (this.chips.some(({ id, text: other }) => other === text || (id !== null && id === chip.id))) return;
    this.chips = [...this.chips, chip];
    if (tell) this.changed();
    if (known) return;
    let after: Chip;
    try {
      const { id } = await (await desk.box()).resolve(text);
      after = { text: id, id, state: 'known', problem: '' };
    } catch (thrown) {
      after = { ...chip, state: 'wrong', problem: why(text, toProblem(thrown).message) };
    }
    this.chips = this.chips.flatMap((other) => (other !== chip ? [other] : this.chips.some(({ id }) => id !== null && id === after.id) ? [] : [after]));
    if (tell || after.state === 'known') this.changed();
  }

  private drop(i: number): void {
    this.chips = this.chips.filter((_, at) => at !== i);
    this.changed();
    this.focus();
  }

  private changed(): void {
    this.dispatchEvent(new CustomEvent('gyre-recipients', { bubbles: true }));
  }
}

/** Why somebody cannot be written to. */
function why(text: string, message: string): string {
  if (/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text)) return 'this is an address of the old mail. Ask them for their Gyre link, or use a bridge.';
  if (!/[/:]/.test(text) && text.length < 40) return 'nobody in your contacts is called so. Paste their link, or their id.';
  return message;
}

function shown({ id, text }: Chip): string {
  return id !== null ? shortIdentity(id) : text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

/** People of one mail: one envelope is made for each. */
const MAX_RECIPIENTS = 50;
/** Characters of something that was not understood. */
const MAX_SHOWN = 40;
