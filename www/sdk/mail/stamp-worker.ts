/** Looks for one stamp, says how many numbers it has tried, in the end the stamp, and is done. */

import { loadMailModule } from './module.js';

onmessage = ({ data }: MessageEvent<{ prefix: Uint8Array; bits: number }>) => {
  void loadMailModule().then(({ StampSearch }) => {
    const search = new StampSearch(data.prefix, data.bits);
    let nonce: bigint | undefined;
    for (;;) {
      nonce = search.step(TRIES_PER_STEP);
      if (nonce !== undefined) break;
      postMessage(Number(search.tried));
    }
    postMessage(nonce);
  }, reportError);
};

/** About a third of a second; the worker is ended from outside. */
const TRIES_PER_STEP = 1 << 20;
