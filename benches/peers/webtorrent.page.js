// The page of one WebTorrent peer, with the library's defaults; only outside STUN servers are left out, as for the others.

import WebTorrent from './node_modules/webtorrent/dist/webtorrent.min.js';

const client = new WebTorrent({ tracker: { rtcConfig: { iceServers: [] } } });
client.on('error', (error) => console.error(error));

window.peer = {
  torrent: null,
  /** Makes random bytes, seeds them, resolves with the magnet URI once the tracker knows. */
  seed(announce, size) {
    const parts = [];
    for (let at = 0; at < size; at += 65_536) parts.push(crypto.getRandomValues(new Uint8Array(Math.min(65_536, size - at))));
    return new Promise((resolve) => {
      this.torrent = client.seed(new File(parts, 'crowd'), { announce: [announce] }, (torrent) => {
        torrent.once('trackerAnnounce', () => resolve(torrent.magnetURI));
      });
    });
  },
  fetch(magnet) {
    return new Promise((resolve, reject) => {
      this.torrent = client.add(magnet);
      this.torrent.on('error', reject);
      this.torrent.on('done', () => resolve());
    });
  },
  uploaded() {
    return this.torrent.uploaded;
  },
};
