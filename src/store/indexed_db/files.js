// Reads and writes chunks in the origin private file system. Only a worker may without a copy through another process.

/** Files open at most: each is a handle of the platform's. */
const MOST_OPEN = 16;
/** How long another tab's worker may take to die, in milliseconds: until then it holds its files, where the browser knows no shared ones. */
const PATIENCE = 5000;
/**
 * Several handles of one file, for a tab that was frozen and replaced may hold some. Who has the lock of the store is the one that
 * writes, and what is written to a place is always the same bytes.
 */
const SHARED = { mode: 'readwrite-unsafe' };

/** File name → its handle, the one used last at the end. */
const handles = new Map();
let folder;
let turn = Promise.resolve();

onmessage = ({ data }) => {
  turn = turn.then(() => answer(data));
};

async function answer({ id, what, file, parts }) {
  try {
    const found = await does[what](file, parts);
    postMessage({ id, parts: found }, found?.map((part) => part.buffer) ?? []);
  } catch (error) {
    postMessage({ id, error: error?.name ?? 'Error' });
  }
}

const does = {
  /** Opens the folder `file`, and removes from it every file that is not among `parts`. */
  async open(file, parts) {
    const root = await navigator.storage.getDirectory();
    folder = await root.getDirectoryHandle(file, { create: true });
    const known = new Set(parts);
    for await (const name of folder.keys()) if (!known.has(name)) await folder.removeEntry(name, { recursive: true });
    // Asks now for what writing will need, so that a browser without it is found out before anything relies on it.
    await handle('probe');
    await does.remove('probe');
  },

  /** Answers with the buffers, to be used again. */
  async write(file, parts) {
    const to = await handle(file);
    for (const { at, data } of parts) {
      if (to.write(data, { at }) !== data.byteLength) throw new DOMException('', 'QuotaExceededError');
    }
    return parts.map((part) => part.data);
  },

  /** What the file does not have reads as zeros. */
  async read(file, parts) {
    const from = await handle(file);
    return parts.map(({ at, length, into }) => {
      const data = into ?? new Uint8Array(length);
      return data.fill(0, from.read(data, { at }));
    });
  },

  async remove(file) {
    close(file);
    await folder.removeEntry(file).catch((error) => {
      if (error.name !== 'NotFoundError') throw error;
    });
  },
};

async function handle(file) {
  const found = handles.get(file) ?? await open(file);
  handles.delete(file);
  handles.set(file, found);
  return found;
}

async function open(file) {
  if (handles.size >= MOST_OPEN) close(handles.keys().next().value);
  const entry = await folder.getFileHandle(file, { create: true });
  for (const began = Date.now(); ;) {
    try {
      return await entry.createSyncAccessHandle(SHARED);
    } catch (error) {
      if (error.name !== 'NoModificationAllowedError' || Date.now() > began + PATIENCE) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function close(file) {
  handles.get(file)?.close();
  handles.delete(file);
}
