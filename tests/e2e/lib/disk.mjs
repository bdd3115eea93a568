// What a page's origin has on the disk: every value of IndexedDB, and every file.

/**
 * Which of the needles (names to bytes or text) lie somewhere on the disk of a visitor's origin, as they are. Resolves with
 * `{ found, bytes }`: their names, and how much was looked through.
 */
export const onDisk = (visitor, needles) => visitor.node(async (_, wanted) => {
  // As one of the disk's bytes each: a decoder of one byte a letter maps both alike.
  const letters = new TextDecoder('latin1');
  const whole = [];
  let bytes = 0;
  const take = async (value) => {
    if (value instanceof Blob) return take(await value.arrayBuffer());
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
      bytes += value.byteLength;
      whole.push(letters.decode(value));
    } else if (typeof value === 'string') whole.push(letters.decode(new TextEncoder().encode(value)));
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of value instanceof Map ? value : Object.entries(value)) {
        await take(key);
        await take(inner);
      }
    }
  };
  const asked = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  for (const { name } of await indexedDB.databases()) {
    const db = await asked(indexedDB.open(name));
    for (const store of db.objectStoreNames) {
      const reading = db.transaction(store).objectStore(store);
      const [keys, values] = await Promise.all([asked(reading.getAllKeys()), asked(reading.getAll())]);
      for (const [at, key] of keys.entries()) {
        await take(key);
        await take(values[at]);
      }
    }
    db.close();
  }
  const files = async (folder) => {
    for await (const entry of folder.values()) {
      await take(entry.name);
      // One that is being written can be read a moment later.
      if (entry.kind === 'directory') await files(entry);
      else await take(await entry.getFile());
    }
  };
  await files(await navigator.storage.getDirectory());
  const text = whole.join('\n');
  const found = Object.entries(wanted).filter(([, needle]) => text.includes(letters.decode(typeof needle === 'string' ? new TextEncoder().encode(needle) : Uint8Array.from(needle))));
  return { found: found.map(([name]) => name).sort(), bytes };
}, needles);
