/** The light of the ring on a canvas: ways, flows as broad as their rate, sparks with a tail. */

import type { Ink } from './ink.js';
import { along, laneBetween, laneWidth, placeAt, type Lane, type Point, type RingLayout, type RingMotion, type Way } from '../lib/ring.js';

/** One neighbour to paint. */
export interface PaintPeer {
  readonly id: string;
  readonly colour: number;
  /** Another one is looked at. */
  readonly faint: boolean;
  readonly relayed: boolean;
  readonly down: number;
  readonly up: number;
  readonly elsewhere: number;
}

/** What there is to paint. */
export interface RingScene {
  readonly layout: RingLayout;
  readonly motion: RingMotion;
  readonly ink: Ink;
  /** Without motion: arrows instead of sparks. */
  readonly still: boolean;
  readonly peers: readonly PaintPeer[];
}

/** Paints everything under the discs, and returns where these are. */
export function paintRing(context: CanvasRenderingContext2D, scene: RingScene): Map<string, Point> {
  const { layout, motion, ink, peers, still } = scene;
  const largest = Math.max(...peers.map(({ down, up }) => Math.max(down, up)), 1);
  const places = new Map<string, Point>();
  const lanes = new Map<string, Lane>();
  const faint = new Map<string, boolean>();
  context.lineCap = 'round';
  orbit(context, layout, ink.line);
  for (const peer of peers) {
    const place = placeAt(layout, motion.angle(peer.id));
    places.set(peer.id, place);
    faint.set(peer.id, peer.faint);
    const { centre, core, node } = layout;
    const down = laneBetween(place, centre, node, core);
    const up = laneBetween(centre, place, core, node);
    const colour = inkOf(ink, peer.colour);
    lanes.set(`down ${peer.id}`, down);
    lanes.set(`up ${peer.id}`, up);
    lanes.set(`elsewhere ${peer.id}`, outside(layout, place));
    const dim = peer.faint ? 0.35 : 1;
    context.setLineDash(peer.relayed ? [2, 7] : []);
    thread(context, { from: place, control: mid(place, centre), to: centre }, ink.line, 1.25, 0.9 * dim);
    flow(context, down, colour, laneWidth(peer.down, largest), dim, ink.dark, still);
    flow(context, up, ink.sent, laneWidth(peer.up, largest), dim, ink.dark, still);
    context.setLineDash([]);
    if (peer.elsewhere > 0) {
      const lane = lanes.get(`elsewhere ${peer.id}`)!;
      thread(context, lane, colour, Math.max(1.5, laneWidth(peer.elsewhere, largest) * 0.6), 0.35 * dim);
      if (still) arrow(context, lane, colour, dim);
    }
  }
  const colours = new Map(peers.map((peer) => [peer.id, inkOf(ink, peer.colour)]));
  for (const spark of motion.sparks) {
    const lane = lanes.get(`${spark.way} ${spark.id}`);
    if (!lane) continue;
    const colour = sparkColour(spark.way, colours.get(spark.id) ?? ink.line, ink.sent);
    tail(context, lane, spark.t, colour, spark.way === 'elsewhere' ? 0.55 : 1, faint.get(spark.id) ? 0.3 : 1, ink.dark);
  }
  context.globalAlpha = 1;
  return places;
}

/** Where neighbours stand, or will. */
function orbit(context: CanvasRenderingContext2D, { centre, rx, ry }: RingLayout, colour: string): void {
  context.globalAlpha = 0.8;
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.setLineDash([1, 6]);
  context.beginPath();
  context.ellipse(centre.x, centre.y, rx, ry, 0, 0, 2 * Math.PI);
  context.stroke();
  context.setLineDash([]);
}

function inkOf(ink: Ink, colour: number): string {
  return ink.peers[colour - 1] ?? ink.line;
}

function sparkColour(way: Way, peer: string, sent: string): string {
  return way === 'up' ? sent : peer;
}

function thread(context: CanvasRenderingContext2D, { from, control, to }: Lane, colour: string, width: number, alpha: number): void {
  context.globalAlpha = alpha;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.quadraticCurveTo(control.x, control.y, to.x, to.y);
  context.stroke();
}

function flow(context: CanvasRenderingContext2D, lane: Lane, colour: string, width: number, dim: number, dark: boolean, still: boolean): void {
  if (width <= 0) return;
  thread(context, lane, colour, width, (dark ? 0.22 : 0.2) * dim);
  thread(context, lane, colour, Math.max(1, width * 0.25), 0.42 * dim);
  if (still) arrow(context, lane, colour, dim);
}

/** A spark with a short tail that thins out. */
function tail(context: CanvasRenderingContext2D, lane: Lane, t: number, colour: string, size: number, dim: number, dark: boolean): void {
  // It comes out of one disc and goes into the other.
  const edge = Math.min(1, t / 0.08, (1 - t) / 0.08);
  context.fillStyle = colour;
  for (let step = TAIL; step >= 0; step -= 1) {
    const at = t - step * 0.011;
    if (at < 0) continue;
    const { x, y } = along(lane, at);
    const fade = 1 - step / (TAIL + 1);
    context.globalAlpha = dim * edge * fade * fade * (step === 0 ? 1 : 0.7);
    dot(context, x, y, size * (1 + 1.5 * fade));
  }
  const { x, y } = along(lane, t);
  context.globalAlpha = dim * edge * (dark ? 0.2 : 0.16);
  dot(context, x, y, size * 7);
}

function dot(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

/** Which way a flow goes, without motion. */
function arrow(context: CanvasRenderingContext2D, lane: Lane, colour: string, dim: number): void {
  const [tip, before] = [along(lane, 0.56), along(lane, 0.5)];
  const angle = Math.atan2(tip.y - before.y, tip.x - before.x);
  context.globalAlpha = dim;
  context.strokeStyle = colour;
  context.lineWidth = 2.25;
  context.setLineDash([]);
  context.beginPath();
  for (const side of [-1, 1]) {
    context.moveTo(tip.x - 8 * Math.cos(angle + side * 0.55), tip.y - 8 * Math.sin(angle + side * 0.55));
    context.lineTo(tip.x, tip.y);
  }
  context.stroke();
}

/** The way in from somewhere else: from outside the ring, past the name that stands above or below the disc. */
function outside({ centre, node }: RingLayout, place: Point): Lane {
  const [dx, dy] = [place.x - centre.x, place.y - centre.y];
  const out = Math.hypot(dx, dy) || 1;
  const [sx, sy] = [dx / out + (dx < -1 ? -0.8 : 0.8), (dy / out) * 0.55];
  const length = Math.hypot(sx, sy);
  const at = (distance: number): Point => ({ x: place.x + (sx / length) * distance, y: place.y + (sy / length) * distance });
  return { from: at(node + 20), control: at(node + 11), to: at(node + 3) };
}

function mid(a: Point, b: Point): Point {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

/** Dots of a spark's tail. */
const TAIL = 7;
