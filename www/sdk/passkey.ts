/** Passkeys that answer a salt with a secret: WebAuthn with its `prf` extension. */

import { GyreError } from './errors.js';

/** Makes a passkey of this origin and asks it with this salt. @internal */
export async function makePasskey(salt: Uint8Array): Promise<Uint8Array> {
  assertPasskeys();
  const { hostname } = globalThis.location;
  const created = await declined(
    navigator.credentials.create({
      publicKey: {
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        rp: { id: hostname, name: hostname },
        user: { id: crypto.getRandomValues(new Uint8Array(16)), name: 'Gyre keys', displayName: 'Gyre keys' },
        pubKeyCredParams: [
          { type: 'public-key', alg: -7 },
          { type: 'public-key', alg: -257 },
        ],
        // Found again by its origin alone: nothing here remembers its id.
        authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
        extensions: { prf: { eval: { first: salt as Uint8Array<ArrayBuffer> } } },
      },
    }),
  );
  const { prf } = resultsOf(created);
  if (prf?.results?.first) return answerOf(prf.results.first);
  if (prf?.enabled !== true) throw unsupported('This passkey cannot keep keys. A passphrase can.');
  // Most authenticators answer only when they are asked the next time.
  return askPasskey(salt, (created as PublicKeyCredential).rawId);
}

/** Asks a passkey of this origin with this salt. @internal */
export async function askPasskey(salt: Uint8Array, id?: ArrayBuffer): Promise<Uint8Array> {
  assertPasskeys();
  const got = await declined(
    navigator.credentials.get({
      publicKey: {
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        rpId: globalThis.location.hostname,
        userVerification: 'required',
        ...(id ? { allowCredentials: [{ type: 'public-key' as const, id }] } : {}),
        extensions: { prf: { eval: { first: salt as Uint8Array<ArrayBuffer> } } },
      },
    }),
  );
  const first = resultsOf(got).prf?.results?.first;
  if (!first) throw unsupported('This passkey, or this browser, cannot unlock keys. Use the passphrase.');
  return answerOf(first);
}

function assertPasskeys(): void {
  if (typeof PublicKeyCredential === 'undefined' || !navigator.credentials) {
    throw unsupported('This browser has no passkeys.');
  }
}

async function declined<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    const { name } = cause as DOMException;
    if (name === 'NotSupportedError' || name === 'SecurityError') {
      throw new GyreError('UNSUPPORTED', 'Passkeys do not work on this page.', { cause });
    }
    throw new GyreError('ABORTED', 'No passkey was given.', { cause });
  }
}

function resultsOf(credential: Credential | null): AuthenticationExtensionsClientOutputs {
  return credential instanceof PublicKeyCredential ? credential.getClientExtensionResults() : {};
}

function answerOf(first: BufferSource): Uint8Array {
  const bytes = ArrayBuffer.isView(first) ? new Uint8Array(first.buffer, first.byteOffset, first.byteLength) : new Uint8Array(first);
  if (bytes.byteLength !== 32) throw unsupported('This passkey gave an unexpected answer.');
  return bytes;
}

function unsupported(message: string): GyreError {
  return new GyreError('UNSUPPORTED', message);
}
