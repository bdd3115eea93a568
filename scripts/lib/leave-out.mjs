// Leaves out of the peer's WebAssembly what the compiler cannot know that nobody calls.
//
// It keeps whatever stands in a table beside what is called: the other ciphers of a library that looks them up by name, the words of
// an error that is handed on as one of any kind. Their bodies are emptied here, and wasm-opt drops what only they called.
// Only functions that no other is likely to equal are named: the compiler keeps one copy of those that are the same.

import { functionNames, functions, withBodies } from './wasm.mjs';

/** What is never called: it traps, as a failed assertion does. */
export const NEVER_CALLED = [
  // libp2p speaks Noise_XX_25519_ChaChaPoly_SHA256 and nothing else; the name is a constant, and no peer has a say in it.
  /^<snow::resolvers::default::CipherAesGcm as .*>::(en|de)crypt$/,
  /^<snow::resolvers::default::Hash(BLAKE2[bs]|SHA512) as .*>::(input|result)$/,
];

/** What writes texts that nobody reads: it writes nothing. */
export const NEVER_READ = [
  // Parts of addresses, in errors of libp2p; it knows every protocol and every base that there is. Ours are written by
  // net::addresses::text, and net::causes says why there is no connection.
  /^<multiaddr::protocol::Protocol as core::fmt::Display>::fmt$/,
];

/** The module without them. What is not found stays: whether enough is left out is what the budget in `tests/size` says. */
export function leaveOut(module) {
  const { imported, bodies } = functions(module);
  for (const [index, name] of plainNames(module)) {
    if (NEVER_CALLED.some((pattern) => pattern.test(name))) bodies[index - imported] = TRAP;
    else if (NEVER_READ.some((pattern) => pattern.test(name))) bodies[index - imported] = NOTHING_WRITTEN;
  }
  return withBodies(module, bodies);
}

/** The names of functions without what differs from build to build: hashes at the end, and after the names of crates. */
export function plainNames(module) {
  return [...functionNames(module)].map(([index, name]) => [index, name.replace(/\[[0-9a-f]+\]/g, '').replace(/::h[0-9a-f]{16}(\.\d+)?$/, '')]);
}

/** No variables; unreachable; end. */
const TRAP = Buffer.from([0x00, 0x00, 0x0b]);
/** No variables; i32.const 0, which is `Ok(())` of a `fmt::Result`; end. */
const NOTHING_WRITTEN = Buffer.from([0x00, 0x41, 0x00, 0x0b]);
