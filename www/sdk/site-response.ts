/** The HTTP of a site: from what it answers and a request's method and headers to a status, headers and a span of bytes. */

import type { SiteAnswer } from './site-types.js';
import { negotiate, type Head } from './stream-response.js';

/**
 * Answers a request for what `answer` names; `header` looks a request header up by its lower-case name. The media type is the
 * publisher's word: an answer is to be shown in an origin of the site's own, never in one that keeps anything else.
 */
export function siteResponse(answer: SiteAnswer, method: string, header: (name: string) => string | null): Head {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, headers: [['Allow', 'GET, HEAD']], span: null };
  if (answer.kind === 'redirect' && answer.location !== null) {
    return { status: answer.status, headers: [['Location', answer.location], ...CAREFUL], span: null };
  }
  if (answer.kind !== 'file' || answer.etag === null) return { status: answer.status, headers: CAREFUL, span: null };
  const about: [string, string][] = [
    ['Cache-Control', answer.cache ?? 'no-cache'],
    ...(answer.csp === null ? [] : ([['Content-Security-Policy', answer.csp]] as [string, string][])),
    ['X-Content-Type-Options', 'nosniff'],
  ];
  const type: [string, string] = ['Content-Type', answer.type];
  // A page that says that something is missing is no part of it: conditions and ranges are for what is there.
  if (answer.status !== 200) {
    const length: [string, string] = ['Content-Length', String(answer.size)];
    return { status: answer.status, headers: [type, length, ...about], span: method === 'HEAD' ? null : { start: 0, end: answer.size } };
  }
  const { status, headers, span } = negotiate(answer.etag, answer.size, method, header);
  const shown = status === 200 || status === 206;
  return { status, headers: [...headers, ...(shown ? [type] : []), ...about], span };
}

/** What a name leads to changes. */
const CAREFUL: [string, string][] = [['Cache-Control', 'no-cache']];
