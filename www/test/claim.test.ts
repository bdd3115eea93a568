import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLAIM_PATH, claimText, ownershipOf, readClaim, vouch, withClaim, type Claiming, type Vouching } from '../app/lib/claim.js';
import { gather, type Folder } from '../app/lib/folder.js';
import { GyreError } from '../sdk/errors.js';
import type { MailState } from '../sdk/mail/types.js';
import type { SiteOwner } from '../sdk/site-types.js';

const ME = 'y'.repeat(52);
const OTHER = `${'b'.repeat(51)}o`;

/** A peer with an identity, and one site. */
class FakePeer implements Vouching {
  state: Pick<MailState, 'state' | 'id' | 'standing'> = { state: 'ready', id: ME, standing: 'in' };
  /** What the version before says; `null` if it has no such file. */
  said: string | null = null;
  owned: SiteOwner['state'] | null = 'unknown';
  signed: string[] = [];
  closed = 0;

  mail = {
    state: async () => this.state,
    setSite: async (site: number, name: string): Promise<void> => void this.signed.push(`${site} ${name}`),
  };

  async site(): Promise<Claiming> {
    return {
      read: async () => {
        if (this.said === null) throw new GyreError('BAD_OPTIONS', 'There is no such file.');
        return new TextEncoder().encode(this.said);
      },
      owner: async () => {
        if (this.owned === null) throw new GyreError('NO_RELAY', 'Nobody is linked.');
        return { id: ME, site: 0, state: this.owned };
      },
      close: () => void (this.closed += 1),
    };
  }
}

const folder = (texts: Record<string, string> = {}): Promise<Folder> =>
  gather('x', Object.entries({ 'index.html': 'hello', ...texts }).map(([path, text]) => ({ path, size: text.length, open: async () => new Blob([text]) })));
const textOf = async (of: Folder): Promise<string | null> => {
  const file = of.files.find(({ path }) => path === CLAIM_PATH);
  return file ? new Response((await file.open()) as Blob).text() : null;
};

test('a claim has one spelling, that of the nodes', () => {
  const text = claimText({ id: ME, site: 42 });
  assert.equal(text, `dmail:${ME} 42\n`);
  for (const same of [text, text.trimEnd(), text.replace('\n', '\r\n')]) assert.deepEqual(readClaim(same), { id: ME, site: 42 });
  assert.deepEqual(readClaim(`dmail:${OTHER} 0`), { id: OTHER, site: 0 });
  const wrong = [
    text.replace(' 42', ' 042'), text.replace(' 42', ''), text.replace(' 42', ' +42'), text.replace(' 42', ' 4294967296'), text.replace('dmail:', ''),
    text.toUpperCase(), `${text}\n`, ` ${text}`, text.replace('y 42', 'b 42'), text.replace('dmail:y', 'dmail:v'), '',
  ];
  for (const one of wrong) assert.equal(readClaim(one), null, JSON.stringify(one));
});

test('whom a site can name: the person, unless it names them already', async () => {
  const peer = new FakePeer();
  const fresh = { id: ME, site: null, before: false, signs: true };
  assert.deepEqual(await ownershipOf(peer, await folder(), null), fresh);
  assert.deepEqual(await ownershipOf(peer, await folder(), 'cid'), fresh, 'the version before says nothing');
  peer.said = `dmail:${ME} 3\n`;
  assert.deepEqual(await ownershipOf(peer, await folder(), 'cid'), { id: ME, site: 3, before: true, signs: true }, 'it keeps its number');
  assert.equal(peer.closed, 2);
  const own = await folder({ [CLAIM_PATH]: `dmail:${ME} 7` });
  assert.deepEqual(await ownershipOf(peer, own, 'cid'), { id: ME, site: 7, before: true, signs: true }, 'what was chosen comes first');
  peer.said = `dmail:${OTHER} 3\n`;
  assert.deepEqual(await ownershipOf(peer, await folder(), 'cid'), fresh, 'what it said of somebody else is not said anew');
});

test('without an identity that counts, nothing new is said, and nothing is taken back', async () => {
  const peer = new FakePeer();
  const states: (typeof peer.state)[] = [
    { state: 'none', id: null, standing: 'in' }, { state: 'locked', id: null, standing: 'in' }, { state: 'ready', id: ME, standing: 'out' }, { state: 'ready', id: ME, standing: 'ended' },
  ];
  for (peer.state of states) {
    peer.said = null;
    assert.equal(await ownershipOf(peer, await folder(), 'cid'), null);
    peer.said = `dmail:${OTHER} 3\n`;
    assert.deepEqual(await ownershipOf(peer, await folder(), 'cid'), { id: OTHER, site: 3, before: true, signs: false });
  }
  peer.mail.state = () => Promise.reject(new Error('the disk is full'));
  assert.deepEqual(await ownershipOf(peer, await folder(), 'cid'), { id: OTHER, site: 3, before: true, signs: false });
});

test('the file is added, replaced and left out; what names somebody else stays', async () => {
  const plain = await folder({ 'a.css': 'x' });
  const claimed = await withClaim(plain, { id: ME, site: 2 }, ME);
  assert.equal(await textOf(claimed), `dmail:${ME} 2\n`);
  assert.deepEqual(claimed.files.map(({ path }) => path), [CLAIM_PATH, 'a.css', 'index.html']);
  assert.equal(claimed.bytes, plain.bytes + claimText({ id: ME, site: 2 }).length);
  const again = await withClaim(claimed, { id: ME, site: 5 }, ME);
  assert.deepEqual([await textOf(again), again.files.length], [`dmail:${ME} 5\n`, 3]);
  assert.equal(await textOf(await withClaim(claimed, null, ME)), null);
  const others = await folder({ [CLAIM_PATH]: `dmail:${OTHER} 1` });
  assert.equal(await withClaim(others, null, ME), others);
  assert.equal(await withClaim(claimed, null, null), claimed);
});

test('the identity names a site once, and not where it leads readers on from', async () => {
  const peer = new FakePeer();
  assert.equal(await vouch(peer, 'k51', { site: 4, before: false }), 'here');
  assert.deepEqual(peer.signed, ['4 k51']);
  for (peer.owned of ['here', 'moved'] as const) assert.equal(await vouch(peer, 'k51', { site: 4, before: true }), peer.owned);
  assert.equal(peer.signed.length, 1);
  peer.owned = 'withdrawn';
  assert.equal(await vouch(peer, 'k51', { site: 4, before: true }), 'here');
  assert.equal(peer.signed.length, 2);
  // Where nothing can be looked up, what was never said cannot have moved.
  peer.owned = null;
  assert.equal(await vouch(peer, 'k51', { site: 4, before: false }), 'here');
  await assert.rejects(vouch(peer, 'k51', { site: 4, before: true }), { code: 'NO_RELAY' });
  assert.equal(peer.signed.length, 3);
});
