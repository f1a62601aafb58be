// The report of a search, a file of its own.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { axe, browser, search, shots, stack } from './world.mjs';

test('the report of a search is a page that stands alone: light, dark, narrow and on paper', async () => {
  const file = join(stack.dir, 'report.html');
  stack.cli('report', search, '-o', file);
  const front = (await stack.get(`/searches/${search}/front`)).items;
  const said = [];
  for (const colorScheme of ['light', 'dark']) {
    const alone = await browser.newContext({ viewport: { width: 1100, height: 900 }, colorScheme });
    const report = await alone.newPage();
    report.on('console', (m) => said.push(m.text()));
    report.on('pageerror', (e) => said.push(String(e)));
    report.on('request', (r) => { if (!r.url().startsWith('file:') && !r.url().startsWith('data:')) said.push(r.url()); });
    await report.goto(`file://${file}`);
    assert.equal(await report.locator('th[scope=row]').count(), front.length);
    const heads = await report.locator('table', { hasText: 'Calibrations of latency' }).locator('thead th').allInnerTexts();
    assert.ok(['within 5 %', 'within 10 %'].every((head) => heads.some((h) => h.toLowerCase() === head)), heads.join());
    assert.equal(await report.locator('figure svg[role=img] circle.measured').first().isVisible(), true);
    await report.evaluate(axe);
    assert.deepEqual((await report.evaluate(() => window.axe.run(document))).violations.map((v) => v.id), [], colorScheme);
    const ink = await report.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(ink, colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(16, 21, 18)');
    if (shots) await report.screenshot({ path: join(shots, `report-${colorScheme}.png`), fullPage: true });
    await report.emulateMedia({ media: 'print' });
    assert.equal(await report.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)');
    await report.emulateMedia({ media: 'screen' });
    await report.setViewportSize({ width: 360, height: 800 });
    const wide = await report.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${wide} pixels too wide`);
    await alone.close();
  }
  assert.deepEqual(said, []);
});
