/**
 * The mailbox on this machine: an IndexedDB database of its own, all values sealed (seal.ts).
 *
 * Everything that belongs together is written in one transaction: values are sealed first, because a
 * transaction does not wait. Edits come one after the other, so what an edit has read is still so when
 * it writes. Each run that opens it takes a number; one that finds a later number writes no more, so a tab
 * that wakes after another has taken its place does no harm. docs/mailbox.md has the schema.
 */

import { GyreError } from '../errors.js';
import { openDB, type DBSchema, type IDBPDatabase, type IDBPTransaction } from './idb.js';
import { placesOf, rebuilt, emptyThread, addToThread, type StoredMail, type StoredThread } from './records.js';
import type { Seal } from './seal.js';
import type { Folder } from './types.js';

/** One page of a list. */
export interface BoxPage {
  readonly threads: StoredThread[];
  readonly next: string | null;
  readonly total: number;
}

/** The open mailbox. */
export class Box {
  readonly #db: IDBPDatabase<Schema>;
  readonly #seal: Seal;
  /** The number of this run. */
  readonly #run: number;
  #edits: Promise<unknown> = Promise.resolve();

  private constructor(db: IDBPDatabase<Schema>, seal: Seal, run: number) {
    this.#db = db;
    this.#seal = seal;
    this.#run = run;
  }

  /** Takes the mailbox over. @throws GyreError `STORE_NEWER`, `STORE_FAILED`. */
  static async open(database: string, seal: Seal): Promise<Box> {
    const db = await Box.#database(database, seal);
    const taking = db.transaction('runs', 'readwrite', { durability: 'strict' });
    const run = ((await taking.store.get(RUN)) ?? 0) + 1;
    await Promise.all([taking.store.put(run, RUN), taking.done]);
    return new Box(db, seal, run);
  }

  /** Whether there is a mailbox, left alone. */
  static async begun(database: string, seal: Seal): Promise<boolean> {
    const db = await Box.#database(database, seal);
    try {
      return (await db.count('post')) > 0;
    } finally {
      db.close();
    }
  }

