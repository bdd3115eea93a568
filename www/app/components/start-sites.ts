/** The person's sites on the start page: a few of them, and the way to all. Nothing while there are none. */

import type { HeldSite } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { PlainElement } from '../element.js';
import { knownSites } from '../lib/known-sites.js';
import { mySites } from '../lib/my-sites.js';
import { petnames, siteLabel } from '../lib/petnames.js';
import { siteAddress } from '../lib/router.js';
import { startSites, type StartSite } from '../lib/start-sites.js';
import { visits } from '../lib/visits.js';
import { session } from '../session.js';
import '../styles/start-sites.css';
import { watch } from '../watching.js';
import { icon } from './icons.js';

// Above the element: where it is in the page already, it starts as soon as it is defined.
const KINDS = { mine: ['globe', 'Yours'], kept: ['pin', 'Kept'], visited: ['clock', 'Visited'] } as const;
/** Milliseconds between two looks at what is here. */
const LOOK_MS = 5_000;

@customElement('gyre-start-sites')
export class StartSitesElement extends PlainElement {
  @state() private held: readonly HeldSite[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    watch(this, mySites, visits, petnames);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.look();
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
  }

  override disconnectedCallback(): void {
    clearInterval(this.#timer);
    super.disconnectedCallback();
  }

  protected override render(): unknown {
    const mine = mySites.all();
    const known = knownSites(this.held, visits.all(), mine);
    const shown = startSites(mine, known);
    if (shown.length === 0) return nothing;
    const all = mine.length + known.length;
    return html`<section aria-labelledby="start-sites-title" data-testid="start-sites">
      <header class="section-head"><h2 id="start-sites-title">Your sites</h2><a href="#/sites" data-testid="all-sites">${all > shown.length ? `All ${all}` : 'All about them'}</a></header>
      <ul class="start-sites">${repeat(shown, ({ address }) => address, tile)}</ul>
    </section>`;
  }

  /** What is kept, only the node knows. */
  private async look(): Promise<void> {
    if (document.hidden) return;
    try {
      this.held = await (await session.ready()).sites();
    } catch {
      // The peer moves to another tab: the next look tells.
    }
  }
}

function tile({ address, title, kind, alone }: StartSite): unknown {
  const label = siteLabel(address, title);
  const [drawing, words] = KINDS[kind];
  return html`<li><a class="start-site" href=${siteAddress(address)} title=${label} data-testid="start-site" data-kind=${kind} data-address=${address}>
    <span class="start-site-sign" aria-hidden="true">${icon(drawing)}</span>
    <span class="clip start-site-name">${label}</span>
    <span class="clip soft">${alone ? 'Yours, only here yet' : words}</span>
  </a></li>`;
}
