/** The mail of this page: one desk, one offer to undo, whatever is shown; and what happens when new mail comes. */

import { GyreError, type Mailbox, type ThreadSummary } from 'gyre';
import { session } from '../session.js';
import { Desk, type MailProblem } from './desk.js';
import { move, Undo, type Done } from './moves.js';
import { announcement, mailUse, notify } from './notify.js';
import { mailAddress } from './place.js';

/** An error of whatever kind, as views show it. */
export function toProblem(thrown: unknown): MailProblem {
  return GyreError.from(thrown);
}

export const desk = new Desk(async () => (await session.ready()).mail, toProblem);
export const undo = new Undo();

desk.addEventListener('mail', (event) => void arrived((event as CustomEvent<ThreadSummary>).detail));
desk.addEventListener('change', () => {
  const { state } = desk;
  if (state?.state === 'ready') {
    mailUse.set(true);
    fetchLater ??= setTimeout(fetchParts, QUIET_MS);
  }
  session.setUnread(state?.state === 'ready' ? state.unread : 0);
});

let fetchLater: ReturnType<typeof setTimeout> | undefined;

/** Fetches what the page of an open mailbox loads late, so that it can go on without where it came from. */
function fetchParts(): void {
  const parts = [import('../pages/mail-page.js'), import(/* webpackChunkName: "mail-html" */ './sanitise.js'), import(/* webpackChunkName: "qr" */ 'qr'), import(/* webpackChunkName: "qr-read" */ 'qr/decode.js')];
  void Promise.allSettled(parts);
}

/** Does something that can be undone, and offers that. */
export async function doThenOffer(work: (box: Mailbox) => Promise<Done>): Promise<boolean> {
  const done = await desk.run(work);
  if (done) undo.offer(done.value);
  return done !== null;
}

/** Moves threads, with the offer to undo it. */
export function moveThen(threads: readonly ThreadSummary[], folder: 'inbox' | 'archive' | 'trash'): Promise<boolean> {
  return doThenOffer((box) => move(box, threads, folder));
}

/** Takes the last move back. */
export async function undoLast(): Promise<void> {
  const done = undo.take();
  if (!done?.undo) return;
  const { undo: back } = done;
  if (await desk.run(back)) desk.tell('Undone.');
}

/** Says that mail came: in the page to whoever looks at it, else through the system if the person wants that. */
async function arrived(thread: ThreadSummary): Promise<void> {
  if (!document.hidden) {
    const { title, body } = announcement(thread);
    return desk.tell(`${title}: ${body}`);
  }
  const settings = await desk.run((box) => box.settings());
  notify(thread, settings?.value.notifications === true, () => {
    window.focus();
    location.hash = mailAddress({ view: 'list', folder: thread.folder, thread: thread.id });
  });
}

/** Milliseconds that what is shown first has for itself. */
const QUIET_MS = 3_000;
