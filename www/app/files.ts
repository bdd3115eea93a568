/**
 * The addresses under which this page shows and saves what its peer holds, answered by the service worker.
 *
 * Where there are no service workers (some private windows) there are none, and the page does without:
 * it shows files once they are complete, and saves them through memory.
 */

import { FileServer, GyreError } from 'gyre';
import { session } from './session.js';

/** Starts to answer the service worker; resolves with `null` where there is none. */
export function fileServer(): Promise<FileServer | null> {
  starting ??= FileServer.start(() => session.ready(), { worker: new URL('gyre-sw.js', document.baseURI) }).catch(
    (thrown: unknown) => {
      console.info('Files are shown only once they are complete:', GyreError.from(thrown).message);
      return null;
    },
  );
  return starting;
}

let starting: Promise<FileServer | null> | undefined;
