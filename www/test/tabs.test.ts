import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { GyreError } from '../sdk/errors.js';
import { Gyre } from '../sdk/gyre.js';
import { LocalNode } from '../sdk/node.js';
import { readNotice, readToFollower, readToLeader, VERSION } from '../sdk/tabs/messages.js';
import type { Timing } from '../sdk/tabs/platform.js';
import { SharedNode, type Starter } from '../sdk/tabs/shared.js';
import type { PeerInfo } from '../sdk/types.js';
import { CID, FakeFile, FakeNode, FRAGMENT, pattern, swarmInfo } from './fake-node.js';
import { FakeBrowser, type Tab } from './fake-tabs.js';

let databases = 0;

/** Tabs that share one origin, and the nodes that they have started. */
class Origin {
  readonly browser: FakeBrowser;
  readonly database = `test-${(databases += 1)}`;
  readonly nodes: { tab: Tab; node: TabNode }[] = [];
  readonly #gyres: { tab: Tab; gyre: Gyre }[] = [];
  readonly known: unknown[] = [];
  /** What the next starts fail with. */
  faults: Error[] = [];
  prepared = 0;

  constructor(test: TestContext, worker = false) {
    this.browser = new FakeBrowser(worker);
    test.after(() => Promise.all(this.#gyres.map(({ gyre }) => gyre.leave())));
  }

  starter(tab: Tab): Starter {
    return {
      database: this.database,
      start: async (known) => {
        const fault = this.faults.shift();
        if (fault) throw fault;
        this.known.push(known);
        const node = new TabNode();
        this.nodes.push({ tab, node });
        return { node: new LocalNode(node.asWasm()), network: { relays: ['/relay'], stun: [] } };
      },
      prepare: async () => void (this.prepared += 1),
    };
  }

  async join(timing: Partial<Timing> = {}, signal?: AbortSignal): Promise<{ tab: Tab; gyre: Gyre }> {
    const tab = this.browser.open(timing);
    const gyre = new Gyre(await SharedNode.join(this.starter(tab), tab.platform, signal), 'https://host.example/');
    this.#gyres.push({ tab, gyre });
    return { tab, gyre };
  }

  /** The one node that runs. */
  get node(): TabNode {
    const running = this.nodes.filter(({ tab, node }) => !tab.dead && !node.calls.includes('stop'));
    assert.equal(running.length, 1, 'one node runs');
    return running[0]!.node;
  }
}

class TabNode extends FakeNode {
  readonly files: FakeFile[] = [];
  /** Holds calls back until it is settled. */
  gate: Promise<void> | null = null;
  bytes = pattern(3_000_000);

  override async openLink(link: string): Promise<ReturnType<FakeFile['asWasm']>> {
    await super.openLink(link);
    const file = new FakeFile(this.bytes);
    if (this.gate) file.fault = () => this.gate!.then(() => new Uint8Array(1));
    this.files.push(file);
    return file.asWasm();
  }

  get freed(): number {
    return this.files.filter((file) => file.freed > 0).length;
  }
}

async function until(what: string, ask: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!ask()) {
    assert.ok(performance.now() < end, `waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const never = new Promise<void>(() => undefined);

for (const worker of [false, true]) {
  const way = worker ? 'a port from the service worker' : 'a broadcast channel';

  test(`three tabs have one node, over ${way}`, async (t) => {
    const origin = new Origin(t, worker);
    const first = await origin.join();
    const [second, third] = await Promise.all([origin.join(), origin.join()]);
    assert.equal(origin.nodes.length, 1);
    assert.equal(origin.browser.passed, worker ? 2 : 0);
    assert.deepEqual([first.gyre.runsHere, second.gyre.runsHere, third.gyre.runsHere], [true, false, false]);
    for (const { gyre } of [first, second, third]) assert.equal(gyre.peerId, origin.node.peerId);
    assert.equal(origin.prepared, 2, 'the others are ready to lead');

    const seen: string[] = [];
    second.gyre.addEventListener('swarms', ({ detail }) => seen.push(...detail.map(({ cid }) => cid)));
    origin.node.list = [swarmInfo()];
    origin.node.emit({ type: 'swarms' });
    await until('the event', () => seen.length > 0);
    assert.deepEqual(second.gyre.swarms(), [swarmInfo()]);

    await second.gyre.pin(CID);
    await third.gyre.setQuota(7);
    assert.deepEqual(origin.node.calls, [`pin ${CID}`, 'quota 7']);
    origin.node.fault = Object.assign(new Error('full'), { code: 'QUOTA_EXCEEDED' });
    await assert.rejects(second.gyre.pause(CID), { name: 'GyreError', code: 'QUOTA_EXCEEDED', message: 'full' });
    origin.node.fault = null;
    await assert.rejects(second.gyre.open('nonsense'), { code: 'BAD_LINK' });

    const file = await third.gyre.open(FRAGMENT);
    assert.deepEqual([file.cid, file.name, file.type, file.size], [CID, 'a.bin', 'application/x-test', 3_000_000]);
    assert.deepEqual(new Uint8Array(await file.arrayBuffer()), pattern(3_000_000));
    file.close();
    await until('the handle to be freed', () => origin.node.freed === 1);
  });

  test(`a follower shares blobs, bytes and streams, over ${way}`, async (t) => {
    const origin = new Origin(t, worker);
    await origin.join();
    const { gyre } = await origin.join();
    const steps: number[] = [];
    const shared = await gyre.share(new File([pattern(2_500_000)], 'b.bin', { type: 'x/y' }), {
      onProgress: ({ done }) => steps.push(done),
    });
    assert.deepEqual([shared.link, shared.size], [`https://host.example/${FRAGMENT}`, 2_500_000]);
    assert.deepEqual(
      [origin.node.settings?.name, origin.node.settings?.type, origin.node.settings?.size],
      ['b.bin', 'x/y', 2_500_000],
    );
    assert.equal(steps.at(-1), 2_500_000);

    assert.equal((await gyre.share(pattern(1_234))).size, 1_234);

    origin.node.imported = [];
    const kept = pattern(300_000);
    let pulls = 0;
    const stream = new ReadableStream<Uint8Array>(
      { pull: (controller) => void (pulls++ < 4 ? controller.enqueue(kept) : controller.close()) },
      { highWaterMark: 0 },
    );
    assert.equal((await gyre.share(stream, { name: 's' })).size, 1_200_000);
    assert.deepEqual(
      origin.node.imported.map((piece) => piece.byteLength),
      [300_000, 300_000, 300_000, 300_000],
    );
    assert.equal(kept.byteLength, 300_000, 'what the source gave is still its own');

    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('disk')) });
    await assert.rejects(gyre.share(broken), { code: 'INTERNAL', message: 'disk' });
    let reason: unknown;
    const endless = new ReadableStream<Uint8Array>({
      pull: async (controller) => (
        await new Promise((resolve) => setTimeout(resolve, 5)),
        controller.enqueue(new Uint8Array(10))
      ),
      cancel: (why) => void (reason = why),
    });
    const abort = new AbortController();
    const endlessly = gyre.share(endless, { signal: abort.signal, onProgress: () => abort.abort() });
    await assert.rejects(endlessly, { code: 'ABORTED' });
    assert.equal((reason as GyreError).code, 'ABORTED', 'the source is let go');
  });
}

