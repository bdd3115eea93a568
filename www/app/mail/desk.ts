/**
 * What the page knows of the mailbox: its state, the contacts, what went wrong. One for the whole page, whichever view is shown.
 *
 * It follows the mailbox's own events; views follow its `change`, and lists its `threads`.
 */

import type { Contact, GyreError, Mailbox, MailState, SendStatus, ThreadSummary } from 'gyre';

/** An error as views show it. */
export type MailProblem = Pick<GyreError, 'code' | 'message'>;

/** What stands before the mail itself. */
export type Gate = 'loading' | 'unsupported' | 'keys' | 'unlock' | 'identity' | 'starting' | 'open';

/** Which of it, from the mailbox's state and the keys'. */
export function gateOf(mail: MailState['state'] | null, keys: 'missing' | 'locked' | 'unlocked' | null): Gate {
  if (mail === null) return 'loading';
  if (mail === 'unsupported') return 'unsupported';
  if (mail === 'ready') return 'open';
  if (keys === null) return 'loading';
  if (keys === 'missing') return 'keys';
  if (keys === 'locked') return 'unlock';
  return mail === 'none' ? 'identity' : 'starting';
}

export class Desk extends EventTarget {
  /** `null` until the mailbox was asked. */
  state: MailState | null = null;
  contacts: readonly Contact[] = [];
  problem: MailProblem | null = null;
  /** What a screen reader is told, and is shown for a moment. */
  news = '';
  readonly #open: () => Promise<Mailbox>;
  readonly #toProblem: (thrown: unknown) => MailProblem;
  #box: Mailbox | null = null;
  #entering: Promise<void> | null = null;
  #calm: ReturnType<typeof setTimeout> | undefined;

  constructor(open: () => Promise<Mailbox>, toProblem: (thrown: unknown) => MailProblem) {
    super();
    this.#open = open;
    this.#toProblem = toProblem;
  }

  /** Takes hold of the mailbox and opens it if that needs nobody; called again, looks again. */
  enter(): Promise<void> {
    this.#entering ??= this.#enter().finally(() => (this.#entering = null));
    return this.#entering;
  }

  /** The mailbox itself, once the peer runs. */
  async box(): Promise<Mailbox> {
    if (this.#box) return this.#box;
    const box = await this.#open();
    if (this.#box) return this.#box;
    this.#box = box;
    box.addEventListener('state', () => void this.look());
    box.addEventListener('contacts', () => void this.#lookAtContacts());
    box.addEventListener('change', ({ detail }) => this.dispatchEvent(new CustomEvent('threads', { detail: detail.threads })));
    box.addEventListener('status', ({ detail }) => this.dispatchEvent(new CustomEvent<SendStatus>('status', { detail })));
    box.addEventListener('mail', ({ detail }) => this.dispatchEvent(new CustomEvent<ThreadSummary>('mail', { detail })));
    return box;
  }

  /** Asks how the mailbox stands. */
  async look(): Promise<void> {
    try {
      const before = this.state?.state;
      this.state = await (await this.box()).state();
      if (this.state.state === 'ready' && before !== 'ready') await this.#lookAtContacts();
    } catch (thrown) {
      this.problem = this.#toProblem(thrown);
    }
    this.#changed();
  }

  /** Does something with the mailbox; resolves with what it gave, or `null` if it failed: then that is shown. */
  async run<T>(work: (box: Mailbox) => Promise<T>): Promise<{ readonly value: T } | null> {
    this.calm();
    try {
      return { value: await work(await this.box()) };
    } catch (thrown) {
      const problem = this.#toProblem(thrown);
      if (problem.code !== 'ABORTED') this.problem = problem;
      this.#changed();
      return null;
    }
  }

  /** Nothing went wrong any more. */
  calm(): void {
    if (this.problem === null) return;
    this.problem = null;
    this.#changed();
  }

  /** Says something once. */
  tell(news: string): void {
    clearTimeout(this.#calm);
    this.news = news;
    this.#changed();
    this.#calm = setTimeout(() => {
      this.news = '';
      this.#changed();
    }, NEWS_MS);
  }

  /** The contact with this id. */
  contact(id: string | null): Contact | null {
    return id === null ? null : (this.contacts.find((contact) => contact.id === id) ?? null);
  }

  async #enter(): Promise<void> {
    await this.look();
    if (this.state?.state !== 'locked') return;
    try {
      await (await this.box()).start();
    } catch (thrown) {
      const problem = this.#toProblem(thrown);
      // These are no faults: the views ask for what is missing.
      if (!EXPECTED.has(problem.code)) this.problem = problem;
    }
    await this.look();
  }

  async #lookAtContacts(): Promise<void> {
    try {
      this.contacts = await (await this.box()).contacts();
    } catch (thrown) {
      this.problem = this.#toProblem(thrown);
    }
    this.#changed();
  }

  #changed(): void {
    this.dispatchEvent(new Event('change'));
  }
}

const EXPECTED: ReadonlySet<string> = new Set(['LOCKED', 'NO_KEYS', 'NO_IDENTITY']);
/** Milliseconds that a sentence stays. */
const NEWS_MS = 6_000;
