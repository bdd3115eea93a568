// A person with an identity publishes a site that says whose it is, and a reader in another browser is told so; then what the page knows of
// their sites, readers who are led on to another address and back, and a site that is withdrawn.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { kinds, until } from './lib/browser.mjs';
import { choose, folderOn, goTo, makeKeys, other, published } from './lib/publishing.mjs';
import { startRelay } from './lib/relay.mjs';

const CLAIM = '.well-known/gyre-identity';
/** How long a chain that was signed may take until a reader finds it, in milliseconds. */
const FOUND_TIMEOUT_MS = 120_000;

const page = (words) => ({ 'index.html': `<!doctype html><title>${words}</title><h1>${words}</h1>`, 'style.css': 'h1 { color: teal }' });
const isOn = async (visitor, id) => (await visitor.see(id)).evaluate((box) => box.checked);
const vouched = (visitor, wanted) => until(async () => `the identity to be ${wanted}; the page says ${await visitor.page.$eval('main', (main) => main.innerText)}`, async () => {
  const said = await visitor.find('site-vouched');
  return said && (await said.evaluate((element) => element.dataset.vouched)) === wanted;
});

/** What a reader finds out of whose a site is. */
const ownerAt = (visitor, name) => visitor.node(async (gyre, address) => {
  const site = await gyre.site(address, { follow: false });
  const owner = await site.owner().finally(() => site.close());
  return owner;
}, name);

for (const kind of kinds) {
  test(`a site that its publisher calls theirs is shown as theirs, published in ${kind}`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const me = await scene.add(Visitor.arrive(kind, relay, { hash: '#/publish' }));
    await me.node((gyre) => gyre.setUpload(true));
    await choose(me, folderOn(scene.profile(), 'garden', page('Garden')));
    assert.equal(await me.find('site-mine'), null, 'who has no identity is not asked');
    await me.click('publish-button');
    await makeKeys(me);
    const { name, cid } = await published(me);
    assert.equal(await me.find('site-vouched'), null);

    const id = await me.node(async (gyre) => {
      await gyre.mail.create('Ada');
      return (await gyre.mail.state()).id;
    });
    const line = `dmail:${id} 0`;
    await until('the identity to be found by others', () => me.node(async (gyre) => (await gyre.mail.state()).findable), { timeout: FOUND_TIMEOUT_MS });
    const reader = await scene.add(Visitor.arrive(other(kind), relay));
    await reader.node((gyre) => gyre.setUpload(true));
    assert.equal(await ownerAt(reader, name), null, 'it says nothing yet');

    // The same folder, and the box that is off at first.
    await me.click('publish-again');
    await choose(me, folderOn(scene.profile(), 'garden', page('Garden')));
    assert.equal(await isOn(me, 'site-mine'), false);
    await me.click('site-mine');
    await me.click('publish-button');
    await me.see('review');
    assert.match(await me.text('change-added'), /\.well-known\/gyre-identity/);
    await me.click('review-sign');
    await until('the new version', async () => (await published(me)).cid !== cid);
    await vouched(me, 'here');
    const owner = (at) => until(async () => `the owner of the site to be known; it is ${JSON.stringify(await ownerAt(reader, name))}`, async () => {
      const found = await ownerAt(reader, name);
      return found?.state === at && found;
    }, { timeout: FOUND_TIMEOUT_MS });
    assert.deepEqual({ ...(await owner('here')) }, { id, site: 0, state: 'here' });
    await goTo(reader, `#/s/${name}/`);
    await reader.click('site-chip');
    await until('the panel to say whose it is', async () => {
      const said = await reader.find('site-owner');
      return said && (await said.evaluate((element) => element.dataset.state === 'here' && element.textContent)).includes(id);
    });

    // The next version says it by itself, and is not signed into the chain again.
    const steps = await me.node(async (gyre) => (await gyre.mail.history()).length);
    await me.click('publish-again');
    await choose(me, folderOn(scene.profile(), 'garden', page('Garden in May')));
    await until('the box to be on', () => isOn(me, 'site-mine'));
    await me.click('publish-button');
    await me.see('review');
    assert.match(await me.text('change-words'), /^1 changed\. 2 files stay/);
    await me.click('review-sign');
    await me.see('published');
    await vouched(me, 'here');
    assert.equal(await me.node(async (gyre) => (await gyre.mail.history()).length), steps);

    // Another site takes its readers over, and gives them back.
    await goTo(me, '#/sites');
    await goTo(me, '#/publish');
    await choose(me, folderOn(scene.profile(), 'park', { ...page('Park'), [CLAIM]: `${line}\n` }));
    await until('the box to be on, as the folder says so', () => isOn(me, 'site-mine'));
    await me.click('site-mine');
    await me.click('publish-button');
    const park = await until('the second site', async () => {
      const { name: at } = await published(me);
      return at !== name && at;
    });
    assert.equal(await ownerAt(me, park), null, 'what the folder says is left out where the person says no');
    await goTo(me, '#/mail/settings');
    await (await me.see('identity-sites')).evaluate((details) => (details.open = true));
    await until('the page to know what the chain names', async () => (await me.page.$$eval('[data-testid="identity-site"]', (rows) => rows.map((row) => row.dataset.state))).join() === 'here,none');
    const field = await me.see('identity-move');
    await field.select(park);
    await me.click('confirm-yes');
    assert.deepEqual({ ...(await owner('moved')) }, { id, site: 0, state: 'moved', name: park });
    await until('the page to say so', async () => /leads its readers on to “Park”/.test(await me.text('identity-sites')));
    await (await me.see('identity-move')).select(name);
    assert.deepEqual({ ...(await owner('here')) }, { id, site: 0, state: 'here' });

    // It is withdrawn and signed again; a browser that no longer knows its sites still lists what the chain names.
    await me.click('identity-withdraw');
    await me.click('confirm-yes');
    assert.deepEqual({ ...(await owner('withdrawn')) }, { id, site: 0, state: 'withdrawn' });
    await until('nothing to be left to withdraw', async () => (await me.find('identity-withdraw')) === null);
    await until('the page to say so', async () => /does not name it any more/.test(await me.text('identity-sites')));
    await me.click('identity-sign');
    assert.deepEqual({ ...(await owner('here')) }, { id, site: 0, state: 'here' });
    await me.page.evaluate(() => {
      localStorage.removeItem('gyre.my-sites');
      dispatchEvent(new StorageEvent('storage', { key: 'gyre.my-sites', storageArea: localStorage }));
    });
    const rows = () => me.page.$$eval('[data-testid="identity-site"]', (all) => all.map((row) => [row.dataset.state, row.querySelector('a')?.textContent]));
    await until(async () => `the site to be listed with its address; there are ${JSON.stringify(await rows())}`, async () => JSON.stringify(await rows()) === JSON.stringify([['elsewhere', name]]));
    me.quiet();
    reader.quiet();
  });
}
