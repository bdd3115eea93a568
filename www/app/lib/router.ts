/** Which page the address bar asks for. The fragment stays in the browser: it may hold a key. */

/** A page and what it needs. */
export type Route = { page: 'home' } | { page: 'file'; fragment: string } | { page: 'unknown'; fragment: string };

/** Reads `location.hash`. */
export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#/, '');
  if (path === '' || path === '/') return { page: 'home' };
  if (/^\/?f\//.test(path)) return { page: 'file', fragment: `#${path.startsWith('/') ? '' : '/'}${path}` };
  return { page: 'unknown', fragment: hash };
}
