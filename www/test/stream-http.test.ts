import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRangeHeader } from '../sdk/range.js';
import { fileUrl, parseFileUrl, readAnswer, readAsk, readWish } from '../sdk/stream-messages.js';
import { answer, disposition, presentation, type Head } from '../sdk/stream-response.js';
import { refusal } from '../sw/refusal.js';
import { CID } from './fake-node.js';

const facts = { cid: CID, name: 'a film.webm', type: 'video/webm', size: 1000 };
const ask = (headers: Record<string, string> = {}, method = 'GET', file = facts, download = false): Head =>
  answer(file, method, (name) => headers[name] ?? null, { download });
const field = (head: Head, name: string): string | undefined =>
  head.headers.find(([known]) => known.toLowerCase() === name)?.[1];

/** Small and seeded (mulberry32), so that a failure can be repeated. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

test('every range gives the bytes that a naive reader of RFC 9110 would cut out', () => {
  const next = random(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  for (let round = 0; round < 20_000; round += 1) {
    const size = below(4) === 0 ? below(3) : below(2000);
    const [first, last] = [below(2200), below(2200)];
    const form = below(3);
    const header = form === 0 ? `bytes=${first}-${last}` : form === 1 ? `bytes=${first}-` : `bytes=-${last}`;
    const all = Array.from({ length: size }, (_, i) => i);
    let wanted: number[] | null;
    if (form === 2) wanted = last === 0 ? [] : all.slice(-last);
    else if (form === 0 && last < first) wanted = null;
    else wanted = all.filter((i) => i >= first && (form === 1 || i <= last));
    const got = parseRangeHeader(header, size);
    const note = `SEED=${seed} ${header} of ${size}`;
    if (wanted === null) assert.equal(got, null, note);
    else if (wanted.length === 0) assert.equal(got, 'unsatisfiable', note);
    else assert.deepEqual(got, { start: wanted[0], end: wanted[wanted.length - 1]! + 1 }, note);
  }
});

test('no Range header of any shape breaks an answer', () => {
  const next = random(seed);
  const alphabet = ['bytes', '=', '-', ',', ' ', '0', '9', '99999999999999999999', 'é', '\t', '"', 'x', '1e3', '+'];
  for (let round = 0; round < 20_000; round += 1) {
    const range = Array.from({ length: Math.floor(next() * 9) }, () => alphabet[Math.floor(next() * alphabet.length)]).join('');
    const head = ask({ range });
    const note = `SEED=${seed} ${JSON.stringify(range)}`;
    assert.ok([200, 206, 416].includes(head.status), note);
    if (head.status === 416) {
      assert.equal(field(head, 'content-range'), 'bytes */1000', note);
      assert.equal(head.span, null, note);
      continue;
    }
    assert.ok(head.span && head.span.start >= 0 && head.span.start < head.span.end && head.span.end <= 1000, note);
    assert.equal(field(head, 'content-length'), String(head.span.end - head.span.start), note);
    const told = head.status === 206 ? `bytes ${head.span.start}-${head.span.end - 1}/1000` : undefined;
    assert.equal(field(head, 'content-range'), told, note);
  }
});

test('several ranges are answered with the whole, as RFC 9110 lets a server do', () => {
  assert.equal(ask({ range: 'bytes=0-1,5-6' }).status, 200);
});

test('conditions: If-Range, If-None-Match, If-Match', () => {
  const tag = `"${CID}"`;
  assert.equal(ask({ range: 'bytes=0-1', 'if-range': tag }).status, 206);
  // A weak tag or a date does not vouch for bytes.
  assert.equal(ask({ range: 'bytes=0-1', 'if-range': `W/${tag}` }).status, 200);
  assert.equal(ask({ range: 'bytes=0-1', 'if-range': 'Wed, 21 Oct 2015 07:28:00 GMT' }).status, 200);
  for (const known of [tag, `W/${tag}`, '*', `"x", ${tag}`]) assert.equal(ask({ 'if-none-match': known }).status, 304, known);
  assert.equal(ask({ 'if-none-match': `"x${CID}"` }).status, 200);
  assert.equal(ask({ 'if-match': '"x"' }).status, 412);
  assert.equal(ask({ 'if-match': tag }).status, 200);
  const unchanged = ask({ 'if-none-match': tag });
  assert.equal(field(unchanged, 'etag'), tag);
  assert.equal(unchanged.span, null);
});

