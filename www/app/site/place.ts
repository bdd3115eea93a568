/** Where sites are: their hosts, their addresses in the app, and how an address is shown. */

/** A site and a place in it. */
export interface SitePlace {
  /** A name (`k51…`) or a version's CID (`bafyr4i…`). */
  readonly address: string;
  /** Path, query and fragment, percent-encoded; begins with a slash. */
  readonly path: string;
}

/** Reads `/s/<address>/<path>`, what follows the `#` of the app's address; `null` if it is none of a site. */
export function parsePlace(route: string): SitePlace | null {
  const match = /^\/?s\/([a-z0-9]+)(.*)$/s.exec(route);
  const [, address = '', rest = ''] = match ?? [];
  if (!isAddress(address) || (rest !== '' && !/^[/?#]/.test(rest)) || rest.length > MAX_PATH_LENGTH) return null;
  return { address, path: normalised(rest) };
}

/** The address of a place in the app. */
export function placeLink({ address, path }: SitePlace): string {
  return `#/s/${address}${path}`;
}

/** Whether this can be the address of a site; it fits into one label of a host's name. */
export function isAddress(text: string): boolean {
  return /^(k[a-z0-9]{49,62}|b[a-z2-7]{58})$/.test(text);
}

/** A site's own origin below the host of the app; `null` where the app has none under which sites can stand. */
export function siteOrigin(address: string, app: Pick<Location, 'protocol' | 'host' | 'hostname'>, siteHost: string | null): string | null {
  // The loader finds the app by its own name, so both must be under one host.
  if (siteHost === null || siteHost !== app.host || /^[\d.]+$|^\[/.test(app.hostname)) return null;
  return `${app.protocol}//${address}.${app.host}`;
}

/** Asks the relay that serves this page under which host sites stand. */
export async function askSiteHost(base: string): Promise<string | null> {
  try {
    const response = await fetch(new URL('bootstrap.json', base), { cache: 'no-cache', credentials: 'omit' });
    const { siteHost } = (await response.json()) as { siteHost?: unknown };
    return typeof siteHost === 'string' ? siteHost : null;
  } catch {
    return null;
  }
}

/** What a person may type or paste as a place: `null` if it is none. `here` is the site that is shown. */
export function readTyped(text: string, here: string): SitePlace | null {
  const typed = text.trim();
  if (typed.startsWith('/')) return { address: here, path: normalised(encodeSpaces(typed)) };
  const hash = typed.indexOf('#/s/');
  if (hash >= 0) return parsePlace(typed.slice(hash + 1));
  const url = /^https?:\/\//i.test(typed) && URL.canParse(typed) ? new URL(typed) : null;
  if (url) {
    const label = url.hostname.slice(0, Math.max(0, url.hostname.indexOf('.')));
    return isAddress(label) ? { address: label, path: url.pathname + url.search + url.hash } : null;
  }
  return parsePlace(`/s/${encodeSpaces(typed.replace(/^(ipns|ipfs):\/\//i, ''))}`);
}

/**
 * What the site's frame shows, as a place of that site: `null` if the frame is not there. The origin is known from what the
 * app itself has put there; what is told only says where within it.
 */
export function placeOf(url: string, address: string, origin: string): SitePlace | null {
  if (!URL.canParse(url)) return null;
  const told = new URL(url);
  if (told.origin !== origin) return null;
  const path = told.pathname + told.search + told.hash;
  return { address, path };
}

/** A path for people: decoded where nothing in it could be mistaken or hidden. */
export function readablePath(path: string): string {
  try {
    const decoded = decodeURI(path);
    return /^[\p{L}\p{N}\p{M}\p{P}\p{S} ]*$/u.test(decoded) && !/ {2}|^\/ | $/.test(decoded) ? decoded : path;
  } catch {
    return path;
  }
}

function normalised(rest: string): string {
  return rest.startsWith('/') ? rest.replace(/^\/+/, '/') : `/${rest}`;
}

function encodeSpaces(text: string): string {
  return text.replace(/ /g, '%20');
}

/** Characters; what a site takes as a request (docs/sites.md). */
const MAX_PATH_LENGTH = 8192;
