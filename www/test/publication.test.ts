import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLAIM_PATH } from '../app/lib/claim.js';
import { FolderError, gather, type Folder } from '../app/lib/folder.js';
import { MySites } from '../app/lib/my-sites.js';
import { Publication, type OpenedSite, type Publisher } from '../app/lib/publication.js';
import { GyreError } from '../sdk/errors.js';
import type { MailState } from '../sdk/mail/types.js';
import type { FileEntry, KeeperWord, PublishOptions, SiteChange, SiteInfo, SiteOwner, SiteVersion } from '../sdk/site-types.js';

const ME = 'y'.repeat(52);

class MemoryStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);
}

function change(fields: Partial<SiteChange> = {}): SiteChange {
  return {
    cid: 'cid-1', previous: null, added: [], changed: [], removed: [], addedCount: 0, changedCount: 0, removedCount: 0,
    newBytes: 0, files: 2, bytes: 7, sameButForCase: [], skippedRedirects: [], skippedHeaders: [], ...fields,
  };
}

/** A peer that reads every file, compares nothing, and does as it is told. */
class FakePeer implements Publisher {
  state: 'missing' | 'locked' | 'unlocked' = 'unlocked';
  identity = 'me';
  next: SiteChange = change();
  calls: PublishOptions[] = [];
  read: Record<string, string> = {};
  opened: Partial<SiteInfo> = { holders: 0 };
  closed = 0;
  /** Waits here after each file. */
  pause: () => Promise<void> = async () => {};
  fault: Error | null = null;

  keys = { state: async () => ({ state: this.state }), siteName: async (site: number) => (site === 0 ? this.identity : `k51-${site}`) };

  async publish(files: AsyncIterable<FileEntry>, options: PublishOptions): Promise<SiteVersion> {
    this.calls.push(options);
    this.read = {};
    let count = 0;
    for await (const { path, content } of files) {
      this.read[path] = await new Response(content as Blob).text();
      count += 1;
      options.onProgress?.({ files: count, bytes: count, newFiles: count, newBytes: count, path });
      await this.pause();
      if (options.signal?.aborted) throw new GyreError('ABORTED', 'Cancelled.');
      if (this.fault) throw this.fault;
    }
    if (!(await options.review?.(this.next))) throw new GyreError('ABORTED', 'Given up.');
    const name = `k51-${options.site}`;
    return { cid: this.next.cid, name, sequence: this.calls.length - 1, change: this.next, link: `https://x/#/s/${name}/` };
  }

  /** What keepers say, one word a question. */
  words: (KeeperWord | null)[] = [];
  asked: string[] = [];
  async askKeepers(address: string): Promise<KeeperWord | null> {
    this.asked.push(address);
    return this.words.shift() ?? null;
  }

  /** The identity of whoever publishes, and what it was asked to name. */
  person: Pick<MailState, 'state' | 'id' | 'standing'> = { state: 'none', id: null, standing: 'in' };
  named: string[] = [];
  refuses: Error | null = null;
  mail = {
    state: async () => this.person,
    setSite: async (site: number, name: string): Promise<void> => {
      if (this.refuses) throw this.refuses;
      this.named.push(`${site} ${name}`);
    },
  };

  async site(): Promise<OpenedSite> {
    const claim = this.read[CLAIM_PATH];
    return {
      cid: 'cid-1',
      head: null,
      info: async () => this.opened as SiteInfo,
      read: async () => {
        if (claim === undefined) throw new GyreError('BAD_OPTIONS', 'no such file');
        return new TextEncoder().encode(claim);
      },
      owner: async (): Promise<SiteOwner | null> => (claim === undefined ? null : { id: ME, site: 0, state: this.named.length > 0 ? 'here' : 'unknown' }),
      close: () => void (this.closed += 1),
    };
  }
}

function scene(): { peer: FakePeer; mine: MySites; storage: MemoryStorage; publication: Publication } {
  const [peer, storage] = [new FakePeer(), new MemoryStorage()];
  const mine = new MySites(storage);
  mine.belongTo('me', true);
  return { peer, mine, storage, publication: again(peer, mine, storage) };
}
const again = (peer: FakePeer, mine: MySites, storage: MemoryStorage): Publication =>
  new Publication(async () => peer, mine, (thrown) => GyreError.from(thrown), storage);

const folder = (texts: Record<string, string> = { 'index.html': '<title>Birds</title>', 'a.css': 'x' }): Promise<Folder> =>
  gather('my folder', Object.entries(texts).map(([path, text]) => ({ path, size: text.length, open: async () => new Blob([text]) })));

