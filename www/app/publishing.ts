/** The publication of this page: one, whichever page is shown. */

import { GyreError } from 'gyre';
import { mySites, type SiteFinder } from './lib/my-sites.js';
import { Publication } from './lib/publication.js';
import { keepStorage } from './persist.js';
import { session } from './session.js';

/** What is being published. */
export const publication = new Publication((signal) => session.ready(signal), mySites, (thrown) => GyreError.from(thrown));
publication.addEventListener('published', () => keepStorage());

/** Looks for sites of the person's keys that this browser does not know. Resolves with how many there are. */
export async function findMySites(signal?: AbortSignal): Promise<number> {
  const gyre = await session.ready(signal);
  const finder: SiteFinder = {
    name: (site) => gyre.keys.siteName(site),
    async find(name, number) {
      let site;
      try {
        site = await gyre.site(name, { follow: false, ...(signal ? { signal } : {}) });
      } catch (thrown) {
        const { code, cid } = GyreError.from(thrown);
        if (code !== 'NOT_FOUND') throw thrown;
        // Nobody knows the name: as far as can be told, there is none. Or it is known, and only its files are out of reach.
        return cid === undefined ? null : { site: number, name, title: '', cid, sequence: 0, files: 0, bytes: 0, time: 0, confirmed: false, fallback: null, earlier: [] };
      }
      try {
        const { cid, title, files, bytes, time, holders, fallback } = await site.info();
        return {
          site: number, name, title, cid, sequence: site.head?.sequence ?? 0, files, bytes, time: time ?? 0, confirmed: holders > 0, fallback, earlier: [],
        };
      } finally {
        site.close();
      }
    },
  };
  return mySites.discover(finder);
}
