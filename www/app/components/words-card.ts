/** The 24 words, shown to be written down, then two of them asked back. Fires `gyre-words-done` when that is done or put off. */

import { html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { keyring } from '../keyring.js';
import { placesToAsk, wordsIn } from '../lib/words.js';
import { session } from '../session.js';
import { icon } from './icons.js';

@customElement('gyre-words')
export class WordsElement extends PlainElement {
  /** Only to be looked at: nothing is asked back. */
  @property({ type: Boolean }) again = false;
  @state() private words: readonly string[] | null = null;
  @state() private asked: readonly [number, number] | null = null;
  @state() private wrong = '';

  override connectedCallback(): void {
    super.connectedCallback();
    void this.load();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    // They are nowhere in the page once they are not shown.
    this.words = null;
    this.asked = null;
  }

  protected override render(): unknown {
    if (!this.words) return html`<p class="soft">One moment…</p>`;
    return this.asked ? this.question(this.asked) : this.list(this.words);
  }

  private list(words: readonly string[]): unknown {
    return html`<section class="card" aria-labelledby="words-title" data-testid="words">
      <h2 id="words-title" tabindex="-1">Write down these 24 words</h2>
      <p>They are your keys. With them you go on with your sites and your mail on any machine, also when this one is lost. Whoever else has them can publish and write in your name, and without them nobody can help you: there is no account to ask.</p>
      <ol class="words" aria-label="The 24 words, in order">${words.map((word) => html`<li><span>${word}</span></li>`)}</ol>
      <div class="row">
        ${
          this.again
            ? html`<button class="button primary" data-testid="words-close" @click=${this.done}>Hide them</button>`
            : html`<button class="button primary" data-testid="words-written" @click=${this.ask}>${icon('check')} I have written them down</button>
              <button class="button quiet" data-testid="words-later" @click=${() => this.finish('later')}>Later</button>`
        }
      </div>
      ${this.again ? nothing : html`<p class="hint">“Later” is fine for a try. Until then your keys are in this browser only: if its data is cleared, your mail is lost and your sites cannot be updated any more. The words are under Keys whenever you want them.</p>`}
    </section>`;
  }

  private question([first, second]: readonly [number, number]): unknown {
    const field = (place: number): unknown => html`<div class="word-field">
      <label class="label" for=${`word-${place}`}>Word ${place + 1}</label>
      <input id=${`word-${place}`} class="field" autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="word-answer" data-place=${place} aria-invalid=${this.wrong === '' ? 'false' : 'true'} aria-describedby="word-problem" @input=${() => (this.wrong = '')} />
    </div>`;
    return html`<form class="card" aria-labelledby="words-title" novalidate @submit=${this.check}>
      <h2 id="words-title" tabindex="-1">Look at what you wrote</h2>
      <p>Type two of the words, so that you know you can read them.</p>
      <div class="word-fields">${field(first)} ${field(second)}</div>
      <p id="word-problem" class="hint bad" role="alert">${this.wrong}</p>
      <div class="row">
        <button class="button primary" data-testid="words-check">Go on</button>
        <button type="button" class="button quiet" @click=${() => ((this.asked = null), (this.wrong = ''))}>Show them again</button>
        <button type="button" class="button quiet" data-testid="words-later" @click=${() => this.finish('later')}>Later</button>
      </div>
    </form>`;
  }

  private async load(): Promise<void> {
    try {
      this.words = wordsIn(await (await session.ready()).keys.phrase());
    } catch (thrown) {
      session.notify((thrown as Error).message);
      this.done();
    }
    this.toHeading();
  }

  private ask(): void {
    this.asked = placesToAsk();
    this.toHeading();
  }

  private check(event: SubmitEvent): void {
    event.preventDefault();
    const fields = [...this.querySelectorAll<HTMLInputElement>('input')];
    const bad = fields.find((field) => wordsIn(field.value).join(' ') !== this.words?.[Number(field.dataset.place)]);
    if (!bad) return this.finish('checked');
    this.wrong = `Word ${Number(bad.dataset.place) + 1} is another one. Look again, also at the order.`;
    bad.focus();
  }

  private finish(state: 'checked' | 'later'): void {
    keyring.setWords(state);
    this.done();
  }

  private done(): void {
    this.dispatchEvent(new CustomEvent('gyre-words-done', { bubbles: true }));
  }

  private toHeading(): void {
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('h2')?.focus({ preventScroll: true }));
  }
}
