/** The few drawings of the app: 24-unit strokes in the colour of the text, hidden from screen readers. */

import { svg, type SVGTemplateResult } from 'lit';
import { spiralPath } from '../lib/spiral.js';

/** One of {@link PATHS} at the size of the text around it. */
export function icon(name: keyof typeof PATHS): SVGTemplateResult {
  return svg`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
}

/** The mark of Gyre. */
export function mark(): SVGTemplateResult {
  return svg`<svg class="mark" viewBox="5.25 -1.25 29 29" aria-hidden="true" focusable="false"><path d=${MARK} /></svg>`;
}

/** A spiral that fills from its centre: `fraction` of 0 to 1. */
export function spiral(fraction: number): SVGTemplateResult {
  // A dash of length 0 with round caps would still leave a dot.
  const dash = fraction <= 0 ? '0 2' : `${Math.min(1, fraction)} 2`;
  return svg`<svg class="spiral" viewBox="28 13 178 147" aria-hidden="true" focusable="false">
    <path class="spiral-track" d=${SPIRAL} pathLength="1" />
    <path class="spiral-fill" d=${SPIRAL} pathLength="1" stroke-dasharray=${dash} stroke-opacity=${fraction <= 0 ? 0 : 1} />
  </svg>`;
}

// The boxes above are cut to what the spirals cover; styles turn them around their eyes.
const MARK = spiralPath(32, 2.4, 0.2);
const SPIRAL = spiralPath(200, 4, 0.13);

const PATHS = {
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  share: 'M12 15V4M8 8l4-4 4 4M5 13v7h14v-7',
  pin: 'M9 4h6l-1 6 4 4H6l4-4zM12 14v6',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5',
  pause: 'M9 5v14M15 5v14',
  play: 'M8 5l11 7-11 7z',
  retry: 'M20 12a8 8 0 1 1-2.5-5.8M20 3v5h-5',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 4.5v5M9 14.5v5',
  save: 'M12 4v11M8 11l4 4 4-4M5 19h14',
  lock: 'M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3',
  globe: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18',
  up: 'M12 19V5M6 11l6-6 6 6',
  down: 'M12 5v14M6 13l6 6 6-6',
  close: 'M6 6l12 12M18 6L6 18',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  alert: 'M12 4l9 16H3zM12 10v4M12 17v.5',
  check: 'M5 13l4 4L19 7',
  back: 'M15 5l-7 7 7 7',
  pen: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.5 2',
  mail: 'M4 6h16v13H4zM4 7.5l8 6 8-6',
  swarm: 'M12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM12 6v3.5M12 2.5A1.75 1.75 0 1 0 12 6a1.75 1.75 0 0 0 0-3.5zM6.4 16.6l3.6-2.8M17.6 16.6L14 13.8M5 16a1.75 1.75 0 1 0 0 3.5A1.75 1.75 0 0 0 5 16zM19 16a1.75 1.75 0 1 0 0 3.5 1.75 1.75 0 0 0 0-3.5z',
} as const;
