// `npm test`: every suite, three at a time, a table, and a last line that counts.
//
// Suites of browsers wait most of the time, and those of Rust compile, behind the others: side by side they keep two cores busy.
//
//   npm test -- --only e2e,interop    these alone
//   npm test -- --skip wasm-firefox   all but these
//   npm test -- --list                what there is
//   npm test -- --at-once 1           one after the other
//   npm test -- --fast                unoptimised builds (the size suite then fails, as it should)

import { parseArgs } from 'node:util';
import { checkNode, checkRust } from './lib/build.mjs';
import { main, speakingAs, Told } from './lib/run.mjs';
import { runSuite, sideBySide, suites } from './lib/suites.mjs';

main('npm test', async () => {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, skip: { type: 'string' }, list: { type: 'boolean' }, 'at-once': { type: 'string', default: '3' }, fast: { type: 'boolean' } },
  });
  if (values.list) {
    for (const suite of suites) console.log(`${suite.name.padEnd(15)} ${suite.about}`);
    return 0;
  }
  const chosen = choose(values);
  const atOnce = Number(values['at-once']);
  if (!Number.isInteger(atOnce) || atOnce < 1) throw new Told(`--at-once must be a number from 1, not "${values['at-once']}".`);
  checkNode();
  await checkRust();

  const began = performance.now();
  const results = await sideBySide(chosen, atOnce, async (suite, passOn) => {
    console.log(`\n━━ ${suite.name}: ${suite.about}`);
    const from = performance.now();
    const run = () => runSuite(suite, { fast: values.fast, passOn });
    const result = await (atOnce > 1 && chosen.length > 1 ? speakingAs(suite.name, run) : run());
    tell(suite.name, result);
    return { ...suite, ...result, seconds: (performance.now() - from) / 1000 };
  });
  for (const result of results.filter(({ again }) => again)) {
    console.log(`\n━━ ${result.name}`);
    Object.assign(result, await result.again());
    tell(result.name, result);
  }

  console.log(`\n${'suite'.padEnd(15)} ${'passed'.padStart(7)} ${'failed'.padStart(7)} ${'seconds'.padStart(8)}`);
  for (const { name, passed, failed, seconds } of results) {
    console.log(`${name.padEnd(15)} ${String(passed).padStart(7)} ${String(failed).padStart(7)} ${seconds.toFixed(0).padStart(8)}${failed ? '  ✗' : ''}`);
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  console.log(`\n${sum('passed')} passed, ${sum('failed')} failed, ${((performance.now() - began) / 60_000).toFixed(1)} minutes`);
  return sum('failed') ? 1 : 0;
});

function tell(name, { failed, output }) {
  if (failed) console.log(`\n━━ ${name}, the end of what it said:\n${output.slice(-8_000)}`);
  console.log(`━━ ${name}: ${failed ? 'FAILED' : 'ok'}`);
}

function choose({ only, skip }) {
  const names = (list) => {
    const wanted = list.split(',').map((name) => name.trim());
    for (const name of wanted) {
      if (!suites.some((suite) => suite.name === name)) throw new Told(`there is no suite "${name}"; npm test -- --list shows them.`);
    }
    return wanted;
  };
  const [wanted, unwanted] = [only && names(only), skip ? names(skip) : []];
  return suites.filter((suite) => (wanted ? wanted.includes(suite.name) : true) && !unwanted.includes(suite.name));
}
