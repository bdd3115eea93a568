/**
 * Finds a page that answers.
 *
 * The page that makes the request is asked first and alone: it is the one that has just opened the file. If it says
 * nothing for a moment, takes long, or has not got it, all others are asked, and the first that can answer does.
 */

import { SIGN_OF_LIFE_MS, type Answer } from '../sdk/stream-messages.js';
import { Line, type Page } from './line.js';

/** A page that answers, and the beginning of its answer. */
export interface Found {
  readonly line: Line;
  readonly head: Extract<Answer, { type: 'head' }>;
}

/** Why nobody does; `code` is stable. */
export interface Nobody {
  readonly code: string;
  readonly message: string;
}

/** Asks these pages, the first of them alone for a moment. */
export async function askPages(ask: object, pages: readonly Page[], signal?: AbortSignal): Promise<Found | Nobody> {
  const lines: Line[] = [];
  let refused: Nobody | null = null;
  const [first, ...others] = pages;
  if (!first) return NO_PAGE;
  let settled = false;
  const timers: ReturnType<typeof setTimeout>[] = [];
  const found = await new Promise<Found | null>((resolve) => {
    const waiting = others;
    let open = 0;
    const follow = (page: Page): void => {
      const line = new Line(page, ask);
      lines.push(line);
      open += 1;
      void opening(line).then((said) => {
        if (said && 'head' in said) return resolve({ line, head: said.head });
        open -= 1;
        // That a page has it and cannot read it says more than that another has not got it.
        if (said && (!refused || refused.code === 'NOT_OPEN')) refused = said;
        askOthers();
        if (open === 0) resolve(null);
      });
    };
    const askOthers = (): void => {
      if (!settled) waiting.splice(0).forEach(follow);
    };
    follow(first);
    // A sign of life is enough: opening a file may take its time.
    timers.push(setTimeout(() => lines[0]?.alive || askOthers(), HEAD_START_MS));
    timers.push(setTimeout(askOthers, SLOW_MS));
    signal?.addEventListener('abort', () => resolve(null), { once: true });
  });
  settled = true;
  timers.forEach(clearTimeout);
  for (const line of lines) if (line !== found?.line) line.close();
  return found ?? refused ?? NO_PAGE;
}

/** The beginning of an answer, a refusal, or `null` from a page that says nothing. */
async function opening(line: Line): Promise<Pick<Found, 'head'> | Nobody | null> {
  for (let patience = FIRST_WORD_MS; ; patience = SILENCE_MS) {
    const said = await line.next(patience);
    if (said?.type === 'head') return { head: said };
    if (said?.type === 'fail') return said;
    if (said?.type !== 'here') return null;
  }
}

/** Milliseconds without a sign of life after which a page counts as gone: a busy one is late, a frozen one never comes. */
export const SILENCE_MS = 5 * SIGN_OF_LIFE_MS;
/** Milliseconds that the page which asks is waited for alone; its answer normally takes a few. */
const HEAD_START_MS = 1_000;
/** Milliseconds after which others are asked too, whatever the first says: its peer may be unable to start. */
const SLOW_MS = 5_000;
/** Milliseconds until a page that has said nothing at all is given up: its script may still be loading. */
const FIRST_WORD_MS = 12_000;
/** What is said when there is nobody to ask. */
const NO_PAGE: Nobody = {
  code: 'NO_PAGE',
  message: 'No tab of this site is open that could read the file. Open the site, then load this again.',
};