async function stage(publication: Publication, wanted: string): Promise<void> {
  for (let i = 0; i < 1000 && publication.stage !== wanted; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(publication.stage, wanted);
}

test('a first version: chosen, looked at, stored, signed, remembered', async () => {
  const { peer, mine, publication } = scene();
  const seen: string[] = [];
  publication.addEventListener('change', () => seen.at(-1) !== publication.stage && seen.push(publication.stage));
  publication.begin(null);
  await publication.choose(async ({ onFound }) => (onFound?.(2), folder()));
  assert.deepEqual([publication.stage, publication.title, publication.found], ['plan', 'Birds', 2]);
  publication.edit({ title: ' My birds ' });
  await publication.publish();
  assert.equal(publication.stage, 'done');
  assert.deepEqual(peer.read, { 'a.css': 'x', 'index.html': '<title>Birds</title>' });
  const [options] = peer.calls;
  assert.deepEqual([options?.site, options?.name, options?.previous, options?.fallback], [0, 'My birds', null, undefined]);
  const [site] = mine.all();
  assert.deepEqual([site?.site, site?.name, site?.title, site?.cid, site?.sequence, site?.confirmed], [0, 'k51-0', 'My birds', 'cid-1', 0, false]);
  assert.ok(!seen.includes('review'), 'there is nothing to compare');
  assert.equal(publication.interrupted, null);

  await publication.look();
  assert.equal(publication.info?.holders, 0);
  assert.equal(mine.get(0)?.confirmed, false);
  peer.opened = { holders: 1 };
  await publication.look();
  assert.equal(mine.get(0)?.confirmed, true);
  assert.equal(peer.closed, 2);
});

test('a second version is shown before it is signed, and not signed without a yes', async () => {
  const { peer, mine, publication } = scene();
  await publication.choose(() => folder());
  await publication.publish();
  publication.begin(0);
  assert.equal(publication.stage, 'done', 'how it stands is shown');
  publication.restart(0);
  peer.next = change({ cid: 'cid-2', previous: 'cid-1', changed: ['a.css'], changedCount: 1 });
  await publication.choose(() => folder());
  assert.equal(publication.title, 'Birds');
  let running = publication.publish();
  await stage(publication, 'review');
  assert.equal(publication.change?.changedCount, 1);
  publication.answer(false);
  await running;
  assert.deepEqual([publication.stage, publication.cancelled, publication.problem, mine.get(0)?.cid], ['plan', true, null, 'cid-1']);

  running = publication.publish();
  await stage(publication, 'review');
  publication.answer(true);
  await running;
  assert.equal(publication.stage, 'done');
  assert.deepEqual([mine.get(0)?.cid, mine.get(0)?.earlier], ['cid-2', ['cid-1']]);
  assert.equal('previous' in (peer.calls.at(-1) ?? {}), false, 'the version before is asked for');

  publication.restart(0);
  peer.next = change({ cid: 'cid-2', previous: 'cid-2' });
  await publication.choose(() => folder());
  await publication.publish();
  assert.equal(publication.stage, 'done', 'the same folder asks nothing');
  assert.deepEqual(mine.get(0)?.earlier, ['cid-1']);
});

test('warnings about a first version are shown before it is signed', async () => {
  const { peer, publication } = scene();
  peer.next = change({ skippedRedirects: [{ line: 3, reason: 'it has a condition' }] });
  await publication.choose(() => folder());
  const running = publication.publish();
  await stage(publication, 'review');
  publication.answer(true);
  await running;
  assert.equal(publication.stage, 'done');
});

test('cancelled in the middle, it goes on with the same folder', async () => {
  const { peer, publication } = scene();
  await publication.choose(() => folder());
  peer.pause = async () => publication.cancel();
  await publication.publish();
  assert.deepEqual([publication.stage, publication.cancelled, publication.problem], ['plan', true, null]);
  peer.pause = async () => {};
  await publication.publish();
  assert.equal(publication.stage, 'done');
  assert.equal(publication.cancelled, false);
});

test('a page that was closed in the middle is told of the next time, and lets itself be forgotten', async () => {
  const { peer, mine, storage, publication } = scene();
  await publication.choose(() => folder());
  const reading = new Promise<void>((resolve) => (peer.pause = () => (resolve(), new Promise(() => {}))));
  void publication.publish();
  await reading;
  assert.equal(publication.stage, 'storing');
  const next = again(new FakePeer(), mine, storage);
  assert.deepEqual(next.interrupted, { title: 'Birds', folder: 'my folder', site: null });
  next.dismissInterrupted();
  assert.equal(next.interrupted, null);
});

test('without keys it waits for them; a restored person’s sites are found first', async () => {
  const { peer, mine, publication } = scene();
  peer.state = 'missing';
  await publication.choose(() => folder());
  await publication.publish();
  assert.deepEqual([publication.stage, peer.calls.length], ['keys', 0]);
  peer.state = 'unlocked';
  peer.identity = 'restored';
  await publication.publish();
  assert.deepEqual([publication.stage, peer.calls.length], ['keys', 0], 'a new site could take the place of one that is not known');
  mine.belongTo('restored', true);
  await publication.publish();
  assert.equal(publication.stage, 'done');
});

test('what goes wrong is told: an empty folder, a file that went away, a full store', async () => {
  const { peer, publication } = scene();
  await publication.choose(() => gather('x', []));
  assert.equal(publication.stage, 'choose');
  assert.match(publication.problem?.message ?? '', /no file/);

  const gone = await folder();
  const files = [...gone.files, { path: 'b.txt', size: 1, open: () => Promise.reject(new Error('gone')) }];
  await publication.choose(async () => ({ ...gone, files }));
  await publication.publish();
  assert.ok(publication.problem instanceof FolderError);
  assert.match(publication.problem.message, /b\.txt cannot be read: gone/);
  assert.equal(publication.stage, 'plan');

  await publication.choose(() => folder());
  peer.fault = new GyreError('QUOTA_EXCEEDED', 'full');
  await publication.publish();
  assert.deepEqual([publication.stage, (publication.problem as unknown as GyreError).code], ['plan', 'QUOTA_EXCEEDED']);
  assert.equal(publication.interrupted, null, 'it is not closed, and can be tried again from here');
});

test('a choice that is cancelled while it is looked at leaves nothing', async () => {
  const { publication } = scene();
  const choosing = publication.choose(async ({ signal }) => {
    publication.cancel();
    signal?.throwIfAborted();
    return folder();
  });
  await choosing;
  assert.deepEqual([publication.stage, publication.problem, publication.folder], ['choose', null, null]);
});

test('keepers are asked until one takes it, and no more often than once a minute', async () => {
  const { peer, publication } = scene();
  await publication.askKeepers();
  assert.deepEqual(peer.asked, [], 'nothing is published yet');
  await publication.choose(() => folder());
  await publication.publish();
  peer.words = [null, 'full', 'taken'];
  const first = publication.askKeepers(1_000);
  assert.equal(publication.keeper, 'asking');
  await publication.askKeepers(1_000);
  await first;
  assert.deepEqual([publication.keeper, peer.asked], ['none', ['k51-0']]);
  await publication.askKeepers(30_000);
  assert.equal(peer.asked.length, 1);
  await publication.askKeepers(61_000);
  assert.equal(publication.keeper, 'full');
  await publication.askKeepers(130_000);
  assert.equal(publication.keeper, 'taken');
  await publication.askKeepers(300_000);
  assert.equal(peer.asked.length, 3);
  publication.restart(null);
  assert.equal(publication.keeper, null);
});

test('a site says whose it is when that is chosen, and goes on saying it', async () => {
  const { peer, publication } = scene();
  peer.person = { state: 'ready', id: ME, standing: 'in' };
  const offered = async (): Promise<void> => {
    for (let i = 0; i < 1000 && publication.ownership === null; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  await publication.choose(() => folder());
  await offered();
  assert.deepEqual([publication.ownership, publication.claimed], [{ id: ME, site: null, before: false, signs: true }, false], 'it is off at first');
  await publication.publish();
  assert.equal(CLAIM_PATH in peer.read, false);
  assert.deepEqual([peer.named, publication.vouched], [[], null]);

  publication.restart(0);
  await publication.choose(() => folder());
  await offered();
  publication.edit({ claimed: true });
  await publication.publish();
  assert.equal(peer.read[CLAIM_PATH], `dmail:${ME} 0\n`);
  assert.equal(publication.whole?.files.length, 3);
  assert.deepEqual([peer.named, publication.vouched], [['0 k51-0'], 'here']);

  // The next version says it by itself, also where the identity is known only once the keys are unlocked.
  publication.restart(0);
  peer.person = { state: 'locked', id: null, standing: 'in' };
  peer.state = 'locked';
  await publication.choose(() => folder());
  await publication.publish();
  assert.equal(publication.stage, 'keys');
  peer.person = { state: 'ready', id: ME, standing: 'in' };
  peer.state = 'unlocked';
  await publication.publish();
  assert.equal(peer.read[CLAIM_PATH], `dmail:${ME} 0\n`);
  assert.deepEqual([peer.named.length, publication.vouched], [1, 'here'], 'what is said already is not signed again');

  publication.restart(0);
  await publication.choose(() => folder());
  await offered();
  assert.equal(publication.claimed, true);
  publication.edit({ claimed: false });
  await publication.publish();
  assert.equal(CLAIM_PATH in peer.read, false);
  assert.equal(publication.vouched, null);
});

test('an identity that cannot be signed is told of, and asked again', async () => {
  const { peer, publication } = scene();
  peer.person = { state: 'ready', id: ME, standing: 'in' };
  peer.refuses = new GyreError('BAD_OPTIONS', 'This cannot be done: too many.');
  await publication.choose(() => folder());
  publication.edit({ claimed: true });
  await publication.publish();
  assert.equal(publication.stage, 'done', 'it is published all the same');
  assert.match((publication.vouched as GyreError).message, /too many/);
  peer.refuses = null;
  await publication.vouch();
  assert.deepEqual([publication.vouched, peer.named], ['here', ['0 k51-0']]);
});
