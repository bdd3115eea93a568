// What only the tests need: browsers, their drivers and the runner for tests in wasm; each is installed once and kept.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tools, wasmBindgenVersion } from './places.mjs';
import { ask, run, Told } from './run.mjs';
import { bringUpToDate } from './steps.mjs';

const GECKODRIVER_VERSION = '0.37.1';
/** Where `cargo install --root tools` puts programs. */
export const toolsBin = join(tools, 'bin');

/** What the browser suites need, the names under which each is known, and the Debian package. */
const programs = [
  { name: 'Chromium', commands: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'], variable: 'CHROMIUM', debian: 'chromium' },
  { name: 'ChromeDriver', commands: ['chromedriver'], variable: 'CHROMEDRIVER', debian: 'chromium-driver' },
  { name: 'Firefox', commands: ['firefox-esr', 'firefox'], variable: 'FIREFOX', debian: 'firefox-esr' },
];

/** Makes sure that the browsers are there: from Debian where that can be done, else it says what is missing. */
export async function ensureBrowsers() {
  const missing = (await Promise.all(programs.map(async (program) => ((await locate(program)) ? null : program)))).filter(Boolean);
  if (missing.length === 0) return;
  const packages = missing.map((program) => program.debian);
  if (isOurDebian()) return fromDebian(packages);
  throw new Told(`${missing.map((program) => program.name).join(' and ')} must be installed for the browser tests (on Debian: apt-get install ${packages.join(' ')}).`);
}

/** What the bridge to SMTP is tested against, and how each is known to be there. */
const mailPeers = [
  { there: 'command -v postfix', debian: 'postfix' },
  { there: 'command -v swaks', debian: 'swaks' },
  { there: '/usr/bin/python3 -c "import dkim"', debian: 'python3-dkim' },
  { there: '/usr/bin/python3 -c "import aiosmtpd"', debian: 'python3-aiosmtpd' },
];

/** Brings them from Debian where that can be done; elsewhere the tests say what they leave out. */
export async function ensureMailPeers() {
  const found = await Promise.all(mailPeers.map(({ there }) => ask('sh', ['-c', `${there} && echo yes`])));
  const missing = mailPeers.filter((_, at) => !found[at]).map(({ debian }) => debian);
  if (missing.length === 0 || !isOurDebian()) return;
  // The tests run one of their own; without a configuration the package starts none for the machine.
  await run('sh', ['-c', 'echo postfix postfix/main_mailer_type select No configuration | debconf-set-selections'], { label: 'debconf' });
  await fromDebian(missing);
}

function isOurDebian() {
  const os = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^ID=debian$/m.test(os) && process.getuid?.() === 0;
}

async function fromDebian(packages) {
  console.log(`· Installing ${packages.join(', ')} from Debian…`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-qq'], { env, label: 'apt-get update' });
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env, label: 'apt-get install' });
}

export async function locate({ commands, variable }) {
  if (process.env[variable]) return process.env[variable];
  for (const command of commands) {
    const found = await ask('sh', ['-c', `command -v ${command}`]);
    if (found) return found;
  }
  return null;
}

export const chromedriver = () => locate(programs[1]);
export const firefox = () => locate(programs[2]);

/** The runner for tests in wasm, of the version that Cargo.toml pins, and geckodriver; built from crates.io once. */
export async function ensureWasmTestTools() {
  const version = wasmBindgenVersion();
  await bringUpToDate([
    installed('wasm-bindgen-cli', version, 'wasm-bindgen-test-runner'),
    installed('geckodriver', GECKODRIVER_VERSION, 'geckodriver'),
  ], ['tool-wasm-bindgen-cli', 'tool-geckodriver']);
}

function installed(crate, version, binary) {
  return {
    id: `tool-${crate}`,
    title: `Building ${crate} ${version} (once)`,
    key: version,
    outputs: [`target/tools/bin/${binary}`],
    run: async () => {
      // Its own target directory: the shared one would be locked for minutes. Only the program is kept.
      const scratch = join(tools, `build-${crate}`);
      await run('cargo', ['install', crate, '--version', version, '--locked', '--root', tools, '--target-dir', scratch], { label: `cargo install ${crate}` });
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
