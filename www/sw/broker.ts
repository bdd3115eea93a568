/**
 * The service worker as a broker of message ports between tabs (docs/tabs.md).
 *
 * It tells a tab its client id and passes a port on to the tab that is named. It remembers nothing,
 * so the browser may end it after every message.
 */

/** What is needed of the worker's global scope. */
export interface BrokerScope {
  readonly clients: {
    get(id: string): Promise<{ postMessage(message: unknown, transfer: Transferable[]): void } | undefined>;
  };
}

/** What is needed of an `ExtendableMessageEvent`. */
export interface BrokerEvent {
  readonly data: unknown;
  readonly ports: readonly MessagePort[];
  readonly source: object | null;
  waitUntil(work: Promise<unknown>): void;
}

/** Handles a message if it is for the broker; `false` if it is somebody else's. */
export function broker(scope: BrokerScope, event: BrokerEvent): boolean {
  const said = (typeof event.data === 'object' && event.data !== null ? event.data : {}) as Record<string, unknown>;
  const [port] = event.ports;
  if (said['kind'] === WHO) {
    const id = event.source && 'id' in event.source ? event.source.id : null;
    port?.postMessage(id);
    return true;
  }
  if (said['kind'] !== LINK) return false;
  const { client } = said;
  if (port && typeof client === 'string') event.waitUntil(pass(scope, client, said, port));
  return true;
}

async function pass(scope: BrokerScope, client: string, link: object, port: MessagePort): Promise<void> {
  const found = await scope.clients.get(client);
  if (found) found.postMessage(link, [port]);
  // The follower hears no welcome and takes another way.
  else port.close();
}

/** As in sdk/tabs/broker.ts. */
const WHO = 'gyre-tabs-who';
const LINK = 'gyre-tabs-link';
