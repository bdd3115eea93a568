/**
 * The app's end of a site's requests: asks the opened site and hands out bodies piece by piece.
 *
 * It serves one site, whoever asks: what comes through the bridge is the site's own. A body is read when the worker pulls;
 * one that nobody pulls is let go, and the worker asks again for the rest when it needs more.
 */

import { readWish, SIGN_OF_LIFE_MS, type Answer } from '../../sdk/stream-messages.js';
import { OUTSIDE_HEADER, readSiteAsk, readSiteWhose, VERSION_HEADER, type SiteAsk, type SiteClaim, type SiteWhose } from '../../site/messages.js';

/** What is needed of an opened site. */
export interface SiteSource {
  /** The version that it is. */
  readonly cid: string;
  fetch(
    target: string,
    options: { method: string; headers: Record<string, string>; signal: AbortSignal },
  ): Promise<Response>;
}

/** What the host needs to know beside the site. */
export interface SiteHostOptions {
  /** Whether the person lets this site load from elsewhere. */
  readonly outside: () => boolean;
  /** The site sends its reader to another place of the web. */
  readonly onLeave?: (url: string) => void;
  /** Resolves once all is known that the frame has begun by now. */
  readonly caughtUp?: () => Promise<void>;
  /** Runs work of all tabs that show this site one after the other. */
  readonly turns?: (work: () => Promise<void>) => Promise<void>;
}

/**
 * Runs `work` when no other tab of the app does the same for this site. It is not put off for longer than a page is expected: a tab may be frozen in
 * its turn, and some browsers have no locks.
 */
export async function inTurn(address: string, work: () => Promise<void>): Promise<void> {
  let begun = false;
  const once = (): Promise<void> => {
    begun = true;
    return work();
  };
  await navigator.locks?.request(`gyre-frame-${address}`, { signal: AbortSignal.timeout(EXPECTED_MS) }, once).catch(() => undefined);
  if (!begun) await work();
}

/** Answers what a site's worker asks. */
export class SiteHost {
  #source: Promise<SiteSource>;
  readonly #options: SiteHostOptions;
  readonly #sessions = new Set<Session>();
  #running = 0;
  readonly #queue: (() => void)[] = [];
  #stopped = false;
  #version = '';
  /** The clients that this tab has answered, and when each came to be. */
  readonly #clients = new Map<string, number>();
  /** When the frame began to load a page that has not asked yet; 0 if there is none. */
  #expected = 0;
  /** Ends the turn of a frame that has begun to load: its page has been asked for, or another frame takes its place. */
  #turned = (): void => undefined;

  constructor(source: Promise<SiteSource>, options: SiteHostOptions) {
    this.#source = source;
    this.#options = options;
    this.replace(source);
  }

