import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceFor } from '../app/lib/advice.js';
import { previewKind } from '../app/lib/preview.js';
import { parseRoute } from '../app/lib/router.js';
import { spiralPath } from '../app/lib/spiral.js';
import { joinStatus, serverTroubles, sizeLine, swarmLine } from '../app/lib/status.js';
import { ERROR_CODES } from '../sdk/errors.js';
import type { PeerInfo, Stats, SwarmInfo } from '../sdk/types.js';

const stats: Stats = {
  peerId: 'p',
  state: 'joined',
  relays: [
    { address: '/a', state: 'reserved', detail: '' },
    { address: '/b', state: 'failed', detail: 'refused' },
  ],
  uploadAllowed: null,
  uploadHold: 'unasked',
  limits: { upRate: null, downRate: null, upPerDay: null, sendOnMetered: false, pauseOnBattery: false, hideAddress: false },
  today: { up: 0, down: 0 },
  up: 0,
  down: 0,
  upRate: 0,
  downRate: 0,
  storage: { used: 0, quota: 1 },
};

function peer(via: PeerInfo['via'], role: PeerInfo['role'] = 'browser'): PeerInfo {
  return { peerId: via, role, via, agent: '', rtt: null, up: 0, down: 0, upRate: 0, downRate: 0, since: 0, detail: '' };
}

function swarm(change: Partial<SwarmInfo>): SwarmInfo {
  return {
    cid: 'c',
    fragment: null,
    name: 'a',
    type: null,
    size: 1000,
    have: 0,
    state: 'finding',
    error: null,
    pinned: false,
    public: false,
    up: 0,
    down: 0,
    upRate: 0,
    downRate: 0,
    wasted: 0,
    peers: 0,
    sources: 0,
    servers: [],
    addedAt: 0,
    chunks: 1,
    chunksHave: 0,
    ...change,
  };
}

test('every error code has words of its own and says what to do', () => {
  const titles = new Map<string, string>();
  for (const code of ERROR_CODES) {
    const { title, advice } = adviceFor(code);
    assert.ok(title.length > 5 && advice.length > 15, code);
    titles.set(code, title);
  }
  assert.equal(new Set(titles.values()).size, ERROR_CODES.length - 1, 'only BAD_OPTIONS and INTERNAL share a title');
  assert.equal(adviceFor('NOT_FOUND').remedy, 'retry');
  assert.equal(adviceFor('STORE_BUSY').remedy, 'retry');
  assert.equal(adviceFor('BAD_LINK', 'It is cut short.').advice, 'It is cut short.');
});

test('the header counts reserved relays and linked browsers only', () => {
  const peers = [peer('direct'), peer('relayed'), peer('connecting'), peer('failed'), peer('websocket', 'relay')];
  assert.equal(joinStatus('joined', stats, peers, null).label, 'Joined · 1 relay · 2 peers');
  assert.equal(joinStatus('joined', stats, peers, null).short, 'Joined · 2 peers');
  assert.match(joinStatus('offline', stats, [], null).hint, /keeps trying.*\(refused\)/);
  assert.equal(joinStatus('offline', stats, peers, null).label, 'No relay · 2 peers');
  assert.equal(joinStatus('peers', stats, peers, null).label, 'No relay · joined through 2 peers');
  assert.match(joinStatus('peers', stats, peers, null).hint, /introduce/);
  assert.equal(joinStatus('failed', null, [], 'STORE_BUSY').label, 'Another version runs');
  assert.equal(joinStatus('failed', null, [], null).label, 'Not running');
});

test('each state of a file has its line', () => {
  assert.equal(
    swarmLine(swarm({ state: 'fetching', have: 500, downRate: 100, peers: 1 }), 5),
    '50 % · 100 B/s from 1 peer · 5 s left',
  );
  assert.equal(swarmLine(swarm({ state: 'fetching', have: 500 })), '50 % · 0 B/s waiting for a peer');
  assert.equal(swarmLine(swarm({ state: 'complete', have: 1000, sources: 1 })), 'Complete · held here and by 1 other');
  assert.match(swarmLine(swarm({ state: 'complete', size: null })), /key does not open it/);
  assert.match(swarmLine(swarm({ state: 'finding', have: 500 })), /the rest/);
  assert.equal(swarmLine(swarm({ state: 'failed', error: { code: 'QUOTA_EXCEEDED', message: '' } })), 'No room left');
  assert.equal(
    swarmLine(swarm({ state: 'failed', error: { code: 'SOMETHING_NEW', message: '' } })),
    'Something went wrong',
  );
  assert.equal(sizeLine({ have: 500, size: 1000 }), '500 B of 1 KB');
  assert.equal(sizeLine({ have: 0, size: null }), 'Size not known');
});

test('the address chooses the page and keeps the key', () => {
  assert.deepEqual(parseRoute(''), { page: 'home' });
  assert.deepEqual(parseRoute('#/'), { page: 'home' });
  assert.deepEqual(parseRoute('#/f/bafk?k=K-_'), { page: 'file', fragment: '#/f/bafk?k=K-_' });
  assert.deepEqual(parseRoute('#f/bafk'), { page: 'file', fragment: '#/f/bafk' });
  assert.equal(parseRoute('#/s/name/path').page, 'unknown');
});

test('nothing that can carry a script is shown as a document', () => {
  assert.equal(previewKind('text/html', 10), 'text');
  assert.equal(previewKind('Text/HTML; charset=utf-8', 10), 'text');
  assert.equal(previewKind('image/svg+xml', 10), 'vector');
  for (const type of [
    'application/xhtml+xml',
    'application/x-shockwave-flash',
    'multipart/related',
    'constructor',
    '',
    'image/unknown',
  ]) {
    assert.equal(previewKind(type, 10), null, type);
  }
  assert.equal(previewKind('image/png', 0), null);
  assert.equal(previewKind('image/png', 51_000_000), null);
  assert.equal(previewKind('text/plain', 1_000_001), null);
});

test('the spiral ends at the right edge of its box and stays inside', () => {
  const points = spiralPath(100, 3)
    .slice(1)
    .split('L')
    .map((pair) => pair.split(' ').map(Number));
  const [x, y] = points.at(-1) ?? [];
  assert.deepEqual([x, y], [100, 50]);
  for (const [px = -1, py = -1] of points) assert.ok(px >= 0 && px <= 100 && py >= 0 && py <= 100, `${px} ${py}`);
});

test('a web server is named as one that a file comes from, and its troubles are told', () => {
  const server = { host: 'example.org', down: 0, detail: '' };
  const words = (peers: number, ...states: ('ready' | 'busy')[]): string =>
    swarmLine(swarm({ state: 'fetching', peers, servers: states.map((state) => ({ ...server, state })) }));
  assert.match(words(0, 'busy'), /from the web server example\.org$/);
  assert.match(words(2, 'busy'), /from 2 peers and the web server example\.org$/);
  assert.match(words(2, 'ready'), /from 2 peers$/);
  assert.match(words(0, 'ready'), /waiting for a peer$/);
  const detail = 'This server has another file under this address.';
  assert.deepEqual(serverTroubles({ servers: [{ ...server, state: 'ready' }, { ...server, state: 'dropped', detail }] }), [
    'The web server example.org has another file under this address, and is not asked again.',
  ]);
});
