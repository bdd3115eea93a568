// Publishes sites from a page, shows them in another, and looks into the frame in which they are shown.

import { afresh, until } from './browser.mjs';

/** How long a site may take to be found and shown, in milliseconds. */
const SHOWN_TIMEOUT_MS = 120_000;

/**
 * Publishes files (`{path: text or bytes}`) from a visitor's page; resolves with what `Gyre.publish` says. `site` signs it with
 * that key, which is made if there is none.
 */
export async function publish(visitor, files, options = {}) {
  const listed = Object.entries(files).map(([path, content]) => [path, Buffer.from(content).toString('base64'), options.types?.[path], options.csp?.[path]]);
  const { types, csp, ...rest } = options;
  return visitor.node(async (gyre, entries, settings) => {
    await gyre.setUpload(true);
    if (settings.site !== undefined && (await gyre.keys.state()).state === 'missing') await gyre.keys.create();
    const made = entries.map(([path, text, type, csp]) => ({
      path, content: Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), ...(type ? { type } : {}), ...(csp ? { csp } : {}),
    }));
    return gyre.publish(made, settings);
  }, listed, rest);
}

/**
 * Chooses a folder of this machine in a field of the visitor's page, where `folderFiles` finds its files; resolves with how many there are.
 */
export async function giveFolder(visitor, folder) {
  await visitor.page.evaluate(() => {
    const field = Object.assign(document.createElement('input'), { type: 'file', id: 'given-folder', webkitdirectory: true, hidden: true });
    document.body.append(field);
    window.folderFiles = () => [...field.files].map((file) => ({ path: file.webkitRelativePath.split('/').slice(1).join('/'), content: file }));
  });
  const field = await visitor.page.$('#given-folder');
  await field.uploadFile(folder);
  // The browser looks through the folder meanwhile.
  return until('the files of the folder', () => visitor.page.evaluate(() => window.folderFiles().length));
}

/** The fragment that opens a place of a site. */
export const placeOf = (address, path = '/') => `#/s/${address}${path}`;

/** Beside it is the frame of the bridge, which is of the same site. */
const SITE_FRAME = '>>> [data-testid="site-frame"]';
/** What the driver says of a frame of which it has lost the page. */
const LOST = /^Timed out after waiting/;

/** The frame in which a site is shown, once it is that of this address. */
export function siteFrame(visitor, address) {
  return until(`the frame of ${address.slice(0, 12)} in ${visitor.kind}`, async () => {
    const element = await visitor.find('site-frame');
    const frame = await element?.contentFrame();
    return frame && frame.url().includes(`//${address}.`) ? frame : null;
  }, { timeout: SHOWN_TIMEOUT_MS });
}

/** Runs a function in the page that the site's frame shows. */
export async function inSite(visitor, address, ask, ...args) {
  const frame = await siteFrame(visitor, address);
  try {
    return await frame.evaluate(ask, ...args);
  } catch (error) {
    if (visitor.kind !== 'chromium' || !LOST.test(error.message)) throw error;
    // When a frame gets a process of its own, the driver may hear of that before it hears of the frame, and then waits at the old
    // process for good (`FrameManager.#onFrameAttached`). A driver that comes later sees what is there.
    return afresh(visitor.page, async (page) => {
      const seen = await (await page.$(SITE_FRAME))?.contentFrame();
      if (!seen?.url().includes(`//${address}.`)) throw error;
      return seen.evaluate(ask, ...args);
    });
  }
}

/** Waits until the page in the frame says so; `holds` runs there. */
export function siteShows(visitor, address, what, holds, ...args) {
  return until(async () => `${what} in ${visitor.kind}; it shows ${JSON.stringify(await look(visitor, address))}`, () => inSite(visitor, address, holds, ...args), { timeout: SHOWN_TIMEOUT_MS });
}

/** What the frame shows, for messages. */
async function look(visitor, address) {
  const element = await visitor.find('site-frame');
  if (!element) return { page: await visitor.page.evaluate(() => document.body.innerText.slice(0, 400)) };
  return inSite(visitor, address, () => ({ url: location.href, text: document.body?.innerText.slice(0, 200) })).catch((error) => error.message);
}

/** A click of a person on an element of the site. */
export async function clickIn(visitor, address, selector) {
  await until(`${selector} in the site`, async () => {
    const frame = await siteFrame(visitor, address);
    const element = await frame.$(selector);
    if (!element) return false;
    await element.click();
    return true;
  });
}

/** What the address bar says: which site, and where in it. */
export async function bar(visitor) {
  return visitor.page.evaluate(() => ({
    chip: document.querySelector('[data-testid="site-chip"]')?.textContent.trim() ?? null,
    path: document.querySelector('[data-testid="site-path"]')?.value ?? null,
    hash: location.hash,
    title: document.title,
  }));
}

/** Waits until the address bar says this path. */
export function barSays(visitor, path) {
  return until(async () => `the address ${path} in ${visitor.kind}; it is ${JSON.stringify(await bar(visitor))}`, async () => (await bar(visitor)).path === path);
}
