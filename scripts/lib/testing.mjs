// What only the tests need and the machine may not have: browsers, and what the bridge to SMTP is tested against.

import { existsSync, readFileSync } from 'node:fs';
import { ask, run, Told } from './run.mjs';

/** What the browser suites need, the names under which each is known, and the Debian package. */
const programs = [
  { name: 'Chromium', commands: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'], variable: 'CHROMIUM', debian: 'chromium' },
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

/** What the bridge to SMTP and the files of mail are tested against, and how each is known to be there; the tests know them by these names. */
const mailPeers = [
  // It gives its folders to an account of its own, which root alone may.
  { name: 'postfix', there: 'command -v postfix && [ "$(id -u)" = 0 ]', debian: 'postfix' },
  // Its TLS is in a package that it only recommends.
  { name: 'swaks', there: 'command -v swaks && perl -MNet::SSLeay -e 1', debian: 'swaks libnet-ssleay-perl' },
  { name: 'email', there: 'python3 -c "import email.policy"', debian: 'python3' },
  { name: 'dkim', there: '/usr/bin/python3 -c "import dkim"', debian: 'python3-dkim' },
  { name: 'aiosmtpd', there: '/usr/bin/python3 -c "import aiosmtpd"', debian: 'python3-aiosmtpd' },
];

/** Brings them from Debian where that can be done; elsewhere it says what the tests leave out, which fail without being told to. */
export async function ensureMailPeers() {
  const found = await Promise.all(mailPeers.map(({ there }) => ask('sh', ['-c', `${there} && echo yes`])));
  const missing = mailPeers.filter((_, at) => !found[at]).map(({ debian }) => debian);
  if (missing.length === 0) return;
  if (!isOurDebian()) {
    const names = mailPeers.filter((_, at) => !found[at]).map(({ name }) => name);
    console.log(`! Not here, and so not tried: ${names.join(', ')}. Debian has them as ${missing.join(', ')}.`);
    process.env.GYRE_LEAVE_OUT ??= names.join(',');
    return;
  }
  // The tests run one of their own; without a configuration the package starts none for the machine.
  await run('sh', ['-c', 'echo postfix postfix/main_mailer_type select No configuration | debconf-set-selections'], { label: 'debconf' });
  await fromDebian(missing.flatMap((packages) => packages.split(' ')));
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
