// Runs other programs: quietly, with the last lines kept for when they fail, and never longer than allowed.

import { AsyncLocalStorage } from 'node:async_hooks';
import { spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';

/** A failure that is told in one sentence; anything else keeps its stack. */
export class Told extends Error {}

/** How many of a program's last characters are kept and shown when it fails. */
const TAIL_CHARACTERS = 12_000;

/** Whose output it is, while several things run at once. */
const speaker = new AsyncLocalStorage();

/** What is running now, so that an interrupted script leaves nothing behind. */
const running = new Set();

/** Calls `body`; every line that programs show until it is done begins with `name`. */
export const speakingAs = (name, body) => speaker.run(name, body);

/** Writes whole lines only, each with its speaker before it, so that two programs do not write into each other's lines. */
function linesTo(stream) {
  const name = speaker.getStore();
  if (!name) return { write: (text) => stream.write(text), end: () => {} };
  let begun = '';
  return {
    write(text) {
      const lines = (begun + text).split('\n');
      begun = lines.pop();
      if (lines.length) stream.write(lines.map((line) => `${name} │ ${line}\n`).join(''));
    },
    end() {
      if (begun) stream.write(`${name} │ ${begun}\n`);
    },
  };
}

/**
 * Runs a program to its end and resolves with its code and its output.
 *
 * `show` passes the output on while it runs; `timeout` is in milliseconds; `check: false` resolves on failure too; `behind` lets
 * everything else go first.
 */
export function run(command, args = [], options = {}) {
  const { cwd, env, show = false, timeout = 0, check = true, behind = false, label = command } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own group, so that a time-out or Ctrl-C ends what it started as well.
      detached: process.platform !== 'win32',
    });
    running.add(child);
    if (behind && child.pid) giveWay(child.pid);
    let output = '';
    const shown = [];
    const take = (stream) => {
      const lines = linesTo(stream);
      shown.push(lines);
      return (chunk) => {
        output += chunk;
        if (!options.keepAll && output.length > TAIL_CHARACTERS * 2) output = output.slice(-TAIL_CHARACTERS);
        if (show) lines.write(chunk);
      };
    };
    child.stdout.setEncoding('utf8').on('data', take(process.stdout));
    child.stderr.setEncoding('utf8').on('data', take(process.stderr));
    let timedOut = false;
    const timer = timeout && setTimeout(() => {
      timedOut = true;
      kill(child, 'SIGKILL');
    }, timeout);
    child.on('error', (error) => {
      running.delete(child);
      clearTimeout(timer);
      reject(error.code === 'ENOENT' ? new Told(`${command} is not installed or not on the PATH.`) : error);
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      for (const lines of shown) lines.end();
      clearTimeout(timer);
      const result = { code: code ?? 128 + (constants.signals[signal] ?? 0), output, timedOut };
      if (result.code === 0 || !check) return resolve(result);
      const why = timedOut ? `took longer than ${Math.round(timeout / 1000)} s` : `ended with code ${result.code}`;
      reject(new Told(`${label} ${why}.${show ? '' : `\n${output.slice(-TAIL_CHARACTERS)}`}`));
    });
  });
}

function giveWay(pid) {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It ended first.
  }
}

/** Runs a program and resolves with its trimmed output, or null when it is missing or fails. */
export async function ask(command, args = []) {
  try {
    const { code, output } = await run(command, args, { check: false, keepAll: true });
    return code === 0 ? output.trim() : null;
  } catch {
    return null;
  }
}

/** Ends one child with everything it started. */
export function kill(child, signal = 'SIGTERM') {
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // It ended first.
  }
}

/** Calls `main` and turns what it throws into an exit code and, where it can, one sentence. */
export function main(name, body) {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      for (const child of running) kill(child);
      console.error(`\n${name}: stopped by ${signal}.`);
      process.exit(128 + constants.signals[signal]);
    });
  }
  body().then(
    (code) => { process.exitCode = code ?? 0; },
    (error) => {
      for (const child of running) kill(child);
      console.error(`\n${name}: ${error instanceof Told ? error.message : error.stack}`);
      process.exitCode = 1;
    },
  );
}
