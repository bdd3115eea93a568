/** The sites that the person lets load from elsewhere, by address. */

import { Kept } from '../lib/kept.js';

/** Whether a site may; one that is not in it may not. */
export const outsideAllowed = new Kept<true>('gyre.sites-outside', (value) => (value === true ? true : null), 500);
