// The build as data: what there is to build, from what, and how. `npm start`, `npm test` and `npm run bench` share it.

import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import {
  artefacts, bindgenBinary, cargoPackage, cargoTarget, gyreBinary, nodeMajorWanted, npm, out, relayBinary, root, testRelayBinary, tools, wasmBindgenVersion, wasmTarget,
} from './places.mjs';
import { leaveOut } from './leave-out.mjs';
import { nameByLikeness } from './order.mjs';
import { ask, run, Told } from './run.mjs';
import { bringUpToDate } from './steps.mjs';

/** What the page and the relay are made of; the rest follows from what these need. */
export const everything = ['app', 'relay'];

/** Brings `wanted` up to date. `fast` builds without optimising: for developing, never for measuring or shipping. */
export async function build(wanted = everything, { fast = false, log, force } = {}) {
  checkNode();
  await checkRust();
  return bringUpToDate(buildSteps({ fast }), wanted, { log, force });
}

/** Of the native tests, and of what is built with them. */
export const nativeFeatures = ['--features', 'relay,test-utils,mail,bridge'];
/** What cargo is told of the tests in wasm. */
export const wasmTestArgs = ['--features', 'test-utils,interop', '--target', wasmTarget, '--test', 'browser'];

const rustInputs = ['Cargo.toml', 'Cargo.lock', '.cargo', 'src'];
const optimising = ['leave-out', 'order', 'wasm'].map((name) => `scripts/lib/${name}.mjs`);
const rustVersion = once(() => ask('rustc', ['--version', '--verbose']));

