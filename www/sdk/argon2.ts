/** argon2id, in turns short enough that the page goes on answering meanwhile. Loaded when a passphrase is first used. */

import { argon2idAsync } from '@noble/hashes/argon2.js';
import type { PassphraseLock } from './keys.js';

/** The key that a passphrase stands for, as `docs/keys.md` has it. @internal */
export function stretch(passphrase: string, { salt, memory, passes, lanes }: PassphraseLock): Promise<Uint8Array> {
  return argon2idAsync(new TextEncoder().encode(passphrase), salt, { m: memory, t: passes, p: lanes, dkLen: 32 });
}
