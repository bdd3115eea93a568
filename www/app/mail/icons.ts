/** The drawings that only the mail needs, beside those of the whole app. */

import { svg, type SVGTemplateResult } from 'lit';
import { icon as shared } from '../components/icons.js';

/** One of these, or one of the app's. */
export function icon(name: keyof typeof PATHS | Parameters<typeof shared>[0]): SVGTemplateResult {
  if (!isOwn(name)) return shared(name);
  return svg`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
}

function isOwn(name: string): name is keyof typeof PATHS {
  return Object.hasOwn(PATHS, name);
}

const PATHS = {
  unread: 'M12.5 6H4v13h16v-7.5M4 7.5l8 6 3.2-2.4M19 4a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z',
  star: 'M12 4l2.5 5.2 5.7.7-4.2 3.9 1.1 5.7L12 16.7l-5.1 2.8L8 13.8 3.8 9.9l5.7-.7z',
  archive: 'M4 5h16v4H4zM5.5 9v10h13V9M10 13h4',
  clip: 'M18.5 11.5l-6.8 6.8a4 4 0 0 1-5.7-5.7l7.5-7.5a2.7 2.7 0 0 1 3.8 3.8l-7.4 7.4a1.3 1.3 0 0 1-1.9-1.9l6.7-6.7',
  send: 'M4 12l16-8-6 16-3-7zM11 13l9-9',
  reply: 'M9 6l-5 5 5 5M4 11h10a6 6 0 0 1 6 6v1',
  replyAll: 'M12 6l-5 5 5 5M7 6l-5 5 5 5M7 11h8a6 6 0 0 1 6 6v1',
  forward: 'M15 6l5 5-5 5M20 11H10a6 6 0 0 0-6 6v1',
  qr: 'M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2v2h-2zM18 14h2M14 18v2M18 18h2v2h-2z',
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20',
  keys: 'M3 7h18v10H3zM6.5 10.5h.01M10 10.5h.01M13.5 10.5h.01M17 10.5h.01M8 14h8',
} as const;
