// `npm test`: every suite, a table, and a last line that counts.
//
//   npm test -- --only e2e,interop    these alone
//   npm test -- --skip wasm-firefox   all but these
//   npm test -- --list                what there is
//   npm test -- --fast                unoptimised builds (the size suite then fails, as it should)

import { parseArgs } from 'node:util';
import { checkNode, checkRust } from './lib/build.mjs';
import { main, Told } from './lib/run.mjs';
import { runSuite, suites } from './lib/suites.mjs';

main('npm test', async () => {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, skip: { type: 'string' }, list: { type: 'boolean' }, fast: { type: 'boolean' } },
  });
  if (values.list) {
    for (const suite of suites) console.log(`${suite.name.padEnd(15)} ${suite.about}`);
    return 0;
  }
  const chosen = choose(values);
  checkNode();
  await checkRust();

  const results = [];
  for (const suite of chosen) {
    console.log(`\n━━ ${suite.name}: ${suite.about}`);
    const began = performance.now();
    const result = await runSuite(suite, { fast: values.fast });
    results.push({ ...suite, ...result, seconds: (performance.now() - began) / 1000 });
    if (result.failed) console.log(result.output.slice(-8_000));
    console.log(`━━ ${suite.name}: ${result.failed ? 'FAILED' : 'ok'}`);
  }

  console.log(`\n${'suite'.padEnd(15)} ${'passed'.padStart(7)} ${'failed'.padStart(7)} ${'seconds'.padStart(8)}`);
  for (const { name, passed, failed, seconds } of results) {
    console.log(`${name.padEnd(15)} ${String(passed).padStart(7)} ${String(failed).padStart(7)} ${seconds.toFixed(0).padStart(8)}${failed ? '  ✗' : ''}`);
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  console.log(`\n${sum('passed')} passed, ${sum('failed')} failed`);
  return sum('failed') ? 1 : 0;
});

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
