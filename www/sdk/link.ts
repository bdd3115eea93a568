/**
 * Links: `https://HOST/#/f/<cid>?k=<key>`.
 *
 * Only the shape is read here, so that a page can route and answer at once; the node decodes the
 * CID and the key and has the last word.
 */

import { GyreError } from './errors.js';

/** A link to a file, taken apart. */
export interface FileLink {
  readonly cid: string;
  /** The key of an encrypted share, `null` for a public blob. */
  readonly key: string | null;
  /** `#/f/<cid>?…`, as any host of the app opens it. */
  readonly fragment: string;
}

/**
 * Takes a link apart: a whole URL, its fragment, or a bare CID.
 *
 * @throws GyreError `BAD_LINK`, with a sentence that says what is wrong with it.
 */
export function parseLink(input: string): FileLink {
  const text = input.trim();
  if (text === '') throw bad('The link is empty.');
  if (text.length > MAX_LINK_LENGTH) throw bad('This is too long to be a link.');
  const hash = text.indexOf('#');
  const route =
    hash >= 0 ? text.slice(hash + 1) : text.startsWith('/f/') ? text : CID_START.test(text) ? `/f/${text}` : '';
  if (OTHER_KINDS.test(route)) throw bad('This link leads to a site or a mailbox, which this version cannot open.');
  const match = FILE_ROUTE.exec(route);
  if (!match) throw bad('This is not a link to a file. It should contain “#/f/”.');
  const [, cid = '', query = ''] = match;
  if (!CID_ALPHABET.test(cid)) throw bad('The address in this link has characters that do not belong there.');
  if (cid.length < CID_LENGTH) throw bad('The address in this link is cut short. Copy the whole link again.');
  if (cid.length > CID_LENGTH) throw bad('The address in this link is too long. Copy the link again.');
  const key = new URLSearchParams(query).get('k');
  if (key !== null && !KEY.test(key)) {
    throw bad(
      key.length < KEY_LENGTH
        ? 'The key at the end of this link is cut short. Copy the whole link again.'
        : 'The key in this link is malformed.',
    );
  }
  return { cid, key, fragment: `#/f/${cid}${query === '' ? '' : `?${query}`}` };
}

/** Joins a fragment to the page that opens it. */
export function formatLink(fragment: string, base: URL | string): string {
  const url = new URL(base);
  url.search = '';
  url.hash = '';
  return url.href + (fragment.startsWith('#') ? fragment : `#${fragment}`);
}

/** The page that opens links when none is given: the root of this page's origin. @internal */
export function defaultLinkBase(): string {
  return new URL('/', globalThis.location.href).href;
}

function bad(message: string): GyreError {
  return new GyreError('BAD_LINK', message);
}

/** Characters; a public link carries a percent-encoded name of up to 1024 bytes and a media type. */
const MAX_LINK_LENGTH = 8192;
/** Characters: `b` and 36 bytes (version, codec, 2 of multihash, 32 of BLAKE3) in base32. */
const CID_LENGTH = 59;
/** Characters: 32 bytes in base64url without padding. */
const KEY_LENGTH = 43;
const CID_START = /^bafk[a-z2-7]*(\?|$)/;
const CID_ALPHABET = /^b[a-z2-7]*$/;
const KEY = new RegExp(`^[A-Za-z0-9_-]{${KEY_LENGTH}}$`);
const FILE_ROUTE = /^\/?f\/([^?/#]+)\/?(?:\?(.*))?$/;
const OTHER_KINDS = /^\/?[sm]\//;
