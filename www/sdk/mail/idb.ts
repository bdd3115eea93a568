/** IndexedDB with promises; the package holds the library in this file. */

export { openDB } from 'idb';
export type { DBSchema, IDBPDatabase, IDBPTransaction } from 'idb';
