/** What goes on whichever page is shown, and can wait until the first is there. */

import { loadSitePage } from './components/app-shell.js';
import './components/start-sites.js';
import { keepRenewing } from './renewal.js';
import { session } from './session.js';

keepRenewing();
// Mail arrives also while other pages are looked at, for whoever has a mailbox.
if (hasMailbox()) void session.ready().then(() => import('./mail/background.js'));
// A node that has joined does without the host of the app: what shows a site is there before that host goes away.
void session.ready().then(() => setTimeout(() => void loadSitePage().catch(() => undefined), QUIET_MS));

function hasMailbox(): boolean {
  try {
    return (localStorage.getItem('gyre.mail') ?? '[]') !== '[]';
  } catch {
    return false;
  }
}

/** Milliseconds after joining in which the network is left to what the person has opened. */
const QUIET_MS = 2_000;
