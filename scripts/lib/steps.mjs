// Runs steps that depend on each other: as many at once as can be, and none whose inputs have not changed.
//
// A step is up to date when the SHA-256 over its inputs' contents, its key and the digests of the steps it needs is the one
// that its stamp holds, and its outputs are there. Times of files play no part, so a fresh clone and a switched branch are
// judged by what is in them.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root, stamps } from './places.mjs';

/** Steps that run now, by id: who wants one meanwhile waits for it. */
const underWay = new Map();

/**
 * Runs the wanted steps and all they need.
 *
 * @param steps  `{ id, title, needs?, inputs?, outputs?, key?, run }`; `inputs` are files or folders relative to the root,
 *               a missing one counts as absent; `key` is a string or an async function for what no file tells; `stillThere`
 *               asks for a result that lies outside the tree.
 * @param wanted ids to bring up to date
 * @returns the ids that really ran, with how long each took in milliseconds
 */
export async function bringUpToDate(steps, wanted, { log = console.log, force = false } = {}) {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const started = new Map();
  const ran = new Map();

  const start = (id) => {
    if (!started.has(id)) started.set(id, underWay.get(id) ?? alone(id));
    return started.get(id);
  };
  const alone = (id) => {
    const done = work(byId.get(id) ?? unknown(id)).finally(() => underWay.delete(id));
    underWay.set(id, done);
    return done;
  };
  const unknown = (id) => {
    throw new Error(`there is no build step ${id}`);
  };
  const work = async (step) => {
    const needed = await Promise.all((step.needs ?? []).map(start));
    const key = typeof step.key === 'function' ? await step.key() : (step.key ?? '');
    const digest = digestOf(step, [key, ...needed]);
    const stamp = join(stamps, step.id);
    const fresh = !force && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest
      && (step.outputs ?? []).every((path) => existsSync(join(root, path))) && (await step.stillThere?.() ?? true);
    if (fresh) return digest;
    // A step that dies half-way must not look finished.
    rmSync(stamp, { force: true });
    log(`· ${step.title}…`);
    const began = performance.now();
    await step.run();
    const took = performance.now() - began;
    ran.set(step.id, took);
    mkdirSync(stamps, { recursive: true });
    writeFileSync(stamp, digest);
    log(`✓ ${step.title} (${(took / 1000).toFixed(1)} s)`);
    return digest;
  };

  const results = await Promise.allSettled(wanted.map(start));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return ran;
}

function digestOf(step, extra) {
  const hash = createHash('sha256').update(JSON.stringify([step.id, ...extra]));
  for (const input of step.inputs ?? []) addInput(hash, join(root, input));
  return hash.digest('hex');
}

function addInput(hash, path) {
  if (!existsSync(path)) return;
  if (statSync(path).isDirectory()) {
    for (const name of readdirSync(path).sort()) {
      if (name !== 'node_modules' && name !== 'target') addInput(hash, join(path, name));
    }
    return;
  }
  const bytes = readFileSync(path);
  hash.update(`\0${relative(root, path)}\0${bytes.length}\0`).update(bytes);
}

/** Makes the folder that a file goes into. */
export function makeFolderFor(path) {
  mkdirSync(dirname(path), { recursive: true });
}
