/**
 * This peer in the middle, its neighbours around it, and what flows between them as sparks of light.
 *
 * Discs, arcs and names are SVG, each neighbour a button; the light lies under them on a canvas. Frames are asked for only
 * while something moves and the drawing is seen; whoever wants no motion gets arrows, drawn anew with each chart.
 */

import type { ChartPeer, SwarmChart } from 'gyre';
import { html, nothing, svg, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { PlainElement } from '../element.js';
import { formatRate, liveRate, shortId } from '../lib/format.js';
import { onMotionChange, reducedMotion } from '../lib/motion.js';
import { RingMotion, angleOf, ringLayout, type RingLayout } from '../lib/ring.js';
import { peerPercent, peerWords, type Colours } from '../lib/swarm-chart.js';
import { viaLabel } from '../lib/status.js';
import { lookAt } from './events.js';
import { ink } from './ink.js';
import { paintRing } from './ring-paint.js';

@customElement('gyre-swarm-ring')
export class SwarmRingElement extends PlainElement {
  @property({ attribute: false }) chart: SwarmChart | null = null;
  @property({ attribute: false }) colours!: Colours;
  @property({ attribute: false }) elsewhere: ReadonlyMap<string, number> = new Map();
  /** The neighbour that is looked at. */
  @property({ attribute: false }) selected: string | null = null;
  /** Whole percent here. */
  @property({ type: Number }) percent = 0;
  /** A word for the middle. */
  @property() word = '';
  @state() private width = 0;
  @state() private height = 0;
  readonly #motion = new RingMotion();
  readonly #resized = new ResizeObserver(() => this.measure());
  readonly #watched = new IntersectionObserver(([entry]) => this.seen(entry?.isIntersecting ?? true));
  #layout: RingLayout | null = null;
  #frame = 0;
  #last = 0;
  #visible = true;
  #unlisten: () => void = () => undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#resized.observe(this);
    this.#watched.observe(this);
    this.#unlisten = onMotionChange(() => this.requestUpdate());
  }

  override disconnectedCallback(): void {
    this.#resized.disconnect();
    this.#watched.disconnect();
    this.#unlisten();
    this.stop();
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('chart') || changed.has('elsewhere')) {
      const rates = (peer: ChartPeer): { down: number; up: number; elsewhere: number } => ({
        down: peer.downRate,
        up: peer.upRate,
        elsewhere: this.elsewhere.get(peer.peerId) ?? 0,
      });
      this.#motion.update(this.peers.map((peer) => ({ id: peer.peerId, rates: rates(peer) })));
    }
    this.#layout = this.width > 0 ? ringLayout(this.width, this.height, this.peers.length) : null;
    if (this.#layout) this.#motion.fit(this.#layout);
  }

  protected override render(): unknown {
    const layout = this.#layout;
    const total = (this.chart?.peersTotal ?? 0) - this.peers.length;
    return html`<canvas class="ring-light" aria-hidden="true"></canvas>
      ${layout ? this.drawing(layout) : nothing}
      ${total > 0 ? html`<p class="ring-more soft">and ${total} more, not drawn</p>` : nothing}`;
  }

  protected override updated(): void {
    const canvas = this.querySelector('canvas');
    if (!canvas || !this.#layout) return;
    const scale = Math.min(devicePixelRatio || 1, MAX_SCALE);
    const [width, height] = [Math.round(this.width * scale), Math.round(this.height * scale)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (reducedMotion()) {
      this.stop();
      this.#motion.settle();
    }
    this.paint();
    this.go();
  }

  private get peers(): readonly ChartPeer[] {
    return this.chart?.peers ?? [];
  }

  private drawing({ centre, core, node, labels }: RingLayout): unknown {
    const circumference = 2 * Math.PI * (core - 5);
    return html`<svg class="ring-discs" viewBox=${`0 0 ${this.width} ${this.height}`} width=${this.width} height=${this.height} role="group" aria-label="The peers of this file that are linked to you">
      <g class="ring-core" aria-hidden="true" transform=${`translate(${centre.x} ${centre.y})`}>
        <circle class="ring-core-disc" r=${core}></circle>
        <circle class="ring-track" r=${core - 5}></circle>
        ${this.percent > 0 ? svg`<circle class="ring-mine" r=${core - 5} transform="rotate(-90)" stroke-dasharray=${`${(circumference * this.percent) / 100} ${circumference}`}></circle>` : nothing}
        <text class="ring-percent" y="2">${this.percent} %</text>
        <text class="ring-word" y="22">${this.word}</text>
      </g>
      ${repeat(
        this.peers,
        (peer) => peer.peerId,
        // Names of the upper ones stand above, where no light passes.
        (peer, at) => this.disc(peer, node, labels, Math.sin(angleOf(at, this.peers.length)) < -0.35),
      )}
    </svg>`;
  }

  private disc(peer: ChartPeer, radius: number, labels: boolean, above: boolean): unknown {
    const chunks = this.chart?.chunks ?? 0;
    const has = peerPercent(peer, chunks);
    const colour = this.colours.of(peer.peerId);
    const arc = 2 * Math.PI * radius;
    const chosen = this.selected === peer.peerId;
    const flow = liveRate(peer.downRate + peer.upRate);
    const look = (): void => lookAt(this, peer.peerId);
    const leave = (): void => lookAt(this, null);
    return svg`<g class=${`ring-peer peer-${colour} via-${peer.via}${chosen ? ' chosen' : ''}`} tabindex="0" role="button" aria-pressed=${chosen}
      data-testid="swarm-peer" data-peer=${peer.peerId} aria-label=${peerLabel(peer, has, this.elsewhere.get(peer.peerId) ?? 0)}
      @pointerenter=${look} @pointerleave=${leave} @focus=${look} @blur=${leave} @click=${look}>
      <circle class="ring-hit" r=${Math.max(radius + 6, 14)}></circle>
      <circle class="ring-disc" r=${radius}></circle>
      <circle class="ring-track" r=${radius}></circle>
      <circle class="ring-has" r=${radius} transform="rotate(-90)" stroke-dasharray=${`${(arc * has) / 100} ${arc}`}></circle>
      ${radius >= 15 ? (has === 100 ? svg`<path class="ring-tick" d="M-6 0.5 -2 4.5 6 -4"></path>` : svg`<text class="ring-share" y="4">${has}</text>`) : nothing}
      ${
        labels
          ? svg`<text class="ring-name" y=${above ? -radius - 27 : radius + 17}>${shortId(peer.peerId)}</text>
            <text class="ring-flow" y=${above ? -radius - 12 : radius + 32}>${peer.via === 'relayed' ? 'via relay' : flow}</text>`
          : nothing
      }
    </g>`;
  }

  private measure(): void {
    const { width, height } = this.getBoundingClientRect();
    [this.width, this.height] = [Math.round(width), Math.round(height)];
  }

  private seen(visible: boolean): void {
    this.#visible = visible;
    if (visible) this.go();
    else this.stop();
  }

  private go(): void {
    if (this.#frame !== 0 || !this.#visible || !this.isConnected || reducedMotion()) return;
    this.#last = performance.now();
    this.#frame = requestAnimationFrame((now) => this.tick(now));
  }

  private stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  private tick(now: number): void {
    const moving = this.#motion.step(Math.max(0, now - this.#last));
    this.#last = now;
    this.paint();
    this.#frame = moving ? requestAnimationFrame((next) => this.tick(next)) : 0;
  }

  private paint(): void {
    const context = this.querySelector('canvas')?.getContext('2d');
    const layout = this.#layout;
    if (!context || !layout) return;
    const scale = context.canvas.width / Math.max(this.width, 1);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const places = paintRing(context, {
      layout,
      motion: this.#motion,
      ink: ink(),
      still: reducedMotion(),
      peers: this.peers.map((peer) => ({
        id: peer.peerId,
        colour: this.colours.of(peer.peerId),
        faint: this.selected !== null && this.selected !== peer.peerId,
        relayed: peer.via === 'relayed',
        down: peer.downRate,
        up: peer.upRate,
        elsewhere: this.elsewhere.get(peer.peerId) ?? 0,
      })),
    });
    for (const group of this.querySelectorAll<SVGGElement>('.ring-peer')) {
      const place = places.get(group.dataset['peer'] ?? '');
      if (place) group.setAttribute('transform', `translate(${place.x.toFixed(1)} ${place.y.toFixed(1)})`);
    }
  }
}

function peerLabel(peer: ChartPeer, has: number, elsewhere: number): string {
  const flows = [
    peer.downRate >= 500 ? `sends you ${formatRate(peer.downRate)}` : '',
    peer.upRate >= 500 ? `receives ${formatRate(peer.upRate)} from you` : '',
  ].filter((words) => words !== '');
  const rest = flows.length > 0 ? flows.join(', ') : peerWords(peer, elsewhere);
  return `Peer ${shortId(peer.peerId)}, ${viaLabel(peer.via)}, has ${has} %, ${rest}`;
}

/** Device pixels for a CSS pixel at most: more cost time and show nothing. */
const MAX_SCALE = 2;