  static async #database(database: string, seal: Seal): Promise<IDBPDatabase<Schema>> {
    const name = `${database}-mail-${seal.fingerprint}`;
    try {
      const db = await openDB<Schema>(name, STEPS.length, {
        upgrade: (opened, before) => {
          for (const step of STEPS.slice(before)) step(opened);
        },
        // A newer version of the page wants to change it.
        blocking: () => db.close(),
      });
      return db;
    } catch (thrown) {
      const { name: kind } = thrown as DOMException;
      if (kind === 'VersionError') {
        throw new GyreError('STORE_NEWER', 'This mailbox was written by a newer version. Reload the page.', { cause: thrown });
      }
      throw failed(thrown);
    }
  }

  close(): void {
    this.#db.close();
  }

  // ── reading ──

  /** What the mail module has asked to keep. */
  async entries(): Promise<[string, Uint8Array][]> {
    const reading = this.#db.transaction('post');
    const [keys, values] = await Promise.all([reading.store.getAllKeys(), reading.store.getAll()]);
    return keys.map((key, at) => [key, values[at]!]);
  }

  async mail(id: string): Promise<StoredMail | null> {
    const row = await this.#db.get('mails', id);
    return row ? this.#opened(row) : null;
  }

  has(id: string): Promise<boolean> {
    return this.#db.getKey('mails', id).then((key) => key !== undefined);
  }

  async raw(id: string): Promise<Uint8Array | null> {
    const sealed = await this.#db.get('raw', id);
    return sealed ? this.#seal.open(`raw ${id}`, sealed) : null;
  }

  /** Mails of a thread, oldest first. */
  async mails(thread: string): Promise<StoredMail[]> {
    const rows = await this.#db.getAllFromIndex('mails', 'thread', IDBKeyRange.bound([thread], [thread, []]));
    return Promise.all(rows.map((row) => this.#opened(row)));
  }

  /** Ids of all mails in the order in which they came, from number `after` on. */
  async arrivals(after: number, limit: number): Promise<{ id: string; arrival: number }[]> {
    const range = IDBKeyRange.lowerBound(after, true);
    const reading = this.#db.transaction('mails');
    const index = reading.store.index('arrival');
    const found: { id: string; arrival: number }[] = [];
    for (let at = await index.openKeyCursor(range); at && found.length < limit; at = await at.continue()) {
      found.push({ id: at.primaryKey, arrival: at.key });
    }
    return found;
  }

  /** Mails that came after, in the order in which they came. */
  async arrived(after: number, limit: number): Promise<{ arrival: number; mail: StoredMail }[]> {
    const rows = await this.#db.getAllFromIndex('mails', 'arrival', IDBKeyRange.lowerBound(after, true), limit);
    return Promise.all(rows.map(async (row) => ({ arrival: row.arrival, mail: await this.#opened(row) })));
  }

  /** How many of the mails that came after one and up to another are there. */
  arrivedBetween(after: number, to: number): Promise<number> {
    return this.#db.countFromIndex('mails', 'arrival', IDBKeyRange.bound(after, to, true));
  }

  /** Their numbers. */
  async arrivalsBetween(after: number, to: number): Promise<Set<number>> {
    const found = new Set<number>();
    const index = this.#db.transaction('mails').store.index('arrival');
    for (let at = await index.openKeyCursor(IDBKeyRange.bound(after, to, true)); at; at = await at.continue()) found.add(at.key);
    return found;
  }

  /** The threads of mails by the numbers of their arrival; of what is gone there is none. */
  async threadsOf(arrivals: readonly number[]): Promise<(string | undefined)[]> {
    const index = this.#db.transaction('mails').store.index('arrival');
    return Promise.all(arrivals.map(async (arrival) => (await index.get(arrival))?.thread));
  }

  async thread(id: string): Promise<StoredThread | null> {
    const row = await this.#db.get('threads', id);
    return row ? this.#seal.openValue<StoredThread>(`thread ${id}`, row.data) : null;
  }

  /** Threads by their ids, those that are there, in this order. */
  async threads(ids: readonly string[]): Promise<StoredThread[]> {
    const reading = this.#db.transaction('threads');
    const rows = await Promise.all(ids.map((id) => reading.store.get(id)));
    return this.#threads(rows.filter((row) => row !== undefined));
  }

  /** A page of a list, latest first; `before` is the `next` of the page before. */
  async list(folder: Folder, before: string | undefined, limit: number): Promise<BoxPage> {
    const all = listRange(folder);
    // Of another list's key nothing may follow.
    const from = before !== undefined && before >= all.lower && before < all.upper ? before : null;
    const range = from === null ? all : IDBKeyRange.bound(from, all.upper, true, true);
    const reading = this.#db.transaction('threads');
    const index = reading.store.index('places');
    const [rows, total] = await Promise.all([index.getAll(range, limit + 1), this.count(folder)]);
    const threads = await this.#threads(rows.slice(0, limit));
    const last = rows.length > limit ? rows[limit - 1] : undefined;
    const next = last?.places.find((place) => place.startsWith(`${folder} `)) ?? null;
    return { threads, next, total };
  }

  /** How many threads a list has. The browser counts a long list entry by entry, so the number is kept beside it. */
  async count(list: Folder | 'unread'): Promise<number> {
    const known = await this.#db.get('counts', list);
    if (known !== undefined) return known;
    const writing = this.#db.transaction(['threads', 'counts'], 'readwrite');
    const count = await writing.objectStore('threads').index('places').count(listRange(list));
    await Promise.all([writing.objectStore('counts').put(count, list), writing.done]);
    return count;
  }

  /** The mail with this Message-ID. */
  async named(messageId: string): Promise<{ id: string; thread: string } | null> {
    return (await this.#db.get('names', await nameOf(messageId))) ?? null;
  }

  /** A value that stands alone. */
  async value<T>(key: string): Promise<T | null> {
    const sealed = await this.#db.get('values', key);
    return sealed ? this.#seal.openValue<T>(`value ${key}`, sealed) : null;
  }

  /** Bytes that stand alone. */
  async bytes(key: string): Promise<Uint8Array | null> {
    const sealed = await this.#db.get('values', key);
    return sealed ? this.#seal.open(`value ${key}`, sealed) : null;
  }

  /** Keys of values that begin so. */
  async keys(prefix: string): Promise<string[]> {
    return this.#db.getAllKeys('values', IDBKeyRange.bound(prefix, `${prefix}\uffff`));
  }

  // ── writing ──

  /** Runs an edit after those before it, and writes all that it changed at once; nothing if it throws. */
  edit<T>(work: (edit: Edit) => Promise<T> | T): Promise<T> {
    const run = async (): Promise<T> => {
      const edit = new Edit(this);
      const result = await work(edit);
      await this.#commit(edit);
      return result;
    };
    const done = this.#edits.then(run, run);
    this.#edits = done.catch(() => undefined);
    return done;
  }

  /** Waits for the edits that have begun. */
  async settled(): Promise<void> {
    await this.#edits;
  }

  async #commit(edit: Edit): Promise<void> {
    const { posts, mails, raws, threads, names, values } = edit.changes;
    const sealed = <T>(map: ReadonlyMap<string, T | null>, as: (key: string, value: T) => Promise<Uint8Array>) =>
      Promise.all([...map].map(async ([key, value]) => [key, value === null ? null : await as(key, value), value] as const));
    const [mailRows, rawRows, threadRows, valueRows, nameRows] = await Promise.all([
      sealed(mails, (id, mail) => this.#seal.sealValue(`mail ${id}`, mail)),
      sealed(raws, (id, raw) => this.#seal.seal(`raw ${id}`, raw)),
      sealed(threads, (id, thread) => this.#seal.sealValue(`thread ${id}`, thread)),
      sealed(values, (key, value) =>
        value instanceof Uint8Array ? this.#seal.seal(`value ${key}`, value) : this.#seal.sealValue(`value ${key}`, value),
      ),
      Promise.all([...names].map(async ([name, at]) => [await nameOf(name), at] as const)),
    ]);
    if (posts.size + mails.size + raws.size + threads.size + names.size + values.size === 0) return;
    let writing: IDBPTransaction<Schema, typeof STORES, 'readwrite'> | null = null;
    try {
      const written = (writing = this.#db.transaction(STORES, 'readwrite', { durability: 'strict' }));
      written.done.catch(() => undefined);
      if ((await written.objectStore('runs').get(RUN)) !== this.#run) {
        throw new GyreError('INTERRUPTED', 'The mailbox was taken over by another tab.');
      }
      const store = <N extends (typeof STORES)[number]>(name: N) => written.objectStore(name);
      for (const [key, value] of posts) asked(value === null ? store('post').delete(key) : store('post').put(value, key));
      for (const [key, data] of rawRows) asked(data ? store('raw').put(data, key) : store('raw').delete(key));
      for (const [key, data] of valueRows) asked(data ? store('values').put(data, key) : store('values').delete(key));
      for (const [key, at] of nameRows) asked(at ? store('names').put(at, key) : store('names').delete(key));
      const more = new Map<string, number>();
      for (const [id, data, thread] of threadRows) {
        const places = data && thread ? placesOf(thread) : [];
        for (const place of (await store('threads').get(id))?.places ?? []) more.set(listOf(place), (more.get(listOf(place)) ?? 0) - 1);
        for (const place of places) more.set(listOf(place), (more.get(listOf(place)) ?? 0) + 1);
        if (data && thread) asked(store('threads').put({ id, places, data }));
        else asked(store('threads').delete(id));
      }
      for (const [list, by] of more) {
        const before = await store('counts').get(list);
        if (before !== undefined && by !== 0) asked(store('counts').put(before + by, list));
      }
      // A number is not given twice, also when the last mail was deleted.
      let last = 0;
      if (edit.arrived.size > 0) {
        const latest = (await store('mails').index('arrival').openKeyCursor(null, 'prev'))?.key ?? 0;
        last = Math.max((await store('counts').get(ARRIVALS)) ?? 0, latest);
        asked(store('counts').put(last + edit.arrived.size, ARRIVALS));
      }
      for (const [id, data, mail] of mailRows) {
        if (!data || !mail) {
          asked(store('mails').delete(id));
          continue;
        }
        const arrival = edit.arrived.has(id) ? (last += 1) : (await store('mails').get(id))?.arrival;
        if (arrival !== undefined) asked(store('mails').put({ id, thread: mail.thread, time: mail.time, arrival, data }));
      }
      await written.done;
    } catch (thrown) {
      abort(writing);
      throw failed(thrown);
    }
  }

  #opened(row: MailRow): Promise<StoredMail> {
    return this.#seal.openValue<StoredMail>(`mail ${row.id}`, row.data);
  }

  #threads(rows: readonly ThreadRow[]): Promise<StoredThread[]> {
    return Promise.all(rows.map((row) => this.#seal.openValue<StoredThread>(`thread ${row.id}`, row.data)));
  }
}

/** What one edit reads and changes; `null` deletes. */
export class Edit {
  readonly changes = {
    posts: new Map<string, Uint8Array | null>(),
    mails: new Map<string, StoredMail | null>(),
    raws: new Map<string, Uint8Array | null>(),
    threads: new Map<string, StoredThread | null>(),
    names: new Map<string, { id: string; thread: string } | null>(),
    values: new Map<string, unknown>(),
  };
  /** Mails that were not there before, or not whole. */
  readonly arrived = new Set<string>();
  readonly #box: Box;

  constructor(box: Box) {
    this.#box = box;
  }

  /** Keeps what the mail module asks to keep. */
  post(key: string, value: Uint8Array | null): void {
    this.changes.posts.set(key, value);
  }

  set(key: string, value: unknown): void {
    this.changes.values.set(key, value ?? null);
  }

  /** A value that stands alone, as it will be after what was changed so far. */
  async value<T>(key: string): Promise<T | null> {
    return this.changes.values.has(key) ? (this.changes.values.get(key) as T | null) : this.#box.value<T>(key);
  }

  async mail(id: string): Promise<StoredMail | null> {
    const changed = this.changes.mails.get(id);
    return changed === undefined ? this.#box.mail(id) : changed;
  }

  async mails(thread: string): Promise<StoredMail[]> {
    const stored = await this.#box.mails(thread);
    const changed = [...this.changes.mails.values()].filter((mail) => mail?.thread === thread) as StoredMail[];
    const kept = stored.filter(({ id }) => !this.changes.mails.has(id));
    return [...kept, ...changed].sort((a, b) => a.time - b.time);
  }

  /** The thread, to be changed: it is written with the edit. */
  async thread(id: string): Promise<StoredThread | null> {
    const changed = this.changes.threads.get(id);
    if (changed !== undefined) return changed;
    const thread = await this.#box.thread(id);
    if (thread) this.changes.threads.set(id, thread);
    return thread;
  }

  /** Takes a mail in that is not here yet; `false` if it is. `shape` sees the thread after it. */
  async add(mail: StoredMail, raw: Uint8Array | null, shape: (thread: StoredThread, isNew: boolean) => void): Promise<boolean> {
    if ((await this.mail(mail.id)) !== null) return false;
    const before = await this.thread(mail.thread);
    const thread = before ?? emptyThread(mail.thread);
    addToThread(thread, mail);
    shape(thread, before === null);
    this.changes.threads.set(thread.id, thread);
    this.changes.mails.set(mail.id, mail);
    this.arrived.add(mail.id);
    if (raw) this.changes.raws.set(mail.id, raw);
    if (mail.messageId) this.changes.names.set(mail.messageId, { id: mail.id, thread: mail.thread });
    return true;
  }

  /** Writes mails again; their threads are made anew. */
  async change(mails: readonly StoredMail[], raws: ReadonlyMap<string, Uint8Array> = new Map()): Promise<void> {
    for (const mail of mails) this.changes.mails.set(mail.id, mail);
    for (const [id, raw] of raws) this.changes.raws.set(id, raw);
    for (const thread of new Set(mails.map((mail) => mail.thread))) await this.#rebuild(thread);
  }

  /** The same for what has become whole: it counts as having come just now, so whoever follows what comes sees all of it. */
  async complete(mail: StoredMail, raw: Uint8Array): Promise<void> {
    this.arrived.add(mail.id);
    await this.change([mail], new Map([[mail.id, raw]]));
  }

  /** Removes mails, and a thread with its last one. */
  async remove(mails: readonly StoredMail[]): Promise<void> {
    for (const { id, messageId } of mails) {
      this.changes.mails.set(id, null);
      this.changes.raws.set(id, null);
      if (messageId) this.changes.names.set(messageId, null);
    }
    for (const thread of new Set(mails.map((mail) => mail.thread))) await this.#rebuild(thread);
  }

  async #rebuild(id: string): Promise<void> {
    const thread = await this.thread(id);
    if (!thread) return;
    const mails = await this.mails(id);
    this.changes.threads.set(id, mails.length > 0 ? rebuilt(thread, mails) : null);
  }
}

interface MailRow {
  id: string;
  thread: string;
  time: number;
  /** Counts up. */
  arrival: number;
  data: Uint8Array;
}

interface ThreadRow {
  id: string;
  places: string[];
  data: Uint8Array;
}

interface Schema extends DBSchema {
  post: { key: string; value: Uint8Array };
  mails: { key: string; value: MailRow; indexes: { thread: [string, number]; arrival: number } };
  raw: { key: string; value: Uint8Array };
  threads: { key: string; value: ThreadRow; indexes: { places: string[] } };
  names: { key: string; value: { id: string; thread: string } };
  values: { key: string; value: Uint8Array };
  runs: { key: string; value: number };
  counts: { key: string; value: number };
}

const STORES: ('post' | 'mails' | 'raw' | 'threads' | 'names' | 'values' | 'runs' | 'counts')[] = ['post', 'mails', 'raw', 'threads', 'names', 'values', 'runs', 'counts'];
/** The one key of its store. */
const RUN = 'run';
/** Of the counts, how many mails have come; the others are those of lists. */
const ARRIVALS = 'arrivals';

/** From each version of the schema to the next; a database passes through all that it has not seen. */
const STEPS: readonly ((db: IDBPDatabase<Schema>) => void)[] = [
  (db) => {
    for (const name of ['post', 'raw', 'names', 'values', 'runs'] as const) db.createObjectStore(name);
    const mails = db.createObjectStore('mails', { keyPath: 'id' });
    mails.createIndex('thread', ['thread', 'time']);
    mails.createIndex('arrival', 'arrival', { unique: true });
    db.createObjectStore('threads', { keyPath: 'id' }).createIndex('places', 'places', { multiEntry: true });
  },
  // Lists are counted when somebody asks first. A page that does not keep the counts does not open it any more.
  (db) => db.createObjectStore('counts'),
];

function listRange(list: Folder | 'unread'): IDBKeyRange {
  return IDBKeyRange.bound(`${list} `, `${list}!`, false, true);
}

function listOf(place: string): string {
  return place.slice(0, place.indexOf(' '));
}

/** A Message-ID as a key: its hash, since a stranger chose it. */
async function nameOf(messageId: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(messageId));
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

/** What becomes of one request the transaction tells. */
function asked(request: Promise<unknown>): void {
  request.catch(() => undefined);
}

/** What was put before the failure is not to stay. */
function abort(writing: { abort(): void } | null): void {
  try {
    writing?.abort();
  } catch {
    // It has ended by itself.
  }
}

function failed(thrown: unknown): GyreError {
  if (thrown instanceof GyreError) return thrown;
  const { name, message } = thrown as DOMException;
  if (name === 'QuotaExceededError') {
    return new GyreError('QUOTA_EXCEEDED', 'The browser gives this mailbox no more room.', { cause: thrown });
  }
  return new GyreError('STORE_FAILED', `The mailbox could not be read or written: ${message}`, { cause: thrown });
}
