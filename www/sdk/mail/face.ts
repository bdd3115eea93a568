/**
 * The mailbox as a page holds it: an object whose calls go to the tab that runs the mailbox.
 *
 * It knows no call by name, so that nothing of mail is loaded before mail is used.
 */

import { GyreError, guarded } from '../errors.js';
import type { GyreNode } from '../node.js';
import { randomName } from '../tabs/platform.js';
import type { MailCall } from './calls.js';
import type { Mailbox, MailWork } from './types.js';

/** The face of the mailbox at `node`. @internal */
export function mailFace(node: GyreNode, assertOpen: () => void): Mailbox {
  const target = new EventTarget();
  node.onMail((type, detail) => target.dispatchEvent(new CustomEvent(type, { detail })));
  const call =
    (name: string) =>
    (...args: unknown[]): Promise<unknown> =>
      guarded(() => {
        assertOpen();
        const last = args.at(-1) as (MailWork & object) | undefined;
        // A signal and a function stay in this tab.
        const isWork = typeof last === 'object' && last !== null && ('signal' in last || 'onProgress' in last);
        const { signal, onProgress, ...rest }: MailWork = isWork ? last : {};
        if (signal?.aborted) throw new GyreError('ABORTED', 'Cancelled.', { cause: signal.reason });
        return node.mail(name as MailCall, isWork ? [...args.slice(0, -1), rest] : args, { token: randomName(), signal, onProgress });
      });
  return new Proxy(target, {
    get(of, key) {
      const own: unknown = Reflect.get(of, key);
      if (typeof own === 'function') return own.bind(of);
      // An object with `then` would be taken for a promise.
      return own !== undefined || typeof key === 'symbol' || key === 'then' ? own : call(key);
    },
  }) as Mailbox;
}
