/** What a person does to their identity: words on paper from which its keys follow, a machine brought back, the end. */

import { GyreError } from '../errors.js';
import { checkSiteNumber } from '../keys.js';
import type { Desk } from './desk.js';
import type { Post } from './module.js';
import type { IdentityStep } from './types.js';

/** The calls of a mailbox about its identity; `open` gives the desk, `words` the list. */
export function identityCalls(open: () => Promise<Desk>, words: () => Promise<string>): IdentityCalls {
  const change = async (work: (post: Post, list: string, now: number) => void): Promise<void> => {
    const [desk, list] = await Promise.all([open(), words()]);
    try {
      await desk.courier.with((post, now) => work(post, list, now));
    } catch (thrown) {
      throw told(thrown);
    }
  };
  return {
    recoveryWords: async () => {
      const [desk, list] = await Promise.all([open(), words()]);
      return desk.module.wordsOf(list, crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
    },
    changeKeys: ({ words: shown, next, keep }) => change((post, list, now) => post.renew(list, shown, next, keep, now)),
    rejoin: (shown) => change((post, list, now) => post.rejoin(list, shown, now)),
    giveUp: (shown) => change((post, list, now) => post.end(list, shown, now)),
    setSite: async (site, name) => {
      const number = checkSiteNumber(site);
      const { courier } = await open();
      try {
        await courier.with((post, now) => post.setSite(number, name ?? undefined, now));
      } catch (thrown) {
        throw told(thrown);
      }
    },
    history: async () => {
      const { courier } = await open();
      let steps: IdentityStep[] = [];
      await courier.with((post) => void (steps = post.history()));
      return steps;
    },
  };
}

interface IdentityCalls {
  recoveryWords(): Promise<string>;
  changeKeys(options: { words?: string; next: string; keep?: number }): Promise<void>;
  rejoin(words: string): Promise<void>;
  giveUp(words?: string): Promise<void>;
  setSite(site: number, name: string | null): Promise<void>;
  history(): Promise<IdentityStep[]>;
}

/** Codes of the module as those of the package. */
function told(thrown: unknown): unknown {
  const { code, message } = thrown as { code?: unknown; message: string };
  if (code === 'IDENTITY_NOT_OURS') return new GyreError('BAD_PHRASE', 'These are 24 words, but not the ones that this needs: look whether there is a later paper.', { cause: thrown });
  return typeof code === 'string' && code.startsWith('IDENTITY_') ? new GyreError('BAD_OPTIONS', `This cannot be done: ${message}.`, { cause: thrown }) : thrown;
}

const SECRET_BYTES = 32;
