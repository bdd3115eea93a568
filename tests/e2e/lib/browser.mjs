// Starts the browsers that are installed, each with a profile of its own, and tells what their pages complain about.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import puppeteer from 'puppeteer-core';

export const kinds = ['chromium', 'firefox'];

/** Where each browser is found: the variable first, then the usual names. */
const names = {
  chromium: { variable: 'CHROMIUM', commands: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome'] },
  firefox: { variable: 'FIREFOX', commands: ['firefox-esr', 'firefox'] },
};

/** The program of a browser, or null. */
export function find(kind) {
  const { variable, commands } = names[kind];
  if (process.env[variable]) return process.env[variable];
  for (const folder of process.env.PATH.split(delimiter)) {
    for (const command of commands) if (existsSync(join(folder, command))) return join(folder, command);
  }
  return null;
}

/** A page on a machine without a network must still offer its host candidates, so they are neither hidden behind mDNS nor without loopback. */
const localNetwork = ['--disable-features=WebRtcHideLocalIpsWithMdns', '--allow-loopback-in-peer-connection'];
const chromiumArguments = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
  // Several windows share two cores here: none may be slowed because another covers it.
  '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
  // /dev/shm is small in containers.
  '--disable-dev-shm-usage',
];
const firefoxPreferences = {
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.loopback': true,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'app.update.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.enabled': false,
  'services.settings.server': 'data:,',
};

/** How long a browser may take to start or answer, in milliseconds: the first start on a slow disk takes long. */
const BROWSER_TIMEOUT_MS = 120_000;

/**
 * Starts a browser.
 *
 * With a `profile` folder it keeps what it stores there, also after it was killed; without one it forgets everything. What it
 * downloads goes to the folder `downloads`; `preferences` are Firefox's own. `program` is started in place of the browser's own
 * and must become it; it is driven through a pipe, and its WebRTC is as people have it. With `isolated` Firefox has a process for each
 * site, as people have it: the driver's own preferences, which come last, put all of them into one.
 */
export async function launch(kind, { profile, args = [], preferences = {}, downloads, program, isolated = false } = {}) {
  const found = program ?? find(kind);
  if (!found) throw new Error(`${kind} is not installed`);
  const userDataDir = profile ?? mkdtempSync(join(tmpdir(), `gyre-${kind}-`));
  const executablePath = isolated && kind === 'firefox' ? isolating(found, userDataDir) : found;
  const browser = await puppeteer.launch({
    browser: kind === 'firefox' ? 'firefox' : 'chrome',
    executablePath,
    headless: true,
    pipe: Boolean(program),
    userDataDir,
    timeout: BROWSER_TIMEOUT_MS,
    protocolTimeout: 5 * BROWSER_TIMEOUT_MS,
    args: kind === 'firefox' ? args : [...chromiumArguments, ...(program ? [] : localNetwork), ...args],
    extraPrefsFirefox: { ...firefoxPreferences, ...(downloads ? { 'browser.download.folderList': 2, 'browser.download.dir': downloads, 'browser.download.useDownloadDir': true } : {}), ...preferences },
    ...(downloads ? { downloadBehavior: { policy: 'allow', downloadPath: downloads } } : {}),
  });
  const running = browser.process();
  const forget = () => {
    if (!profile) rmSync(userDataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  return {
    kind,
    browser,
    page: (url) => open(browser, url),
    /** One more person in the same browser: storage of its own, as in a private window. */
    async context() {
      const context = await browser.createBrowserContext();
      return { kind, browser, page: (url) => open(context, url), close: () => context.close() };
    },
    async close() {
      await Promise.race([browser.close().catch(() => {}), wait(10_000)]);
      running?.kill('SIGKILL');
      forget();
    },
    /** Ends the browser as a power cut would. */
    async kill() {
      const gone = new Promise((resolve) => (running.exitCode === null ? running.once('exit', resolve) : resolve()));
      running.kill('SIGKILL');
      await gone;
      await browser.disconnect().catch(() => {});
      forget();
    },
  };
}

/** A program that becomes Firefox, after what the driver has written of preferences is corrected. */
function isolating(firefox, profile) {
  const script = join(profile, 'isolated-firefox.sh');
  const preference = 'user_pref("fission.webContentIsolationStrategy", 1);';
  writeFileSync(script, `#!/bin/sh\necho '${preference}' >> '${profile}/user.js'\nexec '${firefox}' "$@"\n`, { mode: 0o755 });
  return script;
}

/** Opens a page and collects what it complains about in `page.complaints`. */
async function open(where, url) {
  const page = await where.newPage();
  listen(page);
  if (url) await page.goto(url, { waitUntil: 'domcontentloaded', timeout: BROWSER_TIMEOUT_MS });
  return page;
}

/** Gives `work` the same page, as another driver sees it that comes to the running browser for this. */
export async function afresh(page, work) {
  const wanted = await idOf(page);
  const driver = await puppeteer.connect({ browserWSEndpoint: page.browser().wsEndpoint(), protocolTimeout: BROWSER_TIMEOUT_MS, defaultViewport: null });
  try {
    for (const other of await driver.pages()) if ((await idOf(other)) === wanted) return await work(other);
    throw new Error(`the page ${page.url()} is not found anew`);
  } finally {
    await driver.disconnect();
  }
}

/** What Chromium calls a page, with every driver. */
async function idOf(page) {
  const session = await page.createCDPSession();
  const { targetInfo } = await session.send('Target.getTargetInfo');
  await session.detach();
  return targetInfo.targetId;
}

/** What a test page may never do: log an error, throw, or reject unhandled. */
function listen(page) {
  page.complaints = [];
  page.log = [];
  page.on('console', (message) => {
    const line = `${message.type()}: ${message.text()}`;
    page.log.push(line);
    if (message.type() === 'error') page.complaints.push(`${line} (${message.location()?.url ?? ''})`);
  });
  page.on('pageerror', (error) => page.complaints.push(`uncaught: ${error?.stack ?? error}`));
}

export const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Asks again and again until the answer is true, or throws with what was waited for. A question that throws has no answer
 * yet: an element may be drawn anew between being found and being asked.
 */
export async function until(what, ask, { timeout = 90_000, every = 100 } = {}) {
  const end = performance.now() + timeout;
  for (;;) {
    let thrown;
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      thrown = error;
    }
    if (performance.now() > end) {
      const awaited = typeof what === 'function' ? await Promise.resolve(what()).catch((error) => error.message) : what;
      throw new Error(`waited ${timeout / 1000} s for ${awaited}`, { cause: thrown });
    }
    await wait(every);
  }
}
