/** Where 24 words are typed or pasted to bring one's keys. Fires `gyre-restored`. */

import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { keyring } from '../keyring.js';
import { endings, WORDS, wordsIn, wordsProblem } from '../lib/words.js';
import { session } from '../session.js';
import { watch } from '../watching.js';
import './error-note.js';

@customElement('gyre-words-form')
export class WordsFormElement extends PlainElement {
  @state() private text = '';
  @state() private finished = false;
  @state() private list: readonly string[] = [];
  #known: ReadonlySet<string> | null = null;

  constructor() {
    super();
    watch(this, keyring);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    keyring.calm();
    void this.load();
  }

  protected override render(): unknown {
    const words = wordsIn(this.text);
    const problem = wordsProblem(words, this.#known, this.finished);
    const next = endings(this.text, this.list);
    return html`<form novalidate @submit=${this.submit}>
      <label class="label" for="restore-words">Your 24 words</label>
      <textarea id="restore-words" class="field words-area" rows="4" autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="restore-words" aria-invalid=${problem === '' ? 'false' : 'true'} aria-describedby="restore-note" .value=${this.text} @input=${this.typed}></textarea>
      <div class="row endings" aria-label="Words that begin so">
        ${next.map((word) => html`<button type="button" class="button quiet" @click=${() => this.complete(word)}>${word}</button>`)}
      </div>
      <p id="restore-note" class=${problem === '' ? 'hint' : 'hint bad'} aria-live="polite">${problem || `${words.length} of ${WORDS} words`}</p>
      ${keyring.problem ? html`<gyre-error .error=${keyring.problem}></gyre-error>` : nothing}
      <div class="row"><button class="button primary" data-testid="restore-button" ?disabled=${keyring.busy}>Bring my keys</button></div>
    </form>`;
  }

  private typed(event: Event): void {
    this.text = (event.target as HTMLTextAreaElement).value;
    this.finished = false;
    keyring.calm();
  }

  private complete(word: string): void {
    this.text = `${this.text.replace(/\p{L}+$/u, '')}${word} `;
    this.querySelector('textarea')?.focus();
  }

  private async submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    this.finished = true;
    const words = wordsIn(this.text);
    if (wordsProblem(words, this.#known, true) !== '') return this.querySelector('textarea')?.focus();
    if (!(await keyring.run((keys) => keys.restore(words.join(' '))))) return;
    this.text = '';
    keyring.setWords('checked');
    this.dispatchEvent(new CustomEvent('gyre-restored', { bubbles: true }));
  }

  /** Without the list the words are checked when they are sent. */
  private async load(): Promise<void> {
    try {
      this.list = await (await session.ready()).keys.words();
      this.#known = new Set(this.list);
    } catch (thrown) {
      console.info('Words are not completed:', (thrown as Error).message);
    }
  }
}
