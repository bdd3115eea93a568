/** What the person allows of their connection: caps, and when not to send at all. Every change holds at once. */

import type { Limits } from 'gyre';
import { html } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { SessionElement } from '../element.js';
import { FIGURES, figureProblem, figureText, parseFigure, type Figure } from '../lib/limits.js';
import { session } from '../session.js';

type Switch = 'sendOnMetered' | 'pauseOnBattery' | 'hideAddress';

@customElement('gyre-limits')
export class LimitsElement extends SessionElement {
  @state() private problem = '';
  @state() private saved = '';
  #wrong: Figure | null = null;

  /** Fills the fields with what holds now. */
  fill(): void {
    this.problem = '';
    this.saved = '';
    this.#wrong = null;
    const limits = session.stats?.limits;
    if (!limits) return;
    for (const figure of FIGURES) {
      const field = this.querySelector<HTMLInputElement>(`#limit-${figure.key}`);
      if (field) field.value = figureText(limits, figure);
    }
  }

  protected override render(): unknown {
    const limits = session.stats?.limits ?? null;
    return html`${this.choice('sendOnMetered', limits, 'Send on metered connections too', 'Off: where data costs money, or the browser asks to save it, nothing is sent.')}
      ${this.choice('pauseOnBattery', limits, 'Pause on battery', 'Nothing is sent while this machine is not plugged in, where the browser tells.')}
      <section class="setting" aria-labelledby="limits-title">
        <h3 id="limits-title" class="label">Limits</h3>
        <div class="limit-fields">${FIGURES.map((figure) => this.figure(figure, limits))}</div>
        <p id="limits-note" class=${this.problem === '' ? 'hint' : 'hint bad'} aria-live="polite">
          ${this.problem !== '' ? this.problem : `${this.saved}An empty field is no limit.`}
        </p>
      </section>
      ${this.choice('hideAddress', limits, 'Hide my address from peers', 'No direct links are made, so peers do not see your IP address; relays still do. What remains is slow, or nothing at all.')}`;
  }

  private choice(key: Switch, limits: Limits | null, name: string, what: string): unknown {
    return html`<label class="choice">
      <input
        type="checkbox"
        role="switch"
        class="switch"
        data-testid=${`settings-${key}`}
        aria-labelledby=${`${key}-name`}
        aria-describedby=${`${key}-what`}
        ?disabled=${limits === null}
        .checked=${limits?.[key] === true}
        @change=${(event: Event) => this.set({ [key]: (event.target as HTMLInputElement).checked })}
      />
      <span>
        <strong id=${`${key}-name`}>${name}</strong>
        <span id=${`${key}-what`} class="soft">${what}</span>
      </span>
    </label>`;
  }

  private figure(figure: Figure, limits: Limits | null): unknown {
    const id = `limit-${figure.key}`;
    return html`<div>
      <label class="soft" for=${id}>${figure.label}</label>
      <input
        id=${id}
        class="field field-short"
        inputmode="decimal"
        autocomplete="off"
        placeholder="no limit"
        data-testid=${id}
        aria-invalid=${this.#wrong === figure ? 'true' : 'false'}
        aria-describedby="limits-note"
        ?disabled=${limits === null}
        @change=${(event: Event) => this.enter(figure, event.target as HTMLInputElement)}
      />
    </div>`;
  }

  private async enter(figure: Figure, field: HTMLInputElement): Promise<void> {
    const bytes = parseFigure(field.value, figure);
    this.#wrong = bytes === undefined ? figure : null;
    this.problem = bytes === undefined ? figureProblem(figure) : '';
    this.saved = '';
    if (bytes === undefined) return;
    if (await this.set({ [figure.key]: bytes })) this.saved = 'Set. ';
  }

  private set(change: Partial<Limits>): Promise<boolean> {
    return session.act((gyre) => gyre.setLimits(change));
  }
}
