/** Moving, marking and deleting threads, and taking that back. */

import type { Folder, Mailbox, PlainFolder, ThreadSummary } from 'gyre';
import { count } from '../lib/format.js';

/** What was done, in words, and how it is undone. */
export interface Done {
  readonly text: string;
  readonly undo: ((box: Mailbox) => Promise<void>) | null;
}

/** Moves threads to a folder. */
export async function move(box: Mailbox, threads: readonly ThreadSummary[], folder: PlainFolder): Promise<Done> {
  await box.mark(ids(threads), { folder });
  const text = `${count(threads.length, 'conversation')} ${MOVED[folder]}`;
  return {
    text,
    undo: async (mailbox) => {
      for (const [before, group] of grouped(threads)) await mailbox.mark(ids(group), { folder: before });
    },
  };
}

/** Marks threads as read or not. */
export async function markRead(box: Mailbox, threads: readonly ThreadSummary[], read: boolean): Promise<Done> {
  const changed = threads.filter(({ unread }) => unread === read);
  if (changed.length > 0) await box.mark(ids(changed), { read });
  return { text: `${count(changed.length, 'conversation')} marked as ${read ? 'read' : 'unread'}`, undo: (mailbox) => mailbox.mark(ids(changed), { read: !read }) };
}

/** Whether a key or a button stars what it is about, or takes the stars off: off only if all have one. */
export function starsOn(threads: readonly ThreadSummary[]): boolean {
  return threads.some(({ starred }) => !starred);
}

/** The folder that a list's trash button moves to; `null` where it deletes for good. */
export function trashFrom(folder: Folder): 'trash' | null {
  return folder === 'trash' ? null : 'trash';
}

/** Where the archive button of a folder moves to: out of the archive and the trash it goes back to the inbox. */
export function archiveFrom(folder: Folder): PlainFolder {
  return folder === 'archive' || folder === 'trash' ? 'inbox' : 'archive';
}

/** Whether archiving says anything there: what was sent stays under Sent, and a stranger is let in or not. */
export function canArchive(folder: Folder): boolean {
  return folder === 'inbox' || folder === 'archive' || folder === 'trash';
}

/** The last thing done that can be undone; it lapses. Fires `change`. */
export class Undo extends EventTarget {
  done: Done | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Offers to undo. */
  offer(done: Done): void {
    clearTimeout(this.#timer);
    this.done = done;
    this.dispatchEvent(new Event('change'));
    this.#timer = setTimeout(() => this.dismiss(), OFFERED_MS);
  }

  /** Takes the offer, once. */
  take(): Done | null {
    const { done } = this;
    this.dismiss();
    return done;
  }

  /** While somebody points at it, it stays. */
  hold(): void {
    clearTimeout(this.#timer);
  }

  dismiss(): void {
    clearTimeout(this.#timer);
    if (this.done === null) return;
    this.done = null;
    this.dispatchEvent(new Event('change'));
  }
}

/** The folder in which a thread lies; a request or what was sent goes back to where the mailbox itself shows it so. */
function home(folder: Folder): PlainFolder {
  return folder === 'archive' || folder === 'trash' ? folder : 'inbox';
}

function grouped(threads: readonly ThreadSummary[]): Map<PlainFolder, ThreadSummary[]> {
  const groups = new Map<PlainFolder, ThreadSummary[]>();
  for (const thread of threads) groups.set(home(thread.folder), [...(groups.get(home(thread.folder)) ?? []), thread]);
  return groups;
}

function ids(threads: readonly ThreadSummary[]): string[] {
  return threads.map(({ id }) => id);
}

const MOVED: Record<PlainFolder, string> = { inbox: 'moved to the inbox', archive: 'archived', trash: 'moved to the trash' };
/** Milliseconds in which a move can be undone from the note about it. */
const OFFERED_MS = 12_000;
