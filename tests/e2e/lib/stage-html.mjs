// The parts of the app that show HTML mail, each by itself, for the test of hostile mails.

import { paper, SANDBOX } from '../../../www/app/mail/paper.ts';
import { sanitise } from '../../../www/app/mail/sanitise.ts';

window.parts = { paper, SANDBOX, sanitise };
