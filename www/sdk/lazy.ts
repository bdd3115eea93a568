/** Parts of the package that are loaded when they are needed, from where the page came from. */

import { GyreError } from './errors.js';

/** What loading gives. @throws GyreError `NOT_LOADED` if it cannot be had now, which may be tried again. */
export function loaded<T>(part: Promise<T>): Promise<T> {
  return part.catch((cause: unknown) => {
    throw new GyreError('NOT_LOADED', 'Check the connection and try again, or reload the page.', { cause });
  });
}
