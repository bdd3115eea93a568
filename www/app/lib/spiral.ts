/** The mark of Gyre: a logarithmic spiral, drawn from its centre outwards. */

/** SVG path data of a spiral of `turns` in a square of `size`, ending at the right edge of its box. */
export function spiralPath(size: number, turns: number, growth = 0.24): string {
  const middle = size / 2;
  const last = turns * 2 * Math.PI;
  const steps = Math.ceil(turns * STEPS_PER_TURN);
  const scale = middle / Math.exp(growth * last);
  const points: string[] = [];
  for (let step = 0; step <= steps; step += 1) {
    const angle = (last * step) / steps;
    const radius = scale * Math.exp(growth * angle);
    points.push(
      `${(middle + radius * Math.cos(angle - last)).toFixed(2)} ${(middle + radius * Math.sin(angle - last)).toFixed(2)}`,
    );
  }
  return `M${points.join('L')}`;
}

/** Enough that a line of ordinary width looks round at 500 pixels. */
const STEPS_PER_TURN = 72;
