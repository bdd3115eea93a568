/** Publishing a site, one step after the other; what is under way goes on while other pages are looked at. */

import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import '../components/bars.js';
import '../components/change-card.js';
import '../components/error-note.js';
import type { Gather } from '../components/folder-picker.js';
import '../components/folder-picker.js';
import { icon } from '../components/icons.js';
import '../components/keys-needed.js';
import '../components/plan-card.js';
import '../components/published-card.js';
import { SessionElement } from '../element.js';
import { FolderError } from '../lib/folder.js';
import { count, formatDuration, percent } from '../lib/format.js';
import { mySites } from '../lib/my-sites.js';
import type { Stage } from '../lib/publication.js';
import { progressWords } from '../lib/publish-words.js';
import { publishAddress } from '../lib/router.js';
import { publication } from '../publishing.js';
import '../styles/sites.css';
import { watch } from '../watching.js';

@customElement('gyre-publish-page')
export class PublishPage extends SessionElement {
  /** Number of the person's site that gets a new version. */
  @property({ attribute: false }) site: number | null = null;

  constructor() {
    super();
    watch(this, publication, mySites);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = 'Publish a site – Gyre';
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.title = TITLE;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('site')) publication.begin(this.site);
  }

  protected override updated(): void {
    // Whoever comes back here shall see how it stands.
    const address = publishAddress(publication.site);
    if (publication.stage === 'done' && location.hash !== address) location.replace(address);
  }

  protected override render(): unknown {
    const { stage, before } = publication;
    return html`<a class="back soft" href="#/sites">${icon('back')} Sites</a>
      <div class="hero hero-small">
        <h1>${before && publication.change?.previous !== null ? html`Update <span class="wrap">${before.title}</span>` : 'Publish a web site'}</h1>
        ${stage === 'choose' ? html`<p class="lead">A folder of pages gets an address that stays. Everyone who reads it helps to keep it up: no server, no account.</p>` : nothing}
      </div>
      ${steps(stage)}
      <div class="publish" aria-busy=${publication.busy ? 'true' : 'false'}>${this.stage(stage)}</div>`;
  }

  private stage(stage: Stage): unknown {
    switch (stage) {
      case 'choose':
        return html`${this.problem()} ${this.interrupted()} ${this.picker(false)}
          <p class="hint">Choose the folder with the finished pages, in which index.html lies: what your editor saved, or what a tool such as Hugo, Jekyll, Astro or Vite has built. It stays on your disk as it is.</p>`;
      case 'gathering':
        return html`<section class="card"><h2>Looking at the folder…</h2>
          <gyre-bar aria-label="Looking at the folder" busy></gyre-bar>
          <p class="soft tabular" role="status">${count(publication.found, 'file')} found</p>
          <div class="row"><button class="button" @click=${() => publication.cancel()}>${icon('close')} Cancel</button></div></section>`;
      case 'plan':
        return html`${this.problem()}
          ${publication.cancelled ? html`<p class="note note-warm" role="status" data-testid="publish-cancelled">${icon('pause')}<span>Cancelled. Nothing was signed. Files that were stored already are not stored again when you go on.</span></p>` : nothing}
          <gyre-plan></gyre-plan> ${this.picker(true)}`;
      case 'keys':
        return html`<gyre-keys-needed ?fresh=${publication.site === null} @gyre-keys-ready=${() => void publication.publish()}></gyre-keys-needed>
          <p><button class="text-button" @click=${() => publication.cancel()}>Back to the site</button></p>`;
      case 'storing':
      case 'signing':
        return this.progress(stage);
      case 'review':
        return publication.change ? html`<gyre-review .change=${publication.change} @gyre-answer=${(event: CustomEvent<boolean>) => publication.answer(event.detail)}></gyre-review>` : nothing;
      case 'done':
        return html`<gyre-published></gyre-published>
          <div class="row">
            <a class="button" href="#/sites">My sites</a>
            <button class="button quiet" data-testid="publish-again" @click=${() => publication.restart(publication.site)}>Publish a newer version</button>
            <a class="button quiet" href=${publishAddress()} @click=${() => publication.restart(null)}>Publish another site</a>
          </div>`;
    }
  }

  private progress(stage: 'storing' | 'signing'): unknown {
    const { progress, eta } = publication;
    const folder = publication.whole ?? publication.folder;
    const done = progress?.bytes ?? 0;
    const whole = folder?.bytes ?? 0;
    return html`<section class="card" aria-labelledby="storing-title" data-testid="storing" data-stage=${stage}>
      <h2 id="storing-title">${stage === 'signing' ? 'Signing it, and telling others…' : progress ? 'Taking it in…' : 'Waiting for the peer of this page…'}</h2>
      <gyre-bar data-testid="publish-progress" aria-label="Taken in" .value=${stage === 'signing' ? 100 : percent(done, whole)} ?busy=${stage === 'signing' || whole === 0 || !progress}></gyre-bar>
      <p class="soft tabular">${progress && folder ? progressWords(progress, folder.files.length, folder.bytes) : ''}${eta === null || stage === 'signing' ? '' : ` · ${formatDuration(eta)} left`}</p>
      <p class="soft clip publish-path">${stage === 'signing' ? '' : (progress?.path ?? '')}</p>
      <div class="row"><button class="button" data-testid="publish-cancel" @click=${() => publication.cancel()}>${icon('close')} Cancel</button></div>
      <p class="hint">It is stored in this browser, ready to be fetched. You may look at other pages meanwhile; keep the tab open.</p>
    </section>`;
  }

  private picker(compact: boolean): unknown {
    return html`<gyre-folder-picker ?compact=${compact} @gyre-folder=${(event: CustomEvent<Gather>) => void publication.choose(event.detail)}></gyre-folder-picker>`;
  }

  private problem(): unknown {
    const { problem } = publication;
    if (!problem) return nothing;
    if (!(problem instanceof FolderError)) return html`<gyre-error subject="publish" .error=${problem} .retry=${publication.folder ? () => void publication.publish() : null}></gyre-error>`;
    return html`<div class="note note-bad" role="alert" data-testid="folder-problem">${icon('alert')}<div class="note-text"><strong>That did not work</strong><p class="wrap">${problem.message}</p></div></div>`;
  }

  private interrupted(): unknown {
    const { interrupted } = publication;
    if (!interrupted) return nothing;
    const { title, folder, site } = interrupted;
    const elsewhere = site !== this.site;
    return html`<div class="note note-warm" role="status" data-testid="publish-interrupted">${icon('pause')}
      <div class="note-text"><strong>“${title}” was not finished</strong>
        <p>${folder === '' ? 'Choose the same files again' : html`Choose its folder <span class="wrap">${folder}</span> again`}, and it goes on: what is stored already is not stored again.</p>
        <div class="row">
          ${elsewhere ? html`<a class="button" href=${publishAddress(site)}>Go on with it</a>` : nothing}
          <button class="button quiet" @click=${() => publication.dismissInterrupted()}>Forget it</button>
        </div></div></div>`;
  }
}

/** Where one stands. */
function steps(stage: Stage): unknown {
  const at = STEPS.findIndex(({ stages }) => stages.includes(stage));
  return html`<ol class="steps" aria-label="Steps">
    ${STEPS.map(({ name }, i) => html`<li class=${i < at ? 'done' : i === at ? 'now' : ''} aria-current=${i === at ? 'step' : nothing}>${name}</li>`)}
  </ol>`;
}

const STEPS: readonly { name: string; stages: readonly Stage[] }[] = [
  { name: 'Choose', stages: ['choose', 'gathering'] },
  { name: 'Look', stages: ['plan', 'keys'] },
  { name: 'Publish', stages: ['storing', 'review', 'signing'] },
  { name: 'Pass on', stages: ['done'] },
];
const TITLE = document.title;
