/**
 * A folder that somebody chose to publish: its files by their paths in the site, and what stays behind and why.
 *
 * Nothing is read here but names and sizes; the bytes come when a file is opened. The rules of paths are those of docs/sites.md, so
 * that what cannot be published is said before anything is imported.
 */

/** A file as it was found. */
export interface FoundFile {
  /** Path from what was chosen, with `/` between its segments. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Its bytes, from the start. */
  readonly open: () => Promise<Blob | ReadableStream<Uint8Array>>;
  /** How it is served, if that is known: media type, `Cache-Control`, a further content security policy. */
  readonly served?: { readonly type: string; readonly cache?: string; readonly csp?: string };
}

/** Why a file stays behind. */
export type Reason = 'system' | 'hidden' | 'control' | 'backslash' | 'dots' | 'reserved' | 'long' | 'twice';

/** What stays behind for one reason. */
export interface LeftOut {
  readonly reason: Reason;
  readonly count: number;
  /** The first of them; a folder stands for what is in it. */
  readonly examples: readonly string[];
  /** These are not all. */
  readonly more: boolean;
}

/** What can be published of what was chosen. */
export interface Folder {
  /** What it is called on the person's disk. */
  readonly name: string;
  /** By path. */
  readonly files: readonly FoundFile[];
  readonly bytes: number;
  readonly leftOut: readonly LeftOut[];
}

/** Why a choice cannot be used at all. `message` is for the person. */
export class FolderError extends Error {
  override readonly name = 'FolderError';
}

/** Files in one site. */
export const MAX_FILES = 100_000;
/** Bytes in one site: what is reasonable to keep in a browser. */
export const MAX_BYTES = 10_000_000_000;

/**
 * Takes together what a source finds. With `wrapped` the files may all lie in one folder that is only their wrapping, as in most
 * archives; it is taken off. `onFound` hears of every file.
 */
