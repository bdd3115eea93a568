/** A locked file of keys in a link, for a second device: it is read by its camera, and opened with a code that is typed. */

/** The fragment of such a link. */
export function offerFragment(file: Uint8Array): string {
  return `${START}${encode(file)}`;
}

/** The file in a fragment, `null` if there is none. */
export function offeredFile(fragment: string): Uint8Array | null {
  if (!fragment.startsWith(START)) return null;
  const text = fragment.slice(START.length);
  if (text.length > MAX_OFFER || !/^[\w-]+$/.test(text)) return null;
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (sign) => sign.charCodeAt(0));
  } catch {
    return null;
  }
}

function encode(file: Uint8Array): string {
  return btoa(String.fromCharCode(...file)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

const START = '#/keys/take/';
/** Characters; a file of keys has 110 bytes. */
const MAX_OFFER = 4096;
