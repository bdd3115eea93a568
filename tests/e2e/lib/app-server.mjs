// The app on a web server that is no relay, as a host of static files would serve it: it is there while no relay is.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { root } from '../../../scripts/lib/places.mjs';

const FOLDER = join(root, 'www/dist');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.wasm': 'application/wasm', '.json': 'application/json', '.txt': 'text/plain', '.webmanifest': 'application/manifest+json' };

/** Serves what was built, and the relay's word of itself while that runs. */
export async function serveApp(relay) {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, 'http://app').pathname);
    const answer = (status, type, body) => response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
    if (path === '/bootstrap.json') {
      const said = await fetch(`${relay.url}bootstrap.json`).then((found) => found.text(), () => null);
      return said === null ? answer(503, 'text/plain', '') : answer(200, TYPES['.json'], said);
    }
    const file = path === '/' ? '/index.html' : normalize(path);
    try {
      answer(200, TYPES[extname(file)] ?? 'application/octet-stream', readFileSync(join(FOLDER, file)));
    } catch {
      answer(404, 'text/plain', '');
    }
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  return {
    url: `http://localhost:${server.address().port}/`,
    async forget() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
