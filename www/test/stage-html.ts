/** The parts that show HTML mail, each by itself, for the browser test of hostile mails (tests/e2e/mail-html.test.mjs). */

import { paper, SANDBOX } from '../app/mail/paper.js';
import { sanitise } from '../app/mail/sanitise.js';

Object.assign(window, { parts: { paper, SANDBOX, sanitise } });
