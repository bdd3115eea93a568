// The order in which a WebAssembly module has its functions, for what compresses it.
//
// gzip sees what is alike only within 32 kB. Instances of one generic and functions that do the same to other types are much alike,
// and what is best to stand next is whatever has most in common with the functions just before. No tool of wasm's own orders by that,
// but wasm-opt can order by name: so the functions are given names that say where they belong.

import { functions, leb } from './wasm.mjs';

/** Bytes that are compared as one: shorter ones are everywhere, longer ones find less. */
const PIECE = 6;
/** A piece in more functions than this says nothing of their being alike. */
const COMMON = 100;
/** Bytes before a function that count: a little less than gzip looks back. */
const WINDOW = 30_000;
/** Added to the length that likeness is divided by, so that tiny functions do not always win. */
const GRACE = 100;

/** The module with a section of names added, after which `wasm-opt --reorder-functions-by-name` orders like beside like. */
export function nameByLikeness(module) {
  const { imported, bodies } = functions(module);
  const places = new Array(bodies.length);
  inOrder(bodies).forEach((index, place) => { places[index] = place; });
  const digits = String(bodies.length).length;
  const names = places.flatMap((place, index) => {
    const name = Buffer.from(String(place).padStart(digits, '0'));
    return [leb(imported + index), leb(name.length), name];
  });
  const list = Buffer.concat([leb(bodies.length), ...names]);
  const ofFunctions = Buffer.concat([Buffer.from([1]), leb(list.length), list]);
  const section = Buffer.concat([leb(4), Buffer.from('name'), ofFunctions]);
  return Buffer.concat([module, Buffer.from([0]), leb(section.length), section]);
}

/** The places of `bodies`, each after those that it has most in common with. */
export function inOrder(bodies) {
  const pieces = telling(bodies);
  // What each has in common with those in the window.
  const common = new Float64Array(bodies.length);
  const add = ({ holders, weight }, sign) => {
    for (const index of holders) common[index] += sign * weight;
  };
  const placed = new Uint8Array(bodies.length);
  const order = [];
  const ends = [];
  let left = 0;
  for (let next = mostAlike(bodies, common, placed); next !== -1; next = mostAlike(bodies, common, placed)) {
    placed[next] = 1;
    order.push(next);
    // What has been seen need not be seen twice.
    for (const piece of pieces[next]) if (piece.near++ === 0) add(piece, 1);
    ends.push((ends.at(-1) ?? 0) + bodies[next].length);
    while (ends[left] < ends.at(-1) - WINDOW) {
      for (const piece of pieces[order[left++]]) if (--piece.near === 0) add(piece, -1);
    }
  }
  return order;
}

/** The pieces of each that a few others have too; the fewer they are, the more a piece says. */
function telling(bodies) {
  const all = new Map();
  const pieces = bodies.map((body, index) => {
    const own = new Set();
    for (let at = 0; at + PIECE <= body.length; at++) {
      const key = hash(body, at);
      let piece = all.get(key);
      if (!piece) all.set(key, piece = { holders: [], weight: 0, near: 0 });
      if (piece.holders.at(-1) !== index) piece.holders.push(index);
      own.add(piece);
    }
    return own;
  });
  for (const piece of all.values()) piece.weight = 1 / Math.log2(piece.holders.length + 1);
  return pieces.map((own) => [...own].filter(({ holders }) => holders.length > 1 && holders.length <= COMMON));
}

function mostAlike(bodies, common, placed) {
  let best = -1;
  let most = -1;
  for (let index = 0; index < bodies.length; index++) {
    if (placed[index]) continue;
    const likeness = common[index] / (bodies[index].length + GRACE);
    if (likeness > most) {
      most = likeness;
      best = index;
    }
  }
  return best;
}

function hash(bytes, at) {
  let hash = 0;
  for (let i = at; i < at + PIECE; i++) hash = Math.imul(hash, 0x01000193) ^ bytes[i];
  return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
}