  /** Requests that are being answered. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Whether a body was pulled within `milliseconds`. */
  busy(milliseconds: number): boolean {
    const since = performance.now() - milliseconds;
    return [...this.#sessions].some((session) => session.waiting || session.pulledAt >= since);
  }

  /** Another version of the same site; what is being answered ends with the one before. */
  replace(source: Promise<SiteSource>): void {
    this.#source = source;
    this.#version = '';
    source.then(
      ({ cid }) => source === this.#source && (this.#version = cid),
      () => undefined,
    );
  }

  /** The frame is about to load a page. */
  expect(): void {
    this.#expected = Date.now();
  }

  /**
   * Lets a new frame load a page once no other tab of the site has one on its way: nothing in their requests tells them apart. `load` begins it, or
   * says that the frame is not wanted any more.
   */
  begin(load: () => boolean): Promise<void> {
    this.#turned();
    return (this.#options.turns ?? ((work) => work()))(() => {
      if (!load()) return Promise.resolve();
      this.expect();
      return new Promise<void>((resolve) => {
        const limit = setTimeout(resolve, EXPECTED_MS);
        this.#turned = () => {
          clearTimeout(limit);
          resolve();
        };
      });
    });
  }

  /** Takes a message that came through a bridge; false if it is no question. */
  take(data: unknown, port: MessagePort | undefined): boolean {
    if (!port || this.#stopped) return false;
    const question = readSiteWhose(data);
    if (question) {
      void this.#claim(question).then((claim) => port.postMessage(claim));
      return true;
    }
    const ask = readSiteAsk(data);
    if (!ask) return false;
    this.#note(ask);
    if (this.#sessions.size >= MAX_SESSIONS) {
      port.postMessage({ type: 'fail', code: 'ABORTED', message: 'Too many requests at once.' } satisfies Answer);
      port.close();
      return true;
    }
    const session = new Session(ask, port, this.#source, this.#options);
    this.#sessions.add(session);
    void this.#turn()
      .then(() => session.run())
      .finally(() => {
        this.#sessions.delete(session);
        this.#running -= 1;
        this.#queue.shift()?.();
      });
    return true;
  }

  /** Lets go of everything. */
  stop(): void {
    this.#stopped = true;
    this.#turned();
    for (const session of this.#sessions) session.letGo();
  }

  /** Whether a request is of this tab's frame. */
  async #claim({ navigate, client, becomes, from }: SiteWhose): Promise<SiteClaim> {
    const own = (id: string): boolean => this.#clients.has(id);
    const certain = own(becomes) || own(client);
    if (!certain && navigate) await this.#options.caughtUp?.();
    const known = from.map((id) => this.#clients.get(id) ?? 0);
    const expected = navigate && this.#expected >= Date.now() - EXPECTED_MS ? this.#expected : 0;
    return { type: 'claim', at: certain ? Infinity : Math.max(expected, ...known), version: this.#version };
  }

  #note({ navigate, becomes }: SiteAsk): void {
    if (navigate) {
      this.#expected = 0;
      this.#turned();
    }
    if (becomes === '' || this.#clients.has(becomes)) return;
    this.#clients.set(becomes, Date.now());
    const [eldest] = this.#clients.keys();
    if (this.#clients.size > MAX_CLIENTS && eldest !== undefined) this.#clients.delete(eldest);
  }

  /** A page may ask for hundreds of files at once; so many are read at a time. */
  async #turn(): Promise<void> {
    if (this.#running >= MAX_RUNNING) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#running += 1;
  }
}

/** One HTTP answer. */
class Session {
  /** When the worker last pulled, in milliseconds of `performance.now()`. */
  pulledAt = performance.now();
  /** The worker waits for something. */
  waiting = true;
  readonly #ask: SiteAsk;
  readonly #port: MessagePort;
  readonly #source: Promise<SiteSource>;
  readonly #options: SiteHostOptions;
  readonly #cut = new AbortController();
  readonly #life: ReturnType<typeof setInterval>;
  #pulled: (() => void) | null = null;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(ask: SiteAsk, port: MessagePort, source: Promise<SiteSource>, options: SiteHostOptions) {
    this.#ask = ask;
    this.#port = port;
    this.#source = source;
    this.#options = options;
    port.onmessage = ({ data }) => {
      const wish = readWish(data);
      if (wish?.type === 'cancel') this.#cut.abort();
      else if (wish?.type === 'pull') this.#onPull();
    };
    // Not every browser tells that the other end of a port is gone; the idle limit covers the rest.
    port.addEventListener('close', () => this.#cut.abort());
    this.#life = setInterval(() => this.waiting && this.#say({ type: 'here' }), SIGN_OF_LIFE_MS);
    this.#say({ type: 'here' });
  }

  async run(): Promise<void> {
    const { signal } = this.#cut;
    try {
      if (signal.aborted) return;
      const site = await cutShort(this.#source, signal);
      const { target, method, headers } = this.#ask;
      const response = await cutShort(site.fetch(target, { method, headers: { ...headers }, signal }), signal);
      await this.#answer(response, site.cid);
    } catch (thrown) {
      if (signal.aborted) return;
      const { code, message } = thrown as { code?: unknown; message?: unknown };
      this.#say({ type: 'fail', code: typeof code === 'string' ? code : 'INTERNAL', message: String(message ?? thrown) });
    } finally {
      clearInterval(this.#life);
      clearTimeout(this.#idle);
      this.#cut.abort();
      this.#port.onmessage = null;
      this.#port.close();
    }
  }

  /** Ends it from this side; the worker may come back for the rest. */
  letGo(): void {
    if (this.#cut.signal.aborted) return;
    this.#say({ type: 'gone' });
    this.#cut.abort();
  }

  async #answer(response: Response, version: string): Promise<void> {
    const headers: [string, string][] = [...response.headers, [VERSION_HEADER, version]];
    if (this.#options.outside()) headers.push([OUTSIDE_HEADER, 'allowed']);
    const location = response.headers.get('location');
    if (location !== null && /^https?:/i.test(location) && this.#ask.navigate) {
      // The frame does not leave the site; the person may.
      this.#options.onLeave?.(location);
      this.#say({ type: 'head', status: 204, headers: [], body: false });
      return;
    }
    const body = this.#ask.method === 'HEAD' ? null : response.body;
    this.#say({ type: 'head', status: response.status, headers, body: body !== null });
    if (!body) return;
    const reader = body.getReader();
    // The first piece goes with the head: whoever asked for a body wants it, and a page waits for each message to and fro.
    this.waiting = true;
    try {
      for (;;) {
        await this.#pull();
        const { done, value } = await cutShort(reader.read(), this.#cut.signal);
        if (done) break;
        for (let at = 0; at < value.byteLength; at += MAX_PIECE) {
          if (at > 0) await this.#pull();
          const bytes = whole(value.subarray(at, at + MAX_PIECE));
          this.#say({ type: 'data', bytes }, [bytes.buffer]);
        }
      }
    } finally {
      reader.cancel().catch(() => undefined);
    }
    this.#say({ type: 'end' });
  }

  #onPull(): void {
    this.waiting = true;
    this.pulledAt = performance.now();
    clearTimeout(this.#idle);
    this.#pulled?.();
  }

  /** Waits until the worker waits for something. */
  async #pull(): Promise<void> {
    if (this.waiting) return;
    this.#idle = setTimeout(() => this.letGo(), IDLE_SESSION_MS);
    await cutShort(new Promise<void>((resolve) => (this.#pulled = resolve)), this.#cut.signal);
  }

  /** Every message but a sign of life is what the worker waits for. */
  #say(message: Answer, transfer: Transferable[] = []): void {
    if (message.type !== 'here') this.waiting = false;
    this.#port.postMessage(message, transfer);
  }
}

/** Settles as `work` does, or rejects as soon as `signal` fires. */
function cutShort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(new Error('Cancelled.'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** The bytes in a buffer of their own, which can be handed over without a copy. */
function whole(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const alone = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return alone ? (bytes as Uint8Array<ArrayBuffer>) : bytes.slice();
}

/** Requests that wait or are answered at once; a page with more files than this would not work from a server either. */
const MAX_SESSIONS = 2_000;
/** Requests answered at a time: bodies that stand still keep their place, such as those of players. */
const MAX_RUNNING = 96;
/** Bytes of one message: the piece that a file is read in. */
const MAX_PIECE = 1024 * 1024;
/** Milliseconds that an answer may stand without being pulled. */
const IDLE_SESSION_MS = 60_000;
/** Pages and workers of one site that a tab knows as its own; a page of frames has some dozens. */
const MAX_CLIENTS = 500;
/** Milliseconds in which a page that the frame begins to load is asked for: the browser may have to start the worker. */
const EXPECTED_MS = 5_000;
