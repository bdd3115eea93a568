/** Turns numbers into words: sizes in powers of ten, as file managers and `ls -h --si` show them. */

/** `0 B`, `999 B`, `1.2 MB`, `34 GB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes) || bytes < 0) return '–';
  let value = bytes;
  let unit = 0;
  // 999.95 and above would print as 1000 of the smaller unit.
  while (value >= (unit === 0 ? 1000 : 999.5) && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, '')} ${UNITS[unit]}`;
}

/** `1.2 MB/s`; nothing worth showing is `0 B/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(Math.max(0, Math.round(bytesPerSecond)))}/s`;
}

/** The same, or nothing where only the murmur of a link that is kept open would be shown. */
export function liveRate(bytesPerSecond: number): string {
  return bytesPerSecond < QUIET_RATE ? '' : formatRate(bytesPerSecond);
}

/** `PNG image`, `PDF document`; a type that says nothing about the file is empty. */
export function typeLabel(type: string): string {
  const essence = (type.split(';')[0] ?? '').trim().toLowerCase();
  if (essence === '' || essence === 'application/octet-stream') return '';
  const known = TYPES.get(essence);
  if (known !== undefined) return known;
  const [kind = '', form = ''] = essence.split('/');
  const noun = KINDS.get(kind);
  return noun === undefined ? essence : `${form.replace(/^x-|\+.*$/g, '').toUpperCase()} ${noun}`;
}

/** `a few seconds`, `25 s`, `3 min`, `2 h 5 min`, `4 days`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 4) return 'a few seconds';
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return count(Math.round(hours / 24), 'day');
}

/** `1 peer`, `3 peers`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** Whole percent of `done` in `total`; never 100 before it is all there. */
export function percent(done: number, total: number | null): number {
  if (total === null) return 0;
  if (done >= total) return 100;
  return total <= 0 ? 0 : Math.min(99, Math.floor((done / total) * 100));
}

/** The end of a peer id, which is where two ids differ: `…q3xTf8Wz`. */
export function shortId(id: string): string {
  return id.length <= 10 ? id : `…${id.slice(-8)}`;
}

/** A name for a file whose name is not known: the start of its address. */
export function displayName(name: string | null, cid: string): string {
  return name === null || name === '' ? `${cid.slice(0, 14)}…` : name;
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
/** Bytes per second; pings and haves of a link at rest stay below. */
const QUIET_RATE = 500;
const KINDS = new Map([
  ['image', 'image'],
  ['audio', 'audio'],
  ['video', 'video'],
  ['font', 'font'],
]);
const TYPES = new Map([
  ['text/plain', 'Text'],
  ['text/html', 'HTML page'],
  ['text/csv', 'CSV table'],
  ['text/markdown', 'Markdown text'],
  ['application/pdf', 'PDF document'],
  ['application/zip', 'ZIP archive'],
  ['application/json', 'JSON'],
  ['audio/mpeg', 'MP3 audio'],
]);
