/** From the modules of a QR code to one path. */

/** A path of squares of size 1, runs of a row taken together, and how wide the code is. */
export function qrPath(modules: readonly (readonly (boolean | undefined)[])[]): { path: string; size: number } {
  const runs: string[] = [];
  for (const [y, row] of modules.entries()) {
    for (let x = 0; x < row.length; x++) {
      if (!row[x]) continue;
      const start = x;
      while (row[x + 1]) x += 1;
      const length = x - start + 1;
      runs.push(`M${start} ${y}h${length}v1h-${length}z`);
    }
  }
  return { path: runs.join(''), size: modules.length };
}
