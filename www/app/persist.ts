/** Asks the browser not to clear what is kept here when its disk runs low. */

/** What is needed of `navigator.storage`, where a browser has it. */
export type PersistentStorage = Pick<StorageManager, 'persist' | 'persisted'>;

let asked = false;

/**
 * Asks once a visit, and only after the person has put something here that is worth keeping: some
 * browsers ask the person in turn. The answer changes nothing in the page, so it is not waited for.
 */
export function keepStorage(storage: Partial<PersistentStorage> | undefined = globalThis.navigator?.storage): void {
  if (asked || !storage?.persist || !storage.persisted) return;
  asked = true;
  void ask(storage as PersistentStorage);
}

async function ask(storage: PersistentStorage): Promise<void> {
  try {
    if (!(await storage.persisted())) await storage.persist();
  } catch {
    // Then it stays what it was: kept as long as there is room.
  }
}
