/**
 * The geometry of the swarm view: this peer in the middle, its neighbours around it, and light that flows between.
 *
 * Lengths are CSS pixels, rates bytes per second, times milliseconds. A spark stands for a fixed number of bytes, so how
 * many leave in a second is in proportion to the rate; the number of bytes grows in steps when there would be too many.
 * What neighbours get from others is known only roughly, so its sparks do not count.
 */

/** A place in the drawing. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where everything is. */
export interface RingLayout {
  readonly centre: Point;
  /** Radius of the disc in the middle. */
  readonly core: number;
  /** Half the width and height of the ring. */
  readonly rx: number;
  readonly ry: number;
  /** Radius of a neighbour's disc. */
  readonly node: number;
  /** Whether there is room for names. */
  readonly labels: boolean;
}

/** A bent way from one disc to another. */
export interface Lane {
  readonly from: Point;
  readonly control: Point;
  readonly to: Point;
}

/** Fits `peers` neighbours into a box. */
export function ringLayout(width: number, height: number, peers: number): RingLayout {
  const centre = { x: width / 2, y: height / 2 };
  const small = Math.min(width, height);
  const core = clamp(small * 0.14, 44, 76);
  const fit = (labels: boolean): RingLayout => {
    const [side, above] = labels ? [48, 66] : [30, 32];
    const ry = Math.max(height / 2 - above, core + 30);
    const rx = Math.max(Math.min(width / 2 - side, ry * WIDEST), core + 30);
    const pitch = perimeter(rx, ry) / Math.max(peers, 1);
    return { centre, core, rx, ry, node: clamp(pitch * 0.3, 5, labels ? 24 : 20), labels };
  };
  const labelled = fit(true);
  const room = perimeter(labelled.rx, labelled.ry) / Math.max(peers, 1);
  return room >= LABEL_PITCH ? labelled : fit(false);
}

/** The angle of neighbour `index` of `count`, from the top, clockwise; two stand left and right. */
export function angleOf(index: number, count: number): number {
  const start = count === 2 ? Math.PI : -Math.PI / 2;
  return start + (index * 2 * Math.PI) / Math.max(count, 1);
}

/** The place at an angle of the ring. */
export function placeAt({ centre, rx, ry }: RingLayout, angle: number): Point {
  return { x: centre.x + rx * Math.cos(angle), y: centre.y + ry * Math.sin(angle) };
}

/** The way between two discs, bent to its right, so that there and back do not cover each other. */
export function laneBetween(a: Point, b: Point, radiusA: number, radiusB: number): Lane {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  const bend = length * BEND;
  return {
    from: { x: a.x + ux * radiusA - uy * radiusA * 0.2, y: a.y + uy * radiusA + ux * radiusA * 0.2 },
    control: { x: a.x + dx / 2 - uy * bend, y: a.y + dy / 2 + ux * bend },
    to: { x: b.x - ux * radiusB - uy * radiusB * 0.2, y: b.y - uy * radiusB + ux * radiusB * 0.2 },
  };
}

/** A place on the way, from 0 at its start to 1 at its end. */
export function along({ from, control, to }: Lane, t: number): Point {
  const s = 1 - t;
  return {
    x: s * s * from.x + 2 * s * t * control.x + t * t * to.x,
    y: s * s * from.y + 2 * s * t * control.y + t * t * to.y,
  };
}

/** How broad a flow is drawn: by its share of the largest, so that the area tells. */
export function laneWidth(rate: number, largest: number): number {
  return rate <= 0 || largest <= 0 ? 0 : 1.5 + 7 * Math.sqrt(Math.min(1, rate / largest));
}

/** Bytes that one spark stands for, so that neither one flow nor all together send more sparks than the eye follows. */
export function sparkBytes(rates: readonly number[]): number {
  const total = rates.reduce((sum, rate) => sum + rate, 0);
  const largest = Math.max(0, ...rates);
  let bytes = SPARK_BYTES;
  while (total / bytes > SPARKS_PER_SECOND || largest / bytes > SPARKS_OF_ONE) bytes *= 2;
  return bytes;
}

/** The shortest turn from one angle to another. */
export function turnBetween(from: number, to: number): number {
  const turn = (to - from) % (2 * Math.PI);
  return turn > Math.PI ? turn - 2 * Math.PI : turn < -Math.PI ? turn + 2 * Math.PI : turn;
}

/** What flows, seen from this peer: `elsewhere` is what a neighbour got from others. */
export type Way = 'down' | 'up' | 'elsewhere';

/** One neighbour as it is drawn. */
export interface RingPeer {
  readonly id: string;
  readonly rates: Readonly<Record<Way, number>>;
}

/** A spark under way. */
export interface Spark {
  readonly id: string;
  readonly way: Way;
  /** From 0 to 1. */
  t: number;
  /** Part of the way in a second. */
  readonly speed: number;
}

