/** Where in the mail somebody is, as the address bar says it. A message or a draft is named by its id, never by what it says. */

import type { Folder } from 'gyre';

/** A place and what it needs. */
export type MailPlace =
  | { readonly view: 'list'; readonly folder: Folder; readonly thread: string | null }
  | { readonly view: 'search'; readonly query: string; readonly thread: string | null }
  /** A new mail, or the draft with this id; `to` is a link, an id or a card that came with the address. */
  | { readonly view: 'write'; readonly draft: string | null; readonly to: string | null }
  | { readonly view: 'contacts' }
  | { readonly view: 'settings' };

/** Reads `#/mail…` and `#/m/<identity>`; what is not known leads to the inbox. */
export function parseMailPlace(hash: string): MailPlace {
  const path = hash.replace(/^#?\/?/, '');
  if (/^m\/./.test(path)) return { view: 'write', draft: null, to: decoded(path.slice(2)).slice(0, MAX_TO) };
  const [, first = '', second = '', third = ''] = path.split('/');
  switch (first) {
    case 'write':
      return { view: 'write', draft: second === '' ? null : decoded(second), to: null };
    case 'contacts':
    case 'settings':
      return { view: first };
    case 'search':
      return { view: 'search', query: decoded(second).slice(0, MAX_QUERY), thread: third === '' ? null : decoded(third) };
    default: {
      const folder = FOLDERS.find((name) => name === first) ?? 'inbox';
      return { view: 'list', folder, thread: second === '' ? null : decoded(second) };
    }
  }
}

/** The address of a place. */
export function mailAddress(place: MailPlace): string {
  switch (place.view) {
    case 'list':
      return place.folder === 'inbox' && place.thread === null ? '#/mail' : `#/mail/${place.folder}${tail(place.thread)}`;
    case 'search':
      return `#/mail/search/${encodeURIComponent(place.query)}${tail(place.thread)}`;
    case 'write':
      return place.to === null ? `#/mail/write${tail(place.draft)}` : `#/m/${encodeURIComponent(place.to)}`;
    case 'contacts':
    case 'settings':
      return `#/mail/${place.view}`;
  }
}

/** The list that a thread was opened from; elsewhere the inbox. */
export function listOf(place: MailPlace): MailPlace {
  return place.view === 'list' || place.view === 'search' ? { ...place, thread: null } : { view: 'list', folder: 'inbox', thread: null };
}

/** Whether two places show the same list. */
export function sameList(a: MailPlace, b: MailPlace): boolean {
  return mailAddress(listOf(a)) === mailAddress(listOf(b));
}

function tail(id: string | null): string {
  return id === null ? '' : `/${encodeURIComponent(id)}`;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** In the order in which they are shown. */
export const FOLDERS: readonly Folder[] = ['inbox', 'requests', 'sent', 'drafts', 'archive', 'trash'];
/** Characters of a search. */
const MAX_QUERY = 200;
/** Characters of a card, which has at most 2,048 (docs/identity.md), percent-encoded. */
const MAX_TO = 6_200;
