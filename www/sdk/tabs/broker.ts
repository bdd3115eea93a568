/**
 * The page's side of the service worker as a broker of message ports.
 *
 * Tabs cannot hand each other a port by themselves. A service worker can, if it runs the handler of
 * sw/broker.ts: it knows every tab by an id and passes a message on with its ports. It keeps no
 * state, so it may end and start as it likes. Where there is none, or another site's code is in it,
 * the wire is a broadcast channel.
 */

/** Passes ports between tabs. */
export interface Broker {
  /** What this tab is called there; `null` while nobody answers. */
  clientId(): Promise<string | null>;
  /** Hands `port` to the tab `leader`, whose client id is `client`. */
  pass(client: string, link: { database: string; leader: string; tab: string }, port: MessagePort): void;
  /** Says who takes ports that are handed to the tab `leader` of `database`; returns how to end that. */
  take(database: string, leader: string, admit: (tab: string, port: MessagePort) => void): () => void;
}

/** The broker of this page, `null` where there are no service workers. */
export function pageBroker(): Broker | null {
  const workers = typeof navigator === 'undefined' ? undefined : navigator.serviceWorker;
  // The property is there in some private windows, but nothing works.
  if (!workers?.addEventListener) return null;
  const worker = async (): Promise<ServiceWorker | null> => {
    if (workers.controller) return workers.controller;
    const registration = await workers.getRegistration().catch(() => undefined);
    return registration?.active ?? null;
  };
  let known: string | null = null;
  /** A worker that did not answer: another site's code, or one of before. */
  let deaf: ServiceWorker | null = null;
  return {
    async clientId() {
      if (known !== null) return known;
      const active = await worker();
      if (!active || active === deaf) return null;
      const { port1, port2 } = new MessageChannel();
      return new Promise((resolve) => {
        const end = (id: string | null): void => {
          clearTimeout(late);
          port1.close();
          known = id;
          if (id === null) deaf = active;
          resolve(id);
        };
        const late = setTimeout(() => end(null), ANSWER_MS);
        port1.onmessage = ({ data }) => end(typeof data === 'string' && data !== '' ? data : null);
        active.postMessage({ kind: WHO }, [port2]);
      });
    },
    pass(client, { database, leader, tab }, port) {
      void worker().then((active) => active?.postMessage({ kind: LINK, client, database, leader, tab }, [port]));
    },
    take(database, leader, admit) {
      const hear = ({ data, ports }: MessageEvent): void => {
        const said = (typeof data === 'object' && data !== null ? data : {}) as Record<string, unknown>;
        const [port] = ports;
        if (said['kind'] !== LINK || said['database'] !== database || said['leader'] !== leader || !port) return;
        if (typeof said['tab'] === 'string') admit(said['tab'], port);
      };
      workers.addEventListener('message', hear);
      workers.startMessages();
      return () => workers.removeEventListener('message', hear);
    },
  };
}

/** As in sw/broker.ts. */
const WHO = 'gyre-tabs-who';
const LINK = 'gyre-tabs-link';
/** Milliseconds that a worker may take to answer; one that has to be started first needs some. */
const ANSWER_MS = 500;