/** What moves: neighbours drift to their places, sparks travel. */
export class RingMotion {
  readonly sparks: Spark[] = [];
  readonly #angles = new Map<string, { at: number; to: number }>();
  readonly #due = new Map<string, number>();
  #peers: readonly RingPeer[] = [];
  #bytes = SPARK_BYTES;
  #layout: RingLayout | null = null;

  /** Takes in where things are: on a longer way a spark travels longer. */
  fit(layout: RingLayout): void {
    this.#layout = layout;
  }

  /** Takes in who is there, in the order around the ring, and what flows. */
  update(peers: readonly RingPeer[]): void {
    const known = new Set(peers.map(({ id }) => id));
    for (const id of [...this.#angles.keys()]) if (!known.has(id)) this.#angles.delete(id);
    for (const key of [...this.#due.keys()]) if (!known.has(key.slice(key.indexOf(' ') + 1))) this.#due.delete(key);
    peers.forEach(({ id }, index) => {
      const to = angleOf(index, peers.length);
      const angle = this.#angles.get(id);
      if (angle) angle.to = to;
      else this.#angles.set(id, { at: to, to });
    });
    this.#peers = peers;
    this.#bytes = sparkBytes(peers.flatMap(({ rates }) => [rates.down, rates.up]));
    for (let i = this.sparks.length - 1; i >= 0; i -= 1) if (!known.has(this.sparks[i]!.id)) this.sparks.splice(i, 1);
  }

  /** Where a neighbour is now. */
  angle(id: string): number {
    return this.#angles.get(id)?.at ?? 0;
  }

  /** Everything where it belongs, and nothing under way: for whoever wants no motion. */
  settle(): void {
    for (const angle of this.#angles.values()) angle.at = angle.to;
    this.sparks.length = 0;
    this.#due.clear();
  }

  /** Lets time pass; returns whether anything moves or will. */
  step(elapsed: number): boolean {
    const seconds = Math.min(elapsed, LONGEST_STEP) / 1000;
    let moving = false;
    for (const angle of this.#angles.values()) {
      const turn = turnBetween(angle.at, angle.to);
      if (Math.abs(turn) < 0.002) {
        angle.at = angle.to;
        continue;
      }
      angle.at += turn * (1 - Math.exp(-seconds * 4));
      moving = true;
    }
    for (let i = this.sparks.length - 1; i >= 0; i -= 1) {
      const spark = this.sparks[i]!;
      spark.t += spark.speed * seconds;
      if (spark.t >= 1) this.sparks.splice(i, 1);
    }
    for (const { id, rates } of this.#peers) {
      for (const way of WAYS) {
        const rate = rates[way];
        if (rate <= 0) continue;
        moving = true;
        const key = `${way} ${id}`;
        // The first one leaves somewhere within its interval, so that not all leave together.
        const pace = way === 'elsewhere' ? FROM_OTHERS_PER_SECOND : rate / this.#bytes;
        let due = (this.#due.get(key) ?? Math.random()) + pace * seconds;
        for (; due >= 1; due -= 1) this.#launch(id, way);
        this.#due.set(key, due);
      }
    }
    return moving || this.sparks.length > 0;
  }

  #launch(id: string, way: Way): void {
    if (this.sparks.length >= MAX_SPARKS) return;
    const pace = way === 'elsewhere' ? 1.2 : SPARK_PIXELS / this.#distance(id);
    this.sparks.push({ id, way, t: 0, speed: pace * (0.92 + Math.random() * 0.16) });
  }

  /** Pixels between a neighbour's disc and the middle one. */
  #distance(id: string): number {
    if (!this.#layout) return 200;
    const { centre, core, node } = this.#layout;
    const place = placeAt(this.#layout, this.angle(id));
    return Math.max(30, Math.hypot(place.x - centre.x, place.y - centre.y) - core - node);
  }
}

function perimeter(rx: number, ry: number): number {
  return Math.PI * (3 * (rx + ry) - Math.sqrt((3 * rx + ry) * (rx + 3 * ry)));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

export const WAYS: readonly Way[] = ['down', 'up', 'elsewhere'];

/** How much wider than high the ring may be. */
const WIDEST = 1.5;
/** Pixels along the ring that a neighbour with a name needs. */
const LABEL_PITCH = 96;
/** How far a way is bent, as part of its length. */
const BEND = 0.13;
/** Bytes of a spark at least: some packets, and a number that can be said. */
const SPARK_BYTES = 25_000;
/** Sparks in a second, over all flows and of one. Ours: a stream still, not yet a blur. */
const SPARKS_PER_SECOND = 60;
const SPARKS_OF_ONE = 8;
/** Pixels that a spark travels in a second. */
const SPARK_PIXELS = 105;
/** Sparks in a second of what a neighbour gets from others: it is known too roughly to be counted out. */
const FROM_OTHERS_PER_SECOND = 1.6;
/** Sparks under way at once: what leaves in the time one travels, with room for bursts. */
const MAX_SPARKS = 160;
/** Milliseconds that a step counts at most: after a pause nothing rushes. */
const LONGEST_STEP = 100;
