import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Desk, gateOf, type MailProblem } from '../app/mail/desk.js';
import { DraftKeeper, draftWords, isEmpty } from '../app/mail/drafts.js';
import { archiveFrom, canArchive, markRead, move, starsOn, trashFrom, Undo } from '../app/mail/moves.js';
import { announcement, notify } from '../app/mail/notify.js';
import { ThreadList } from '../app/mail/threads.js';
import { GyreError } from '../sdk/errors.js';
import type { Draft, Folder } from '../sdk/mail/types.js';
import { FakeMailbox, from, idOf, person } from './fake-mailbox.js';

const toProblem = (thrown: unknown): MailProblem => GyreError.from(thrown);
const grace = person(idOf('b'), 'Grace');
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

async function until(what: string, ask: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!ask()) {
    assert.ok(performance.now() < end, `waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A mailbox with so many mails from Grace, the latest with number 0. */
function boxOf(count: number): FakeMailbox {
  const box = new FakeMailbox();
  box.people = [grace];
  for (let i = 0; i < count; i++) box.put({ thread: `T${i}`, from: from(grace), subject: `Mail ${i}`, text: 'words', time: 1_000_000 - i });
  return box;
}

const listOf = (box: FakeMailbox, folder: Folder = 'inbox'): ThreadList => new ThreadList((options) => box.list(folder, options), toProblem);

test('what stands before the mail follows from the mailbox and the keys', () => {
  assert.equal(gateOf(null, null), 'loading');
  assert.equal(gateOf('none', null), 'loading');
  assert.equal(gateOf('none', 'missing'), 'keys');
  assert.equal(gateOf('none', 'unlocked'), 'identity');
  assert.equal(gateOf('locked', 'locked'), 'unlock');
  assert.equal(gateOf('locked', 'unlocked'), 'starting');
  assert.equal(gateOf('starting', 'unlocked'), 'starting');
  assert.equal(gateOf('unsupported', 'missing'), 'unsupported');
  assert.equal(gateOf('ready', 'locked'), 'open');
});

test('the desk opens the mailbox by itself, and follows it', async () => {
  const box = boxOf(1);
  box.now = { ...box.now, state: 'locked' };
  const desk = new Desk(async () => box, toProblem);
  await Promise.all([desk.enter(), desk.enter()]);
  assert.deepEqual(box.calls.filter((call) => call === 'start'), ['start'], 'two that enter at once open it once');
  assert.equal(desk.state?.state, 'ready');
  assert.deepEqual(desk.contacts, [grace]);
  assert.equal(desk.contact(grace.id), grace);
  const threads: (readonly string[])[] = [];
  desk.addEventListener('threads', (event) => threads.push((event as CustomEvent<readonly string[]>).detail));
  box.put({ thread: 'T9', from: from(grace) });
  assert.deepEqual(threads, [['T9']]);
  await until('the count', () => desk.state?.unread === 2);
});

test('locked keys are no fault, others are shown until all is calm', async () => {
  const box = boxOf(0);
  box.now = { ...box.now, state: 'locked' };
  const desk = new Desk(async () => box, toProblem);
  box.faults.set('start', new GyreError('LOCKED', 'locked'));
  await desk.enter();
  const problem = (): MailProblem | null => desk.problem;
  assert.equal(problem(), null);
  box.faults.set('start', new GyreError('STORE_FAILED', 'the disk is full'));
  await desk.enter();
  assert.equal(problem()?.code, 'STORE_FAILED');
  box.faults.set('mark', new GyreError('ABORTED', 'no'));
  assert.equal(await desk.run((mailbox) => mailbox.mark(['T0'], { read: true })), null);
  assert.equal(problem(), null, 'what was cancelled is no problem');
  assert.deepEqual(await desk.run(async () => 7), { value: 7 });
});

test('a list is read in pages, refreshed as far as it was read, and moved through', async () => {
  const box = boxOf(120);
  const list = listOf(box);
  await list.refresh();
  assert.deepEqual([list.threads.length, list.total, list.hasMore], [50, 120, true]);
  await list.more();
  await list.more();
  assert.deepEqual([list.threads.length, list.hasMore, list.next], [120, false, null]);
  await list.more();
  assert.equal(list.threads.length, 120);
  list.step(1);
  assert.equal(list.cursor, 'T0', 'the first step goes to the first');
  list.step(1);
  list.step(1);
  assert.equal(list.cursor, 'T2');
  list.step(-5);
  assert.equal(list.cursor, 'T0', 'it stops at the end');
  assert.equal(list.beside('T3', 1)?.id, 'T4');
  assert.equal(list.beside('T0', -1), null);
  box.put({ thread: 'new', from: from(grace), time: 2_000_000 });
  await list.refresh();
  assert.deepEqual([list.threads.length, list.threads[0]?.id, list.cursor], [120, 'new', 'T0']);
});

test('a list is refreshed whole from a mailbox that gives little at once', async () => {
  const box = boxOf(120);
  const list = new ThreadList(({ limit, ...rest }) => box.list('inbox', { ...rest, limit: Math.min(limit, 40) }), toProblem);
  await list.refresh();
  await list.more();
  assert.equal(list.threads.length, 90);
  await list.refresh();
  assert.deepEqual([list.threads.length, new Set(list.threads.map(({ id }) => id)).size, list.hasMore], [90, 90, true]);
});

test('a list that is read while it is read is read once more', async () => {
  const box = boxOf(3);
  let open = (): void => undefined;
  box.gates.set('list', new Promise<void>((resolve) => (open = resolve)));
  const list = listOf(box);
  const reading = list.refresh();
  void list.refresh();
  void list.refresh();
  box.put({ thread: 'late', from: from(grace), time: 5_000_000 });
  open();
  await reading;
  assert.equal(box.calls.filter((call) => call === 'list inbox').length, 2);
  assert.equal(list.threads[0]?.id, 'late');
});

test('what cannot be read is said, and read again', async () => {
  const box = boxOf(1);
  box.faults.set('list', new GyreError('STORE_FAILED', 'x'));
  const list = listOf(box);
  await list.refresh();
  assert.equal(list.problem?.code, 'STORE_FAILED');
  await list.refresh();
  assert.deepEqual([list.problem, list.threads.length], [null, 1]);
});

test('threads are selected one by one, in ranges, or all', async () => {
  const list = listOf(boxOf(10));
  await list.refresh();
  assert.deepEqual(list.targets(), [], 'without a cursor nothing is meant');
  list.select('T2', true);
  list.select('T5', true, true);
  assert.deepEqual([...list.selected], ['T2', 'T3', 'T4', 'T5']);
  list.select('T3', false);
  assert.deepEqual(list.targets().map(({ id }) => id), ['T2', 'T4', 'T5']);
  list.selectAll(true);
  assert.equal(list.selected.size, 10);
  list.selectAll(false);
  list.point('T7');
  assert.deepEqual(list.targets().map(({ id }) => id), ['T7']);
});

test('what is moved away leaves at once, and the cursor goes on', async () => {
  const list = listOf(boxOf(5));
  await list.refresh();
  list.point('T1');
  list.drop(new Set(['T1', 'T2']));
  assert.deepEqual([list.threads.map(({ id }) => id), list.cursor, list.total], [['T0', 'T3', 'T4'], 'T3', 3]);
  list.point('T4');
  list.drop(new Set(['T4']));
  assert.equal(list.cursor, 'T3');
  list.drop(new Set(['T0', 'T3']));
  assert.equal(list.cursor, null);
});

test('a move is undone, each thread to where it was', async () => {
  const box = boxOf(3);
  await box.mark(['T1'], { folder: 'archive' });
  const threads = [...(await box.list('inbox')).threads, ...(await box.list('archive')).threads];
  const done = await move(box, threads, 'trash');
  assert.equal(done.text, '3 conversations moved to the trash');
  assert.equal((await box.list('trash')).total, 3);
  await done.undo?.(box);
  assert.deepEqual((await box.list('inbox')).threads.map(({ id }) => id), ['T0', 'T2']);
  assert.deepEqual((await box.list('archive')).threads.map(({ id }) => id), ['T1']);
});

test('only what changes is marked, and marked back', async () => {
  const box = boxOf(2);
  await box.mark(['T0'], { read: true });
  const done = await markRead(box, (await box.list('inbox')).threads, true);
  assert.equal(box.calls.at(-1), 'mark T1 {"read":true}');
  await done.undo?.(box);
  assert.deepEqual((await box.list('inbox')).threads.map(({ unread }) => unread), [false, true]);
});

test('an offer to undo is taken once, and lapses', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const undo = new Undo();
  let changes = 0;
  undo.addEventListener('change', () => (changes += 1));
  const done = { text: 'x', undo: null };
  undo.offer(done);
  assert.equal(undo.take(), done);
  assert.equal(undo.take(), null);
  undo.offer(done);
  t.mock.timers.tick(60_000);
  assert.equal(undo.done, null);
  undo.offer(done);
  undo.hold();
  t.mock.timers.tick(60_000);
  assert.equal(undo.done, done, 'while somebody points at it, it stays');
  assert.equal(changes, 5);
});

test('buttons mean what a folder makes of them', async () => {
  assert.deepEqual([trashFrom('inbox'), trashFrom('trash')], ['trash', null]);
  assert.deepEqual([archiveFrom('inbox'), archiveFrom('archive'), archiveFrom('trash')], ['archive', 'inbox', 'inbox']);
  assert.deepEqual(['inbox', 'requests', 'sent', 'drafts', 'archive', 'trash'].filter((folder) => canArchive(folder as Folder)), ['inbox', 'archive', 'trash']);
  const { threads } = await boxOf(2).list('inbox');
  assert.equal(starsOn(threads), true);
  assert.equal(starsOn(threads.map((thread) => ({ ...thread, starred: true }))), false);
});

const draft = (text: string): Draft => ({ to: [], subject: '', text, attachments: [] });

test('a draft is kept a moment after the last key, and at the latest after a few seconds', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const box = boxOf(0);
  const keeper = new DraftKeeper(async () => box);
  keeper.note(draft(''), 0);
  t.mock.timers.tick(10_000);
  assert.deepEqual([keeper.state, box.calls], ['empty', []], 'what is empty is not kept');
  let now = 0;
  for (let i = 1; i <= 30; i++) {
    keeper.note(draft('x'.repeat(i)), now);
    now += 200;
    t.mock.timers.tick(200);
    await Promise.resolve();
  }
  await keeper.flush();
  const saves = box.calls.filter((call) => call === 'saveDraft').length;
  assert.ok(saves >= 1 && saves <= 3, `${saves} saves in six seconds of typing`);
  assert.equal(box.drafts.size, 1);
  assert.equal([...box.drafts.values()][0]?.text, 'x'.repeat(30));
  assert.equal(keeper.state, 'saved');
});

test('what is typed while a draft is kept is kept next, under the same id', async () => {
  const box = boxOf(0);
  let open = (): void => undefined;
  box.gates.set('saveDraft', new Promise<void>((resolve) => (open = resolve)));
  const keeper = new DraftKeeper(async () => box);
  keeper.note(draft('one'));
  const first = keeper.flush();
  await settled();
  keeper.note(draft('two'));
  const second = keeper.flush();
  open();
  await Promise.all([first, second]);
  assert.deepEqual([...box.drafts.values()].map(({ text }) => text), ['two']);
  await keeper.flush();
  assert.equal(box.calls.filter((call) => call === 'saveDraft').length, 2, 'the same is not kept twice');
});

test('a draft that could not be kept says so and is tried again; one that is over stays away', async () => {
  const box = boxOf(0);
  const keeper = new DraftKeeper(async () => box);
  box.faults.set('saveDraft', new GyreError('QUOTA_EXCEEDED', 'full'));
  keeper.note(draft('one'));
  await keeper.flush();
  assert.equal(keeper.state, 'failed');
  assert.match(draftWords('failed'), /^Not kept/);
  await keeper.flush();
  assert.equal(keeper.state, 'saved');
  await keeper.discard();
  keeper.note(draft('late'));
  await keeper.flush();
  assert.equal(box.drafts.size, 0);
});

test('an empty draft is one without anything', () => {
  assert.equal(isEmpty(draft(' \n')), true);
  assert.equal(isEmpty({ ...draft(''), to: ['x'] }), false);
  assert.equal(isEmpty({ ...draft(''), attachments: [new Blob(['x'])] }), false);
});

test('a notification says nothing that a stranger chose', async () => {
  const box = boxOf(1);
  box.put({ thread: 'S', from: { id: idOf('f'), name: 'Your bank', petname: null, address: null }, subject: 'Pay now' });
  const [stranger] = (await box.list('requests')).threads;
  const words = announcement(stranger!);
  assert.doesNotMatch(`${words.title} ${words.body}`, /bank|Pay/);
  assert.deepEqual(announcement((await box.list('inbox')).threads[0]!), { title: 'Grace', body: 'Mail 0' });
});

test('a notification is shown where the person wants it and the browser allows it, and leads to the thread', async (t) => {
  const shown: FakeNotification[] = [];
  class FakeNotification extends EventTarget {
    static permission: NotificationPermission = 'granted';
    static refuses = false;
    closed = false;
    constructor(readonly title: string, readonly options: NotificationOptions) {
      super();
      if (FakeNotification.refuses) throw new TypeError('only from a service worker');
      shown.push(this);
    }
    close(): void {
      this.closed = true;
    }
  }
  const box = boxOf(1);
  const [thread] = (await box.list('inbox')).threads;
  let opened = 0;
  const show = (wanted: boolean): void => notify(thread!, wanted, () => (opened += 1));
  show(true);
  Object.assign(globalThis, { Notification: FakeNotification });
  t.after(() => void Reflect.deleteProperty(globalThis, 'Notification'));
  show(false);
  for (const permission of ['denied', 'default'] as const) {
    FakeNotification.permission = permission;
    show(true);
  }
  FakeNotification.permission = 'granted';
  FakeNotification.refuses = true;
  show(true);
  FakeNotification.refuses = false;
  assert.equal(shown.length, 0);
  show(true);
  const [note] = shown;
  assert.deepEqual([shown.length, note?.title, note?.options], [1, 'Grace', { body: 'Mail 0', tag: 'gyre-mail-T0' }]);
  note?.dispatchEvent(new Event('click'));
  assert.deepEqual([opened, note?.closed], [1, true]);
});
