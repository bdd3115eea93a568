/** The storage cap as a person types it. */

/** Reads gigabytes (`0.5`, `2`, `1,5`) as bytes; `null` if that is no sensible cap. */
export function parseGigabytes(text: string): number | null {
  const trimmed = text.trim().replace(',', '.');
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(trimmed)) return null;
  const bytes = Math.round(Number(trimmed) * GB);
  return bytes < MIN_QUOTA_BYTES ? null : bytes;
}

/** Bytes as the number of gigabytes to put into the field. */
export function asGigabytes(bytes: number): string {
  return String(Math.round((bytes / GB) * 1000) / 1000);
}

const GB = 1_000_000_000;
/** Bytes; with less than this not even a photo fits. */
const MIN_QUOTA_BYTES = 10_000_000;