test('a chart is drawn by the tab that leads, and brings no snapshot along', async (t) => {
  const origin = new Origin(t);
  const { gyre: first } = await origin.join();
  const { gyre: second } = await origin.join();
  assert.deepEqual([first.runsHere, second.runsHere], [true, false]);
  let snapshots = 0;
  origin.node.swarms = () => {
    snapshots += 1;
    return [];
  };
  const chart = await second.chart(FRAGMENT);
  assert.deepEqual(chart, await first.chart(CID));
  assert.ok(chart.stored instanceof Uint8Array);
  assert.equal(snapshots, 0);
  await second.pin(CID);
  assert.ok(snapshots > 0, 'what changes something brings one');
});

test('a leader that dies is succeeded: reads, opens and calls go on, a stream that was shared does not', async (t) => {
  const origin = new Origin(t);
  const first = await origin.join();
  const second = await origin.join();
  const third = await origin.join();
  const firstNode = origin.node;
  const file = await third.gyre.open(FRAGMENT);
  const stream = file.stream().getReader();
  assert.equal((await stream.read()).value?.byteLength, 1_048_576);

  firstNode.gate = never;
  firstNode.files[0]!.fault = () => never.then(() => new Uint8Array(1));
  firstNode.pin = () => never;
  firstNode.importStream = () => new Promise(() => undefined);
  const rest = (async () => {
    let sum = 0;
    for (let piece = await stream.read(); !piece.done; piece = await stream.read()) sum += piece.value.byteLength;
    return sum;
  })();
  const pinned = third.gyre.pin(FRAGMENT);
  const blob = third.gyre.share(new Blob(['hello']));
  const streamed = assert.rejects(third.gyre.share(new ReadableStream<Uint8Array>({ pull: () => never })), {
    code: 'INTERRUPTED',
  });
  await until('the calls to arrive', () => firstNode.files[0]!.reads.length > 1);
  first.tab.kill();

  assert.equal(await rest, 3_000_000 - 1_048_576, 'the stream goes on where it was');
  await Promise.all([pinned, streamed]);
  assert.equal((await blob).size, 5);
  assert.equal(origin.nodes.length, 2);
  assert.equal(second.gyre.runsHere, true, 'the next in the queue leads');
  assert.equal(third.gyre.runsHere, false);
  assert.deepEqual(origin.known, [null, { relays: ['/relay'], stun: [] }], 'the relays are handed down');

  second.tab.kill();
  await until('the last to lead', () => third.gyre.runsHere);
  assert.equal((await third.gyre.open(FRAGMENT)).size, 3_000_000);
  assert.deepEqual(
    new Uint8Array(await (await file.blob()).arrayBuffer()),
    pattern(3_000_000),
    'an old handle works at the third node',
  );
});

