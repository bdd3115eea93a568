/** The work that strangers ask for, off the page's thread where that is possible. */

import { GyreError } from '../errors.js';
import type { MailModule } from './module.js';

/** Looks for a number with so many zero bits; in a worker, or else in turns short enough for the page to go on. `onTried` hears how many were tried. */
export async function searchStamp(
  module: MailModule,
  { prefix, bits }: { prefix: Uint8Array; bits: number },
  signal: AbortSignal,
  onTried: (tried: number) => void,
): Promise<bigint> {
  if (typeof Worker !== 'undefined') {
    const found = await inWorker(prefix, bits, signal, onTried);
    if (found !== null) return found;
  }
  return inTurns(module, prefix, bits, signal, onTried);
}

/** `null` if no worker can be had here. */
function inWorker(prefix: Uint8Array, bits: number, signal: AbortSignal, onTried: (tried: number) => void): Promise<bigint | null> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./stamp-worker.js', import.meta.url), { type: 'module' });
    const end = (): void => {
      worker.terminate();
      signal.removeEventListener('abort', abort);
    };
    const abort = (): void => {
      end();
      reject(new GyreError('ABORTED', 'Cancelled.'));
    };
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) return abort();
    worker.onerror = () => {
      end();
      resolve(null);
    };
    worker.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (typeof data === 'number') return onTried(data);
      end();
      resolve(typeof data === 'bigint' ? data : null);
    };
    worker.postMessage({ prefix, bits });
  });
}

async function inTurns(module: MailModule, prefix: Uint8Array, bits: number, signal: AbortSignal, onTried: (tried: number) => void): Promise<bigint> {
  let told = performance.now();
  const search = new module.StampSearch(prefix, bits);
  try {
    for (;;) {
      if (signal.aborted) throw new GyreError('ABORTED', 'Cancelled.');
      const nonce = search.step(TRIES_PER_TURN);
      if (nonce !== undefined) return nonce;
      if (performance.now() - told >= TOLD_MS) {
        told = performance.now();
        onTried(Number(search.tried));
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
  } finally {
    search.free();
  }
}

/** About 5 ms at 3 million tries a second. */
const TRIES_PER_TURN = 16_384;
/** How often turns say how many were tried. */
const TOLD_MS = 300;
