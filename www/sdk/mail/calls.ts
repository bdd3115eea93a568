/** The calls of a mailbox, by name: what tabs say to each other of mail. */

import type { Progress } from '../types.js';
import type { Mailbox } from './types.js';

/** A call of a {@link Mailbox}. */
export type MailCall = Exclude<keyof Mailbox, keyof EventTarget>;

/** A call that needs what is loaded with a mailbox: whoever keeps mail for others may have none. */
export type OfficeCall = Exclude<MailCall, 'kept'>;

/** What a call is given beside its arguments. */
export interface MailWorkOf {
  /** The same when the call is made again at another tab: what was done before is not done twice. */
  readonly token: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** Whoever answers them. */
export interface MailOffice {
  call(name: MailCall, args: readonly unknown[], work: MailWorkOf): Promise<unknown>;
  /** The node has told something of itself. */
  nodeChanged(): void;
  /** The keys are locked: what was unlocked by them is closed. */
  locked(): Promise<void>;
  stop(): Promise<void>;
}
