// The test suites as data: what each needs, how it is run, how its results are counted.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, nativeFeatures, wasmTestArgs } from './build.mjs';
import { npm, root, testRelayBinary, wasmTarget } from './places.mjs';
import { run } from './run.mjs';
import { ensureBrowsers, ensureMailPeers } from './testing.mjs';

const MINUTE = 60_000;

/**
 * Suites in the order in which they are begun: the long one of browsers at once, beside it what fails fast and cheaply.
 * Suites with the same `turn` run one after the other: cargo holds the folder that it builds in. What has been compiled needs no turn.
 */
export const suites = [
  {
    name: 'format',
    about: 'rustfmt',
    run: () => checks(['cargo', 'fmt', '--check']),
  },
  {
    name: 'e2e',
    about: 'Chromium and Firefox, a real relay, real files',
    prepare: [ensureBrowsers],
    needs: ['app', 'test-relay'],
    run: () => nodeTestFiles('tests/e2e', { atOnce: 4, first: ['mail-many', 'mail-devices', 'mail-many-peers', 'mail-recovery', 'publish', 'browse-isolation', 'browse'] }),
  },
  {
    name: 'check',
    turn: 'cargo',
    about: 'proto stands alone, on both targets',
    run: () => checks(
      ['cargo', 'check', '--locked', '--no-default-features'],
      ['cargo', 'check', '--locked', '--no-default-features', '--target', wasmTarget],
    ),
  },
  {
    name: 'clippy',
    turn: 'cargo',
    about: 'warnings are errors, natively and for the page',
    run: () => checks(
      ['cargo', 'clippy', '--locked', '--all-targets', ...nativeFeatures, '--', '-D', 'warnings'],
      ['cargo', 'clippy', '--locked', '--all-targets', '--features', 'test-utils,mail', '--target', wasmTarget, '--', '-D', 'warnings'],
      ['cargo', 'clippy', '--locked', '--lib', '--no-default-features', '--features', 'mail-module', '--target', wasmTarget, '--', '-D', 'warnings'],
    ),
  },
  {
    name: 'rust',
    turn: 'cargo',
    about: 'unit, property, simulation and integration tests, native',
    prepare: [ensureMailPeers],
    run: (passOn) => nativeTests(nativeFeatures, { timeout: 40 * MINUTE, first: ['custody', 'bridge', 'keeper'], passOn }),
  },
  {
    name: 'sites',
    turn: 'cargo',
    about: 'real static sites from packages, published and fetched byte for byte',
    needs: ['npm'],
    run: (passOn) => nativeTests([...nativeFeatures, '--test', 'sites_real'], { timeout: 20 * MINUTE, passOn }),
  },
  {
    name: 'www',
    about: 'unit tests of the SDK and the app',
    needs: ['npm'],
    run: () => nodeTests(npm, ['run', '--silent', 'test:www'], { timeout: 5 * MINUTE }),
  },
  {
    name: 'names',
    about: 'signed records, against the npm package ipns',
    needs: ['npm'],
    run: () => nodeTestFiles('tests/names'),
  },
  {
    name: 'mailbox',
    about: 'the mailbox with the mail module as it ships, in Node',
    needs: ['pkg'],
    run: () => nodeTestFiles('tests/mailbox'),
  },
  {
    name: 'wasm-chromium',
    turn: 'cargo',
    about: 'tests in wasm, in Chromium',
    prepare: [ensureBrowsers],
    needs: ['npm', 'wasm-target', 'bindgen-tool'],
    run: () => wasmTests('chromium'),
  },
  {
    name: 'wasm-firefox',
    turn: 'cargo',
    about: 'tests in wasm, in Firefox',
    prepare: [ensureBrowsers],
    needs: ['npm', 'wasm-target', 'bindgen-tool'],
    run: () => wasmTests('firefox'),
  },
  {
    name: 'size',
    about: 'what a page loads stays within its budget',
    needs: ['app'],
    run: () => nodeTestFiles('tests/size'),
  },
  {
    name: 'pack',
    about: 'the packed tarball, in a bundler project and a plain page',
    prepare: [ensureBrowsers],
    needs: ['app', 'test-relay'],
    run: () => nodeTestFiles('tests/pack'),
  },
  {
    name: 'interop',
    // It builds with cargo within its own time.
    turn: 'cargo',
    about: 'js-libp2p, both directions, through the relay',
    prepare: [ensureBrowsers],
    needs: ['npm', 'test-relay', 'bindgen-tool'],
    run: () => nodeTestFiles('tests/interop'),
  },
  {
    name: 'netns',
    about: 'browsers behind NATs, in network namespaces (needs root)',
    prepare: [ensureBrowsers],
    needs: ['app', 'test-relay'],
    run: async () => {
      const { obstacle } = await import('../../tests/netns/lib/net.mjs');
      const reason = obstacle();
      if (!reason) return nodeTestFiles('tests/netns');
      console.log(`· Not run: ${reason}.`);
      return { passed: 0, failed: 0, output: '' };
    },
  },
];

