// The page of a supernet: its curves, and how far inherited accuracy is to be trusted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { card, comes, faults, open, page, shot, stack } from './world.mjs';

test('curves are read by pointer and keyboard, at one step on all charts of a page', async () => {
  await open('supernets/bars');
  const charts = page.locator('.lines');
  await comes(charts.nth(1));
  const latest = await charts.first().locator('.curve-legend').innerText();
  assert.match(latest, /latest/);
  const canvas = charts.first().locator('canvas.over');
  await canvas.focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowLeft');
  const { step, value } = (await stack.get('/supernets/bars/metrics?series=top1/largest')).series[0];
  const steps = await charts.locator('.curve-legend span:first-child').allInnerTexts();
  assert.match(steps[0], /^step \d+$/);
  assert.ok(steps.every((s) => s === steps[0]), steps.join());
  const at = Number(steps[0].slice(5));
  const known = value[step.filter((s) => s <= at).length - 1];
  assert.ok((await charts.first().locator('.curve-legend').innerText()).includes(`largest ${(100 * known).toFixed(1)} %`));
  await page.keyboard.press('Escape');
  await charts.first().getByText('latest').waitFor();
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 50);
  assert.match(await charts.last().locator('.curve-legend').innerText(), /step \d+/);
});

test('curves are smoothed by the slider, the raw ones stay, and the address keeps it', async () => {
  await open('supernets');
  await page.getByRole('link', { name: 'bars', exact: true }).click();
  const slider = page.getByLabel('Smooth the curves of each step'), canvas = card('Loss').locator('canvas.base');
  await slider.waitFor();
  const [before, ends] = [await canvas.evaluate((c) => c.toDataURL()), () => card('Loss').locator('.curve-legend b').nth(1).innerText()];
  const raw = await ends();
  await slider.focus();
  for (let i = 0; i < 9; i++) await page.keyboard.press('PageUp'); // a tenth each
  await page.waitForURL(/smooth=0\.9/);
  assert.notEqual(await canvas.evaluate((c) => c.toDataURL()), before);
  const { value } = (await stack.get('/supernets/bars/metrics?series=loss&max_points=1500')).series[0];
  const mean = value.reduce(([sum, n], v) => [0.9 * sum + v, 0.9 * n + 1], [0, 0]);
  await page.reload();
  await slider.waitFor();
  assert.deepEqual([await slider.inputValue(), await ends()], ['0.9', (mean[0] / mean[1]).toFixed(3)]);
  await slider.focus();
  await page.keyboard.press('Home');
  await page.waitForURL((url) => !url.href.includes('smooth'));
  assert.equal(await ends(), raw);
});

test('the supernet page shows how alike inherited and stand-alone accuracy rank networks', async () => {
  await card('Inherited against stand-alone accuracy').getByText('espalier supernet estimate bars').waitFor();
  await stack.post('/estimations', { supernet: 'bars', n: 3, scratch: { epochs: 0.5, batch: 32 }, fine_tune: { epochs: 0.25, batch: 32 } });
  await comes(card('Inherited against stand-alone accuracy').locator('svg circle'));
  const [report] = (await stack.get('/estimations?supernet=bars')).items;
  assert.equal(await card('Inherited against stand-alone accuracy').locator('svg circle').count(), report.n);
  await card('Inherited against stand-alone accuracy').getByText(`tau ${report.kendall_tau.inherited_scratch.toFixed(3).replace('-', '−')}`, { exact: true }).first().waitFor();
  assert.deepEqual(await faults(), []);
  await shot('supernet-rank');
});
