// `npm run bench`: the numbers, each beside the same run's yardstick: a plain RTCDataChannel, a plain IndexedDB.
//
//   npm run bench -- --only pair,import   these alone (--list shows them)
//   npm run bench -- --rounds 5           how often each is repeated (3)
//
// Prints a table and writes bench-results/<time>.json.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measures } from '../benches/browser/measures.mjs';
import { build } from './lib/build.mjs';
import { root } from './lib/places.mjs';
import { main, Told } from './lib/run.mjs';
import { ensureBrowsers } from './lib/testing.mjs';

main('npm run bench', async () => {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, rounds: { type: 'string', default: '3' }, list: { type: 'boolean' } },
  });
  if (values.list) {
    for (const { name, about } of measures) console.log(`${name.padEnd(12)} ${about}`);
    return 0;
  }
  const only = values.only?.split(',');
  for (const name of only ?? []) if (!measures.some((measure) => measure.name === name)) throw new Told(`there is no measure "${name}"; --list shows them.`);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Told('--rounds must be a whole number from 1.');
  const chosen = measures.filter((measure) => (only ? only.includes(measure.name) : !measure.long));

  await ensureBrowsers();
  if (chosen.some((measure) => measure.needsApp)) await build();

  const rows = [];
  let failed = 0;
  for (const measure of chosen) {
    console.log(`· ${measure.about}…`);
    try {
      rows.push(...(await measure.run({ rounds, log: (line) => console.log(`    ${line}`) })));
    } catch (error) {
      failed++;
      rows.push({ what: measure.name, error: error.message });
    }
  }
  print(rows);
  const folder = join(root, 'bench-results');
  mkdirSync(folder, { recursive: true });
  const at = new Date().toISOString();
  const file = join(folder, `${at.replace(/[:.]/g, '-')}.json`);
  writeFileSync(file, `${JSON.stringify({ at, commit: commit(), cpus: cpus().length, cpu: cpus()[0]?.model, memory: totalmem(), rounds, rows }, null, 2)}\n`);
  console.log(`\nWritten to ${file.slice(root.length + 1)}`);
  return failed || rows.some((row) => row.ok === false) ? 1 : 0;
});

function print(rows) {
  const number = (value) => (value === undefined || value === null ? '' : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Math.round(value * 100) / 100));
  const lines = rows.map((row) => [
    row.what, row.error ? 'failed' : number(row.ours), number(row.yardstick), row.unit ?? '', row.ratio === undefined ? '' : `${Math.round(row.ratio * 100)} %`,
    row.error ? row.error.split('\n')[0].slice(0, 80) : `${row.wanted ?? ''}${row.ok === false ? '  ✗' : ''}`,
  ]);
  const head = ['measure', 'ours', 'yardstick', 'unit', 'ratio', 'wanted'];
  const width = head.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i].length)));
  console.log();
  for (const line of [head, ...lines]) console.log(line.map((cell, i) => (i === 0 || i > 4 || i === 3 ? cell.padEnd(width[i]) : cell.padStart(width[i]))).join('  ').trimEnd());
}

function commit() {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
