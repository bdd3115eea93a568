/**
 * The swarm of one file, to watch: who has what, what flows to and from this peer, and how it came here.
 *
 * The node is asked for a chart twice a second while this page is open and seen, and else not at all. What is drawn is
 * what this peer knows, and the page says so.
 */

import type { SwarmChart, SwarmInfo } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import '../components/chunk-map.js';
import '../components/consent-card.js';
import { icon } from '../components/icons.js';
import '../components/rate-chart.js';
import '../components/swarm-ring.js';
import '../components/swarm-table.js';
import { SessionElement } from '../element.js';
import { FlowHistory } from '../lib/flow-history.js';
import { displayName, formatBytes, percent, shortId } from '../lib/format.js';
import { reducedMotion } from '../lib/motion.js';
import { Eta } from '../lib/rate.js';
import { sparkBytes } from '../lib/ring.js';
import { sizeLine, swarmLine } from '../lib/status.js';
import { Announcer, Colours, Elsewhere, OTHERS, flowWords, peerPercent, peerWords, rarest, swarmSummary } from '../lib/swarm-chart.js';
import { session } from '../session.js';
import '../styles/swarm.css';

@customElement('gyre-swarm-page')
export class SwarmPage extends SessionElement {
  @property() cid = '';
  @state() private chart: SwarmChart | null = null;
  @state() private selected: string | null = null;
  #colours = new Colours();
  #elsewhere = new Elsewhere();
  #fromOthers: ReadonlyMap<string, number> = new Map();
  #history = new FlowHistory();
  #announcer = new Announcer();
  #eta = new Eta();
  #looks = 0;
  /** Bumped whenever what is under way counts no more. */
  #watch = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #shown = (): void => (document.hidden ? this.stop() : this.start());

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('visibilitychange', this.#shown);
    if (this.hasUpdated) this.#shown();
  }

  override disconnectedCallback(): void {
    document.removeEventListener('visibilitychange', this.#shown);
    this.stop();
    document.title = TITLE;
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('cid')) return;
    this.chart = null;
    this.selected = null;
    this.#colours = new Colours();
    this.#elsewhere = new Elsewhere();
    this.#fromOthers = new Map();
    this.#history = new FlowHistory();
    this.#announcer = new Announcer();
    this.#eta = new Eta();
    this.#shown();
  }

  protected override updated(): void {
    const swarm = this.swarm;
    document.title = swarm ? `Swarm of ${displayName(swarm.name, this.cid)} – Gyre` : TITLE;
  }

