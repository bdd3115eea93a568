/** Where the files of a folder come from: something dropped, a field for folders, an archive. Found one by one, opened when they are read. */

import { FolderError, gather, isSystem, MAX_FILES, type Folder, type FoundFile } from './folder.js';

/** Options of every source. */
export interface GatherOptions {
  readonly signal?: AbortSignal;
  /** Hears how many files were found so far. */
  readonly onFound?: (files: number) => void;
}

/** The entries of what was dropped. They are gone when the event is over, so this is the first thing to ask. */
export function droppedEntries(transfer: DataTransfer | null): FileSystemEntry[] {
  return [...(transfer?.items ?? [])].flatMap((item) => (item.kind === 'file' ? (item.webkitGetAsEntry() ?? []) : []));
}

/** Whether that is something to publish rather than files to share: a folder is among it. */
export function hasFolder(entries: readonly FileSystemEntry[]): boolean {
  return entries.some((entry) => entry.isDirectory);
}

/** A folder, an archive, or files side by side, from what was dropped. */
export async function fromEntries(entries: readonly FileSystemEntry[], options: GatherOptions = {}): Promise<Folder> {
  const [only] = entries;
  if (entries.length === 1 && only?.isDirectory) {
    return gather(only.name, walk(await children(only as FileSystemDirectoryEntry), only.name.length + 2), { ...options });
  }
  if (entries.length === 1 && only && isArchive(only.name)) return fromArchive(await file(only as FileSystemFileEntry), options);
  return gather('', walk([...entries], 1), { ...options });
}

/** A folder from a field for folders; or an archive, or files side by side, from one for files. */
export async function fromFiles(files: readonly File[], options: GatherOptions = {}): Promise<Folder> {
  const [only] = files;
  const inFolder = files.some(({ webkitRelativePath }) => webkitRelativePath);
  if (files.length === 1 && only && !inFolder && isArchive(only.name)) return fromArchive(only, options);
  // The field puts the chosen folder before every path.
  const name = inFolder ? (only?.webkitRelativePath.split('/')[0] ?? '') : '';
  const found = files.map((file): FoundFile => {
    const path = inFolder ? file.webkitRelativePath.slice(file.webkitRelativePath.indexOf('/') + 1) : file.name;
    return { path, size: file.size, open: async () => file };
  });
  return gather(name, found, options);
}

/** Whether a file is an archive that can be unpacked here, by its name. */
export function isArchive(name: string): boolean {
  return /\.zip$/i.test(name);
}

async function fromArchive(archive: File, options: GatherOptions): Promise<Folder> {
  const { unpack } = await import('./zip.js');
  const folder = await gather(archive.name.replace(/\.zip$/i, ''), unpack(archive), { ...options, wrapped: true });
  return { ...folder, name: folder.name || archive.name };
}

/** Every file below, depth first; a folder of a tool is not even looked into. `skip` characters of each full path are not shown. */
async function* walk(entries: FileSystemEntry[], skip: number): AsyncGenerator<FoundFile> {
  const stack = entries.reverse();
  for (let entry = stack.pop(); entry; entry = stack.pop()) {
    const path = entry.fullPath.slice(skip);
    if (entry.isFile) {
      const { size } = await file(entry as FileSystemFileEntry);
      const leaf = entry as FileSystemFileEntry;
      // Asked anew when it is read: a hundred thousand open files would be too many.
      yield { path, size, open: () => file(leaf) };
    } else if (isSystem(path)) {
      yield { path: `${path}/`, size: 0, open: () => Promise.reject(new FolderError(`${path} is a folder.`)) };
    } else {
      if (path.split('/').length > MAX_DEPTH) throw new FolderError(`The folder ${path.slice(0, 200)}… lies too deep.`);
      stack.push(...(await children(entry as FileSystemDirectoryEntry)).reverse());
      if (stack.length > 2 * MAX_FILES) throw new FolderError(`There are more than ${MAX_FILES.toLocaleString('en')} files in it.`);
    }
  }
}

/** What a folder holds. The browser tells it some at a time, and ends with none. */
async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)).catch((thrown: unknown) => {
      throw new FolderError(`The folder ${folder.name} cannot be read: ${(thrown as Error).message}`);
    });
    if (some.length === 0) return all;
    all.push(...some);
    if (all.length > 2 * MAX_FILES) throw new FolderError(`There are more than ${MAX_FILES.toLocaleString('en')} files in it.`);
  }
}

function file(entry: FileSystemFileEntry): Promise<File> {
  return new Promise<File>((resolve, reject) => entry.file(resolve, reject)).catch((thrown: unknown) => {
    throw new FolderError(`${entry.name} cannot be read: ${(thrown as Error).message}`);
  });
}

/** Folders in one another; a site has at most 64. */
const MAX_DEPTH = 128;