test('HEAD says what GET would, without bytes; other methods are refused', () => {
  const head = ask({ range: 'bytes=0-1' }, 'HEAD');
  assert.deepEqual([head.status, field(head, 'content-length'), head.span], [200, '1000', null]);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'get']) {
    const refused = ask({}, method);
    assert.deepEqual([refused.status, field(refused, 'allow')], [405, 'GET, HEAD'], method);
  }
});

test('no claimed media type makes a program of this origin', () => {
  const shown = (type: string): string => presentation(type).type;
  assert.equal(shown('video/webm; codecs="vp8"'), 'video/webm');
  assert.equal(shown('Image/PNG'), 'image/png');
  assert.equal(shown('text/javascript'), 'text/plain; charset=utf-8');
  assert.equal(shown('application/javascript'), 'text/plain; charset=utf-8');
  assert.equal(shown('text/css'), 'text/plain; charset=utf-8');
  for (const odd of ['', 'x', 'multipart/x-mixed-replace', 'application/x-shockwave-flash', 'application/mathml+xml', 'application/rss+xml',
    'video/', 'image/\r\nX: y', 'application/wasm', 'text/html\u0000', 'image/svg', 'image/svg-xml', 'application/pdf2']) {
    const { type, shown: isShown, policy } = presentation(odd);
    assert.deepEqual([type, isShown], ['application/octet-stream', false], JSON.stringify(odd));
    assert.match(policy, /^sandbox;/);
  }
  for (const markup of ['text/html', 'image/svg+xml', 'application/xhtml+xml']) {
    const { type, policy } = presentation(markup);
    assert.equal(type, `${markup}; charset=utf-8`);
    assert.match(policy, /^sandbox; default-src 'none'/, 'without allow-scripts and allow-same-origin');
    assert.doesNotMatch(policy, /allow-|script-src/);
  }
  for (const type of ['video/webm', 'text/html', 'x/y', 'application/pdf', 'text/plain']) {
    const head = ask({}, 'GET', { ...facts, type });
    assert.equal(field(head, 'x-content-type-options'), 'nosniff');
    assert.equal(field(head, 'cross-origin-resource-policy'), 'same-origin');
    assert.ok(field(head, 'content-security-policy'), type);
  }
});

test('what cannot be shown is saved, and what is asked for as a download', () => {
  assert.match(field(ask(), 'content-disposition') ?? '', /^inline; /);
  assert.match(field(ask({}, 'GET', facts, true), 'content-disposition') ?? '', /^attachment; filename="a film.webm"/);
  assert.match(field(ask({}, 'GET', { ...facts, type: 'x/y' }), 'content-disposition') ?? '', /^attachment; /);
  assert.match(field(ask({}, 'GET', { ...facts, name: '' }), 'content-disposition') ?? '', new RegExp(CID));
});

test('every name fits into a header and comes out of it again', () => {
  const next = random(seed);
  for (let round = 0; round < 5_000; round += 1) {
    const name = Array.from({ length: Math.floor(next() * 20) }, () => String.fromCharCode(Math.floor(next() * (next() < 0.5 ? 128 : 65_536)))).join('');
    const header = disposition(name, true);
    const note = `SEED=${seed} ${JSON.stringify(name)}`;
    assert.match(header, /^attachment; filename="[\x20\x21\x23-\x5b\x5d-\x7e]*"; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]*$/, note);
    const full = decodeURIComponent(/filename\*=UTF-8''(.*)$/.exec(header)![1]!);
    const expected = name.replace(/\p{Surrogate}/gu, '\ufffd').replace(/[\u0000-\u001f\u007f/\\]/g, '_');
    assert.equal(full, expected, note);
  }
});

