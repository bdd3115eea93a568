// A site whose owner has changed its key, as a reader of the old address sees it; over a node in memory, in either browser. That the
// chain is held against the site, and what is believed of it, is tested with whole nodes (tests/sites/owner.rs).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds, launch, until } from './lib/browser.mjs';
import { openStage } from './lib/stage.mjs';

const OLD = `k51${'q'.repeat(59)}`;
const NEW = `k51${'r'.repeat(59)}`;

for (const kind of kinds) {
  test(`a reader goes on at the new address, once that can be opened, in ${kind}`, async (t) => {
    const stage = await openStage();
    t.after(() => stage.close());
    const browser = await launch(kind);
    t.after(() => browser.close());
    const page = await browser.page(stage.url);
    await until('the stage', () => page.evaluate(() => Boolean(window.stage && window.gyre)));
    const publish = (owner) =>
      page.evaluate(async (owner) => {
        const { node } = window.stage;
        if (node.state_ === 'missing') await node.createKeys();
        const { cid } = await window.gyre.publish([{ path: 'index.html', content: new Blob(['<p>hello']) }], { site: 0 });
        node.owners.set(cid, owner);
      }, owner);
    const at = () => page.evaluate(() => location.hash);
    await publish({ id: 'y'.repeat(52), site: 7, state: 'moved', name: NEW });
    await page.evaluate((old) => {
      localStorage.setItem('gyre.petnames', JSON.stringify([[old, 'My paper']]));
      location.hash = `#/s/${old}/`;
    }, OLD);
    await until('the site', () => page.$('[data-testid="site-paper"]'));
    await new Promise((wait) => setTimeout(wait, 1000));
    assert.equal(await at(), `#/s/${OLD}/`, 'where nothing can be opened, nobody is led');
    // Now somebody has it.
    await page.evaluate(
      ({ old, next }) => {
        const { heads } = window.stage.node;
        heads.set(next, { ...heads.get(old), name: next });
        location.hash = '#/';
      },
      { old: OLD, next: NEW },
    );
    await until('the page to be left', async () => (await page.$('[data-testid="site-paper"]')) === null);
    await page.evaluate((old) => void (location.hash = `#/s/${old}/`), OLD);
    await until('the new address', async () => (await at()).startsWith(`#/s/${NEW}/`));
    await until('the words', () => page.$eval('.toast', (toast) => /owner has changed its key/.test(toast.textContent)));
    await until('the site there', () => page.$('[data-testid="site-paper"]'));
  });
}
