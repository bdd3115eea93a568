/** Milliseconds between two calls that keep a busy worker running; browsers stop one after 30 s without an event. */
export const AWAKE_MS = 10_000;
