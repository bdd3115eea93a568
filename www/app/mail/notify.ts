/** New mail in words and by the system, and whether mail is used in this browser at all. */

import type { ThreadSummary } from 'gyre';
import { Kept } from '../lib/kept.js';
import { personName } from './people.js';

/** What a notification says: of a stranger no word that they chose, as it stands outside of this page. */
export function announcement(thread: ThreadSummary): { title: string; body: string } {
  if (thread.folder === 'requests') return { title: 'A letter from somebody new', body: 'It waits under Requests.' };
  const from = thread.from.at(-1);
  return { title: from ? personName(from) : 'New mail', body: thread.subject || thread.snippet || 'No subject' };
}

/** Says through the system that mail came, if the person wants that and the browser allows it. `open` is called when they click it. */
export function notify(thread: ThreadSummary, wanted: boolean, open: () => void): void {
  if (!wanted || globalThis.Notification?.permission !== 'granted') return;
  const { title, body } = announcement(thread);
  try {
    const note = new Notification(title, { body, tag: `gyre-mail-${thread.id}` });
    note.addEventListener('click', () => {
      open();
      note.close();
    });
  } catch {
    // Some mobile browsers let only a service worker notify; the count in the title tells as well.
  }
}

const kept = new Kept<boolean>('gyre.mail', (value) => (value === true ? true : null), 1);
const shortcutsKept = new Kept<boolean>('gyre.mail-keys', (value) => (value === false ? false : null), 1);

/** Whether there is a mailbox in this browser: then it is opened also while other pages are shown, so that mail arrives. */
export const mailUse = {
  get on(): boolean {
    return kept.get('on') === true;
  },
  set(on: boolean): void {
    if (this.on !== on) kept.set('on', on ? true : null);
  },
};

/** Whether single letters are commands; for whoever dictates, or hits keys by chance, they can be off. */
export const shortcutsOn = {
  get on(): boolean {
    return shortcutsKept.get('on') !== false;
  },
  set(on: boolean): void {
    shortcutsKept.set('on', on ? null : false);
  },
};
