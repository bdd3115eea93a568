/** Which page the address bar asks for. The fragment stays in the browser: it may hold a key. */

import { parsePlace, type SitePlace } from '../site/place.js';

/** A page and what it needs. */
export type Route =
  | { page: 'home' }
  | { page: 'file'; fragment: string }
  | { page: 'swarm'; cid: string }
  | { page: 'site'; place: SitePlace }
  | { page: 'unknown'; fragment: string };

/** Reads `location.hash`. */
export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#/, '');
  if (path === '' || path === '/') return { page: 'home' };
  if (/^\/?f\//.test(path)) return { page: 'file', fragment: `#${path.startsWith('/') ? '' : '/'}${path}` };
  const swarm = /^\/?swarm\/([a-z2-7]+)\/?$/.exec(path);
  if (swarm?.[1]) return { page: 'swarm', cid: swarm[1] };
  const place = parsePlace(path);
  if (place) return { page: 'site', place };
  return { page: 'unknown', fragment: hash };
}

/** The address of the swarm view of a blob. No key is in it: the view shows nothing of the content. */
export function swarmAddress(cid: string): string {
  return `#/swarm/${cid}`;
}
