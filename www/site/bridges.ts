/**
 * Finds the tab of the app that answers a request.
 *
 * With one tab it is that one. With several, each shows the version of the site that it has opened, so all are asked whose page it
 * is that makes the request. A tab knows the clients that it has answered before: their requests are certainly its own. Where the
 * browser does not say which client a page is loaded by, the tab that has just begun to load one gets it; and where nothing tells,
 * the tab that is looked at. Others are asked in its place only if they show the same version.
 */

import { askPages, type Found, type Nobody } from '../sw/ask.js';
import type { Page } from '../sw/line.js';
import { BRIDGE_PATH, MAX_FROM, readSiteClaim, SITE_PROTOCOL, SITE_WHOSE, type SiteAsk, type SiteClaim, type SiteWhose } from './messages.js';
import { NO_PAGE } from './pages.js';

/** What is needed of a `WindowClient`. */
export interface BridgeClient extends Page {
  readonly url: string;
  readonly frameType: string;
  readonly visibilityState: string;
  readonly focused: boolean;
}

/** What is needed of the worker's `clients`. */
export interface BridgeClients {
  matchAll(options: { type: 'window'; includeUncontrolled: true }): Promise<readonly BridgeClient[]>;
}

/** What a request says of where it comes from. */
export interface Origin {
  /** The client that makes it; `''` where the browser does not say. */
  readonly client: string;
  /** The address of the page that it comes from; `''` if that is not told. */
  readonly referrer: string;
}

/** Asks the tab whose request it is. */
export async function connect(clients: BridgeClients, ask: SiteAsk, origin: Origin, signal?: AbortSignal): Promise<Found | Nobody> {
  const all = await clients.matchAll({ type: 'window', includeUncontrolled: true });
  const bridges = all.filter(isBridge).sort((a, b) => place(a) - place(b));
  if (bridges.length > 1) {
    const owners = await whose(ask, origin, all, bridges.slice(0, MAX_BRIDGES));
    if (owners.length > 0) return askPages(ask, owners, signal);
  }
  const seen = bridges.filter((bridge) => place(bridge) < HIDDEN);
  const hidden = bridges.slice(seen.length, seen.length + MAX_BRIDGES);
  const found = await askPages(ask, seen.slice(0, MAX_BRIDGES), signal);
  return 'code' in found && found.code === NO_PAGE && hidden.length > 0 && !signal?.aborted ? askPages(ask, hidden, signal) : found;
}

/** The tab whose request it is, and after it those that show the same version; none if no tab says anything. */
async function whose(ask: SiteAsk, { client, referrer }: Origin, all: readonly BridgeClient[], bridges: readonly BridgeClient[]): Promise<BridgeClient[]> {
  // Workers of scripts may give their page's origin for its address.
  const tells = referrer !== '' && (ask.navigate || all.some(({ id }) => id === client));
  const from = tells ? all.filter((one) => !isBridge(one) && one.url.split('#')[0] === referrer).map(({ id }) => id) : [];
  const { target, navigate, becomes } = ask;
  const question: SiteWhose = { gyre: SITE_WHOSE, v: SITE_PROTOCOL, target, navigate, client, becomes, from: from.slice(0, MAX_FROM) };
  const claims = await claimsOf(question, bridges);
  const said = bridges.filter((bridge) => claims.has(bridge));
  const [first, ...rest] = said;
  if (!first) return [];
  const at = (bridge: BridgeClient): number => claims.get(bridge)?.at ?? 0;
  const owner = rest.reduce((best, bridge) => (at(bridge) > at(best) ? bridge : best), first);
  const version = claims.get(owner)?.version ?? '';
  return [owner, ...said.filter((bridge) => bridge !== owner && version !== '' && claims.get(bridge)?.version === version)];
}

/** What tabs say, until one is certain, or all have spoken, or it has taken too long. */
function claimsOf(question: SiteWhose, bridges: readonly BridgeClient[]): Promise<ReadonlyMap<BridgeClient, SiteClaim>> {
  return new Promise((resolve) => {
    const claims = new Map<BridgeClient, SiteClaim>();
    const ports: MessagePort[] = [];
    const end = (): void => {
      clearTimeout(limit);
      for (const port of ports) port.close();
      resolve(claims);
    };
    let limit = setTimeout(end, ALL_SILENT_MS);
    let likely = false;
    for (const bridge of bridges) {
      const { port1, port2 } = new MessageChannel();
      ports.push(port1);
      port1.onmessage = ({ data }) => {
        const claim = readSiteClaim(data);
        if (!claim) return;
        claims.set(bridge, claim);
        if (claim.at === Infinity || claims.size === bridges.length) return end();
        if (likely || claim.at === 0) return;
        likely = true;
        clearTimeout(limit);
        limit = setTimeout(end, OTHERS_SILENT_MS);
      };
      bridge.postMessage(question, [port2]);
    }
  });
}

/** Tabs that a person looks at come first. */
function place({ focused, visibilityState }: BridgeClient): number {
  return focused ? 0 : visibilityState === 'visible' ? 1 : HIDDEN;
}

/**
 * Whether a client is a bridge that the app has made. Only the app may frame that path, so what is nested there is
 * inside of it; a window that the site opens there is not.
 */
function isBridge({ url, frameType }: BridgeClient): boolean {
  return frameType === 'nested' && new URL(url).pathname === BRIDGE_PATH;
}

/** The place of a tab that nobody looks at. */
const HIDDEN = 2;
/** Bridges asked for one request: tabs that show the same site. */
const MAX_BRIDGES = 16;
/** Milliseconds in which a tab says whether a request is its own; one that hashes a file or starts may be late, a frozen one never says. */
const ALL_SILENT_MS = 3_000;
/** The same once one tab has good reason to think so. */
const OTHERS_SILENT_MS = 300;
