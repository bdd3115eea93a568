/** Addresses of sites: what is one, what is shown of one, and where its origin is. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoute } from '../app/lib/router.js';
import { parsePlace, placeLink, placeOf, readablePath, readTyped, siteOrigin } from '../app/site/place.js';
import { appLink, appOrigin, siteAddress } from '../site/messages.js';

const NAME = 'k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8';
const CID = 'bafyr4ievkv7t373ore4yoxjeytbgk26ifmhc5lcnobzec55so5e34mvdqe';

test('a place of a site is read from the address of the app', () => {
  assert.deepEqual(parseRoute(`#/s/${NAME}/a/b.html?x=1#end`), { page: 'site', place: { address: NAME, path: '/a/b.html?x=1#end' } });
  assert.deepEqual(parseRoute(`#/s/${CID}`), { page: 'site', place: { address: CID, path: '/' } });
  assert.deepEqual(parsePlace(`s/${CID}?x`), { address: CID, path: '/?x' });
  // Two slashes would name a host.
  assert.deepEqual(parsePlace(`/s/${CID}//evil.example/x`), { address: CID, path: '/evil.example/x' });
  for (const other of [`/s/${NAME}x`.replace('k51', 'x51'), '/s/', '/s/www', `/s/${NAME.toUpperCase()}`, `/s/${NAME}@evil/`, `/t/${NAME}`, `/s/${NAME}/${'x'.repeat(9000)}`]) {
    assert.equal(parsePlace(other), null, other);
  }
});

test('the link of a place leads back to it', () => {
  const place = { address: NAME, path: '/a?b#c' };
  assert.deepEqual(parsePlace(placeLink(place).slice(1)), place);
});

test('whatever people paste as an address of a site is understood, and nothing else', () => {
  const here = CID;
  for (const [typed, address, path] of [
    ['/docs/x.html', here, '/docs/x.html'],
    ['/with space', here, '/with%20space'],
    [NAME, NAME, '/'],
    [`${NAME}/a`, NAME, '/a'],
    [`ipns://${NAME}/a`, NAME, '/a'],
    [` https://relay.example/#/s/${NAME}/a#b `, NAME, '/a#b'],
    [`http://${NAME}.localhost:8080/a?b#c`, NAME, '/a?b#c'],
  ] as const) {
    assert.deepEqual(readTyped(typed, here), { address, path }, typed);
  }
  for (const typed of ['', 'hello', 'https://example.org/', 'javascript:alert(1)', `#/f/${CID}`]) assert.equal(readTyped(typed, here), null, typed);
});

test('which site is shown is never taken from what the frame says', () => {
  const origin = `http://${NAME}.localhost:8080`;
  assert.deepEqual(placeOf(`${origin}/a?b#c`, NAME, origin), { address: NAME, path: '/a?b#c' });
  for (const url of ['https://bank.example/', `http://${CID}.localhost:8080/`, 'about:blank', 'data:text/html,x', 'nonsense', `http://localhost:8080/#/s/${NAME}/`]) {
    assert.equal(placeOf(url, NAME, origin), null, url);
  }
});

test('a path is decoded only where nothing in it misleads', () => {
  assert.equal(readablePath('/%C3%BCn%C3%AF/a%20b'), '/ünï/a b');
  for (const path of ['/%E2%80%AEgpj.exe', '/a%0Ab', '/a%20%20%20https://bank', '/%E2%80%8B', '/%', '/%FF', '/%20x']) assert.equal(readablePath(path), path, path);
});

test('a site stands below the host of the app, or nowhere', () => {
  const app = { protocol: 'http:', host: 'localhost:8080', hostname: 'localhost' };
  assert.equal(siteOrigin(NAME, app, 'localhost:8080'), `http://${NAME}.localhost:8080`);
  assert.equal(siteOrigin(NAME, app, null), null);
  assert.equal(siteOrigin(NAME, app, 'other.example'), null);
  assert.equal(siteOrigin(NAME, { protocol: 'http:', host: '127.0.0.1:80', hostname: '127.0.0.1' }, '127.0.0.1:80'), null);
  assert.equal(siteOrigin(NAME, { protocol: 'http:', host: '[::1]', hostname: '[::1]' }, '[::1]'), null);
});

test('the loader finds its app by its own host', () => {
  const location = { protocol: 'https:', host: `${NAME}.relay.example:8443`, hostname: `${NAME}.relay.example` };
  assert.equal(appOrigin(location), 'https://relay.example:8443');
  assert.equal(siteAddress(location), NAME);
  assert.equal(appLink(appOrigin(location), NAME, '/a?b#c'), `https://relay.example:8443/#/s/${NAME}/a?b#c`);
});
