/**
 * Whose a site is by its own word: the file in which it says so, and the identity that says so in turn (docs/identity.md, Sites).
 *
 * Neither is believed without the other. What a version said before goes on being said, under the number that it has there: a site keeps
 * that when it moves to another key.
 */

import type { MailState, SiteOwner } from 'gyre';
import type { Folder, FoundFile } from './folder.js';

/** What a site says of itself. */
export interface Claim {
  readonly id: string;
  /** Which of that identity's sites; `null` until it has a number. */
  readonly site: number | null;
}

/** What can be said of a site that is to be published. */
export interface Ownership extends Claim {
  /** It is said so far, by the version before or by what was chosen. */
  readonly before: boolean;
  /** The identity is on this machine, and can say it too. */
  readonly signs: boolean;
}

/** What is asked of the peer. */
export interface Vouching {
  site(address: string, options?: { follow?: boolean; signal?: AbortSignal }): Promise<Claiming>;
  readonly mail: {
    state(): Promise<Pick<MailState, 'state' | 'id' | 'standing'>>;
    setSite(site: number, name: string): Promise<void>;
  };
}

/** A site that may say whose it is. */
export interface Claiming {
  read(path: string, offset: number, length: number, options?: { signal?: AbortSignal }): Promise<Uint8Array>;
  owner(): Promise<SiteOwner | null>;
  close(): void;
}

/** Where a site says whose it is. */
export const CLAIM_PATH = '.well-known/gyre-identity';

/** Reads the file; `null` for anything that says nothing. */
export function readClaim(text: string): (Claim & { readonly site: number }) | null {
  const [, id, digits] = CLAIM.exec(text) ?? [];
  const site = Number(digits);
  return id !== undefined && site <= MAX_SITE ? { id, site } : null;
}

/** As it stands in the file. */
export function claimText({ id, site }: Claim): string {
  return `dmail:${id} ${site ?? 0}\n`;
}

/** What can be said of a choice, and of the version that it comes after; `null` if there is nobody to name. */
export async function ownershipOf(peer: Vouching, folder: Folder, previous: string | null, signal?: AbortSignal): Promise<Ownership | null> {
  // A mailbox that does not open keeps nobody from publishing.
  const mail = await peer.mail.state().catch(() => null);
  const me = mail?.state === 'ready' && mail.standing === 'in' ? mail.id : null;
  const said = (await claimIn(folder)) ?? (previous === null ? null : await claimOf(peer, previous, signal ? { signal } : {}));
  // Of an identity that is not here nothing is changed; for another one it begins anew.
  if (said && (me === null || said.id === me)) return { ...said, before: true, signs: me !== null };
  return me === null ? null : { id: me, site: null, before: false, signs: true };
}

/** The folder with the file that says so; with `null` without one that would say it of `id`. */
export async function withClaim(folder: Folder, claim: Claim | null, id: string | null): Promise<Folder> {
  // What names somebody else, or nobody, was put there on purpose.
  if (claim === null && (id === null || (await claimIn(folder))?.id !== id)) return folder;
  const files: FoundFile[] = folder.files.filter(({ path }) => path !== CLAIM_PATH);
  if (claim) {
    const content = new Blob([claimText(claim)], { type: 'text/plain' });
    files.push({ path: CLAIM_PATH, size: content.size, open: async () => content });
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { ...folder, files, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}

/**
 * Has the identity name the site that was published under `name`, unless it does, or leads readers on from there: whoever moved the site
 * does not want it back for a new version at the old place.
 */
export async function vouch(peer: Vouching, name: string, { site, before }: { site: number; before: boolean }): Promise<'here' | 'moved'> {
  const state = await standingAt(peer, name).catch((thrown: unknown) => {
    if (before) throw thrown;
    // For the first time there is nothing to find.
    return null;
  });
  if (state === 'here' || state === 'moved') return state;
  await peer.mail.setSite(site, name);
  return 'here';
}

async function standingAt(peer: Vouching, name: string): Promise<SiteOwner['state'] | null> {
  const site = await peer.site(name, { follow: false });
  try {
    return (await site.owner())?.state ?? null;
  } finally {
    site.close();
  }
}

/** What a choice says itself. */
async function claimIn(folder: Folder): Promise<ReturnType<typeof readClaim>> {
  const file = folder.files.find(({ path, size }) => path === CLAIM_PATH && size <= MAX_BYTES);
  // A file that cannot be read is told of when it is published.
  const text = file && (await file.open().then((content) => new Response(content).text(), () => ''));
  return readClaim(text ?? '');
}

/** What a version says. */
async function claimOf(peer: Vouching, cid: string, options: { signal?: AbortSignal }): Promise<ReturnType<typeof readClaim>> {
  try {
    const site = await peer.site(cid, { follow: false, ...options });
    try {
      return readClaim(new TextDecoder().decode(await site.read(CLAIM_PATH, 0, MAX_BYTES + 1, options)));
    } finally {
      site.close();
    }
  } catch {
    // It has no such file, nobody has it any more, or nobody waits for it.
    return null;
  }
}

/** Its last letter holds one bit. */
const CLAIM = /^dmail:([ybndrfg8ejkmcpqxot1uwisza345h769]{51}[yo]) (0|[1-9]\d{0,9})\r?\n?$/;
const MAX_SITE = 2 ** 32 - 1;
/** Bytes, as in docs/identity.md. */
const MAX_BYTES = 80;
