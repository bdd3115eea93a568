// The SDK as the app sees it on the stage (stage.mjs): the real facade, over a node and a mailbox in memory. `window.stage` is what a
// test pulls at.

import { GyreError } from '../../../www/sdk/errors.ts';
import { Gyre as RealGyre } from '../../../www/sdk/gyre.ts';
import { LocalNode } from '../../../www/sdk/node.ts';
import { FakeMailbox, from, idOf, person } from '../../../www/test/fake-mailbox.ts';
import { SiteNode } from '../../../www/test/fake-sites.ts';

export { formatLink, formatSiteLink, parseLink, parseSiteLink } from '../../../www/sdk/link.ts';
export { FileServer } from '../../../www/sdk/stream.ts';
export { GyreError };

const PHRASE = 'abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve acid acoustic acquire across act action actor actress actual';

class StageNode extends SiteNode {
  keyPhrase = async () => PHRASE;
  restoreKeys = async () => {
    this.state_ = 'unlocked';
    this.locks = [{ kind: 'none' }];
  };
}

const mailbox = new FakeMailbox();
const node = new StageNode();
node.state = 'joined';
const gyre = new RealGyre(new LocalNode(node.asWasm()), new URL('./', document.baseURI).href);
Object.defineProperty(gyre, 'mail', { value: mailbox });

/** What the app calls in place of the real one. */
export const Gyre = { join: async () => gyre };

window.stage = { mailbox, node, GyreError, from, idOf, person };
