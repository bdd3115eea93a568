/**
 * The SDK as the app sees it on the stage of browser tests (tests/e2e/lib/stage.mjs): the real facade, over a node and a mailbox in
 * memory. `window.stage` is what a test pulls at.
 */

import { Gyre as RealGyre } from '../sdk/gyre.js';
import { LocalNode } from '../sdk/node.js';
import { SiteNode } from './fake-sites.js';
import { FakeMailbox, from, idOf, person } from './fake-mailbox.js';
import { GyreError } from '../sdk/errors.js';

export { GyreError } from '../sdk/errors.js';
export { formatLink, formatSiteLink, parseLink, parseSiteLink } from '../sdk/link.js';
export { FileServer } from '../sdk/stream.js';

const WORDS = 'abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve acid acoustic acquire across act action actor actress actual';

class StageNode extends SiteNode {
  override keyPhrase = async (): Promise<string> => WORDS;
  override restoreKeys = async (): Promise<void> => {
    this.state_ = 'unlocked';
    this.locks = [{ kind: 'none' }];
  };
}

const mailbox = new FakeMailbox();
const node = new StageNode();
node.state = 'joined';
const gyre = new RealGyre(new LocalNode(node.asWasm()), new URL('./', document.baseURI).href);
Object.defineProperty(gyre, 'mail', { value: mailbox });
Object.defineProperty(gyre.keys, 'words', { value: async () => WORDS.split(' ') });

/** What the app calls in place of the real one. */
export const Gyre = { join: async (): Promise<RealGyre> => gyre };

declare global {
  interface Window {
    stage: unknown;
  }
}
window.stage = { mailbox, node, GyreError, from, idOf, person };
