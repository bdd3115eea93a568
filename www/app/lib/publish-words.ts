/** What is said while a site is published: what changes, how far it is, and who has it. */

import type { KeeperWord, PublishProgress, SiteChange, SiteInfo } from 'gyre';
import { count, formatBytes } from './format.js';

/** What a version changes, in one sentence. */
export function changeWords(change: SiteChange): string {
  if (change.previous === null) return `A new site of ${count(change.files, 'file')}, ${formatBytes(change.bytes)}.`;
  const { addedCount, changedCount, removedCount } = change;
  if (addedCount + changedCount + removedCount === 0) return isSame(change) ? 'Nothing has changed.' : 'No file has changed, only what the site is called or how it answers.';
  const parts = [
    ...(addedCount > 0 ? [`${count(addedCount, 'new file')}`] : []),
    ...(changedCount > 0 ? [`${changedCount} changed`] : []),
    ...(removedCount > 0 ? [`${removedCount} removed`] : []),
  ];
  const kept = change.files - addedCount - changedCount;
  const same = kept > 0 ? ` ${count(kept, 'file stays', 'files stay')} as ${kept === 1 ? 'it is' : 'they are'}.` : '';
  return `${parts.join(', ')}.${same} Readers fetch ${formatBytes(change.newBytes)}.`;
}

/** Whether this version is the one before. */
export function isSame(change: SiteChange): boolean {
  return change.previous === change.cid;
}

/** What a version's author should know before it is signed. */
export function changeWarnings(change: SiteChange): string[] {
  const warnings: string[] = [];
  const { skippedRedirects: skipped, skippedHeaders: headers, sameButForCase: clashes } = change;
  for (const { line, reason } of skipped.slice(0, MAX_LINES)) warnings.push(`Line ${line} of _redirects is skipped: ${reason}`);
  if (skipped.length > MAX_LINES) warnings.push(`${skipped.length - MAX_LINES} more lines of _redirects are skipped.`);
  for (const { line, reason } of headers.slice(0, MAX_LINES)) warnings.push(`Line ${line} of _headers does not count as it stands: ${reason}`);
  if (headers.length > MAX_LINES) warnings.push(`${headers.length - MAX_LINES} more lines of _headers do not count as they stand.`);
  if (clashes.length > 0) {
    const shown = clashes.slice(0, MAX_LINES).join(', ');
    warnings.push(`${count(clashes.length, 'path differs', 'paths differ')} from another in upper and lower case only: ${shown}${clashes.length > MAX_LINES ? ', …' : ''}`);
  }
  return warnings;
}

/** How far the import is: `120 of 400 files · 3 MB of 10 MB · 7 files were here already`. */
export function progressWords(progress: PublishProgress, files: number, bytes: number): string {
  const known = progress.files - progress.newFiles;
  const here = known > 0 ? ` · ${count(known, 'file was', 'files were')} here already` : '';
  return `${progress.files} of ${count(files, 'file')} · ${formatBytes(progress.bytes)} of ${formatBytes(bytes)}${here}`;
}

/** Who has all of a site besides this browser. */
export interface Standing {
  /** It stays up when this browser goes. */
  readonly published: boolean;
  readonly title: string;
  readonly text: string;
}

/** The honest state of a version: `sends` is whether anybody can fetch it from here. */
export function standingOf(info: Pick<SiteInfo, 'holders' | 'keepers' | 'seenHour' | 'seenDay' | 'files' | 'here'>, sends: boolean, before = false): Standing {
  const { holders, keepers } = info;
  if (holders > 0) {
    const who = count(holders, 'other peer');
    const kept = keepers > 0 ? ` It is kept by ${count(keepers, 'keeper')}, which ${keepers === 1 ? 'stays' : 'stay'} when readers leave.` : '';
    return { published: true, title: 'Published', text: `${who} ${holders === 1 ? 'has' : 'have'} all of it: you may close this page, and it stays up as long as one of you is there.${kept}` };
  }
  if (info.seenDay > 0 || before) {
    const seen = info.seenHour > 0 ? ` in the last hour` : info.seenDay > 0 ? ` in the last day` : '';
    return { published: true, title: 'Published, but nobody else is here now', text: `${info.seenDay > 0 ? count(info.seenDay, 'other peer') : 'Another peer'} had all of it${seen}. Until one of them is back, it is up only while this page is open.` };
  }
  if (!sends) return { published: false, title: 'Nobody can fetch it yet', text: 'This browser may not send. Allow it, so that others can open your site.' };
  return {
    published: false,
    title: 'You still need to stay',
    text: `Nobody else has it all yet (0 of 1 needed). Keep this page open and send the link to somebody: once one other peer says that it has all ${count(info.files, 'file')}, you may leave.`,
  };
}

/** What keepers say, while nobody has all of it yet. */
export function keeperWords(keeper: KeeperState): string {
  switch (keeper) {
    case 'asking':
      return 'Asking keepers to keep it…';
    case 'taken':
      return 'A keeper takes it, and is fetching it from here. Stay until it has it all.';
    case 'full':
      return 'No keeper has room for it.';
    case 'refused':
      return 'Keepers do not keep this.';
    case 'unreached':
      return 'A keeper could not fetch it from here.';
    case 'none':
      return 'No keeper answers. It stays up as long as readers have it.';
    case null:
      return '';
  }
}

/** How asking keepers stands; `none`: none answered, `null`: not asked yet. */
export type KeeperState = KeeperWord | 'asking' | 'none' | null;

/** Health in a list: `held by 2 others now`, `3 others in the last day`, `nobody else has all of it`. */
export function healthWords(info: Pick<SiteInfo, 'holders' | 'keepers' | 'seenHour' | 'seenDay'>): string {
  if (info.holders > 0) return `${count(info.holders, 'other has', 'others have')} all of it now${info.keepers > 0 ? `, ${count(info.keepers, 'keeper')} among them` : ''}`;
  if (info.seenHour > 0) return `${count(info.seenHour, 'other', 'others')} had all of it in the last hour`;
  if (info.seenDay > 0) return `${count(info.seenDay, 'other', 'others')} had all of it in the last day`;
  return 'no other holder seen';
}

/** Sentences of one kind that are shown. */
const MAX_LINES = 5;
