/** The colours of the style sheet, resolved for a canvas, which knows nothing of variables. */

import { OTHERS } from '../lib/swarm-chart.js';

/** Colours, as a canvas takes them. */
export interface Ink {
  /** Of neighbours, by their colour from 1. */
  readonly peers: readonly string[];
  readonly line: string;
  readonly soft: string;
  readonly accent: string;
  readonly sent: string;
  readonly dark: boolean;
}

/** The colours of now: light or dark, as the person or their system has it. */
export function ink(): Ink {
  const { theme } = document.documentElement.dataset;
  const dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  if (cached?.dark === dark) return cached;
  const probe = document.createElement('span');
  probe.hidden = true;
  document.body.append(probe);
  const resolved = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  cached = {
    peers: Array.from({ length: OTHERS }, (_, at) => resolved(`--peer-${at + 1}`)),
    line: resolved('--line'),
    soft: resolved('--ink-soft'),
    accent: resolved('--accent'),
    sent: resolved('--warm'),
    dark,
  };
  probe.remove();
  return cached;
}

/** The same with an opacity from 0 to 1. */
export function faded(colour: string, opacity: number): string {
  const parts = /^rgb\((\d+), (\d+), (\d+)\)$/.exec(colour);
  return parts ? `rgba(${parts[1]}, ${parts[2]}, ${parts[3]}, ${opacity})` : colour;
}

let cached: Ink | null = null;
