/**
 * Files under an address of the page's own origin, for `<video>`, `<img>`, `<iframe>`, `fetch` and the download bar.
 *
 * A service worker catches `/.gyre/f/<cid>` and asks the pages of the origin, whose peer reads the bytes. The
 * address holds no key and means nothing outside this browser: it works for files that were opened here.
 */

import { GyreError, raced } from './errors.js';
import type { GyreFile } from './file.js';
import type { Gyre } from './gyre.js';
import { AWAKE, CLAIM, fileUrl } from './stream-messages.js';
import { StreamHost } from './stream-host.js';

/** Options of {@link FileServer.start}. */
export interface FileServerOptions {
  /** Where the package's `gyre-sw.js` is served, on the page's own origin; default `/gyre-sw.js`. */
  readonly worker?: URL | string;
  /** The worker's scope; default the folder of `worker`. A wider one needs the header `Service-Worker-Allowed`. */
  readonly scope?: URL | string;
  /** Gives up starting. */
  readonly signal?: AbortSignal;
}

/** Serves the files of a peer to its own page. Make it with {@link FileServer.start}; one per page. */
export class FileServer {
  /** Addresses of files stand below this one. */
  readonly scope: string;
  readonly #registration: ServiceWorkerRegistration;
  readonly #host: StreamHost;
  readonly #end = new AbortController();

  private constructor(registration: ServiceWorkerRegistration, host: StreamHost) {
    this.#registration = registration;
    this.#host = host;
    this.scope = registration.scope;
    const { signal } = this.#end;
    navigator.serviceWorker.addEventListener('message', (event) => host.take(event.data, event.ports[0]), { signal });
    navigator.serviceWorker.startMessages();
    const awake = setInterval(() => this.#keepAwake(), AWAKE_MS);
    signal.addEventListener('abort', () => clearInterval(awake), { once: true });
  }

  /**
   * Registers the worker and begins to answer for `gyre`: the peer, or a function that gives the one of the moment.
   * Resolves once addresses of files work in this page.
   *
   * @throws GyreError `UNSUPPORTED` where there are no service workers (plain HTTP, some private windows) or the
   * worker cannot be had; `ABORTED`.
   */
  static async start(gyre: Gyre | (() => Promise<Gyre>), options: FileServerOptions = {}): Promise<FileServer> {
    const container = (globalThis.navigator as Navigator | undefined)?.serviceWorker as ServiceWorkerContainer | undefined;
    if (!container) throw new GyreError('UNSUPPORTED', 'This browser offers no service workers to this page.');
    const script = new URL(options.worker ?? '/gyre-sw.js', globalThis.location.href);
    const settings: RegistrationOptions = { updateViaCache: 'none' };
    if (options.scope !== undefined) settings.scope = String(new URL(options.scope, globalThis.location.href));
    const registration = await raced(container.register(script, settings), options.signal).catch((cause: unknown) => {
      if (cause instanceof GyreError) throw cause;
      throw new GyreError('UNSUPPORTED', `The service worker ${script.href} could not be started.`, { cause });
    });
    await controlled(container, registration, options.signal);
    return new FileServer(registration, new StreamHost(typeof gyre === 'function' ? gyre : () => Promise.resolve(gyre)));
  }

  /** The address of an opened file: for `src`, `href` and `fetch` in this browser. */
  url(file: Pick<GyreFile, 'cid' | 'name'>): string {
    return fileUrl(this.scope, file.cid, { name: file.name });
  }

  /** The address at which the browser saves the file as it arrives, under its name; open it in a hidden frame. */
  downloadUrl(file: Pick<GyreFile, 'cid' | 'name'>): string {
    return fileUrl(this.scope, file.cid, { name: file.name, download: true });
  }

  /** HTTP requests that this page is answering. */
  get requests(): number {
    return this.#host.sessions;
  }

  /** Stops answering; the worker stays registered, another page of the origin may answer. */
  stop(): void {
    this.#end.abort();
    this.#host.stop();
  }

  /** A worker without events is stopped after half a minute, and a body that nobody pulls for a while makes none. */
  #keepAwake(): void {
    if (this.#host.busy(2 * AWAKE_MS)) this.#registration.active?.postMessage({ gyre: AWAKE });
  }
}

/** Waits until the worker handles this page's requests. */
async function controlled(
  container: ServiceWorkerContainer,
  registration: ServiceWorkerRegistration,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!globalThis.location.href.startsWith(registration.scope)) {
    throw new GyreError('BAD_OPTIONS', `This page lies outside ${registration.scope}, the scope of its worker.`);
  }
  const limit = AbortSignal.timeout(CONTROL_MS);
  const cut = signal ? AbortSignal.any([signal, limit]) : limit;
  try {
    await raced(
      new Promise<void>((resolve) => {
        if (container.controller) return resolve();
        container.addEventListener('controllerchange', () => resolve(), { once: true, signal: cut });
        // After a reload past the worker (with Shift) it must be told to take this page back.
        const claim = (): void => registration.active?.postMessage({ gyre: CLAIM });
        claim();
        container.ready.then(claim, () => undefined);
      }),
      cut,
    );
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    throw new GyreError('UNSUPPORTED', 'The service worker does not answer for this page.', { cause: thrown });
  }
}

/** Milliseconds between two calls that keep a busy worker running; browsers stop one after 30 s without an event. */
const AWAKE_MS = 10_000;
/** Milliseconds until a worker that does not take control is given up: a cold start on a slow phone, several times over. */
const CONTROL_MS = 20_000;
