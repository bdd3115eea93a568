/** Tabs of one origin in one process: locks that die with their tab, real channels and ports. */

import { randomName, soon, type Platform, type Timing } from '../sdk/tabs/platform.js';
import type { Broker } from '../sdk/tabs/broker.js';
import { broker as workerBroker } from '../sw/broker.js';

interface Request {
  readonly tab: Tab;
  readonly shared: boolean;
  readonly grant: () => Promise<unknown>;
  readonly refuse: (error: Error) => void;
}

/** Web Locks, as far as they are used. */
export class FakeLocks {
  #held = new Map<string, Request[]>();
  #queues = new Map<string, Request[]>();

  of(tab: Tab): Pick<LockManager, 'request'> {
    const request = (
      name: string,
      options: LockOptions | LockGrantedCallback<unknown>,
      callback?: LockGrantedCallback<unknown>,
    ) => {
      const [settings, work] = typeof options === 'function' ? [{} as LockOptions, options] : [options, callback!];
      return new Promise<unknown>((resolve, reject) => {
        const grant = async (): Promise<unknown> => {
          const result = Promise.resolve(work({ name, mode: settings.mode ?? 'exclusive' }));
          result.then(resolve, reject);
          return result;
        };
        const wanted: Request = { tab, shared: settings.mode === 'shared', grant, refuse: reject };
        settings.signal?.addEventListener('abort', () => {
          const queue = this.#queues.get(name) ?? [];
          if (!queue.includes(wanted)) return;
          this.#queues.set(
            name,
            queue.filter((other) => other !== wanted),
          );
          reject(new DOMException('aborted', 'AbortError'));
        });
        if (settings.steal) {
          for (const holder of this.#held.get(name) ?? []) holder.refuse(new DOMException('stolen', 'AbortError'));
          this.#held.delete(name);
          return this.#give(name, wanted);
        }
        this.#queues.set(name, [...(this.#queues.get(name) ?? []), wanted]);
        queueMicrotask(() => this.#next(name));
      });
    };
    return { request: request as LockManager['request'] };
  }

  /** Who holds a lock. */
  holder(name: string): Tab | undefined {
    return this.#held.get(name)?.[0]?.tab;
  }

  /** Frees all that a dead tab held or waited for. */
  bury(tab: Tab): void {
    for (const [name, queue] of this.#queues)
      this.#queues.set(
        name,
        queue.filter((request) => request.tab !== tab),
      );
    for (const [name, held] of [...this.#held]) {
      const left = held.filter((request) => request.tab !== tab);
      this.#held.set(name, left);
      if (left.length < held.length) this.#next(name);
    }
  }

  #next(name: string): void {
    const queue = this.#queues.get(name) ?? [];
    const held = this.#held.get(name) ?? [];
    const [first] = queue;
    if (!first || (held.length > 0 && !(first.shared && held.every((holder) => holder.shared)))) return;
    this.#queues.set(name, queue.slice(1));
    this.#give(name, first);
    this.#next(name);
  }

  #give(name: string, request: Request): void {
    this.#held.set(name, [...(this.#held.get(name) ?? []), request]);
    const free = (): void => {
      this.#held.set(
        name,
        (this.#held.get(name) ?? []).filter((other) => other !== request),
      );
      this.#next(name);
    };
    request.grant().then(free, free);
  }
}

/** A browser: what its tabs have in common. */
export class FakeBrowser {
  readonly locks = new FakeLocks();
  readonly tabs = new Map<string, Tab>();
  /** Ports that the service worker has handed over. */
  passed = 0;

  /** What the service worker does with a message; `null` if there is none. */
  constructor(readonly worker: boolean) {}

  open(timing: Partial<Timing> = {}): Tab {
    const tab = new Tab(this, timing);
    this.tabs.set(tab.clientId, tab);
    return tab;
  }
}

/** One tab, until it dies. */
export class Tab {
  readonly clientId = randomName();
  visible = true;
  dead = false;
  /** A thread that does not run: what is said to it waits until it wakes. */
  hung = false;
  /** Hears broadcast channels, but runs no task of its own, as a frozen page of Chromium. */
  frozen = false;
  readonly late: (() => void)[] = [];
  readonly platform: Platform;
  readonly #channels = new Set<BroadcastChannel>();
  readonly #hear = new Set<(event: MessageEvent) => void>();

  constructor(
    readonly browser: FakeBrowser,
    timing: Partial<Timing>,
  ) {
    this.platform = {
      locks: browser.locks.of(this),
      broker: browser.worker ? this.#broker() : null,
      channel: (name) => this.#channel(name),
      visible: () => this.visible,
      now: () => performance.now(),
      soon: (work) => (this.frozen ? void this.late.push(work) : soon(work)),
      name: randomName,
      timing: { ...QUICK, ...timing },
    };
  }

  wake(): void {
    this.hung = this.frozen = false;
    for (const hear of this.late.splice(0)) hear();
  }

  /** Dies as by a crash: says nothing, and the browser frees its locks. */
  kill(): void {
    this.dead = true;
    for (const channel of this.#channels) channel.close();
    this.browser.locks.bury(this);
  }

  #channel(name: string): BroadcastChannel {
    const channel = new BroadcastChannel(name);
    this.#channels.add(channel);
    const tab = this;
    return new Proxy(channel, {
      get(target, key) {
        if (key === 'postMessage')
          return (message: unknown) => void (tab.hung || tab.dead || target.postMessage(message));
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
      set(target, key, value) {
        const take = value as (event: MessageEvent) => void;
        const hear = (event: MessageEvent): void => {
          if (tab.hung) tab.late.push(() => take(event));
          else if (!tab.dead) take(event);
        };
        return Reflect.set(target, key, hear, target);
      },
    });
  }

  /** The broker of the page in front of the real handler of the worker. */
  #broker(): Broker {
    const { browser } = this;
    const scope = {
      clients: {
        get: async (id: string) => {
          const found = browser.tabs.get(id);
          if (!found || found.dead) return undefined;
          return {
            postMessage: (data: unknown, ports: Transferable[]) => {
              browser.passed += 1;
              const event = { data, ports } as unknown as MessageEvent;
              for (const hear of found.#hear) hear(event);
            },
          };
        },
      },
    };
    const tell = (data: unknown, ports: MessagePort[]): void => {
      workerBroker(scope, { data, ports, source: { id: this.clientId }, waitUntil: () => undefined });
    };
    return {
      clientId: () =>
        new Promise((resolve) => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = ({ data }) => (port1.close(), resolve(data as string));
          tell({ kind: 'gyre-tabs-who' }, [port2]);
        }),
      pass: (client, link, port) => tell({ kind: 'gyre-tabs-link', client, ...link }, [port]),
      take: (database, leader, admit) => {
        const hear = ({ data, ports }: MessageEvent): void => {
          const said = data as Record<string, string>;
          if (said['database'] === database && said['leader'] === leader) admit(said['tab']!, ports[0]!);
        };
        this.#hear.add(hear);
        return () => this.#hear.delete(hear);
      },
    };
  }
}

/** Short enough for tests, long enough for a loaded machine: nothing is judged by them but a leader that is really hung. */
const QUICK: Timing = {
  watch: 50,
  ask: 200,
  hung: 60_000,
  welcome: 3_000,
  hello: 50,
  wait: 20_000,
  store: 2_000,
  again: 100,
};
