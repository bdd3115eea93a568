/**
 * The body of an answer: pieces from a page, each asked for when the consumer has room.
 *
 * If the page goes away in the middle, or lets go of a request that stood still, another one (or the same) is asked
 * for the rest. The consumer notices nothing but a pause.
 */

import type { Ask } from '../sdk/stream-messages.js';
import { SILENCE_MS, type Found, type Nobody } from './ask.js';
import type { Line } from './line.js';

/** How a body finds a page anew. */
export type Reconnect = (ask: Ask) => Promise<Found | Nobody>;

/** A body of `found.head`'s length; `onEnd` is called once, however it ends. */
export function body(ask: Ask, found: Found, reconnect: Reconnect, onEnd: () => void): ReadableStream<Uint8Array> {
  const { start, end } = spanOf(found);
  let line: Line | null = found.line;
  let at = start;
  let fruitless = 0;
  let ended = false;
  const finish = (): void => {
    if (ended) return;
    ended = true;
    line?.close();
    onEnd();
  };

  const next = async (): Promise<Uint8Array<ArrayBuffer>> => {
    for (;;) {
      line ??= await again();
      line.say({ type: 'pull' });
      const said = await heard(line);
      if (said?.type === 'data' && at + said.bytes.byteLength <= end) {
        fruitless = 0;
        return said.bytes;
      }
      line.close();
      line = null;
      if (ended) throw new Error('The request was given up.');
      if (said?.type === 'fail') throw new Error(`${said.code}: ${said.message}`);
    }
  };

  const again = async (): Promise<Line> => {
    if ((fruitless += 1) > MAX_FRUITLESS) throw new Error('The page that reads the file does not answer.');
    const headers = { ...ask.headers, range: `bytes=${at}-${end - 1}` };
    // The address is the content, so the rest is the rest of the same bytes.
    delete (headers as Record<string, string>)['if-range'];
    const other = await reconnect({ ...ask, headers });
    if ('code' in other) throw new Error(`${other.code}: ${other.message}`);
    const span = spanOf(other);
    if (other.head.status !== 206 || span.start !== at || span.end !== end) {
      other.line.close();
      throw new Error('Another page answers with other bytes.');
    }
    return other.line;
  };

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          if (at < end) {
            const bytes = await next();
            at += bytes.byteLength;
            controller.enqueue(bytes);
          }
          if (at >= end) {
            controller.close();
            finish();
          }
        } catch (thrown) {
          if (!ended) controller.error(thrown);
          finish();
        }
      },
      cancel: finish,
    },
    { highWaterMark: 0 },
  );
}

/** What the page says next, signs of life aside; `null` if it is gone. */
async function heard(line: Line): ReturnType<Line['next']> {
  for (;;) {
    const said = await line.next(SILENCE_MS);
    if (said?.type !== 'here') return said;
  }
}

/** The bytes that a head announces. */
function spanOf({ head }: Found): { start: number; end: number } {
  const header = (wanted: string): string => head.headers.find(([name]) => name.toLowerCase() === wanted)?.[1] ?? '';
  const range = /^bytes (\d{1,16})-(\d{1,16})\//.exec(header('content-range'));
  if (range) return { start: Number(range[1]), end: Number(range[2]) + 1 };
  return { start: 0, end: Number(header('content-length')) };
}

/** Times in a row that a page is looked for without a byte coming of it. */
const MAX_FRUITLESS = 5;