  protected override render(): unknown {
    const swarm = this.swarm;
    if (!swarm) return html`${back('#/', 'Share and open files')}${this.absent()}`;
    const name = displayName(swarm.name, swarm.cid);
    const { chart } = this;
    const here = percent(swarm.chunksHave, swarm.chunks || null);
    const left = swarm.state === 'fetching' ? this.#eta.note(swarm.have, swarm.size, swarm.downRate, performance.now()) : null;
    return html`${swarm.fragment === null ? back('#/', 'Share and open files') : back(swarm.fragment, 'The file')}
      <header class="swarm-head">
        <h1 class="file-name" data-testid="swarm-name"><span class="over">The swarm of</span> ${name}</h1>
        <p class="soft tabular"><span>${swarmLine(swarm, left)}</span> · <span>${sizeLine(swarm)}</span></p>
      </header>
      <gyre-consent></gyre-consent>
      <p class="visually-hidden" role="status" data-testid="swarm-status">${this.#announcer.note(here, chart?.peersTotal ?? 0, swarmSummary(swarm, chart), performance.now())}</p>
      <div class="swarm-top" @gyre-look=${(event: CustomEvent<string | null>) => (this.selected = event.detail)}>
        <section class="swarm-stage" aria-label="The swarm, drawn">
          <gyre-swarm-ring .chart=${chart} .colours=${this.#colours} .elsewhere=${this.#fromOthers} .selected=${this.selected} .percent=${here} .word=${coreWord(swarm)}></gyre-swarm-ring>
          <div class="swarm-caption">${this.caption(swarm, chart)}</div>
        </section>
        ${chart ? html`<gyre-chunk-map .chart=${chart} .colours=${this.#colours} .peer=${this.lookedAt()}></gyre-chunk-map>` : nothing}
      </div>
      ${
        chart
          ? html`<gyre-rate-chart .history=${this.#history} .names=${this.names(chart)} .looks=${this.#looks}></gyre-rate-chart>
            <gyre-swarm-table .chart=${chart} .colours=${this.#colours} .elsewhere=${this.#fromOthers} @gyre-look=${(event: CustomEvent<string | null>) => (this.selected = event.detail)}></gyre-swarm-table>`
          : nothing
      }
      <p class="swarm-honest soft">This is the swarm as this browser sees it: what its neighbours say they have, and what flows between them and you.
        What two others send each other is not known here, so it is not drawn; where a neighbour’s share grows by more than you gave it, light comes in from outside the ring.</p>`;
  }

  private get swarm(): SwarmInfo | undefined {
    return session.swarms.find((swarm) => swarm.cid === this.cid);
  }

  private lookedAt(): SwarmChart['peers'][number] | null {
    return this.chart?.peers.find((peer) => peer.peerId === this.selected) ?? null;
  }

  private absent(): unknown {
    const waiting = session.phase === 'loading' || (session.stats === null && session.phase !== 'failed');
    return html`<div class="hero">
      <h1>${waiting ? 'One moment…' : 'Not in this browser'}</h1>
      <p class="lead" data-testid="swarm-absent">${
        waiting
          ? 'The peer of this page is starting.'
          : session.phase === 'failed'
            ? 'The peer of this page could not be started, so there is nothing to watch.'
            : 'This file is not held here. Open its link first; then its swarm can be watched.'
      }</p>
    </div>`;
  }

  /** What stands below the ring: the neighbour that is looked at, or the swarm as a whole. */
  private caption(swarm: SwarmInfo, chart: SwarmChart | null): unknown {
    const peer = this.lookedAt();
    if (peer && chart) {
      const others = this.#fromOthers.get(peer.peerId) ?? 0;
      return html`<p><i class=${`cell stored q4 peer-${this.#colours.of(peer.peerId)}`} aria-hidden="true"></i> <code>${shortId(peer.peerId)}</code> ${peerWords(peer, others)}</p>
        <p class="soft tabular">has ${peerPercent(peer, chart.chunks)} % · in ${flowWords(peer.downRate)} (${formatBytes(peer.down)}) · out ${flowWords(peer.upRate)} (${formatBytes(peer.up)})${others > 0 ? ` · from others about ${flowWords(others)}` : ''}</p>`;
    }
    return html`<p data-testid="swarm-summary">${swarmSummary(swarm, chart)} ${chart ? rarest(chart) : ''}</p>
      <p class="soft flow-key">${this.flowKey(chart?.peers ?? [])}</p>`;
  }

  private flowKey(peers: SwarmChart['peers']): unknown {
    const rates = peers.flatMap(({ downRate, upRate }) => [downRate, upRate]);
    if (rates.every((rate) => rate === 0)) {
      return session.stats?.uploadHold == null ? 'Nothing flows right now.' : 'Nothing flows right now, and nothing may be sent from here: see the settings.';
    }
    return html`
      ${peers.some(({ downRate }) => downRate > 0) ? html`<span><i class="key key-in"></i>comes in, in the colour of who sends it</span>` : nothing}
      ${peers.some(({ upRate }) => upRate > 0) ? html`<span><i class="key key-out"></i>goes out</span>` : nothing}
      <span>${reducedMotion() ? 'broader is faster' : `a spark is ${formatBytes(sparkBytes(rates))}`}</span>`;
  }

  private names(chart: SwarmChart): Map<number, string> {
    const names = new Map<number, string>();
    for (const { peerId } of chart.peers) {
      const colour = this.#colours.of(peerId);
      names.set(colour, colour === OTHERS ? 'others' : shortId(peerId));
    }
    return new Map([...names].sort(([a], [b]) => a - b));
  }

  private start(): void {
    this.stop();
    const watch = this.#watch;
    void this.look(watch);
  }

  private stop(): void {
    this.#watch += 1;
    clearTimeout(this.#timer);
  }

  private async look(watch: number): Promise<void> {
    const again = (): void => {
      if (watch === this.#watch) this.#timer = setTimeout(() => void this.look(watch), LOOK_MS);
    };
    // The tab that runs the peer may have gone with the question.
    const late = setTimeout(() => watch === this.#watch && this.start(), LATE_MS);
    try {
      const gyre = await session.ready();
      const chart = gyre.swarm(this.cid) ? await gyre.chart(this.cid) : null;
      if (watch === this.#watch) this.take(chart);
    } catch {
      // It was removed, or the peer moves to another tab: the next look tells.
    } finally {
      clearTimeout(late);
      again();
    }
  }

  private take(chart: SwarmChart | null): void {
    const now = performance.now();
    if (chart) {
      this.#colours.note(chart);
      this.#fromOthers = this.#elsewhere.note(chart, now);
      this.#history.note(chart, this.#colours, now);
      this.#looks += 1;
    }
    this.chart = chart;
  }
}

function back(address: string, words: string): unknown {
  return html`<a class="back soft" href=${address}>${icon('back')} ${words}</a>`;
}

function coreWord(swarm: SwarmInfo): string {
  switch (swarm.state) {
    case 'complete':
      return swarm.upRate > 0 ? 'you, giving' : 'you';
    case 'paused':
      return 'paused';
    case 'finding':
      return 'looking';
    case 'failed':
      return 'stopped';
    default:
      return 'you';
  }
}

const TITLE = document.title;
/** Milliseconds between two looks. */
const LOOK_MS = 500;
/** Milliseconds after which a look that was not answered is given up. */
const LATE_MS = 15_000;
