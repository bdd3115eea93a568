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

/** A link to a site, taken apart. */
export interface SiteLink {
  /** The site's name (`k51…`), or the CID of one version (`bafyr4i…`). */
  readonly address: string;
  /** Whether it is the CID of one version. */
  readonly isVersion: boolean;
  /** What follows: the path in the site with a slash in front, with query and fragment, percent-encoded; `/` if nothing does. */
  readonly path: string;
}

/**
 * Takes the address of a site apart: a link `https://HOST/#/s/<address>/<path>`, its fragment, a name, or a version's CID.
 *
 * @throws GyreError `BAD_LINK`, with a sentence that says what is wrong with it.
 */
export function parseSiteLink(input: string): SiteLink {
  const text = input.trim();
  if (text === '') throw bad('The address is empty.');
  if (text.length > MAX_LINK_LENGTH) throw bad('This is too long to be an address.');
  const route = /(?:^|#)\/?s\/(.*)$/s.exec(text)?.[1] ?? text.replace(/^(\/ip[fn]s\/|ip[fn]s:\/\/)/, '');
  const [, address = '', path = ''] = /^([^/?#]*)(.*)$/s.exec(route) ?? [];
  if (SITE_NAME.test(address)) return { address, isVersion: false, path: withSlash(path) };
  if (!/^bafyr4i/.test(address)) throw bad('This is not the address of a site.');
  if (!CID_ALPHABET.test(address) || address.length > CID_LENGTH) throw bad('The address of this site is malformed.');
  if (address.length < CID_LENGTH) throw bad('The address of this site is cut short. Copy all of it again.');
  return { address, isVersion: true, path: withSlash(path) };
}

/** The link of a site at the page that opens it; `path` as {@link parseSiteLink} gives it. */
export function formatSiteLink(address: string, base: URL | string, path = '/'): string {
  return formatLink(`#/s/${address}${withSlash(path)}`, base);
}

/** What opens one file of a version at a node. @internal */
export function siteFileLink(cid: string, path: string): string {
  return `#/s/${cid}/${path.split('/').map(encodeURIComponent).join('/')}`;
}

function withSlash(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/** Joins a fragment to the page that opens it. */
export function formatLink(fragment: string, base: URL | string): string {
  const url = new URL(base);
  url.search = '';
  url.hash = '';
  return url.href + (fragment.startsWith('#') ? fragment : `#${fragment}`);
}

/**
 * Adds web sources to a link's fragment: addresses of HTTP servers at which the blob lies, with its
 * tree beside it.
 *
 * @throws GyreError `BAD_OPTIONS` for what is no absolute `http` or `https` address, or too many.
 * @internal
 */
export function withSources(fragment: string, sources: readonly (string | URL)[]): string {
  const named = webSources(sources).map((source) => `ws=${encodeURIComponent(source)}`);
  return named.reduce((link, more) => `${link}${link.includes('?') ? '&' : '?'}${more}`, fragment);
}

/** The addresses as the node takes them. @throws GyreError `BAD_OPTIONS`. @internal */
export function webSources(sources: readonly (string | URL)[]): string[] {
  if (sources.length > MAX_SOURCES) throw new GyreError('BAD_OPTIONS', `More than ${MAX_SOURCES} web sources.`);
  return sources.map((source) => {
    const url = URL.canParse(source) ? new URL(source) : null;
    const fits = url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.hash === '';
    if (!url || !fits || url.href.length > MAX_SOURCE_LENGTH) {
      throw new GyreError('BAD_OPTIONS', `${String(source)} is not an http or https address of a file.`);
    }
    return url.href;
  });
}

/** The page that opens links when none is given: the root of this page's origin. @internal */
export function defaultLinkBase(): string {
  return new URL('/', globalThis.location.href).href;
}

function bad(message: string): GyreError {
  return new GyreError('BAD_LINK', message);
}

/** Characters; a link may carry a percent-encoded name of up to 1024 bytes, a media type and four web sources. @internal */
export const MAX_LINK_LENGTH = 16_384;
/** Characters of a web source, and web sources of a link at most, as in the node. */
const MAX_SOURCE_LENGTH = 512;
const MAX_SOURCES = 4;
/** Characters: `b` and 36 bytes (version, codec, 2 of multihash, 32 of BLAKE3) in base32. */
const CID_LENGTH = 59;
/** Characters: 32 bytes in base64url without padding. */
const KEY_LENGTH = 43;
const CID_START = /^bafk[a-z2-7]*(\?|$)/;
const CID_ALPHABET = /^b[a-z2-7]*$/;
const KEY = new RegExp(`^[A-Za-z0-9_-]{${KEY_LENGTH}}$`);
const FILE_ROUTE = /^\/?f\/([^?/#]+)\/?(?:\?(.*))?$/;
/** An ed25519 key as a CID in base36. */
const SITE_NAME = /^k51[0-9a-z]{59}$/;
const OTHER_KINDS = /^\/?[sm]\//;