export function buildSteps({ fast = false } = {}) {
  const wasmProfile = fast ? 'dev' : 'wasm';
  const relayProfile = fast ? 'dev' : 'relay';
  const rustKey = async () => `${await rustVersion()} ${process.env.RUSTFLAGS ?? ''} ${fast}`;
  const compiledWasm = join(artefacts, 'gyre.wasm');
  const glue = join(out, 'gyre', 'glue');
  const compiledMail = join(artefacts, 'gyre_mail.wasm');
  const mailGlue = join(out, 'gyre', 'mail-glue');
  const wasmOpt = (from, into, args) => run(process.execPath,
    [join(root, 'node_modules/binaryen/bin/wasm-opt'), from, '-o', into, ...args, ...wasmFeatures], { label: 'wasm-opt' });
  const optimise = async (from, into) => {
    if (fast) return copyFileSync(from, into);
    const between = `${from}.between`;
    writeFileSync(between, leaveOut(readFileSync(from)));
    await wasmOpt(between, between, smallerArgs);
    writeFileSync(between, nameByLikeness(readFileSync(between)));
    await wasmOpt(between, into, orderArgs);
    rmSync(between);
  };

  return [
    {
      id: 'npm',
      title: 'Installing the npm packages',
      inputs: ['package.json', 'package-lock.json', '.npmrc'],
      outputs: ['node_modules/.package-lock.json'],
      run: () => run(npm, ['ci', '--no-audit', '--no-fund'], { cwd: root, label: 'npm ci' }),
    },
    {
      id: 'wasm-target',
      title: `Adding the Rust target ${wasmTarget}`,
      key: rustVersion,
      stillThere: hasWasmTarget,
      run: addWasmTarget,
    },
    {
      id: 'bindgen-tool',
      title: `Building wasm-bindgen ${wasmBindgenVersion()}`,
      inputs: ['scripts/bindgen/Cargo.toml', 'scripts/bindgen/Cargo.lock', 'scripts/bindgen/src'],
      outputs: [relative(root, bindgenBinary)],
      run: async () => {
        if (!readFileSync(join(root, 'scripts/bindgen/Cargo.toml'), 'utf8').includes(`"=${wasmBindgenVersion()}"`)) {
          throw new Told(`scripts/bindgen/Cargo.toml must pin wasm-bindgen-cli-support to =${wasmBindgenVersion()}, as Cargo.toml does.`);
        }
        await cargo(['build', '--release', '--locked', '--manifest-path', join(root, 'scripts/bindgen/Cargo.toml'), '--target-dir', tools]);
      },
    },
    {
      id: 'wasm-compile',
      title: 'Compiling the peer to WebAssembly',
      needs: ['wasm-target'],
      inputs: rustInputs,
      key: rustKey,
      outputs: ['target/gyre/gyre.wasm'],
      run: async () => {
        await cargo(['build', '--lib', '--locked', '--target', wasmTarget, '--profile', wasmProfile, ...(fast ? [] : withoutPaths(wasmTarget))]);
        mkdirSync(artefacts, { recursive: true });
        copyFileSync(join(cargoTarget, wasmTarget, fast ? 'debug' : 'wasm', 'gyre.wasm'), compiledWasm);
      },
    },
    {
      id: 'wasm-glue',
      title: 'Writing the JavaScript glue',
      needs: ['wasm-compile', 'bindgen-tool'],
      outputs: ['target/gyre/glue/gyre.js', 'target/gyre/glue/gyre_bg.wasm'],
      run: async () => {
        rmSync(glue, { recursive: true, force: true });
        await run(bindgenBinary, [compiledWasm, glue, 'gyre']);
      },
    },
    {
      id: 'wasm-opt',
      title: fast ? 'Copying the WebAssembly' : 'Optimising the WebAssembly',
      needs: ['wasm-glue', 'npm'],
      inputs: optimising,
      key: `${[...smallerArgs, ...orderArgs, ...wasmFeatures].join(' ')} ${fast}`,
      outputs: ['pkg/wasm/gyre.js', 'pkg/wasm/gyre.d.ts', 'pkg/wasm/gyre_bg.wasm'],
      run: async () => {
        const to = join(root, 'pkg/wasm');
        mkdirSync(to, { recursive: true });
        // The other module stands in the same folder.
        for (const name of readdirSync(to)) if (!name.startsWith('gyre_mail')) rmSync(join(to, name), { recursive: true });
        for (const name of ['gyre.js', 'gyre.d.ts', 'gyre_bg.wasm.d.ts']) copyFileSync(join(glue, name), join(to, name));
        if (existsSync(join(glue, 'snippets'))) cpSync(join(glue, 'snippets'), join(to, 'snippets'), { recursive: true });
        await optimise(join(glue, 'gyre_bg.wasm'), join(to, 'gyre_bg.wasm'));
      },
    },
    {
      id: 'mail-compile',
      title: 'Compiling the mail module to WebAssembly',
      // One after the other: both are called gyre.wasm until they are copied.
      needs: ['wasm-compile'],
      inputs: rustInputs,
      key: rustKey,
      outputs: ['target/gyre/gyre_mail.wasm'],
      run: async () => {
        const module = ['--no-default-features', '--features', 'mail-module'];
        await cargo(['build', '--lib', '--locked', '--target', wasmTarget, '--profile', wasmProfile, ...module, ...(fast ? [] : withoutPaths(wasmTarget))]);
        mkdirSync(artefacts, { recursive: true });
        copyFileSync(join(cargoTarget, wasmTarget, fast ? 'debug' : 'wasm', 'gyre.wasm'), compiledMail);
      },
    },
    {
      id: 'mail-glue',
      title: 'Writing the JavaScript glue of the mail module',
      needs: ['mail-compile', 'bindgen-tool'],
      outputs: ['target/gyre/mail-glue/gyre_mail.js', 'target/gyre/mail-glue/gyre_mail_bg.wasm'],
      run: async () => {
        rmSync(mailGlue, { recursive: true, force: true });
        await run(bindgenBinary, [compiledMail, mailGlue, 'gyre_mail']);
      },
    },
    {
      id: 'mail-opt',
      title: fast ? 'Copying the mail module' : 'Optimising the mail module',
      needs: ['mail-glue', 'npm'],
      inputs: optimising,
      key: `${[...smallerArgs, ...orderArgs, ...wasmFeatures].join(' ')} ${fast}`,
      outputs: ['pkg/wasm/gyre_mail.js', 'pkg/wasm/gyre_mail.d.ts', 'pkg/wasm/gyre_mail_bg.wasm'],
      run: async () => {
        const to = join(root, 'pkg/wasm');
        mkdirSync(to, { recursive: true });
        for (const name of ['gyre_mail.js', 'gyre_mail.d.ts', 'gyre_mail_bg.wasm.d.ts']) copyFileSync(join(mailGlue, name), join(to, name));
        await optimise(join(mailGlue, 'gyre_mail_bg.wasm'), join(to, 'gyre_mail_bg.wasm'));
      },
    },
    {
      id: 'sdk',
      title: 'Compiling the SDK',
      needs: ['npm'],
      inputs: ['www/sdk', 'src/proto/keys/english.txt', 'tsconfig.json', 'package-lock.json'],
      key: sdkTscArgs.join(' '),
      outputs: ['pkg/index.js', 'pkg/index.d.ts', 'pkg/argon2.js', 'pkg/mail/office.js', 'pkg/mail/idb.js', 'pkg/mail/words.js', 'pkg/english.txt'],
      run: async () => {
        // What was removed from the sources must not stay in the package.
        if (existsSync(join(root, 'pkg'))) {
          for (const name of readdirSync(join(root, 'pkg'))) {
            if (name === 'tabs' || name === 'mail' || (/\.(js|d\.ts)$/.test(name) && name !== 'gyre-sw.js')) rmSync(join(root, 'pkg', name), { recursive: true });
          }
        }
        await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...sdkTscArgs], { cwd: root, label: 'tsc' });
        // The package stands alone: what it takes from another one is in it, with that one's notice.
        const { build: bundle } = await import('esbuild');
        await bundle({
          entryPoints: { argon2: join(root, 'www/sdk/argon2.ts'), 'mail/idb': join(root, 'www/sdk/mail/idb.ts') },
          outdir: join(root, 'pkg'),
          bundle: true,
          format: 'esm',
          platform: 'browser',
          target: 'es2022',
          minify: true,
          legalComments: 'inline',
          logLevel: 'error',
        });
        copyFileSync(join(root, 'node_modules/idb/LICENSE'), join(root, 'pkg/LICENSE-idb'));
        copyFileSync(join(root, 'src/proto/keys/english.txt'), join(root, 'pkg/english.txt'));
      },
    },
    {
      id: 'worker',
      title: 'Bundling the service worker',
      needs: ['npm', 'sdk'],
      inputs: ['www/sw', 'www/sdk', 'tsconfig.json'],
      key: String(fast),
      outputs: ['pkg/gyre-sw.js'],
      run: async () => {
        await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--project', 'www/sw/tsconfig.json'], { cwd: root, label: 'tsc' });
        // One classic script: workers made of modules are still missing in some browsers, and a host has one file to serve.
        const { build: bundle } = await import('esbuild');
        await bundle({
          entryPoints: [join(root, 'www/sw/index.ts')],
          outfile: join(root, 'pkg/gyre-sw.js'),
          bundle: true,
          format: 'iife',
          platform: 'browser',
          target: 'es2022',
          minify: !fast,
          logLevel: 'error',
        });
      },
    },
    {
      id: 'loader',
      title: 'Bundling the loader of sites',
      needs: ['npm', 'sdk'],
      inputs: ['www/site', 'www/sw', 'www/sdk/stream-messages.ts', 'tsconfig.json'],
      key: String(fast),
      outputs: ['pkg/site/sw.js', 'pkg/site/bridge.html'],
      run: async () => {
        for (const project of ['www/site', 'www/site/worker']) {
          await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--project', `${project}/tsconfig.json`], { cwd: root, label: 'tsc' });
        }
        const to = join(root, 'pkg/site');
        rmSync(to, { recursive: true, force: true });
        const { build: bundle } = await import('esbuild');
        await bundle({
          entryPoints: { bridge: join(root, 'www/site/bridge.ts'), watch: join(root, 'www/site/watch.ts'), open: join(root, 'www/site/open.ts'), sw: join(root, 'www/site/worker/index.ts') },
          outdir: to,
          bundle: true,
          format: 'iife',
          platform: 'browser',
          target: 'es2022',
          minify: !fast,
          logLevel: 'error',
        });
        for (const page of ['bridge', 'watch', 'open']) copyFileSync(join(root, `www/site/${page}.html`), join(to, `${page}.html`));
      },
    },
    {
      id: 'pkg',
      title: 'Writing the npm package',
      needs: ['wasm-opt', 'mail-opt', 'sdk', 'worker', 'loader'],
      inputs: ['Cargo.toml', 'docs/sdk.md', 'LICENSE-MIT', 'LICENSE-APACHE', 'scripts/lib/build.mjs'],
      outputs: ['pkg/package.json', 'pkg/README.md'],
      run: writePackage,
    },
    {
      id: 'app',
      title: 'Bundling the app',
      needs: ['pkg'],
      inputs: ['www/app', 'www/site', 'www/sdk/stream-messages.ts', 'webpack.config.js', 'tsconfig.json'],
      key: String(fast),
      outputs: ['www/dist/index.html'],
      run: async () => {
        await run(process.execPath, [join(root, 'node_modules/webpack/bin/webpack.js'), '--mode', fast ? 'development' : 'production'], { cwd: root, label: 'webpack' });
        if (!fast) await compress(join(root, 'www/dist'));
      },
    },
    {
      id: 'relay',
      title: 'Compiling the relay and the publisher\'s command',
      inputs: rustInputs,
      key: rustKey,
      outputs: [relative(root, relayBinary), relative(root, gyreBinary)],
      run: async () => {
        await cargo(['build', '--locked', '--profile', relayProfile, '--features', 'relay', '--bin', 'gyre-relay', '--bin', 'gyre', ...(fast ? [] : withoutPaths(await hostTarget()))]);
        mkdirSync(artefacts, { recursive: true });
        for (const binary of [relayBinary, gyreBinary]) {
          // Removed first: a relay that is running keeps its old file.
          rmSync(binary, { force: true });
          copyFileSync(join(cargoTarget, fast ? 'debug' : relayProfile, basename(binary)), binary);
        }
      },
    },
    {
      id: 'test-relay',
      title: 'Compiling the relay for the tests',
      inputs: rustInputs,
      key: rustKey,
      outputs: [relative(root, testRelayBinary)],
      run: async () => {
        // With one of the native tests, so that both are made of the very same crates: a build for shipping shares none with them.
        await cargo(['test', '--no-run', '--locked', ...nativeFeatures, '--test', 'relay']);
        mkdirSync(dirname(testRelayBinary), { recursive: true });
        rmSync(testRelayBinary, { force: true });
        copyFileSync(join(cargoTarget, 'debug', basename(testRelayBinary)), testRelayBinary);
      },
    },
  ];
}

