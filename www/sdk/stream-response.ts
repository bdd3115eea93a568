/**
 * The HTTP of one file: from a request's method and headers to a status, headers and a span of bytes.
 *
 * As RFC 9110 has it. The media type is the sharer's claim and is shown from the page's own origin, so
 * an answer never carries a type that could run as a program: what may be shown is a list, what can hold
 * a script is opened in a sandbox without an origin, and all else is only ever saved.
 */

import { parseRangeHeader, type Span } from './range.js';
import { wellFormed } from './stream-messages.js';

/** What an answer is made from. */
export interface FileFacts {
  readonly cid: string;
  readonly name: string;
  /** The sharer's word. */
  readonly type: string;
  /** Bytes. */
  readonly size: number;
}

/** An answer without its bytes. */
export interface Head {
  readonly status: number;
  readonly headers: [string, string][];
  /** The bytes that follow, `null` for none. */
  readonly span: Span | null;
}

/** Answers a request; `header` looks a request header up by its lower-case name. */
export function answer(
  file: FileFacts,
  method: string,
  header: (name: string) => string | null,
  options: { download?: boolean } = {},
): Head {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, headers: [['Allow', 'GET, HEAD']], span: null };
  const head = negotiate(`"${file.cid}"`, file.size, method, header);
  head.headers.push(
    // The bytes of a CID never change, but a file that was removed here must not go on being shown.
    ['Cache-Control', 'private, no-cache'],
    ['Cross-Origin-Resource-Policy', 'same-origin'],
    ['Referrer-Policy', 'no-referrer'],
    ['X-Content-Type-Options', 'nosniff'],
  );
  if (head.status !== 200 && head.status !== 206) return head;
  const { type, policy, shown } = presentation(file.type);
  head.headers.push(
    ['Content-Type', type],
    ['Content-Security-Policy', policy],
    ['Content-Disposition', disposition(file.name || file.cid, options.download === true || !shown)],
  );
  return head;
}

/** The part of an answer to `GET` or `HEAD` that conditions and ranges decide: RFC 9110, sections 13 and 14. */
export function negotiate(etag: string, size: number, method: string, header: (name: string) => string | null): Head {
  const headers: [string, string][] = [
    ['Accept-Ranges', 'bytes'],
    ['ETag', etag],
  ];
  const wanted = header('if-match');
  if (wanted !== null && !names(wanted, etag)) return { status: 412, headers, span: null };
  const known = header('if-none-match');
  if (known !== null && names(known.replace(/W\//g, ''), etag)) return { status: 304, headers, span: null };
  const condition = header('if-range');
  // RFC 9110, 14.2: Range is defined for GET alone.
  const range =
    method === 'GET' && (condition === null || condition.trim() === etag)
      ? parseRangeHeader(header('range'), size)
      : null;
  if (range === 'unsatisfiable') {
    headers.push(['Content-Range', `bytes */${size}`]);
    return { status: 416, headers, span: null };
  }
  const span: Span = range ?? { start: 0, end: size };
  headers.push(['Content-Length', String(span.end - span.start)]);
  if (range) headers.push(['Content-Range', `bytes ${span.start}-${span.end - 1}/${size}`]);
  return { status: range ? 206 : 200, headers, span: method === 'HEAD' ? null : span };
}

/** How a claimed media type is passed on: the type itself, the policy of a page made of it, whether it is ever shown. */
export function presentation(claimed: string): { type: string; policy: string; shown: boolean } {
  const essence = (claimed.split(';')[0] ?? '').trim().toLowerCase();
  if (PLAIN.test(essence)) return { type: essence, policy: SANDBOX, shown: true };
  if (essence === 'application/pdf') return { type: essence, policy: PDF, shown: true };
  if (MARKUP.has(essence)) return { type: `${essence}; charset=utf-8`, policy: SANDBOX, shown: true };
  if (TEXT.test(essence)) return { type: 'text/plain; charset=utf-8', policy: SANDBOX, shown: true };
  return { type: 'application/octet-stream', policy: SANDBOX, shown: false };
}

/** A `Content-Disposition` (RFC 6266) with a plain name for old readers and the full one beside it. */
export function disposition(name: string, download: boolean): string {
  const clean = wellFormed(name).replace(/[\u0000-\u001f\u007f/\\]/g, '_');
  const plain = clean.replace(/[^\x20-\x7e]|["%]/g, '_');
  const full = encodeURIComponent(clean).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return `${download ? 'attachment' : 'inline'}; filename="${plain}"; filename*=UTF-8''${full}`;
}

/** Whether a list of entity tags names this one, or any. */
function names(list: string, etag: string): boolean {
  return list.trim() === '*' || list.split(',').some((tag) => tag.trim() === etag);
}

/** Pictures, sound, film and fonts: nothing in them runs. SVG is markup. */
const PLAIN = /^(?!image\/svg)(image|audio|video|font)\/[a-z0-9][a-z0-9.+-]{0,63}$/;
/** Markup: shown without scripts, without an origin, without the network. */
const MARKUP = new Set(['text/html', 'application/xhtml+xml', 'image/svg+xml']);
/** Shown as plain text, whatever kind of text it is. */
const TEXT = /^(text\/[a-z0-9.+-]+|application\/(json|xml|toml|yaml|javascript|x-sh|sql))$/;
/** No scripts, no forms, no origin; only what the document itself contains. */
const SANDBOX = "sandbox; default-src 'none'; img-src data:; media-src data:; font-src data:; style-src 'unsafe-inline'";
/** The browsers' own PDF viewers do not work in a sandbox; what they show has no access to the origin. */
const PDF = "frame-ancestors 'self'";
