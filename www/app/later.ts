/** What goes on whichever page is shown, and can wait until the first is there. */

import { keepRenewing } from './renewal.js';
import { session } from './session.js';

keepRenewing();
// Mail arrives also while other pages are looked at, for whoever has a mailbox.
if (hasMailbox()) void session.ready().then(() => import('./mail/background.js'));

function hasMailbox(): boolean {
  try {
    return (localStorage.getItem('gyre.mail') ?? '[]') !== '[]';
  } catch {
    return false;
  }
}
