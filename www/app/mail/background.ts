/** Opens the mailbox without showing it, so that mail arrives while other pages are looked at. */

import { desk } from './room.js';

void desk.enter();
