/**
 * What the browser says of the connection and the battery, as far as it says anything.
 *
 * `navigator.connection` exists in Chromium only and `navigator.getBattery` too; elsewhere nothing
 * is known, and the person's switch is all there is.
 */

import type { Surroundings } from './types.js';

/** What is read of `navigator`; every part may be missing. */
export interface Machine {
  readonly connection?: Connection | undefined;
  getBattery?(): Promise<Battery>;
}

interface Connection extends Partial<EventTarget> {
  readonly saveData?: boolean;
  readonly type?: string;
  readonly metered?: boolean;
}

interface Battery extends EventTarget {
  readonly charging: boolean;
}

/** What is the case now. */
export async function readSurroundings(machine: Machine = here()): Promise<Surroundings> {
  const battery = await batteryOf(machine);
  return { metered: isMetered(machine.connection), onBattery: battery !== null && !battery.charging };
}

/** Calls `tell` at every change; returns what ends that. */
export async function watchSurroundings(
  tell: (now: Surroundings) => void,
  machine: Machine = here(),
): Promise<() => void> {
  const battery = await batteryOf(machine);
  const changed = (): void => void readSurroundings(machine).then(tell);
  machine.connection?.addEventListener?.('change', changed);
  battery?.addEventListener('chargingchange', changed);
  return () => {
    machine.connection?.removeEventListener?.('change', changed);
    battery?.removeEventListener('chargingchange', changed);
  };
}

function isMetered(connection: Connection | undefined): boolean {
  return connection?.saveData === true || connection?.metered === true || METERED.has(connection?.type ?? '');
}

async function batteryOf(machine: Machine): Promise<Battery | null> {
  // Refused where a policy of the page forbids it; some browsers never answer.
  const asked = Promise.resolve()
    .then(() => machine.getBattery?.() ?? null)
    .catch(() => null);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), BATTERY_MS)));
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

function here(): Machine {
  return (globalThis.navigator ?? {}) as Machine;
}

/** Connection types that people usually pay for by the byte. */
const METERED = new Set(['cellular', 'wimax', 'bluetooth']);
/** Milliseconds that the battery is waited for. */
const BATTERY_MS = 500;
