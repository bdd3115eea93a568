/** IndexedDB with promises; the package holds the library in this file. */

/*! idb 8.0.3, Copyright (c) 2016 Jake Archibald, ISC licence: LICENSE-idb */

export { openDB } from 'idb';
export type { DBSchema, IDBPDatabase, IDBPTransaction } from 'idb';
