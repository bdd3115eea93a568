// `npm start`: builds what has changed, starts a relay that serves the page, prints where it is.
//
//   --no-serve   build only
//   --fast       build without optimising
//   --force      build everything again
//   PORT         where to listen (8080)
// What follows `--` goes to the relay.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './lib/build.mjs';
import { relayBinary, root } from './lib/places.mjs';
import { main, Told } from './lib/run.mjs';

main('npm start', async () => {
  const { values, positionals } = parseArgs({
    options: { 'no-serve': { type: 'boolean' }, fast: { type: 'boolean' }, force: { type: 'boolean' } },
    allowPositionals: true,
  });
  const port = Number(process.env.PORT ?? 8080);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Told(`PORT must be a number from 1 to 65535, not "${process.env.PORT}".`);

  const began = performance.now();
  const ran = await build(undefined, { fast: values.fast, force: values.force });
  const took = ((performance.now() - began) / 1000).toFixed(1);
  console.log(ran.size ? `Built in ${took} s.` : `Everything is up to date (${took} s).`);
  if (values['no-serve']) return 0;

  const relay = spawn(relayBinary, [
    '--listen', `localhost:${port}`, '--app', join(root, 'www/dist'), '--data', join(root, '.cache/relay'), ...positionals,
  ], { stdio: 'inherit', cwd: root });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.removeAllListeners(signal);
    process.on(signal, () => relay.kill(signal));
  }
  return new Promise((resolve, reject) => {
    relay.on('error', reject);
    relay.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)));
  });
});
