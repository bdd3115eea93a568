/**
 * What sites and keys tell about themselves: plain objects, each a snapshot of one moment.
 *
 * All sizes are bytes; a point in time is milliseconds since the Unix epoch. A version of a site is named by its
 * manifest's CID (`bafyr4i…`), a site by its name (`k51…`).
 */

/** One file on its way into a site. */
export interface FileEntry {
  /** Its path in the site, segments joined by `/`, without one in front. */
  readonly path: string;
  readonly content: Blob | Uint8Array | ReadableStream<Uint8Array>;
  /** Bytes, if a stream's are known beforehand; nothing depends on it. */
  readonly size?: number;
  /** Media type; left out, it follows from the path. */
  readonly type?: string;
  /** `Cache-Control` to be served with it. */
  readonly cache?: string;
  /** One more content security policy; it can only take away. */
  readonly csp?: string;
}

/** Options of {@link Gyre.publish}. */
export interface PublishOptions {
  /** Which of the person's sites this is, by the number of its key. Left out, the version has no name but its CID. */
  readonly site?: number;
  /** What the site is called. */
  readonly name?: string;
  /** The CID of the version before; default what the site's name leads to now, which is asked for. `null`: there is none. */
  readonly previous?: string | null;
  /** The file that stands for its folder; default `index.html`. */
  readonly index?: string;
  /** The file that is shown with 404 where there is none; default `404.html` if it is there. */
  readonly missing?: string;
  /** The file that is shown with 200 where there is none: the page of an application that routes by itself. */
  readonly fallback?: string;
  /** Looks at what changes before anything is signed; with `false` the call gives up with `ABORTED` and drops what it took. */
  readonly review?: (change: SiteChange) => boolean | Promise<boolean>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PublishProgress) => void;
}

/** How far a publication has come. */
export interface PublishProgress {
  /** Files read whole. */
  readonly files: number;
  /** Bytes read. */
  readonly bytes: number;
  /** Of these files, the ones that were not here before. */
  readonly newFiles: number;
  /** Their bytes. */
  readonly newBytes: number;
  /** The file that is being read; `null` when all have been. */
  readonly path: string | null;
}

/** What one version of a site changes of the one before; of each list of paths the first 1000. */
export interface SiteChange {
  /** The new version; the same as `previous` if nothing has changed. */
  readonly cid: string;
  readonly previous: string | null;
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly addedCount: number;
  readonly changedCount: number;
  readonly removedCount: number;
  /** Bytes that who has the version before does not have. */
  readonly newBytes: number;
  readonly files: number;
  readonly bytes: number;
  /** Paths that differ from another one in case only, which some disks cannot hold: one of each group. */
  readonly sameButForCase: readonly string[];
  /** Lines of `_redirects`, counted from 1, that are not understood. */
  readonly skippedRedirects: readonly SkippedLine[];
  /** Lines of `_headers` that do not count, or not wholly. */
  readonly skippedHeaders: readonly SkippedLine[];
}

/** A line of a file of rules, counted from 1, that is not understood or not taken. */
export interface SkippedLine {
  readonly line: number;
  readonly reason: string;
}

/** The best that a keeper says: it keeps the site, has no room, does not keep this, or could not get it. */
export type KeeperWord = 'taken' | 'full' | 'refused' | 'unreached';

/** A denylist that the person has added, and what came of it. */
export interface DenylistInfo {
  readonly name: string;
  readonly bytes: number;
  /** Rules that are in force. */
  readonly rules: number;
  /** Lines that are left out, the first of them. */
  readonly skipped: readonly SkippedLine[];
  readonly skippedCount: number;
}

/** What {@link Gyre.publish} made. */
export interface SiteVersion {
  readonly cid: string;
  /** The site's name, `null` if it was published without a key. */
  readonly name: string | null;
  /** Number of the signed record, `null` without a name. */
  readonly sequence: number | null;
  readonly change: SiteChange;
  /** The whole address of the site at the app. */
  readonly link: string;
}

