/** Looks for one stamp, says it and is done. */

import { loadMailModule } from './module.js';

onmessage = ({ data }: MessageEvent<{ prefix: Uint8Array; bits: number }>) => {
  void loadMailModule().then(({ StampSearch }) => {
    const search = new StampSearch(data.prefix, data.bits);
    let nonce: bigint | undefined;
    while (nonce === undefined) nonce = search.step(TRIES_PER_STEP);
    postMessage(nonce);
  }, reportError);
};

/** About a second; the worker is ended from outside. */
const TRIES_PER_STEP = 1 << 22;