test('a leader that leaves stops its node before another starts', async (t) => {
  const origin = new Origin(t);
  const first = await origin.join();
  const second = await origin.join();
  const order: string[] = [];
  const { node } = origin;
  node.stop = async () => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    node.calls.push('stop');
    order.push(`stopped, ${origin.nodes.length} started`);
  };
  await first.gyre.leave();
  await second.gyre.setUpload(true);
  assert.deepEqual(order, ['stopped, 1 started']);
  assert.equal(second.gyre.runsHere, true);
  assert.deepEqual(origin.node.calls, ['upload true']);
  assert.throws(() => first.gyre.stats(), { code: 'CLOSED' });
});

test('a follower that dies frees what it had open, and nothing else changes', async (t) => {
  const origin = new Origin(t);
  await origin.join();
  const second = await origin.join();
  const third = await origin.join();
  const { node } = origin;
  const mine = await third.gyre.open(FRAGMENT);
  await second.gyre.open(FRAGMENT);
  const waiting = await second.gyre.open(FRAGMENT);
  const signals: (AbortSignal | undefined)[] = [];
  node.files[2]!.fault = (signal) => {
    signals.push(signal);
    return never.then(() => new Uint8Array(1));
  };
  waiting.arrayBuffer().catch(() => undefined);
  await until('the read to arrive', () => signals.length === 1);
  second.tab.kill();
  await until('its files to be freed', () => node.freed === 2);
  assert.equal(signals[0]?.aborted, true, 'its read was given up');
  assert.equal(node.files[0]!.freed, 0, "another tab's file stays open");
  assert.equal((await mine.arrayBuffer()).byteLength, 3_000_000);
  assert.equal(origin.nodes.length, 1);
  assert.ok(!node.calls.includes('stop'));
});

