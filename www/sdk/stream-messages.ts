/**
 * What the service worker and a page say to each other about one HTTP request for a file.
 *
 * The worker holds no state: it may be stopped between any two messages. A page that is asked answers
 * through the port that came with the question; a body is sent piece by piece, each when it is pulled.
 * Both ends read what arrives with the functions here, since they may be of different versions.
 */

/** What the worker sends to a page, with one `MessagePort`. */
export interface Ask {
  readonly gyre: typeof ASK;
  /** {@link PROTOCOL}. */
  readonly v: number;
  readonly cid: string;
  readonly method: string;
  /** The request headers that count, in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** To be saved, not shown. */
  readonly download: boolean;
}

/** What a page sends through the port. */
export type Answer =
  /** This page has a peer and is working on it; repeated while the worker waits. */
  | { readonly type: 'here' }
  /** Status and headers; a body follows if `body`, each piece after a `pull`. */
  | {
      readonly type: 'head';
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
      readonly body: boolean;
    }
  | { readonly type: 'data'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'end' }
  /** The page lets go of this request; the worker may ask again for what is missing. */
  | { readonly type: 'gone' }
  /** It cannot be had, now or in the middle of it. */
  | { readonly type: 'fail'; readonly code: string; readonly message: string };

/** What the worker sends through the port. */
export type Wish = { readonly type: 'pull' } | { readonly type: 'cancel' };

/** Where files stand below the worker's scope. */
export const FILES_PATH = '.gyre/f/';
/** Marks a question about a file. */
export const ASK = 'file';
/** Marks a message that does nothing but keep a worker running that feeds a slow body. */
export const AWAKE = 'awake';
/** Marks a page's wish to be controlled, after a reload that went past the worker. */
export const CLAIM = 'claim';
/** Version of these messages; a page that knows another one does not answer. */
export const PROTOCOL = 1;
/** The request headers that an answer depends on. */
export const HEADERS_USED = ['range', 'if-range', 'if-none-match', 'if-match'] as const;
/** Milliseconds between two signs of life of a page that works on an answer. */
export const SIGN_OF_LIFE_MS = 4_000;

/** What an address below the scope names. */
export interface FileAddress {
  readonly cid: string;
  readonly download: boolean;
}

/** The address of a file below `scope`; `name` is for people alone. */
export function fileUrl(scope: URL | string, cid: string, options: { name?: string; download?: boolean } = {}): string {
  const name = options.name ? `/${encodeURIComponent(wellFormed(options.name.slice(0, MAX_NAME_LENGTH)))}` : '';
  return new URL(`${FILES_PATH}${cid}${name}${options.download ? '?download' : ''}`, scope).href;
}

/** Reads an address: `null` if it is none of a file, `'malformed'` if it should be one and is not. */
export function parseFileUrl(url: URL, scope: URL): FileAddress | 'malformed' | null {
  const base = new URL(FILES_PATH, scope);
  if (url.origin !== base.origin || !url.pathname.startsWith(base.pathname)) return null;
  const [cid = '', ...rest] = url.pathname.slice(base.pathname.length).split('/');
  if (!CID.test(cid) || rest.length > 1) return 'malformed';
  return { cid, download: url.searchParams.has('download') };
}

/** Reads a question, `null` if it is none of this version. */
export function readAsk(value: unknown): Ask | null {
  if (!isObject(value) || value.gyre !== ASK || value.v !== PROTOCOL) return null;
  const { cid, method, headers, download } = value;
  if (typeof cid !== 'string' || !CID.test(cid) || typeof method !== 'string' || !isObject(headers)) return null;
  const used: Record<string, string> = {};
  for (const name of HEADERS_USED) {
    const text = headers[name];
    if (typeof text === 'string' && text.length <= MAX_HEADER_LENGTH) used[name] = text;
  }
  return { gyre: ASK, v: PROTOCOL, cid, method, headers: used, download: download === true };
}

/** Reads an answer, `null` if it is none. */
export function readAnswer(value: unknown): Answer | null {
  if (!isObject(value)) return null;
  switch (value.type) {
    case 'here':
    case 'end':
    case 'gone':
      return { type: value.type };
    case 'data':
      return value.bytes instanceof Uint8Array && value.bytes.byteLength > 0
        ? { type: 'data', bytes: value.bytes as Uint8Array<ArrayBuffer> }
        : null;
    case 'fail':
      return typeof value.code === 'string' && typeof value.message === 'string'
        ? { type: 'fail', code: value.code, message: value.message }
        : null;
    case 'head': {
      const { status, headers, body } = value;
      if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) return null;
      if (!Array.isArray(headers) || !headers.every(isHeader)) return null;
      return { type: 'head', status, headers, body: body === true };
    }
    default:
      return null;
  }
}

/** Reads a wish, `null` if it is none. */
export function readWish(value: unknown): Wish | null {
  return isObject(value) && (value.type === 'pull' || value.type === 'cancel') ? { type: value.type } : null;
}

/** The text without half characters, which no address or header can carry. @internal */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isHeader(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string');
}

/** A CIDv1 in base32 of 36 bytes, as links carry it. */
const CID = /^b[a-z2-7]{58}$/;
/** Characters; a range or a list of entity tags is far shorter. */
const MAX_HEADER_LENGTH = 1024;
/** Characters of a name in an address; it is decoration. */
const MAX_NAME_LENGTH = 120;
