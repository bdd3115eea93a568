/**
 * The body of an answer: pieces from a page, each asked for when the consumer has room.
 *
 * If the page goes away in the middle, or lets go of a request that stood still, another one (or the same) is asked
 * for the rest. The consumer notices nothing but a pause.
 */

import { SILENCE_MS, type Found, type Nobody } from './ask.js';
import type { Line } from './line.js';

/** What is needed of a question, so that the rest can be asked for: its headers, in lower case. */
export interface Asked {
  readonly headers: Readonly<Record<string, string>>;
}

/** How a body finds a page anew. */
export type Reconnect<A extends Asked> = (ask: A) => Promise<Found | Nobody>;

/** A body of `found.head`'s length, or of what comes if that says none; `onEnd` is called once, however it ends. */
export function body<A extends Asked>(
  ask: A,
  found: Found,
  reconnect: Reconnect<A>,
  onEnd: () => void,
): ReadableStream<Uint8Array> {
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

  /** `null` is the end of a body whose length was not known. */
  const next = async (): Promise<Uint8Array<ArrayBuffer> | null> => {
    for (;;) {
      line ??= await again();
      line.say({ type: 'pull' });
      const said = await heard(line);
      if (said?.type === 'data' && at + said.bytes.byteLength <= end) {
        fruitless = 0;
        return said.bytes;
      }
      if (said?.type === 'end' && end === Infinity) return null;
      line.close();
      line = null;
      if (ended) throw new Error('The request was given up.');
      if (said?.type === 'fail') throw new Error(`${said.code}: ${said.message}`);
    }
  };

  const again = async (): Promise<Line> => {
    if ((fruitless += 1) > MAX_FRUITLESS) throw new Error('The page that reads the file does not answer.');
    const headers: Record<string, string> = { ...ask.headers, range: `bytes=${at}-${end === Infinity ? '' : end - 1}` };
    // The rest of the same bytes, or nothing: a site may have a new version by now.
    delete headers['if-range'];
    const tag = headerOf(found, 'etag');
    if (tag !== '') headers['if-match'] = tag;
    const other = await reconnect({ ...ask, headers });
    if ('code' in other) throw new Error(`${other.code}: ${other.message}`);
    const span = spanOf(other);
    if (other.head.status !== 206 || span.start !== at || (end !== Infinity && span.end !== end)) {
      other.line.close();
      throw new Error('Another page answers with other bytes.');
    }
    return other.line;
  };

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const bytes = at < end ? await next() : null;
          if (bytes) {
            at += bytes.byteLength;
            controller.enqueue(bytes);
            return;
          }
          // Only here has the last piece been taken, too: until then there is work, and a worker without any may be ended.
          controller.close();
          finish();
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
function spanOf(found: Found): { start: number; end: number } {
  const range = /^bytes (\d{1,16})-(\d{1,16})\//.exec(headerOf(found, 'content-range'));
  if (range) return { start: Number(range[1]), end: Number(range[2]) + 1 };
  const length = headerOf(found, 'content-length');
  return { start: 0, end: length === '' ? Infinity : Number(length) };
}

/** A header of an answer, by its name in lower case; `''` if it has none. */
export function headerOf({ head }: Found, wanted: string): string {
  return head.headers.find(([name]) => name.toLowerCase() === wanted)?.[1] ?? '';
}

/** Times in a row that a page is looked for without a byte coming of it. */
const MAX_FRUITLESS = 5;
