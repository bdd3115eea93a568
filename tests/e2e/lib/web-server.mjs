// A plain web server with one file and its tree, for pages of other origins; it counts what it sends.

import { createServer } from 'node:http';
import { once } from 'node:events';

/** Bytes written at once: small, so that what is counted has been asked for. */
const PIECE = 65_536;

/**
 * Serves `bytes` as `/film.bin`, and whatever `tree` becomes beside it.
 *
 * `mood` says how it answers: `good`, `lies` (other bytes), `whole` (ignores ranges), `breaks` (the first two answers end in the
 * middle). `delay` is the time before each answer, in milliseconds.
 */
export async function startWebServer(bytes, { mood = 'good', delay = 0 } = {}) {
  const web = { mood, tree: null, sent: 0, requests: [], broken: 0 };
  const server = createServer(async (request, response) => {
    response.on('error', () => {});
    const part = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    web.requests.push({ path: request.url, range: part !== null, method: request.method, headers: request.headers });
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    const head = { 'access-control-allow-origin': '*', 'content-type': 'application/octet-stream' };
    const send = async (status, body, { length = body.length, end = true } = {}) => {
      response.writeHead(status, { ...head, 'content-length': length });
      for (let at = 0; at < body.length && !response.destroyed; at += PIECE) {
        const piece = body.subarray(at, at + PIECE);
        web.sent += piece.length;
        if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      }
      if (end) response.end();
      else response.destroy();
    };
    if (request.url === '/film.bin.b3tree' && web.tree) return send(200, web.tree);
    if (request.url !== '/film.bin') return send(404, Buffer.alloc(0));
    if (!part || web.mood === 'whole') return send(200, bytes);
    const [from, to] = [Number(part[1]), Number(part[2])];
    const range = bytes.subarray(from, to + 1);
    head['content-range'] = `bytes ${from}-${to}/${bytes.length}`;
    if (web.mood === 'breaks' && web.broken < 2) {
      web.broken += 1;
      return send(206, range.subarray(0, range.length / 2), { length: range.length, end: false });
    }
    return send(206, web.mood === 'lies' ? Buffer.alloc(range.length, 7) : range);
  });
  await new Promise((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return Object.assign(web, {
    host: `localhost:${port}`,
    address: `http://localhost:${port}/film.bin`,
    /** Begins to count anew. */
    reset() {
      web.sent = 0;
      web.requests = [];
    },
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    }),
  });
}
