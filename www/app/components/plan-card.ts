/** What the chosen folder will be as a site, and the few things the person decides. */

import { html, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { PlainElement } from '../element.js';
import { count, formatBytes } from '../lib/format.js';
import type { Folder } from '../lib/folder.js';
import type { SitePlan } from '../lib/site-plan.js';
import { publication } from '../publishing.js';
import { session } from '../session.js';
import { watch } from '../watching.js';
import { openSettings } from './events.js';
import { icon } from './icons.js';

@customElement('gyre-plan')
export class PlanElement extends PlainElement {
  constructor() {
    super();
    watch(this, publication, session);
  }

  protected override firstUpdated(): void {
    this.querySelector<HTMLElement>('h2')?.focus({ preventScroll: true });
  }

  protected override render(): unknown {
    const { folder, plan, before } = publication;
    if (!folder || !plan) return nothing;
    return html`<form class="card plan" aria-labelledby="plan-title" novalidate data-testid="plan" @submit=${this.publish}>
      <h2 id="plan-title" tabindex="-1">${before ? `A new version of “${before.title}”` : 'This will be your site'}</h2>
      <div>
        <label class="label" for="site-title">What it is called</label>
        <input id="site-title" class="field" maxlength="100" data-testid="site-title" .value=${publication.title} @input=${(event: Event) => publication.edit({ title: (event.target as HTMLInputElement).value })} />
      </div>
      ${plan.index === null ? this.noIndex(plan) : nothing}
      <dl class="facts tabular">
        ${folder.name === '' ? nothing : html`<div><dt>Folder</dt><dd class="wrap">${folder.name}</dd></div>`}
        <div><dt>Files</dt><dd data-testid="plan-files">${count(folder.files.length, 'file')}, ${formatBytes(folder.bytes)}</dd></div>
        <div><dt>First page</dt><dd>${plan.index ?? 'none'}</dd></div>
      </dl>
      ${plan.index === null ? nothing : this.application(folder)}
      ${this.owner()}
      ${this.room(folder)}
      ${plan.warnings.map((words) => html`<p class="hint warm" data-testid="plan-warning">${words}</p>`)}
      ${plan.notes.length > 0 ? html`<ul class="plan-notes soft" data-testid="plan-notes">${plan.notes.map((words) => html`<li class="wrap">${words}</li>`)}</ul>` : nothing}
      <p class="hint">A site is public: anybody with its address can read all of it, and copies that others keep cannot be called back.</p>
      <div class="row">
        <button class="button primary large" data-testid="publish-button">${icon('up')} ${publication.cancelled ? 'Go on' : before ? 'Publish the new version' : 'Publish'}</button>
      </div>
    </form>`;
  }

  private noIndex(plan: SitePlan): unknown {
    return html`<div class="note note-warm" role="alert" data-testid="no-index">${icon('alert')}
      <div class="note-text"><strong>There is no index.html at the top</strong>
        <p>${
          plan.roots.length > 0
            ? 'Whoever opens the address would find nothing there. Is the site in one of these folders?'
            : 'Whoever opens the address will find nothing there, only the files by their own addresses. If a tool makes your site, choose the folder that it writes to.'
        }</p>
        ${plan.roots.length > 0 ? html`<div class="row">${plan.roots.map((root) => html`<button type="button" class="button" data-testid="use-root" @click=${() => publication.choosePart(root)}>Only ${root}/</button>`)}</div>` : nothing}
      </div></div>`;
  }

  private application(folder: Folder): unknown {
    const page = folder.files.some(({ path }) => path === '200.html') ? '200.html' : 'index.html';
    const on = publication.fallback !== null;
    return html`<label class="choice">
      <input type="checkbox" role="switch" class="switch" data-testid="site-spa" aria-labelledby="spa-name" aria-describedby="spa-what" .checked=${on} @change=${(event: Event) => publication.edit({ fallback: (event.target as HTMLInputElement).checked ? page : null })} />
      <span><strong id="spa-name">It is one page that does its own navigation</strong>
        <span id="spa-what" class="soft">${on ? `Addresses that are no file show ${page}: right for an application of one page.` : 'Off: an address that is no file shows “not found”, as on most sites.'}</span></span>
    </label>`;
  }

  /** Asked of whoever has an identity. It is off at first: a site need not tell whose it is. */
  private owner(): unknown {
    const { ownership, claimed } = publication;
    if (!ownership) return nothing;
    return html`<label class="choice">
      <input type="checkbox" role="switch" class="switch" data-testid="site-mine" aria-labelledby="mine-name" aria-describedby="mine-what" .checked=${claimed} @change=${(event: Event) => publication.edit({ claimed: (event.target as HTMLInputElement).checked })} />
      <span><strong id="mine-name">Say that this site is mine</strong>
        <span id="mine-what" class="soft">${claimed ? '' : 'Off. '}It links the site to your mail identity <code>dmail:${ownership.id.slice(0, 8)}…</code>, for everybody to see; readers follow you if you move it to another address.</span></span>
    </label>`;
  }

  private room(folder: Folder): unknown {
    const storage = session.stats?.storage;
    if (!storage || storage.quota === 0 || storage.used + folder.bytes <= storage.quota) return nothing;
    return html`<p class="hint warm" data-testid="plan-room">It has ${formatBytes(folder.bytes)}, and ${formatBytes(Math.max(0, storage.quota - storage.used))} of the room that you allow is free. What is not kept on purpose makes way; if that is not enough, it stops.
      <button type="button" class="text-button" @click=${() => openSettings(this)}>Allow more</button></p>`;
  }

  private publish(event: SubmitEvent): void {
    event.preventDefault();
    void publication.publish();
  }
}
