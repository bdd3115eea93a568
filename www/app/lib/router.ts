/** Which page the address bar asks for. The fragment stays in the browser: it may hold a key. */

import { parsePlace, type SitePlace } from '../site/place.js';

/** A page and what it needs. */
export type Route =
  | { page: 'home' }
  | { page: 'file'; fragment: string }
  | { page: 'swarm'; cid: string }
  | { page: 'sites' }
  /** A new site, or a new version of the person's site with this number. */
  | { page: 'publish'; site: number | null }
  /** `fragment` may carry a locked file of keys. */
  | { page: 'keys'; fragment: string }
  | { page: 'site'; place: SitePlace }
  /** A place in the mail, or somebody to write to. */
  | { page: 'mail'; fragment: string }
  | { page: 'unknown'; fragment: string };

/** Reads `location.hash`. */
export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#/, '');
  if (path === '' || path === '/') return { page: 'home' };
  if (/^\/?f\//.test(path)) return { page: 'file', fragment: `#${path.startsWith('/') ? '' : '/'}${path}` };
  const swarm = /^\/?swarm\/([a-z2-7]+)\/?$/.exec(path);
  if (swarm?.[1]) return { page: 'swarm', cid: swarm[1] };
  if (/^\/?sites\/?$/.test(path)) return { page: 'sites' };
  const publish = /^\/?publish(?:\/(\d{1,9}))?\/?$/.exec(path);
  if (publish) return { page: 'publish', site: publish[1] === undefined ? null : Number(publish[1]) };
  if (/^\/?keys(\/|$)/.test(path)) return { page: 'keys', fragment: `#${path.startsWith('/') ? '' : '/'}${path}` };
  if (/^\/?(mail(\/|$)|m\/.)/.test(path)) return { page: 'mail', fragment: `#${path.startsWith('/') ? '' : '/'}${path}` };
  const place = parsePlace(path);
  if (place) return { page: 'site', place };
  return { page: 'unknown', fragment: hash };
}

/** The address of the swarm view of a blob. No key is in it: the view shows nothing of the content. */
export function swarmAddress(cid: string): string {
  return `#/swarm/${cid}`;
}

/** The address where a new version of the person's site with this number is published; without one, a new site. */
export function publishAddress(site: number | null = null): string {
  return site === null ? '#/publish' : `#/publish/${site}`;
}

/** The address of a site, or of one version of it, at this app. */
export function siteAddress(address: string): string {
  return `#/s/${address}/`;
}
