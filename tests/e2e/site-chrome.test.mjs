// The app as the browser around a site, in the hands of a person: typed, named, shared, looked into, found again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scene, Visitor } from './lib/app.mjs';
import { kinds, until } from './lib/browser.mjs';
import { startRelay } from './lib/relay.mjs';
import { bar, barSays, clickIn, publish, siteShows } from './lib/sites.mjs';

const page = (title, body = '') => `<!doctype html><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}`;

/** Types into a field as a person does, in place of what is there, and presses Enter. */
async function type(visitor, id, text) {
  const field = await visitor.see(id);
  await field.focus();
  await field.evaluate((element) => element.select());
  await visitor.page.keyboard.type(text);
  await visitor.page.keyboard.press('Enter');
}

for (const kind of kinds) {
  test(`in ${kind} a person types, names, shares, looks into and keeps sites`, { timeout: 900_000 }, async (t) => {
    const scene = new Scene(t);
    const relay = await scene.add(startRelay());
    const publisher = await scene.add(Visitor.arrive('chromium', relay));
    const trees = await publish(publisher, { 'index.html': page('Trees'), 'oak.html': page('Oak') }, { site: 1, name: 'Trees' });
    const across = `${relay.url}#/s/${trees.name}/oak.html`;
    const birds = await publish(publisher, { 'index.html': page('Birds', `<a id="across" href="${across}">oaks</a>`), 'owl/tawny owl.html': page('Owl') }, { site: 0, name: 'Birds' });
    const me = await scene.add(Visitor.arrive(kind, relay));
    await until('the part of the start page that comes later', () => me.page.evaluate(() => customElements.get('gyre-start-sites') !== undefined));
    assert.equal(await me.find('start-sites'), null, 'there is none yet');

    // An address that somebody gave, then a place in the site, then what is none.
    await type(me, 'open-input', birds.name);
    await siteShows(me, birds.name, 'the site', () => document.title === 'Birds');
    await barSays(me, '/');
    await type(me, 'site-path', '/owl/tawny owl.html');
    await siteShows(me, birds.name, 'the page', () => document.title === 'Owl');
    await barSays(me, '/owl/tawny owl.html');
    await type(me, 'site-path', 'bank.example');
    await until('the word that this is no place', async () => (await me.find('site-path')).evaluate((field) => field.getAttribute('aria-invalid') === 'true'));
    await siteShows(me, birds.name, 'the same page', () => document.title === 'Owl');

    // What is known of it, and a name of one's own.
    const short = (await bar(me)).chip;
    assert.match(short, /^k51.*…/);
    await me.click('site-chip');
    assert.equal(await me.text('site-address'), birds.name);
    await until('who has it', async () => /1 other peer has all of it now\.\s+Seen in the last hour: 1; in the last day: 1\./.test(await me.text('site-holders')));
    await until('what is here', async () => /^1 of them here|^2 of them here|^All of it is here/.test(await me.text('site-here')));
    assert.match(await me.text('site-health'), /2 files/);
    await type(me, 'site-petname', 'My birds');
    await until('the name in the bar', async () => (await bar(me)).chip === 'My birds');
    await me.page.keyboard.press('Escape');
    await until('the panel to be closed', () => me.page.evaluate(() => !document.querySelector('dialog[open]')));

    // The link to this place, as it comes out of the clipboard.
    await me.page.evaluate(() => document.body.focus());
    await (await me.see('site-share')).click();
    await until('the word that it is copied', () => me.page.evaluate(() => /on the clipboard/.test(document.querySelector('.toast')?.textContent ?? '')));
    const field = await me.see('site-path');
    await field.focus();
    await field.evaluate((element) => element.select());
    await me.page.keyboard.down('Control');
    await me.page.keyboard.press('KeyV');
    await me.page.keyboard.up('Control');
    await until('the link to be pasted', async () => (await bar(me)).path === `${relay.url}#/s/${birds.name}/owl/tawny%20owl.html`);
    await me.page.keyboard.press('Enter');
    await barSays(me, '/owl/tawny owl.html');

    // From one site to another by the link that its people share.
    await type(me, 'site-path', '/');
    await siteShows(me, birds.name, 'the first page', () => document.title === 'Birds');
    await until('the other site', async () => {
      if ((await bar(me)).hash === `#/s/${trees.name}/oak.html`) return true;
      await clickIn(me, birds.name, '#across').catch(() => undefined);
      return false;
    }, { every: 500 });
    await siteShows(me, trees.name, 'the other site', () => document.title === 'Oak');
    assert.equal((await bar(me)).chip.slice(0, 4), trees.name.slice(0, 4));
    await me.click('site-pin');
    await until('all of it', () => me.node(async (gyre, name) => {
      const site = await gyre.site(name, { follow: false });
      const { pinned, here, files } = await site.info();
      site.close();
      return pinned && here.files === files;
    }, trees.name));

    // Both are found again, each where it belongs.
    await me.page.evaluate(() => { location.hash = '#/sites'; });
    const rows = (list) => me.page.evaluate((id) => [...document.querySelectorAll(`[data-testid="${id}"] [data-testid="known-site"]`)].map((row) => [row.dataset.address, row.querySelector('a').textContent.trim()]), list);
    await until(async () => `the kept site; listed are ${JSON.stringify(await rows('kept-sites'))}`, async () => (await rows('kept-sites')).length === 1);
    assert.equal((await rows('kept-sites'))[0][0], trees.name);
    assert.deepEqual(await rows('visited-sites'), [[birds.name, 'My birds']]);
    await me.page.evaluate(() => document.querySelector('[data-testid="visited-sites"] [data-testid="known-site"] a').click());
    await siteShows(me, birds.name, 'the site that was visited', () => document.title === 'Birds');

    // The start page shows some of each, under the person's own names, and the way to all of them.
    const pages = await publish(me, { 'index.html': page('Mine') }, { site: 0, name: 'My pages' });
    await me.page.evaluate((name, cid) => {
      const site = { site: 0, name, title: 'My pages', cid, sequence: 0, files: 1, bytes: 1, time: 1, confirmed: false, fallback: null, earlier: [] };
      localStorage.setItem('gyre.my-sites', JSON.stringify([['0', site]]));
      location.hash = '#/';
    }, pages.name, pages.cid);
    await me.page.reload();
    const tiles = () => me.page.$$eval('[data-testid="start-site"]', (all) => all.map((tile) => [tile.dataset.kind, tile.dataset.address, tile.children[1].textContent.trim()]));
    const wanted = [['mine', pages.name, 'My pages'], ['kept', trees.name, 'Trees'], ['visited', birds.name, 'My birds']];
    await until(async () => `the sites on the start page; they are ${JSON.stringify(await tiles())}`, async () => JSON.stringify(await tiles()) === JSON.stringify(wanted));
    assert.match(await me.page.$eval('[data-kind="mine"]', (tile) => tile.textContent), /only here yet/);
    await me.page.evaluate(() => document.querySelector('[data-testid="start-site"][data-kind="visited"]').click());
    await siteShows(me, birds.name, 'the site of the start page', () => document.title === 'Birds');
    await me.page.evaluate(() => { location.hash = '#/'; });
    await me.click('all-sites');
    await me.see('visited-sites');
    me.quiet();
  });
}