/**
 * Cargo arguments that keep the paths of this machine out of panic messages: what is built says nothing of where, and two
 * machines build the same bytes. They add to the flags in .cargo/config.toml.
 */
function withoutPaths(target) {
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), '.cargo');
  const flags = [[cargoHome, 'cargo'], [root, 'gyre']].map(([from, to]) => JSON.stringify(`--remap-path-prefix=${from}=${to}`));
  return ['--config', `target.${target}.rustflags=[${flags.join(', ')}]`];
}

const hostTarget = once(async () => (await rustVersion()).match(/^host: (.+)$/m)?.[1] ?? '');

/**
 * Instances of one generic are much alike, and gzip sees them if they stand within 32 kB of each other: hence none but tiny functions
 * are moved into their only caller (for 1 % more before compression), and like is put beside like. Data begins at 1 MiB, behind the
 * stack, so an address never wraps around into the first kilobyte: what is added to it can stand in the load itself.
 */
const smallerArgs = ['--flatten', '--rereloop', '-Oz', '-Oz', '--one-caller-inline-max-function-size=20', '--low-memory-unused', '--strip-debug', '--strip-producers'];
const orderArgs = ['--reorder-functions-by-name', '--strip-debug'];

/** What rustc emits for today's browsers, named so that wasm-opt keeps it. */
const wasmFeatures = [
  '--enable-simd', '--enable-bulk-memory', '--enable-bulk-memory-opt', '--enable-nontrapping-float-to-int', '--enable-sign-ext',
  '--enable-mutable-globals', '--enable-reference-types', '--enable-multivalue',
];