test('addresses of files', () => {
  const scope = 'https://host.example/app/';
  const url = fileUrl(scope, CID, { name: 'a/b c%?#.webm' });
  assert.equal(url, `https://host.example/app/.gyre/f/${CID}/a%2Fb%20c%25%3F%23.webm`);
  assert.deepEqual(parseFileUrl(new URL(url), new URL(scope)), { cid: CID, download: false });
  assert.deepEqual(parseFileUrl(new URL(fileUrl(scope, CID, { download: true })), new URL(scope)), { cid: CID, download: true });
  for (const other of ['https://host.example/app/', 'https://host.example/.gyre/f/x', 'https://other.example/app/.gyre/f/x', 'https://host.example/app/.gyre/g/x'])
    assert.equal(parseFileUrl(new URL(other), new URL(scope)), null, other);
  for (const bad of ['', 'x', CID.slice(1), `${CID}/a/b`, CID.toUpperCase(), `${CID}a`])
    assert.equal(parseFileUrl(new URL(`${scope}.gyre/f/${bad}`), new URL(scope)), 'malformed', bad);
});

test('messages of any shape are read or refused, never trusted', () => {
  const next = random(seed);
  const words: unknown[] = [null, undefined, 0, 1, 206, -1, NaN, '', 'file', 'here', 'head', 'data', 'end', 'gone', 'fail', 'pull', 'cancel', CID, [], [['a', 'b']], [['a', 1]],
    {}, { range: 'bytes=0-' }, { range: 5 }, true, new Uint8Array(0), new Uint8Array(3), 'x'.repeat(2000), { range: 'x'.repeat(2000) }];
  const any = (): unknown => words[Math.floor(next() * words.length)];
  for (let round = 0; round < 50_000; round += 1) {
    const message = next() < 0.05 ? any() : { gyre: any(), v: any(), cid: any(), method: any(), headers: any(), download: any(), type: any(), status: any(), body: any(), bytes: any(), code: any(), message: any() };
    const [question, said, wish] = [readAsk(message), readAnswer(message), readWish(message)];
    const note = `SEED=${seed} round ${round}`;
    if (question) {
      assert.ok(question.cid === CID && typeof question.method === 'string' && typeof question.download === 'boolean', note);
      assert.ok(Object.values(question.headers).every((value) => typeof value === 'string' && value.length <= 1024), note);
    }
    if (said?.type === 'head') assert.ok(said.status >= 200 && said.status <= 599 && said.headers.every(([name, value]) => typeof name === 'string' && typeof value === 'string'), note);
    if (said?.type === 'data') assert.ok(said.bytes.byteLength > 0, note);
    if (wish) assert.ok(['pull', 'cancel'].includes(wish.type), note);
  }
});

test('a refusal has a status, a stable code, and a page that runs nothing', async () => {
  const page = refusal({ mode: 'navigate' }, 'NO_PAGE', 'Open <b>the site</b>.');
  assert.equal(page.status, 503);
  assert.equal(page.headers.get('gyre-error'), 'NO_PAGE');
  assert.match(page.headers.get('content-security-policy') ?? '', /^sandbox/);
  assert.match(await page.text(), /Open &#60;b&#62;the site/);
  const plain = refusal({ mode: 'no-cors' }, 'NOT_OPEN', 'Not open.');
  assert.deepEqual([plain.status, await plain.text()], [404, 'Not open.\n']);
  assert.deepEqual([refusal({ mode: 'cors' }, 'a\r\nb', '').status, refusal({ mode: 'cors' }, 'a\r\nb', '').headers.get('gyre-error')], [500, 'INTERNAL']);
});