test('an aborted read is given up at the leader too, and an open that comes late is freed there', async (t) => {
  const origin = new Origin(t);
  await origin.join();
  const { gyre } = await origin.join();
  const { node } = origin;
  const file = await gyre.open(FRAGMENT);
  let given: AbortSignal | undefined;
  node.files[0]!.fault = (signal) => ((given = signal), never.then(() => new Uint8Array(1)));
  const abort = new AbortController();
  const read = file.arrayBuffer({ signal: abort.signal });
  await until('the read to arrive', () => given !== undefined);
  abort.abort();
  await assert.rejects(read, { code: 'ABORTED' });
  await until('the leader to hear of it', () => given?.aborted === true);

  let release!: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  const open = node.openLink.bind(node);
  let asked = false;
  node.openLink = async (link) => ((asked = true), await held, open(link));
  const second = new AbortController();
  const opening = gyre.open(FRAGMENT, { signal: second.signal });
  await until('the leader to be asked', () => asked);
  second.abort();
  await assert.rejects(opening, { code: 'ABORTED' });
  release();
  await until('the late file to be freed', () => node.files.length === 2 && node.files[1]!.freed === 1);
});

for (const way of ['hung', 'frozen'] as const)
  test(`a leader that is ${way} is deposed by a tab that is seen, and stops when it wakes`, async (t) => {
    const origin = new Origin(t);
    const first = await origin.join();
    const hidden = await origin.join({ hung: 500 });
    hidden.tab.visible = false;
    const seen = await origin.join({ hung: 500 });
    const old = origin.node;
    first.tab[way] = true;
    old.pause = () => never;
    const paused = seen.gyre.pause(CID);
    await until('the tab that is seen to lead', () => seen.gyre.runsHere);
    await paused;
    assert.equal(hidden.gyre.runsHere, false);
    first.tab.wake();
    await until('the old node to stop', () => old.calls.includes('stop'));
    await until('the deposed tab to follow', () => !first.gyre.runsHere);
    await first.gyre.unpin(CID);
    await hidden.gyre.resume(CID);
    assert.deepEqual(origin.node.calls, [`pause ${CID}`, `unpin ${CID}`, `resume ${CID}`]);
  });

test('a leader that is only slow to answer calls is left alone', async (t) => {
  const origin = new Origin(t);
  await origin.join();
  const { gyre } = await origin.join({ hung: 1_000 });
  const { node } = origin;
  let release!: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  node.pause = () => held;
  const paused = gyre.pause(CID);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  assert.equal(origin.nodes.length, 1, 'it answers pings, so it lives');
  release();
  await paused;
});

test('a start that fails is told to the tab that asked, and the next in the queue tries', async (t) => {
  const origin = new Origin(t);
  origin.faults = [Object.assign(new Error('newer'), { code: 'STORE_NEWER' })];
  const results = await Promise.allSettled([origin.join(), origin.join()]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled'],
  );
  assert.equal(results[0]!.status === 'rejected' && (results[0]!.reason as GyreError).code, 'STORE_NEWER');
  assert.equal(origin.nodes.length, 1);
});

test('a store that is about to be free is waited for, one that stays busy is told of', async (t) => {
  const busy = (): Error => Object.assign(new Error('busy'), { code: 'STORE_BUSY' });
  const origin = new Origin(t);
  origin.faults = [busy(), busy(), busy()];
  const { gyre } = await origin.join();
  assert.equal(gyre.runsHere, true);

  const other = new Origin(t);
  other.faults = Array.from({ length: 200 }, busy);
  await assert.rejects(other.join({ store: 300 }), { code: 'STORE_BUSY' });
});

test('a tab of another version is told so and does not start a second node', async (t) => {
  const origin = new Origin(t);
  await origin.join();
  const channel = new BroadcastChannel(`gyre-tabs:${origin.database}`);
  t.after(() => channel.close());
  channel.onmessage = (event) => {
    const { data } = event as MessageEvent<{ kind: string }>;
    if (data.kind === 'hello')
      channel.postMessage({ kind: 'leader', version: VERSION + 1, tab: 'future', ready: true, client: null });
  };
  const leading = origin.browser.locks.holder(`gyre-lead:${origin.database}`);
  leading!.hung = true;
  await assert.rejects(origin.join(), { code: 'STORE_BUSY' });
  leading!.wake();
  assert.equal(origin.nodes.length, 1);
});

