/** What the tabs of an origin share, and the clock: the browser's, or a test's. */

import { pageBroker, type Broker } from './broker.js';

/** The edges of tabs/. */
export interface Platform {
  readonly locks: Pick<LockManager, 'request'>;
  readonly broker: Broker | null;
  channel(name: string): BroadcastChannel;
  /** Whether a person may be looking at this tab. */
  visible(): boolean;
  /** Milliseconds, never going back. */
  now(): number;
  /**
   * Runs `work` as a task of its own, as soon as this tab runs tasks: at once, or when it is woken.
   * A frozen page of Chromium still hears broadcast channels, but runs neither timers nor this.
   */
  soon(work: () => void): void;
  /** Random, so that no two tabs are called the same. */
  name(): string;
  readonly timing: Timing;
}

/** All in milliseconds. */
export interface Timing {
  /** How often a follower that can be seen looks whether its leader lives. */
  readonly watch: number;
  /** Silence after which it asks for a sign of life. */
  readonly ask: number;
  /** Silence after which a leader counts as hung, and its place is taken. */
  readonly hung: number;
  /** How long a leader may take to welcome a follower, over a port and over a channel. */
  readonly welcome: number;
  /** How often a tab asks who leads while it has no leader. */
  readonly hello: number;
  /** How long a call waits for a node to be there. */
  readonly wait: number;
  /** How long the store of a tab that was closed may take to be free. */
  readonly store: number;
  /** Until a node that did not start is tried again. */
  readonly again: number;
}

/** The page's own; `null` where tabs cannot know of each other. */
export function pagePlatform(): Platform | null {
  const locks = typeof navigator === 'undefined' ? undefined : navigator.locks;
  if (!locks || typeof BroadcastChannel === 'undefined') return null;
  return {
    locks,
    broker: pageBroker(),
    channel: (name) => new BroadcastChannel(name),
    visible: () => typeof document === 'undefined' || document.visibilityState === 'visible',
    now: () => performance.now(),
    soon,
    name: randomName,
    timing: TIMING,
  };
}

/** A task in the queue of message ports: not slowed down where timers are, and held back in a frozen page. */
export function soon(work: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    work();
  };
  port2.postMessage(null);
}

/** 128 random bits in hex. */
export function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * A leader that computes answers late, not never: hashing and unsealing never hold its thread for
 * more than some 100 ms, and a hidden tab's timers are due within a second. 15 s of silence after
 * three questions is a thread that does not run.
 */
const TIMING: Timing = {
  watch: 2_500,
  ask: 5_000,
  hung: 15_000,
  welcome: 1_500,
  hello: 1_000,
  wait: 60_000,
  store: 3_000,
  again: 2_000,
};
