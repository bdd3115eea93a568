/** Caps as a person types and reads them, and why nothing is being sent. */

import type { Limits, Stats } from 'gyre';
import { formatBytes } from './format.js';

/** One figure of {@link Limits} in the unit that it is typed in. */
export interface Figure {
  readonly key: 'upRate' | 'downRate' | 'upPerDay';
  readonly label: string;
  /** Bytes in one of the unit that the label names. */
  readonly unit: number;
  /** Least cap in bytes; the node would raise anything lower to about this. */
  readonly least: number;
}

/** The figures that can be set, in the order of the form. */
export const FIGURES: readonly Figure[] = [
  { key: 'upRate', label: 'Send, MB a second', unit: 1_000_000, least: 50_000 },
  { key: 'downRate', label: 'Receive, MB a second', unit: 1_000_000, least: 50_000 },
  { key: 'upPerDay', label: 'Send, GB a day', unit: 1_000_000_000, least: 20_000_000 },
];

/** Reads a figure; `null` is no cap (an empty field), `undefined` what makes no sense. */
export function parseFigure(text: string, { unit, least }: Figure): number | null | undefined {
  const trimmed = text.trim().replace(',', '.');
  if (trimmed === '') return null;
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(trimmed)) return undefined;
  const bytes = Math.round(Number(trimmed) * unit);
  return bytes < least ? undefined : bytes;
}

/** A cap as the number to put into its field; no cap is an empty field. */
export function figureText(limits: Limits, { key, unit }: Figure): string {
  const bytes = limits[key];
  return bytes === null ? '' : String(Math.round((bytes / unit) * 1000) / 1000);
}

/** What to say where a figure makes no sense. */
export function figureProblem({ label, unit, least }: Figure): string {
  return `${label}: give a number of at least ${least / unit}, or nothing for no limit.`;
}

/** Whether and why not this page is sending, in a few words. */
export function sendingWords(stats: Pick<Stats, 'uploadHold'>): string {
  switch (stats.uploadHold) {
    case null:
      return 'allowed';
    case 'unasked':
      return 'not asked yet';
    case 'refused':
      return 'off';
    case 'metered':
      return 'off: metered connection';
    case 'battery':
      return 'paused: on battery';
    case 'day':
      return 'done for today';
  }
}

/** What holds sending back although the person allowed it, and what they can do; `null` where nothing does. */
export function holdNote(
  stats: Pick<Stats, 'uploadHold' | 'limits'>,
): { title: string; text: string; action: string; change: Partial<Limits> } | null {
  switch (stats.uploadHold) {
    case 'metered':
      return {
        title: 'Nothing is sent on this connection',
        text: 'Your browser says that it is metered or asks to save data. Others cannot fetch from here until you are on another one.',
        action: 'Send anyway',
        change: { sendOnMetered: true },
      };
    case 'battery':
      return {
        title: 'Sending is paused while on battery',
        text: 'It goes on when the machine is plugged in.',
        action: 'Send anyway',
        change: { pauseOnBattery: false },
      };
    case 'day':
      return {
        title: 'Today’s amount has been sent',
        text: `You allow ${formatBytes(stats.limits.upPerDay ?? 0)} a day. Sending goes on after midnight UTC.`,
        action: 'No limit a day',
        change: { upPerDay: null },
      };
    default:
      return null;
  }
}
