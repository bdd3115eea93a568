/**
 * One file, from a link: found, fetched, verified, saved.
 *
 * The page follows the blob's state in the node; opening is repeated by the person's wish only,
 * and leaving the page stops the search but not a fetch that has begun.
 */

import { GyreError, parseLink, type GyreFile, type SwarmInfo } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import '../components/bars.js';
import '../components/consent-card.js';
import '../components/copy-button.js';
import '../components/error-note.js';
import '../components/file-preview.js';
import { icon, spiral } from '../components/icons.js';
import '../components/peer-list.js';
import '../components/storage-meter.js';
import { SessionElement } from '../element.js';
import { displayName, formatBytes, percent, typeLabel } from '../lib/format.js';
import { Eta } from '../lib/rate.js';
import { swarmAddress } from '../lib/router.js';
import { serverTroubles, sizeLine, swarmLine } from '../lib/status.js';
import { saveFile } from '../save.js';
import { session } from '../session.js';

@customElement('gyre-file-page')
export class FilePage extends SessionElement {
  /** `#/f/<cid>?…` */
  @property() fragment = '';
  @state() private file: GyreFile | null = null;
  @state() private problem: GyreError | null = null;
  @state() private cancelled: 'nothing' | 'part' | null = null;
  /** Percent written to disk, `null` when nothing is being saved. */
  @state() private saving: number | null = null;
  #abort: AbortController | null = null;
  #eta = new Eta();
  /** Whether the node has listed the blob since it was opened: only then can it be missed. */
  #listed = false;
  #again: ReturnType<typeof setTimeout> | undefined;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.release();
    document.title = TITLE;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    this.#listed ||= this.file !== null && this.swarm !== undefined;
    // Room was made in the settings, and the node has gone on.
    const roomMade = this.problem?.code === 'QUOTA_EXCEEDED' && this.swarm !== undefined && this.swarm.state !== 'failed';
    if (changed.has('fragment') || roomMade) void this.openLink();
  }

  protected override updated(): void {
    document.title = this.file ? `${displayName(this.file.name, this.cid)} – Gyre` : TITLE;
  }

  protected override render(): unknown {
    const swarm = this.swarm;
    const name = this.file?.name ?? swarm?.name ?? null;
    const done = swarm?.state === 'complete';
    const fraction = this.failure?.code === 'WRONG_KEY' ? 0 : done ? 1 : swarm?.size ? swarm.have / swarm.size : 0;
    return html`<a class="back soft" href="#/">${icon('back')} Share and open files</a>
      <article class="file-page" aria-labelledby="file-title">
        <div class=${`file-spiral ${done ? 'done' : this.searching ? 'turning' : ''}`}>${spiral(fraction)}</div>
        <div class="file-body">
          <h1 id="file-title" class="file-name" data-testid="file-name">${name === null ? (this.failure ? 'File' : 'A file for you') : displayName(name, this.cid)}</h1>
          <p class="soft tabular" data-testid="file-size">${this.sizeWords(swarm)}</p>
          ${
            this.failure
              ? html`<gyre-error .error=${this.failure} .retry=${() => this.retry()}></gyre-error>`
              : this.progress(swarm)
          }
          <p class="visually-hidden" role="status">${done && !this.failure ? `${name === null || name === '' ? 'The file' : name} is complete` : ''}</p>
          <div class="row">${this.actions(swarm)}</div>
          ${
            swarm && this.file && !this.failure
              ? html`<p><a class="watch" href=${swarmAddress(this.cid)} data-testid="file-swarm">${icon('swarm')} Watch the swarm</a></p>`
              : nothing
          }
        </div>
      </article>
      <gyre-consent></gyre-consent>
      ${this.file && (swarm || !this.#listed) ? html`<gyre-preview .file=${this.file} .complete=${done}></gyre-preview>` : nothing}
      <div class="file-panels">
        <gyre-peer-list></gyre-peer-list>
        <gyre-storage></gyre-storage>
      </div>`;
  }

  private get cid(): string {
    return /f\/([^?]+)/.exec(this.fragment)?.[1] ?? '';
  }

  private get swarm(): SwarmInfo | undefined {
    return session.swarms.find((swarm) => swarm.cid === this.cid);
  }

  private get searching(): boolean {
    return !this.file && !this.problem && !this.cancelled;
  }

  private get failure(): Pick<GyreError, 'code' | 'message'> | null {
    if (this.problem) return this.problem;
    // Without a file a search runs, whatever an earlier one came to.
    const swarm = this.file ? this.swarm : undefined;
    if (swarm?.state !== 'failed' || !swarm.error) return null;
    return GyreError.from(Object.assign(new Error(swarm.error.message), { code: swarm.error.code }));
  }

  private sizeWords(swarm: SwarmInfo | undefined): string {
    if (this.file) {
      const size = swarm ? sizeLine(swarm) : formatBytes(this.file.size);
      const type = typeLabel(this.file.type);
      return type === '' ? size : `${size} · ${type}`;
    }
    return this.searching ? 'Name and size are known once a peer has answered' : '';
  }

  private progress(swarm: SwarmInfo | undefined): unknown {
    const line = this.stateLine(swarm);
    const searching = this.searching || swarm?.state === 'finding';
    const value = swarm && this.file ? percent(swarm.have, swarm.size) : 0;
    return html`<gyre-bar data-testid="file-progress" aria-label="Fetched" .value=${value} ?busy=${searching}></gyre-bar>
      <p class="file-line tabular" data-testid="file-state" data-state=${line.state}>${line.words}</p>
      ${
        swarm && swarm.state !== 'complete'
          ? serverTroubles(swarm).map((words) => html`<p class="file-line soft" data-testid="file-server">${words}</p>`)
          : nothing
      }`;
  }

  private stateLine(swarm: SwarmInfo | undefined): { state: string; words: string } {
    if (this.cancelled) {
      const discarded = this.cancelled === 'part' ? ' What had arrived was discarded.' : '';
      return { state: 'cancelled', words: `Cancelled.${discarded}` };
    }
    if (session.phase === 'loading') return { state: 'waiting', words: 'Starting the peer of this page…' };
    if (session.phase === 'failed') return { state: 'waiting', words: 'Waiting until the peer of this page can start' };
    if (!this.file) {
      return session.phase === 'joined' || session.phase === 'peers'
        ? { state: 'finding', words: 'Looking for somebody who has it…' }
        : { state: 'finding', words: 'Joining, then looking for somebody who has it…' };
    }
    if (!swarm && !this.#listed) return { state: 'waiting', words: 'Opening…' };
    if (!swarm) return { state: 'removed', words: 'No longer in this browser' };
    const eta = this.#eta.note(swarm.have, swarm.size, swarm.downRate, performance.now());
    return { state: swarm.state, words: swarmLine(swarm, eta) };
  }

  private actions(swarm: SwarmInfo | undefined): unknown {
    if (this.failure) return nothing;
    if (this.cancelled || (this.file && !swarm && this.#listed)) {
      return html`<button class="button primary" data-testid="file-retry" @click=${() => this.retry()}>${icon('retry')} Fetch it again</button>`;
    }
    if (swarm && this.file && swarm.state === 'complete') {
      const link = session.linkOf(swarm.cid);
      return html`${this.saveButton('Save', 'button primary')}
        ${link === null ? nothing : html`<gyre-copy class="row" .link=${link} .name=${this.file.name}></gyre-copy>`}`;
    }
    const { cid } = this;
    return html`
      ${
        swarm && this.file && (swarm.state === 'fetching' || swarm.state === 'finding')
          ? html`<button class="button" data-testid="file-pause" @click=${() => session.act((gyre) => gyre.pause(cid))}>${icon('pause')} Pause</button>`
          : nothing
      }
      ${
        swarm && this.file && swarm.state === 'paused'
          ? html`<button class="button primary" data-testid="file-resume" @click=${() => session.act((gyre) => gyre.resume(cid))}>${icon('play')} Go on</button>`
          : nothing
      }
      ${swarm && this.file && this.file.size >= EARLY_SAVE_BYTES ? this.saveButton('Save while it arrives', 'button') : nothing}
      <button class="button" data-testid="file-cancel" @click=${this.cancel}>${icon('close')} Cancel</button>
    `;
  }

  private saveButton(words: string, style: string): unknown {
    return html`<button class=${style} data-testid="file-save" ?disabled=${this.saving !== null} @click=${this.save}>
      ${icon('save')} ${this.saving === null ? words : `Saving… ${this.saving} %`}
    </button>`;
  }

  private async openLink(): Promise<void> {
    this.release();
    this.problem = null;
    this.cancelled = null;
    this.#eta = new Eta();
    this.#listed = false;
    const abort = (this.#abort = new AbortController());
    try {
      // A link that is broken is said to be so before the peer has started.
      parseLink(this.fragment);
      const gyre = await session.ready(abort.signal);
      const paused = gyre.swarm(this.cid)?.state === 'paused';
      const file = await gyre.open(this.fragment, { signal: abort.signal });
      // To look at a file is no wish to go on fetching it.
      if (paused) await gyre.pause(this.cid);
      if (abort.signal.aborted) file.close();
      else this.file = file;
    } catch (thrown) {
      if (abort.signal.aborted) return;
      this.problem = GyreError.from(thrown);
      if (this.problem.code === 'NOT_FOUND') this.#again = setTimeout(() => void this.openLink(), AGAIN_MS);
    }
  }

  private retry(): void {
    if (this.file && this.swarm) void session.act((gyre) => gyre.resume(this.cid));
    else void this.openLink();
  }

  private async cancel(): Promise<void> {
    const held = this.swarm !== undefined;
    this.release();
    this.cancelled = (this.swarm?.chunksHave ?? 0) > 0 ? 'part' : 'nothing';
    if (held) await session.remove(this.cid);
  }

  private async save(): Promise<void> {
    const file = this.file;
    if (!file || this.saving !== null) return;
    this.saving = 0;
    try {
      const whole = this.swarm?.state === 'complete';
      const saved = await saveFile(file, whole, (done) => (this.saving = percent(done, file.size)));
      if (saved === 'downloading') session.notify('The browser saves it. Keep this page open until it is done.');
    } catch (thrown) {
      session.notify(`Saving failed: ${GyreError.from(thrown).message}`);
    } finally {
      this.saving = null;
    }
  }

  private release(): void {
    clearTimeout(this.#again);
    this.#abort?.abort();
    this.#abort = null;
    this.file?.close();
    this.file = null;
  }
}

const TITLE = document.title;
/** Bytes from which on a file may be saved while it arrives; smaller ones are here before the button is found. */
const EARLY_SAVE_BYTES = 16 * 1024 * 1024;
/** Milliseconds until a file that nobody had is looked for again. */
const AGAIN_MS = 60_000;
