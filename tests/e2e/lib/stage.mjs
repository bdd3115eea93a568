// The app on a stage: its own code and styles, over a node and a mailbox in memory (stage-gyre.mjs). For what needs a browser and
// no peers: keys, focus, layout, what a hostile mail can do. What it serves is counted, connections that ask for nothing included.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { root } from '../../../scripts/lib/places.mjs';

/** Bundles the app and serves it; `entry` in its place is for single parts of it, and without `policy` the page allows everything. */
export async function openStage({ entry = 'www/app/main.ts', policy = true } = {}) {
  const { build } = await import('esbuild');
  const folder = mkdtempSync(join(tmpdir(), 'gyre-stage-'));
  await build({
    absWorkingDir: root,
    entryPoints: { main: join(root, entry) },
    outdir: folder,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
    alias: { gyre: join(root, 'tests/e2e/lib/stage-gyre.mjs') },
    // The node of the stage is in memory: the wasm is never asked for.
    external: ['*/wasm/gyre.js', '*/wasm/gyre_mail.js', '*/argon2.js'],
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true, useDefineForClassFields: false, verbatimModuleSyntax: true } },
  });
  const page = (policy ? readFileSync(join(root, 'www/app/index.html'), 'utf8') : '<!doctype html><html><head></head><body></body></html>')
    .replace('</head>', `${policy ? '<link rel="stylesheet" href="main.css">' : ''}<script type="module" src="main.js"></script></head>`);
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://stage').pathname;
    if (path === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    try {
      const bytes = readFileSync(path === '/english.txt' ? join(root, 'src/proto/keys/english.txt') : join(folder, path.slice(1)));
      response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A server that nobody shall speak to: it counts connections and requests. */
export async function openTrap() {
  const seen = { connections: 0, requests: [] };
  const server = createServer((request, response) => {
    seen.requests.push(`${request.method} ${request.url}`);
    response.writeHead(200, { 'content-type': 'text/plain', 'access-control-allow-origin': '*' }).end('caught');
  });
  server.on('connection', () => (seen.connections += 1));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    seen,
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
