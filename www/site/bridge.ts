/**
 * The frame between the app and a site's service worker.
 *
 * It registers the worker, takes one port from the app, and passes the worker's questions on through it. It never
 * touches a window of the site: the site's code could reach back through whatever it is given.
 */

import { AWAKE } from '../sdk/stream-messages.js';
import { appOrigin, BRIDGE, isHello, readBridgeWish, WORKER_PATH, type BridgeSaid } from './messages.js';

const app = appOrigin(location);
const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;
const waiting: MessageEvent[] = [];
let port: MessagePort | null = null;

window.addEventListener('message', (event) => {
  const [given] = event.ports;
  if (port || !given || event.origin !== app || event.source !== window.parent || !isHello(event.data, BRIDGE)) return;
  port = given;
  port.onmessage = ({ data }) => void wish(data);
  for (const early of waiting.splice(0)) pass(early);
  void register();
});

container?.addEventListener('message', (event) => {
  if (port) pass(event);
  else if (waiting.length < MAX_WAITING) waiting.push(event);
});
container?.startMessages();

function pass({ data, ports }: MessageEvent): void {
  port?.postMessage(data, [...ports]);
}

function say(said: BridgeSaid): void {
  port?.postMessage(said);
}

async function wish(data: unknown): Promise<void> {
  const asked = readBridgeWish(data);
  if (asked?.type === 'awake') (await container?.getRegistration('/'))?.active?.postMessage({ gyre: AWAKE });
  else if (asked?.type === 'measure') await measure();
  else if (asked?.type === 'clear') {
    await clear();
    await measure();
  }
}

async function register(): Promise<void> {
  try {
    if (!container) throw new Error('This browser offers no service workers to sites.');
    const registration = await container.register(WORKER_PATH, { scope: '/', updateViaCache: 'none' });
    await active(registration);
    say({ type: 'ready' });
  } catch (thrown) {
    say({ type: 'failed', message: String((thrown as Partial<Error> | null)?.message ?? thrown) });
  }
}

/** Resolves once the worker handles requests. */
function active({ installing, waiting: next, active: now }: ServiceWorkerRegistration): Promise<void> {
  const worker = now ?? next ?? installing;
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (worker?.state === 'activated') resolve();
      else if (!worker || worker.state === 'redundant') reject(new Error('The worker of the site could not start.'));
    };
    worker?.addEventListener('statechange', look);
    look();
  });
}

async function measure(): Promise<void> {
  const { usage } = await navigator.storage.estimate();
  say({ type: 'stored', bytes: usage ?? 0 });
}

/** Removes all that the site has stored here; the worker stays, for it holds nothing. */
async function clear(): Promise<void> {
  localStorage.clear();
  sessionStorage.clear();
  const bases = await indexedDB.databases();
  const files = await navigator.storage.getDirectory().catch(() => null);
  await Promise.allSettled([
    ...bases.map(({ name }) => name && dropDatabase(name)),
    ...(await caches.keys()).map((name) => caches.delete(name)),
    ...(files ? await names(files) : []).map((name) => files?.removeEntry(name, { recursive: true })),
  ]);
}

/** A database that a page has open goes when that page does. */
function dropDatabase(name: string): Promise<void> {
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = request.onerror = request.onblocked = () => resolve();
  });
}

async function names(folder: FileSystemDirectoryHandle): Promise<string[]> {
  const found: string[] = [];
  for await (const name of folder.keys()) found.push(name);
  return found;
}

/** Questions kept until the app has sent its port: what one page asks for at once. */
const MAX_WAITING = 256;
