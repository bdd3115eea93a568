/** One question to one page, and what comes back. */

import { readAnswer, type Answer, type Wish } from '../sdk/stream-messages.js';

/** Who can be asked; a `Client` of the worker is one. */
export interface Page {
  readonly id: string;
  postMessage(message: unknown, transfer: Transferable[]): void;
}

/** A line to a page; its messages are heard in order, each once. */
export class Line {
  readonly page: Page;
  /** Whether the page has said anything yet. */
  alive = false;
  readonly #port: MessagePort;
  readonly #heard: Answer[] = [];
  #wake: (() => void) | null = null;
  #closed = false;

  constructor(page: Page, ask: object) {
    this.page = page;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }) => {
      const answer = readAnswer(data);
      if (!answer || this.#closed) return;
      this.alive = true;
      this.#heard.push(answer);
      this.#wake?.();
    };
    page.postMessage(ask, [port2]);
  }

  /** The next message; `null` when nothing was heard for `patience` milliseconds, or the line was closed. */
  async next(patience: number): Promise<Answer | null> {
    if (this.#heard.length === 0 && !this.#closed) {
      let limit: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        limit = setTimeout(resolve, patience);
      });
      clearTimeout(limit);
      this.#wake = null;
    }
    return this.#closed ? null : (this.#heard.shift() ?? null);
  }

  say(wish: Wish): void {
    if (!this.#closed) this.#port.postMessage(wish);
  }

  /** Gives the request up. */
  close(): void {
    if (this.#closed) return;
    this.say({ type: 'cancel' });
    this.#closed = true;
    this.#port.close();
    this.#wake?.();
  }
}