export async function gather(
  name: string,
  source: AsyncIterable<FoundFile> | Iterable<FoundFile>,
  { wrapped = false, signal, onFound }: { wrapped?: boolean; signal?: AbortSignal; onFound?: (files: number) => void } = {},
): Promise<Folder> {
  const found: FoundFile[] = [];
  const left = new Behind();
  for await (const file of source) {
    signal?.throwIfAborted();
    const path = file.path.normalize('NFC');
    if (isSystem(path)) left.note('system', path);
    else found.push({ ...file, path });
    if (found.length > MAX_FOUND) throw new FolderError(`There are more than ${MAX_FOUND.toLocaleString('en')} files in it; a site may have ${MAX_FILES.toLocaleString('en')}.`);
    onFound?.(found.length);
  }
  const root = wrapped ? commonFolder(found) : '';
  const byPath = new Map<string, FoundFile>();
  let bytes = 0;
  for (const file of found) {
    const path = file.path.slice(root.length);
    const reason = byPath.has(path) ? 'twice' : pathProblem(path);
    if (reason) {
      left.note(reason, path);
      continue;
    }
    byPath.set(path, { ...file, path });
    bytes += file.size;
  }
  if (byPath.size > MAX_FILES) throw new FolderError(`There are ${byPath.size.toLocaleString('en')} files in it; a site may have ${MAX_FILES.toLocaleString('en')}.`);
  if (bytes > MAX_BYTES) throw new FolderError('Together its files have more than 10 GB, which is too much for one site.');
  const files = [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  // One segment may be the name of a folder and of a file: only archives can say so.
  const blocked = files.filter(({ path }) => folders(path).some((folder) => byPath.has(folder)));
  for (const { path, size } of blocked) {
    left.note('twice', path);
    bytes -= size;
  }
  return { name: root === '' ? name : root.slice(0, -1), files: blocked.length === 0 ? files : files.filter((file) => !blocked.includes(file)), bytes, leftOut: left.all() };
}

/** The same folder, cut down to one of its folders: `dist`. */
export function within(folder: Folder, inner: string): Folder {
  const prefix = `${inner}/`;
  const files = folder.files.filter(({ path }) => path.startsWith(prefix)).map((file) => ({ ...file, path: file.path.slice(prefix.length) }));
  return { ...folder, files, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}

/** What keeps a path out of a site, `null` if nothing does. */
export function pathProblem(path: string): Reason | null {
  const segments = path.split('/');
  if (segments[0]?.toLowerCase() === '.gyre') return 'reserved';
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) return 'dots';
  if (segments.some((segment) => segment.startsWith('.') && segment !== '.well-known')) return 'hidden';
  if (path.includes('\\')) return 'backslash';
  if (UNPRINTABLE.test(path)) return 'control';
  const long = (text: string, most: number): boolean => text.length > most || encoder.encode(text).length > most;
  if (segments.length > MAX_SEGMENTS || long(path, MAX_PATH) || segments.some((segment) => long(segment, MAX_SEGMENT))) return 'long';
  return null;
}

/** Whether an operating system or a tool for versions has left this, and no author of a site means it. */
export function isSystem(path: string): boolean {
  return path.split('/').some((segment) => SYSTEM.has(segment.toLowerCase()) || segment.startsWith('._'));
}

/** What stayed behind, in a sentence for each reason. */
export function leftOutWords(leftOut: readonly LeftOut[]): string[] {
  return leftOut.map(({ reason, count, examples, more }) => {
    const [one, many] = REASONS[reason];
    return `${count === 1 ? one : `${count.toLocaleString('en')} ${many}`}: ${examples.join(', ')}${more ? ', …' : ''}`;
  });
}

/** Counts by reason and remembers the first few. */
class Behind {
  readonly #reasons = new Map<Reason, { count: number; examples: string[]; more: boolean }>();

  note(reason: Reason, path: string): void {
    const entry = this.#reasons.get(reason) ?? { count: 0, examples: [], more: false };
    this.#reasons.set(reason, entry);
    entry.count += 1;
    // A folder of a tool stands for all that is in it.
    const shown = reason === 'system' || reason === 'hidden' ? shortened(path) : path;
    if (entry.examples.includes(shown)) return;
    if (entry.examples.length < MAX_EXAMPLES) entry.examples.push(shown);
    else entry.more = true;
  }

  all(): LeftOut[] {
    return [...this.#reasons].map(([reason, entry]) => ({ reason, ...entry }));
  }
}

/** Up to the segment that made it stay behind. */
function shortened(path: string): string {
  const segments = path.split('/');
  const at = segments.findIndex((segment) => segment.startsWith('.') || SYSTEM.has(segment.toLowerCase()));
  return at < 0 || at === segments.length - 1 ? path : `${segments.slice(0, at + 1).join('/')}/`;
}

/** The folder in which all files lie, with a slash at its end; empty if there is none. */
function commonFolder(files: readonly FoundFile[]): string {
  const first = files[0]?.path ?? '';
  const root = first.slice(0, first.indexOf('/') + 1);
  return root !== '' && files.every(({ path }) => path.startsWith(root)) ? root : '';
}

/** The folders above a path. */
function folders(path: string): string[] {
  const above: string[] = [];
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) above.push(path.slice(0, at));
  return above;
}

const encoder = new TextEncoder();
/** Control characters, halves of characters, line and paragraph separators, overrides of the writing direction. */
const UNPRINTABLE = /[\p{Cc}\p{Surrogate}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
const SYSTEM = new Set(['.ds_store', 'thumbs.db', 'ehthumbs.db', 'desktop.ini', '__macosx', '.git', '.svn', '.hg', '.spotlight-v100', '.trashes', '.fseventsd', '$recycle.bin', 'system volume information']);
/** Files that are looked at before it is said that there are too many: half of them may stay behind. */
const MAX_FOUND = 2 * MAX_FILES;
/** Bytes and segments, as in docs/sites.md. */
const MAX_PATH = 1024;
const MAX_SEGMENT = 255;
const MAX_SEGMENTS = 64;
const MAX_EXAMPLES = 5;
/** For one file, and for many. */
const REASONS: Record<Reason, readonly [string, string]> = {
  system: ['A file that a system or tool put there', 'files that a system or tool put there'],
  hidden: ['A hidden file', 'hidden files'],
  control: ['A name with signs that cannot be shown', 'names with signs that cannot be shown'],
  backslash: ['A name with a backslash', 'names with a backslash'],
  dots: ['A path with . or .. in it', 'paths with . or .. in them'],
  reserved: ['A path that Gyre keeps for itself', 'paths that Gyre keeps for itself'],
  long: ['A path that is too long', 'paths that are too long'],
  twice: ['A path that is there twice', 'paths that are there twice'],
};
