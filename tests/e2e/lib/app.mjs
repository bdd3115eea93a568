// What a person does in the page, and what the node in it says.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch, until } from './browser.mjs';
import { randomFile } from './files.mjs';

/** How long the node may take to join through the relay, in milliseconds: generous, for two cores with four browsers. */
const JOIN_TIMEOUT_MS = 120_000;
/** How long any other change in the page may take, in milliseconds. */
const PAGE_TIMEOUT_MS = 90_000;

/** One browser with one tab of the app. */
export class Visitor {
  static async arrive(kind, relay, { hash = '', join = true, browser, ...options } = {}) {
    const visitor = new Visitor();
    visitor.kind = kind;
    visitor.relay = relay;
    visitor.browser = browser ?? (await launch(kind, options));
    try {
      visitor.page = await visitor.browser.page(new URL(hash, relay.url).href);
      if (join) await visitor.joined();
    } catch (error) {
      const said = visitor.page?.log.join('\n') ?? '';
      await visitor.leave();
      throw new Error(`${kind} could not join: ${error.message}\n${said}`, { cause: error });
    }
    return visitor;
  }

  /** Waits until the node has a reservation at a relay. */
  async joined(timeout = JOIN_TIMEOUT_MS) {
    await until(
      async () => `${this.kind} to join; it says ${JSON.stringify(await this.node((gyre) => gyre?.stats()))}`,
      () => this.node((gyre) => gyre?.stats().state === 'joined' && gyre.stats().relays.some((relay) => relay.state === 'reserved')),
      { timeout },
    );
  }

  /** Runs `ask(window.gyre, …args)` in the page. */
  node(ask, ...args) {
    return this.page.evaluate(`(${ask})(window.gyre, ...${JSON.stringify(args)})`);
  }

  /** The element with this data-testid, through shadow roots, or null. */
  find(id) {
    return this.page.$(`>>> [data-testid="${id}"]`);
  }

  /** Waits for an element that can be seen. */
  see(id, timeout = PAGE_TIMEOUT_MS) {
    return until(`${id} to be seen in ${this.kind}`, async () => {
      const element = await this.find(id);
      return element && (await element.isVisible()) ? element : null;
    }, { timeout });
  }

  async text(id) {
    const { text } = await until(`the text of ${id} in ${this.kind}`, async () => {
      const element = await this.see(id);
      return { text: await element.evaluate((found) => (found.value ?? found.textContent).trim()) };
    }, { timeout: PAGE_TIMEOUT_MS });
    return text;
  }

  click(id) {
    return until(`${id} in ${this.kind} to be clicked`, async () => {
      const element = await this.see(id);
      await element.evaluate((found) => found.click());
      return true;
    }, { timeout: PAGE_TIMEOUT_MS });
  }

  /** Answers the question about uploading, when and if it is asked. */
  async allowUpload() {
    await until('the question about uploading, or its answer', async () => {
      if ((await this.node((gyre) => gyre.stats().uploadAllowed)) === true) return true;
      for (const id of ['consent-allow', 'share-allow']) {
        const button = await this.find(id);
        if (button && (await button.isVisible())) await button.evaluate((element) => element.click());
      }
      return false;
    });
  }

  /** Gives a file to the page and resolves with the link it shows. */
  async share(file, { allow = true } = {}) {
    const input = await until('the file input', () => this.find('share-input'));
    await input.uploadFile(file.path);
    const link = await until('the link of the shared file', async () => {
      const element = await this.find('share-link');
      const text = element && (await element.evaluate((found) => (found.value ?? found.textContent).trim()));
      return text?.includes('#/f/') ? text : null;
    }, { timeout: 120_000 });
    if (allow) await this.allowUpload();
    return link;
  }

  /** What the node knows of the blob in a link, or undefined. */
  swarm(link) {
    return this.node((gyre, cid) => gyre?.swarms().find((swarm) => swarm.cid === cid), cidOf(link));
  }

  /** Waits until all of a blob is here. */
  async complete(link, timeout = 240_000) {
    await until(
      async () => `${this.kind} to have ${cidOf(link)}; it says ${JSON.stringify({ swarm: await this.swarm(link), peers: await this.peers() })}`,
      async () => (await this.swarm(link))?.state === 'complete',
      { timeout },
    );
  }

  /** The SHA-256 of what the link gives, in hex, read through the SDK. */
  sha256(link) {
    return this.node(async (gyre, url) => {
      const file = await gyre.open(url);
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
      return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    }, link);
  }

  peers() {
    return this.node((gyre) => gyre?.peers().map(({ peerId, role, via, detail }) => ({ peerId, role, via, detail })));
  }

  peerId() {
    return this.node((gyre) => gyre.peerId);
  }

  /** Waits for the page's own message about an error with this code. */
  async told(code, timeout = PAGE_TIMEOUT_MS) {
    await until(async () => `the message ${code} in ${this.kind}; seen: ${await this.errorCodes()}`, async () => (await this.errorCodes()).includes(code), { timeout });
  }

  async errorCodes() {
    const elements = await this.page.$$('>>> [data-testid="error-message"]');
    return Promise.all(elements.map((element) => element.evaluate((found) => found.dataset.code)));
  }

  /** Fails when the page complained about anything but what the test brought about. */
  quiet(...allowed) {
    const others = this.page.complaints.filter((complaint) => !allowed.some((pattern) => pattern.test(complaint)));
    assert.deepEqual(others, [], `${this.kind} complained`);
  }

  async leave() {
    await this.browser.close();
  }

  kill() {
    return this.browser.kill();
  }
}

/** What a browser itself logs when the relay it talks to is gone. */
export const relayGone = /WebSocket|ERR_CONNECTION|bootstrap\.json|NetworkError|can.t establish a connection/i;

export const cidOf = (link) => link.match(/#\/f\/([^?]+)/)[1];
export const hashOf = (link) => link.slice(link.indexOf('#'));

/** The same link with another CID or key. */
export function changed(link, { cid = (old) => old, key = (old) => old }) {
  return link.replace(/#\/f\/([^?]+)\?k=(.+)$/, (_, oldCid, oldKey) => `#/f/${cid(oldCid)}?k=${key(oldKey)}`);
}

/** Folders, relays and visitors of one test, put away at its end, whatever happened. */
export class Scene {
  #folder = mkdtempSync(join(tmpdir(), 'gyre-e2e-'));
  #end = [];

  constructor(test) {
    test.after(() => this.end());
  }

  /** A file of random bytes on disk. */
  file(name, size) {
    const { bytes, sha256 } = randomFile(size);
    const path = join(this.#folder, name);
    writeFileSync(path, bytes);
    return { name, path, size, sha256 };
  }

  /** A folder for a browser's profile. */
  profile() {
    return mkdtempSync(join(this.#folder, 'profile-'));
  }

  async add(starting) {
    const thing = await starting;
    this.#end.push(thing);
    return thing;
  }

  async end() {
    for (const thing of this.#end.reverse()) await (thing.leave ?? thing.forget ?? thing.close).call(thing).catch(() => {});
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
