// A relay and browsers, each in its own place of a made network.

import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../../scripts/lib/places.mjs';
import { Scene, Visitor } from '../../e2e/lib/app.mjs';
import { find, launch, until } from '../../e2e/lib/browser.mjs';
import { relayProgram } from '../../e2e/lib/relay.mjs';
import { Internet, relayAddress } from './net.mjs';

const url = `http://${relayAddress}:8080/`;
/** How long a relay may take until it says that it is there, in milliseconds. */
const READY_TIMEOUT_MS = 30_000;

/** One test's network, relay and visitors, all put away at its end. */
export class NetScene extends Scene {
  #folder = mkdtempSync(join(tmpdir(), 'gyre-netns-'));

  constructor(test) {
    super(test);
    this.internet = new Internet();
    // Runs after what the scene itself puts away, which lives in it.
    test.after(() => {
      this.internet.close();
      rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    });
  }

  /** Starts the relay in the public network. */
  async relay(...args) {
    const child = spawn('ip', [
      'netns', 'exec', this.internet.space, relayProgram, '--listen', `${relayAddress}:8080`, '--stun', `${relayAddress}:3478`,
      '--app', join(root, 'www/dist'), '--data', join(this.#folder, 'relay'), ...args,
    ], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { said = (said + text).slice(-20_000); });
    await this.add(Promise.resolve({ close: async () => child.kill('SIGKILL') }));
    await until(() => `the relay to be there; it said:\n${said}`, () => {
      if (child.exitCode !== null) throw new Error(`the relay ended with code ${child.exitCode}:\n${said}`);
      return said.includes('Gyre is at');
    }, { timeout: READY_TIMEOUT_MS });
  }

  /** A browser on this machine, with the app open and joined. */
  visitor(machine, { hash = '' } = {}) {
    return this.add(arrive(machine, hash, this.#program(machine)));
  }

  /** The browser, started inside the machine's namespace. */
  #program(machine) {
    const path = join(this.#folder, `in-${machine.space}`);
    writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${machine.space} '${find('chromium')}' "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  }
}

async function arrive(machine, hash, program) {
  const visitor = new Visitor();
  Object.assign(visitor, { kind: `the browser at ${machine.address}`, relay: { url } });
  // What a page over https may do, and no certificate for an address of the documentation range.
  visitor.browser = await launch('chromium', { program, args: [`--unsafely-treat-insecure-origin-as-secure=${new URL(url).origin}`] });
  try {
    visitor.page = await visitor.browser.page(new URL(hash, url).href);
    await visitor.joined();
    return visitor;
  } catch (error) {
    const said = visitor.page?.log.join('\n') ?? '';
    await visitor.leave();
    throw new Error(`${visitor.kind} could not join: ${error.message}\n${said}`, { cause: error });
  }
}
