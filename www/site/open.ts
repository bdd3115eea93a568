/** A site's address opened by itself: its place is in the app. */

import { appLink, appOrigin, LINK_PATH, siteAddress } from './messages.js';

const { pathname, search, hash } = location;
const place = pathname + search + hash;
const app = appOrigin(location);
const link = pathname.startsWith(LINK_PATH)
  ? `${app}/#/s/${place.slice(LINK_PATH.length)}`
  : appLink(app, siteAddress(location), place);
const way = document.querySelector('a');
if (way) way.href = link;
// In a frame the app sees to it.
if (window.top === window) location.replace(link);