const sdkTscArgs = ['--project', 'www/sdk/tsconfig.json'];

/** Lays a .gz and a .br beside every file that gains by it, so that the relay need not compress while it serves. */
async function compress(folder) {
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!/\.(wasm|js|css|html|svg|json|txt|webmanifest)$/.test(name)) continue;
    const bytes = readFileSync(join(folder, name));
    const [gzipped, brotlied] = await Promise.all([
      promisify(gzip)(bytes, { level: 9 }),
      promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
    ]);
    for (const [suffix, smaller] of [['.gz', gzipped], ['.br', brotlied]]) {
      if (smaller.length < bytes.length * 0.95) writeFileSync(join(folder, `${name}${suffix}`), smaller);
    }
  }
}

async function cargo(args) {
  await run('cargo', args, { cwd: root, label: `cargo ${args[0]}`, show: process.env.GYRE_VERBOSE === '1' });
}

async function writePackage() {
  const to = join(root, 'pkg');
  const version = cargoPackage('version');
  writeFileSync(join(to, 'package.json'), `${JSON.stringify({
    name: cargoPackage('name'),
    version,
    description: cargoPackage('description'),
    license: cargoPackage('license').replace(/^(.* OR .*)$/, '($1)'),
    type: 'module',
    main: './index.js',
    module: './index.js',
    types: './index.d.ts',
    exports: {
      '.': { types: './index.d.ts', default: './index.js' },
      './wasm/gyre_bg.wasm': './wasm/gyre_bg.wasm',
      './wasm/gyre_mail_bg.wasm': './wasm/gyre_mail_bg.wasm',
      './gyre-sw.js': './gyre-sw.js',
      './package.json': './package.json',
    },
    files: ['*.js', '*.d.ts', 'english.txt', 'mail', 'tabs', 'wasm', 'site', 'README.md', 'LICENSE*'],
    sideEffects: ['./gyre-sw.js'],
  }, null, 2)}\n`);
  // wasm-bindgen would otherwise be hidden from npm by an ignore file of its own.
  rmSync(join(to, 'wasm/.gitignore'), { force: true });
  const readme = ['docs/sdk.md', 'README.md'].map((path) => join(root, path)).find(existsSync);
  writeFileSync(join(to, 'README.md'), readme ? readFileSync(readme) : `# ${cargoPackage('name')} ${version}\n\n${cargoPackage('description')}.\n`);
  for (const licence of ['LICENSE-MIT', 'LICENSE-APACHE']) {
    if (existsSync(join(root, licence))) copyFileSync(join(root, licence), join(to, licence));
  }
}

