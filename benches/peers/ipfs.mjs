// A folder as UnixFS, a trustless gateway that has its blocks, and the origin on which a service worker shows it.

import { build } from 'esbuild';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/**
 * Starts it on loopback.
 *
 * `localhost` is the gateway: `/ipfs/<CID>?format=raw` is one block. It is also the router, which knows of nobody else: with no router to ask, Helia never
 * comes to its gateways. `<root>.ipfs.localhost` is the site: there the worker lies at `/ipfs-worker.js`, and
 * every other path is the page that installs it and comes again, but for `/install`, which stays.
 */
export async function startIpfs(folder) {
  const { root, blocks } = await imported(folder);
  const worker = await bundled('ipfs.worker.js');
  const page = readFileSync(join(here, 'ipfs.html'));
  let served = 0;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    const answer = (status, type, body, more = { 'access-control-allow-origin': '*' }) => response.writeHead(status, { 'content-type': type, 'content-length': body.length, ...more }).end(body);
    if (request.headers.host.startsWith(`${root}.ipfs.`)) {
      if (pathname === '/ipfs-worker.js') return answer(200, 'text/javascript', worker, { 'cache-control': 'no-cache' });
      return answer(200, 'text/html; charset=utf-8', page, { 'cache-control': 'no-store' });
    }
    if (pathname.startsWith('/routing/v1/providers/')) return answer(200, 'application/json', Buffer.from('{"Providers":[]}'));
    const block = searchParams.get('format') === 'raw' ? blocks.get(pathname.slice('/ipfs/'.length)) : undefined;
    if (!block) return answer(404, 'text/plain', Buffer.from('not here'));
    served += block.length;
    answer(200, 'application/vnd.ipld.raw', block, { 'access-control-allow-origin': '*', 'cache-control': 'public, max-age=29030400, immutable', 'x-content-type-options': 'nosniff' });
  });
  await new Promise((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', resolve));
  const at = `localhost:${server.address().port}`;
  return {
    url: `http://${root}.ipfs.${at}`,
    elsewhere: `http://${at}/`,
    /** Bytes of blocks sent so far. */
    served: () => served,
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    }),
  };
}

/** The blocks of a folder by their CIDs, as `unixfs-v1-2025` lays them out: raw leaves of 1 MiB, CIDs of version 1. */
async function imported(folder) {
  const [{ importer }, { MemoryBlockstore }] = await Promise.all([import('ipfs-unixfs-importer'), import('blockstore-core')]);
  const blocks = new Map();
  class Kept extends MemoryBlockstore {
    put(cid, bytes) {
      blocks.set(cid.toString(), Buffer.from(bytes));
      return super.put(cid, bytes);
    }
  }
  function* files() {
    for (const name of readdirSync(folder, { recursive: true }).sort()) {
      const path = join(folder, name);
      if (statSync(path).isFile()) yield { path: ['site', ...relative(folder, path).split(sep)].join('/'), content: readFileSync(path) };
    }
  }
  let last;
  for await (const entry of importer(files(), new Kept(), { profile: 'unixfs-v1-2025' })) last = entry;
  if (last?.path !== 'site') throw new Error(`the importer ended with ${last?.path}`);
  return { root: last.cid.toString(), blocks };
}

async function bundled(file) {
  const { outputFiles } = await build({ entryPoints: [join(here, file)], bundle: true, write: false, minify: true, format: 'iife', platform: 'browser', target: 'es2022', legalComments: 'none' });
  return Buffer.from(outputFiles[0].contents);
}