/**
 * Calls `work` for each suite, for at most `atOnce` of them at a time and for one of each turn; resolves with the results in
 * the order of the suites. `work` may pass its turn on before it ends: it is given a function for that.
 */
export async function sideBySide(chosen, atOnce, work) {
  const waiting = chosen.map((suite, place) => ({ suite, place }));
  const [results, taken] = [[], new Set()];
  const idle = [];
  const worker = async () => {
    while (waiting.length) {
      const next = waiting.findIndex(({ suite }) => !suite.turn || !taken.has(suite.turn));
      if (next < 0) {
        await new Promise((wake) => idle.push(wake));
        continue;
      }
      const [{ suite, place }] = waiting.splice(next, 1);
      taken.add(suite.turn);
      let mine = true;
      const passOn = () => {
        if (mine) taken.delete(suite.turn);
        mine = false;
        for (const wake of idle.splice(0)) wake();
      };
      results[place] = await work(suite, passOn);
      passOn();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

/**
 * Runs one suite; resolves with `{ passed, failed, output }` and never throws for a failing test. Where a few failed, `again` runs
 * them once more, to be called when nothing else runs, and resolves with what then counts.
 */
export async function runSuite(suite, { fast = false, passOn } = {}) {
  try {
    for (const prepare of suite.prepare ?? []) await prepare();
    if (suite.needs) await build(suite.needs, { fast });
    return await suite.run(passOn);
  } catch (error) {
    return { passed: 0, failed: 1, output: error.message };
  }
}

/** Commands that either pass or fail: each counts as one. */
async function checks(...commands) {
  const total = { passed: 0, failed: 0, output: '' };
  for (const [command, ...args] of commands) {
    const { code, output } = await run(command, args, { cwd: root, check: false, behind: true, timeout: 30 * MINUTE });
    if (code === 0) total.passed++;
    else {
      total.failed++;
      total.output += `$ ${command} ${args.join(' ')}\n${output}`;
    }
  }
  return total;
}

const cargoResult = ({ code, output }) => counted(code, output, /^test result: \w+\. (\d+) passed; (\d+) failed/gm);
const cargoFailed = (output) => [...output.matchAll(/^test (\S+) \.\.\. FAILED$/gm)].map((found) => found[1]);

/** Tests that cargo compiles, and starts one program after the other. */
async function cargoTests(args, { env, timeout }) {
  const start = (more) => run('cargo', [...args, ...more], { cwd: root, env, check: false, show: true, keepAll: true, timeout });
  const compiled = await run('cargo', [...args, '--no-run'], { cwd: root, env, check: false, behind: true, keepAll: true, timeout });
  if (compiled.code !== 0) return { passed: 0, failed: 1, output: compiled.output };
  const first = await start([]);
  return aloneOnceMore(cargoResult(first), cargoFailed(first.output), async (names) => cargoResult(await start(['--', '--exact', ...names])));
}

/**
 * Native tests. Cargo only compiles them, and its turn is passed on then; most programs of tests wait for sockets and deadlines, so two
 * run at a time, those named `first` before the others.
 */
async function nativeTests(chosen, { timeout, first = [], passOn = () => undefined }) {
  const args = ['test', '--locked', ...chosen];
  const show = { cwd: root, check: false, show: true, keepAll: true, timeout };
  const compiled = await run('cargo', [...args, '--no-run', '--message-format=json'], { cwd: root, check: false, behind: true, keepAll: true, timeout });
  const messages = compiled.output.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  if (compiled.code !== 0) {
    const said = messages.map((message) => message.message?.rendered ?? '').join('');
    return { passed: 0, failed: 1, output: said + compiled.output.replace(/^\{.*\n?/gm, '') };
  }
  passOn();
  const programs = messages.filter(({ executable, profile }) => executable && profile.test).map(({ executable, target }) => ({ name: target.name, executable }));
  const begun = ({ name }) => (first.includes(name) ? first.indexOf(name) : first.length);
  const outcomes = await sideBySide(programs.toSorted((a, b) => begun(a) - begun(b)), 2, ({ executable }) => run(executable, [], show));
  if (!chosen.includes('--test')) outcomes.push(await run('cargo', [...args, '--doc'], show));
  const total = { passed: 0, failed: 0, output: '' };
  for (const outcome of outcomes) {
    // A program without a test is no failure.
    const { passed, failed } = outcome.code === 0 ? { ...cargoResult(outcome), failed: 0 } : cargoResult(outcome);
    total.passed += passed;
    total.failed += failed;
    if (failed) total.output += outcome.output;
  }
  if (total.passed === 0) return { ...total, failed: total.failed || 1 };
  return aloneOnceMore(total, cargoFailed(total.output), async (names) => cargoResult(await run('cargo', [...args, '--no-fail-fast', '--', '--exact', ...names], show)));
}

function wasmTests(browser) {
  return cargoTests(['test', '--locked', ...wasmTestArgs], {
    timeout: 30 * MINUTE,
    env: { GYRE_TEST_BROWSER: browser },
  });
}

async function nodeTests(command, args, { timeout }) {
  const env = { NO_COLOR: '1', FORCE_COLOR: '0', GYRE_RELAY: testRelayBinary };
  const { code, output } = await run(command, args, { cwd: root, check: false, show: true, keepAll: true, timeout, env });
  const count = (word) => [...output.matchAll(new RegExp(`^[#ℹ] ${word} (\\d+)$`, 'gm'))].reduce((sum, found) => sum + Number(found[1]), 0);
  return verdict(code, count('pass'), count('fail') + count('cancelled'), output);
}

/** Each file has several browsers, and most of them wait most of the time: several files keep two cores busy. Those named `first` take longest. */
async function nodeTestFiles(folder, { atOnce = 1, first = [] } = {}) {
  const at = join(root, folder);
  const ending = '.test.mjs';
  const names = existsSync(at) ? readdirSync(at).filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -ending.length)) : [];
  const begun = (name) => (first.includes(name) ? first.indexOf(name) : first.length);
  const files = names.toSorted((a, b) => begun(a) - begun(b)).map((name) => join(at, name + ending));
  const start = (chosen, more) => nodeTests(process.execPath, ['--test', '--test-reporter=spec', ...more, ...chosen], { timeout: 40 * MINUTE });
  const results = await sideBySide(files.map((file) => ({ file })), atOnce, async ({ file }) => ({ file, ...(await start([file], [])) }));
  const total = { passed: 0, failed: 0, output: '' };
  for (const { passed, failed, output } of results) {
    total.passed += passed;
    total.failed += failed;
    if (failed) total.output += output;
  }
  const failed = [...total.output.matchAll(/^✖ (.+) \([\d.]+ms\)$/gm)].map((found) => found[1]).filter((name) => !name.endsWith(ending));
  const exactly = (name) => `--test-name-pattern=^${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;
  const again = results.filter((result) => result.failed).map(({ file }) => file);
  return aloneOnceMore(total, failed, (chosen) => start(again, ['--test-concurrency=1', ...chosen.map(exactly)]));
}

/** More failures than this are not the machine's. */
const MAX_AGAIN = 6;

/**
 * Tests of browsers and sockets have deadlines, and a machine that does other things too may miss one. A few that failed can be
 * run once more, by themselves; what they say then counts, and that they failed at first is said.
 */
function aloneOnceMore(first, names, start) {
  const failed = [...new Set(names)];
  if (first.failed === 0 || failed.length === 0 || failed.length !== first.failed || failed.length > MAX_AGAIN) return first;
  const again = async () => {
    console.log(`── Failed; once more, alone: ${failed.join(', ')}`);
    const second = await start(failed);
    if (second.failed || second.passed < failed.length) return { ...first, output: `${first.output}\n${second.output}` };
    console.log(`── Passed the second time: ${failed.join(', ')}`);
    return { ...first, passed: first.passed + failed.length, failed: 0 };
  };
  return { ...first, again };
}

function counted(code, output, pattern) {
  let [passed, failed] = [0, 0];
  for (const found of output.matchAll(pattern)) {
    passed += Number(found[1]);
    failed += Number(found[2]);
  }
  return verdict(code, passed, failed, output);
}

/** A runner that failed without a failing test (it did not compile, say) counts as one failure; so does one that ran none. */
function verdict(code, passed, failed, output) {
  return { passed, failed: failed || (code !== 0 || passed === 0 ? 1 : 0), output };
}
