/** Bringing mail from elsewhere, and taking it along: mbox and .eml. */

import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import '../components/bars.js';
import '../components/error-note.js';
import { PlainElement } from '../element.js';
import { count, formatBytes, percent } from '../lib/format.js';
import type { MailProblem } from './desk.js';
import { handOver } from './handing.js';
import { icon } from './icons.js';
import { desk, toProblem } from './room.js';

/** What is under way. */
interface Transfer {
  readonly what: 'import' | 'export';
  readonly done: number;
  readonly total: number | null;
}

@customElement('gyre-mail-transfer')
export class MailTransferElement extends PlainElement {
  @state() private running: Transfer | null = null;
  @state() private result = '';
  @state() private problem: MailProblem | null = null;
  #abort = new AbortController();

  override disconnectedCallback(): void {
    this.#abort.abort();
    super.disconnectedCallback();
  }

  protected override render(): unknown {
    const { running } = this;
    return html`<p>Mail of another program comes in as .mbox or .eml files, and yours goes out the same way. Attachments come along. Nothing proves who wrote an imported mail, and it says so.</p>
      ${
        running
          ? html`<gyre-bar aria-label=${running.what === 'import' ? 'Importing' : 'Exporting'} data-testid="transfer-progress" .value=${percent(running.done, running.total)} ?busy=${running.total === null}></gyre-bar>
            <p class="row"><span class="soft tabular">${running.what === 'import' ? `${formatBytes(running.done)} read` : `${running.total === null ? '' : `${percent(running.done, running.total)} % `}written`}</span>
              <button class="button" data-testid="transfer-stop" @click=${() => this.#abort.abort()}>${icon('close')} Cancel</button></p>`
          : html`<div class="row">
              <label class="button"><input class="visually-hidden" type="file" multiple accept=".eml,.mbox,.mbx,message/rfc822,application/mbox" data-testid="mail-import" @change=${this.picked} />${icon('down')} Import files</label>
              <button class="button" data-testid="mail-export" @click=${() => void this.export()}>${icon('save')} Export all mail (.mbox)</button>
            </div>`
      }
      <p class="hint" role="status" data-testid="transfer-result">${this.result}</p>
      ${this.problem ? html`<gyre-error subject="transfer" .error=${this.problem}></gyre-error>` : nothing}`;
  }

  private readonly picked = async (event: Event): Promise<void> => {
    const input = event.target as HTMLInputElement;
    const files = [...(input.files ?? [])];
    const sum = { mails: 0, skipped: 0 };
    await this.run('import', async (signal, onProgress) => {
      for (const file of files) {
        const { mails, skipped } = await (await desk.box()).import(file, { signal, onProgress });
        sum.mails += mails;
        sum.skipped += skipped;
      }
    });
    // Also after an end before the end: what came stays.
    if (sum.mails + sum.skipped > 0 || !this.problem) this.result = `${count(sum.mails, 'mail')} imported${sum.skipped > 0 ? `, ${sum.skipped} were here already or could not be read` : ''}.`;
    input.value = '';
  };

  private export(): Promise<void> {
    return this.run('export', async (signal, onProgress) => {
      const made = await (await desk.box()).export('mbox', { signal, onProgress });
      handOver(made, `gyre-mail-${new Date().toISOString().slice(0, 10)}.mbox`);
      this.result = `${formatBytes(made.size)} handed to your downloads. It is not sealed: whoever has the file can read it.`;
    });
  }

  private async run(what: Transfer['what'], work: (signal: AbortSignal, onProgress: (progress: { done: number; total: number | null }) => void) => Promise<void>): Promise<void> {
    this.#abort = new AbortController();
    this.result = '';
    this.problem = null;
    this.running = { what, done: 0, total: null };
    try {
      await work(this.#abort.signal, ({ done, total }) => (this.running = { what, done, total }));
    } catch (thrown) {
      const problem = toProblem(thrown);
      if (problem.code !== 'ABORTED') this.problem = problem;
    }
    this.running = null;
  }
}
