/** Parts of the package that are loaded when they are needed, from where the page came from. */

import { GyreError } from './errors.js';

/** What loading gives. @throws GyreError `NOT_LOADED` if it cannot be had now, which may be tried again. */
export async function loaded<T>(what: string, part: Promise<T>): Promise<T> {
  try {
    return await part;
  } catch (cause) {
    if (cause instanceof GyreError) throw cause;
    throw new GyreError('NOT_LOADED', `${what} could not be loaded. Check the connection and try again.`, { cause });
  }
}