export function checkNode() {
  if (Number(process.versions.node.split('.')[0]) < nodeMajorWanted) {
    throw new Told(`Node.js ${nodeMajorWanted} or newer is needed; this is ${process.versions.node}.`);
  }
}

export async function checkRust() {
  // rustup's own place is not yet on the PATH in the shell that has just installed it.
  const home = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'bin');
  if (!process.env.PATH.split(delimiter).includes(home)) process.env.PATH += delimiter + home;
  const wanted = cargoPackage('rust-version');
  const [cargoSays, rustcSays] = await Promise.all([ask('cargo', ['--version']), rustVersion()]);
  if (!cargoSays || !rustcSays) {
    throw new Told(`Rust is missing: install it with rustup (https://rustup.rs), version ${wanted} or newer, and run this again.`);
  }
  const have = rustcSays.match(/^rustc (\d+)\.(\d+)/);
  const [major, minor] = wanted.split('.').map(Number);
  if (!have || Number(have[1]) < major || (Number(have[1]) === major && Number(have[2]) < minor)) {
    throw new Told(`Rust ${wanted} or newer is needed; this is ${have ? have[0].slice(6) : 'of unknown version'}: run "rustup update stable".`);
  }
}

async function hasWasmTarget() {
  const sysroot = await ask('rustc', ['--print', 'sysroot']);
  return sysroot !== null && existsSync(join(sysroot, 'lib/rustlib', wasmTarget, 'lib'));
}

async function addWasmTarget() {
  if (await hasWasmTarget()) return;
  if (!(await ask('rustup', ['--version']))) {
    throw new Told(`The Rust target ${wasmTarget} is missing and there is no rustup to add it: install Rust with rustup (https://rustup.rs).`);
  }
  await run('rustup', ['target', 'add', wasmTarget], { cwd: root });
}

function once(f) {
  let value;
  return () => (value ??= f());
}