test('joining can be given up, and gives up the place in the queue', async (t) => {
  const origin = new Origin(t);
  const first = await origin.join();
  first.tab.hung = true;
  const abort = new AbortController();
  const joining = origin.join({}, abort.signal);
  setTimeout(() => abort.abort(), 50);
  await assert.rejects(joining, { code: 'ABORTED' });
  first.tab.kill();
  const third = await origin.join();
  assert.equal(third.gyre.runsHere, true);
});

test('events wait for a follower that does not take them', async (t) => {
  const origin = new Origin(t);
  await origin.join();
  const { tab, gyre } = await origin.join();
  const { node } = origin;
  const told: number[] = [];
  gyre.addEventListener('peers', ({ detail }) => told.push(detail.length));
  tab.hung = true;
  let peers = 0;
  node.peers = () => Array.from({ length: peers }, () => ({}) as PeerInfo);
  for (peers = 0; peers < 1_000; peers++) node.emit({ type: 'peers' });
  await until('an event to be under way', () => tab.late.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(tab.late.length <= 3, `${tab.late.length} messages wait for a tab that hangs`);
  tab.wake();
  await until('what was the case last', () => told.at(-1) === 1_000);
  assert.deepEqual(told, [0, 1_000]);
});

test('whatever is said, the readers of messages return a message or nothing', () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >> 8) % below;
  };
  const kinds = [
    'hello',
    'leader',
    'link',
    'bye',
    'call',
    'open',
    'read',
    'free',
    'import',
    'piece',
    'abort',
    'ack',
    'ping',
    'welcome',
    'done',
    'failed',
    'progress',
    'pull',
    'changed',
    'pong',
    'x',
  ];
  const keys = [
    'version',
    'tab',
    'to',
    'channel',
    'ready',
    'client',
    'id',
    'name',
    'args',
    'link',
    'file',
    'offset',
    'length',
    'blob',
    'type',
    'size',
    'public',
    'bytes',
    'what',
    'error',
    'snapshot',
    'peerId',
    'network',
    'value',
    'done',
    'memoryBytes',
  ];
  const values = [
    undefined,
    null,
    0,
    1,
    -1,
    1.5,
    Number.NaN,
    2 ** 60,
    '',
    'pin',
    'stop',
    'constructor',
    'state',
    'a'.repeat(9_999),
    true,
    [],
    {},
    [1, 2],
    new Uint8Array(3),
    new Blob(['x']),
    { relays: [], stun: [] },
    { code: 'CLOSED', message: '', cid: null },
  ];
  const read = { notice: 0, leader: 0, follower: 0 };
  for (let round = 0; round < 20_000; round++) {
    const message: Record<string, unknown> = { kind: kinds[random(kinds.length)] };
    for (let i = random(keys.length); i > 0; i--) message[keys[random(keys.length)]!] = values[random(values.length)];
    const context = `seed ${seed}, round ${round}`;
    const notice = readNotice(message);
    if (notice) assert.ok(notice.tab.length > 0 && notice.tab.length <= 256, context);
    const said = readToLeader(message);
    if (said && 'id' in said) assert.ok(Number.isSafeInteger(said.id) && said.id >= 0, context);
    if (said?.kind === 'call') assert.ok(said.name === 'pin' && said.args.length <= 8, context);
    if (said?.kind === 'read') assert.ok(said.length <= 1 << 20 && said.offset >= 0, context);
    const heard = readToFollower(message);
    if (heard?.kind === 'failed') assert.equal(typeof heard.error.code, 'string', context);
    read.notice += notice ? 1 : 0;
    read.leader += said ? 1 : 0;
    read.follower += heard ? 1 : 0;
  }
  assert.ok(
    Object.values(read).every((count) => count > 20),
    `some are messages: ${JSON.stringify(read)}`,
  );
  for (const value of [undefined, null, 1, 'hello', [], () => 1]) {
    assert.deepEqual([readNotice(value), readToLeader(value), readToFollower(value)], [null, null, null]);
  }
});
