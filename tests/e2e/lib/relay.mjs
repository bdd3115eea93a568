// Runs the real relay on a free port, as a visitor's or a volunteer's machine would.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { relayBinary, root } from '../../../scripts/lib/places.mjs';
import { until } from './browser.mjs';
import { freePort, freeUdpPort } from './files.mjs';

/** The one that people run, or the one that the tests were built with. */
export const relayProgram = process.env.GYRE_RELAY ?? relayBinary;
/** How long a relay may take until it answers, in milliseconds. */
const READY_TIMEOUT_MS = 30_000;

/** Starts a relay that serves the app (or `app`, another folder; `null` for none). */
export async function startRelay({ app = join(root, 'www/dist'), args = [] } = {}) {
  const relay = {
    data: mkdtempSync(join(tmpdir(), 'gyre-relay-')),
    port: await freePort(),
    stunPort: await freeUdpPort(),
    child: null,
    log: '',

    get url() {
      return `http://localhost:${this.port}/`;
    },

    /** Starts it, again with the same key and port when it ran before. */
    async start() {
      const child = (this.child = spawn(relayProgram, [
        '--listen', `localhost:${this.port}`, '--stun', `127.0.0.1:${this.stunPort}`, ...(app ? ['--app', app] : []), '--data', this.data,
        // A page would look for an identity that counts among strangers, and be another peer from its next start on.
        ...(args.includes('--puzzle-bits') ? [] : ['--puzzle-bits', '0']), ...args,
      ], { stdio: ['ignore', 'pipe', 'pipe'] }));
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { this.log = (this.log + text).slice(-20_000); });
      await until(() => `the relay to answer; it said:\n${this.log}`, async () => {
        if (child.exitCode !== null) throw new Error(`the relay ended with code ${child.exitCode}:\n${this.log}`);
        return fetch(`${this.url}healthz`).then((response) => response.ok, () => false);
      }, { timeout: READY_TIMEOUT_MS, every: 50 });
      const bootstrap = await (await fetch(`${this.url}bootstrap.json`)).json();
      this.address = bootstrap.relays[0];
      return this;
    },

    /** Asks it to end; resolves with its exit code. */
    stop() {
      return this.end('SIGTERM');
    },

    /** Ends it as a power cut would. */
    kill() {
      return this.end('SIGKILL');
    },

    end(signal) {
      const child = this.child;
      if (!child || child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child?.exitCode);
      return new Promise((resolve) => {
        child.once('exit', (code) => resolve(code));
        child.kill(signal);
      });
    },

    async forget() {
      await this.kill();
      rmSync(this.data, { recursive: true, force: true });
    },
  };
  return relay.start();
}
