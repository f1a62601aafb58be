// Light, dark or as the system says, as a person chooses it beside every page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shadeOf } from '../browser.mjs';
import { context, openAnew, page, search, shade, stack } from './world.mjs';

test('the theme that is chosen is shown at once, charts too, whatever the system says, and is kept over a reload and in a tab that is new', async () => {
  await page.emulateMedia({ colorScheme: 'light' });
  await openAnew(`searches/${search}`);
  await page.getByText('on the final front').waitFor();
  const field = page.getByLabel('Theme'), front = page.locator('.scatter canvas.base');
  /** Brightness of the page and of a card, and whether the chart is drawn in the front's colour of now. */
  const seen = async () => {
    const accent = await shade('accent'), ground = await page.evaluate(() => [document.body, document.querySelector('.card')].map((e) => Math.round(getComputedStyle(e).backgroundColor.match(/\d+/g).slice(0, 3).reduce((sum, v) => sum + Number(v), 0) / 3)));
    const inked = await front.evaluate((c, accent) => {
      const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
      let n = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200 && accent.every((v, k) => Math.abs(data[i + k] - v) < 8)) n++;
      return n;
    }, accent);
    return { ground, inked };
  };
  const is = async (tone, why) => {
    await stack.waitFor(`${tone}: ${why}`, async () => { const { ground, inked } = await seen(); return ground.every((v) => (tone === 'dark' ? v < 60 : v > 200)) && inked > 100; }, 10).catch(async (error) => assert.fail(`${error.message.split('\n')[0]}: ${JSON.stringify(await seen())}`));
  };
  const [light] = [await shade('accent'), assert.equal(await field.inputValue(), 'system'), await is('light', 'as the system')];
  await field.selectOption('dark');
  await is('dark', 'as chosen');
  assert.notDeepEqual(await shade('accent'), light);
  await page.reload();
  await page.getByText('on the final front').waitFor();
  assert.equal(await field.inputValue(), 'dark');
  await is('dark', 'after a reload');
  const other = await context.newPage();
  try {
    await other.goto(`${stack.url}/#/about`);
    await other.getByRole('heading', { level: 1 }).waitFor();
    assert.deepEqual([await other.getByLabel('Theme').inputValue(), await shadeOf(other, 'accent')], ['dark', await shade('accent')]);
  } finally {
    await other.close();
  }
  await field.selectOption('light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await is('light', 'though the system is dark');
  await page.reload();
  await page.getByText('on the final front').waitFor();
  assert.equal(await field.inputValue(), 'light');
  await is('light', 'though the system is dark, after a reload');
  await field.selectOption('system');
  await is('dark', 'as the system is now');
  await page.emulateMedia({ colorScheme: 'light' });
  await is('light', 'as the system has become');
  assert.equal(await page.evaluate(() => localStorage.getItem('espalier-theme')), null);
});