/** What a name leads to. */
export interface SiteHead {
  readonly name: string;
  readonly cid: string;
  /** A newer head has a higher one. */
  readonly sequence: number;
  /** Until when the record holds. */
  readonly validUntil: number;
  /** The same key has signed something else under the same number. */
  readonly fork: boolean;
  /** Servers of the indexes that had this record when they were last asked. */
  readonly holders: number;
}

/** One version of a site. */
export interface SiteInfo {
  readonly cid: string;
  /** What the site is called, or empty: its publisher's word. */
  readonly title: string;
  readonly files: number;
  readonly bytes: number;
  /** The version before. */
  readonly previous: string | null;
  /** When it was made, by the publisher's clock. */
  readonly time: number | null;
  /** The file that stands for its folder. */
  readonly index: string;
  /** The file that is shown with 200 where there is none. */
  readonly fallback: string | null;
  /** Kept on purpose. */
  readonly pinned: boolean;
  /** How much of it is here. */
  readonly here: { readonly files: number; readonly bytes: number };
  /** Other peers that are known to have all of it now. */
  readonly holders: number;
  /** Of these, the ones that are known as keepers. */
  readonly keepers: number;
  /** Other peers that had all of it within the last hour, as far as was heard. */
  readonly seenHour: number;
  /** The same within the last day. */
  readonly seenDay: number;
}

/** Whose a site is, by its own word and by the chain of who it names. */
export interface SiteOwner {
  /** The identity that the site names (docs/identity.md). */
  readonly id: string;
  /** Which of that identity's sites. */
  readonly site: number;
  /**
   * `here`: signed by it; `moved`: it was, and is published under `name` now; `withdrawn`: it is not any more; `unknown`: nothing that could
   * be found vouches for what the site says.
   */
  readonly state: 'here' | 'moved' | 'withdrawn' | 'unknown';
  readonly name?: string;
}

/** One file of a site. */
export interface SiteFileInfo {
  readonly path: string;
  readonly size: number;
  readonly type: string;
  /** BLAKE3 of its bytes in hex. */
  readonly hash: string;
}

/** A version of a site whose list of files is here. */
export interface HeldSite {
  readonly cid: string;
  readonly pinned: boolean;
  readonly title: string;
  readonly bytes: number;
  readonly files: number;
}

/** A version in a site's history. */
export interface SiteVersionInfo {
  readonly cid: string;
  readonly time: number | null;
  readonly title: string;
}

/** How far the fetching of a whole site has come. */
export interface KeepProgress {
  readonly files: number;
  readonly bytes: number;
  readonly allFiles: number;
  readonly allBytes: number;
}

/** What a site answers to a request, without the bytes. */
export interface SiteAnswer {
  /** `missing`: there is no such file and no page that says so; with `status` 400 the request is no path at all. */
  readonly kind: 'file' | 'redirect' | 'missing';
  readonly status: number;
  /** The file that is shown. */
  readonly path: string | null;
  readonly size: number;
  readonly type: string;
  /** Entity tag with its quotes; it follows from the bytes alone. */
  readonly etag: string | null;
  /** Where a redirect leads: a path of the site, or an `http(s)` address. */
  readonly location: string | null;
  readonly cache: string | null;
  readonly csp: string | null;
}

/** What locks a person's keys. */
export type KeyLock =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'passphrase';
      readonly salt: Uint8Array;
      /** argon2id: KiB. */
      readonly memory: number;
      readonly passes: number;
      readonly lanes: number;
    }
  /** A key from elsewhere: a passkey. */
  | { readonly kind: 'external'; readonly salt: Uint8Array };

/** Whether there are keys on this machine, and what unlocks them. */
export interface KeyState {
  readonly state: 'missing' | 'locked' | 'unlocked';
  readonly locks: readonly KeyLock[];
}

/** The events of a {@link Site}. */
export interface SiteEventMap {
  /** A newer head was signed; open the site's name again to see it. */
  update: CustomEvent<SiteHead>;
  /** Its key has signed another value under the number of its head: two machines publish, or it was stolen. */
  fork: CustomEvent<SiteHead>;
}
