// The list of searches, and several of them side by side.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { card, open, page, search, shot, stack, written } from './world.mjs';

test('searches are sorted, narrowed and ticked in their list, and a reload keeps all of it', async () => {
  const { job } = await stack.post(`/searches/${search}/clone`, { name: 'a shorter one', seed: 5, evaluations: 60, rounds: 1, measure_front: 0, calibration_nets: 0, initial_evaluations: 24 });
  await stack.waitFor('the other search', async () => (await stack.get(`/jobs/${job.id}`)).state === 'done', 120);
  const all = (await stack.get('/searches?page_size=1000')).items, list = page.getByRole('region', { name: 'Searches', exact: true });
  const rows = list.locator('tbody tr'), shows = (n) => stack.waitFor(`${n} rows`, async () => (await rows.count()) === n);
  await open('searches');
  await shows(all.length);
  for (const [arrow, sign] of [['↑', 1], ['↓', -1]]) {
    await list.getByRole('button', { name: /^Front/ }).click();
    await list.getByRole('columnheader', { name: `Front ${arrow}` }).waitFor();
    const sizes = (await rows.locator('td:nth-child(8)').allInnerTexts()).map((text) => (text === '–' ? Infinity : sign * Number(text)));
    assert.deepEqual(sizes, [...sizes].sort((a, b) => a - b), `sizes of fronts ${arrow}, those without one last`);
  }
  await page.getByLabel('Find').fill('SHORTER tiny');
  await page.getByText(`1 of ${all.length} searches`).waitFor();
  await page.getByLabel('Compare a shorter one', { exact: true }).check();
  await page.getByLabel('Find').fill('nsga2');
  await page.getByLabel('State').selectOption('done');
  const kept = all.filter((s) => s.state === 'done' && s.strategy === 'nsga2').length;
  await shows(kept);
  await page.getByLabel('Compare front of bars', { exact: true }).check();
  await written();
  await page.reload();
  await shows(kept);
  assert.equal(await list.getByRole('checkbox', { checked: true }).count(), 2);
  assert.equal(await list.locator('th[aria-sort=descending]').innerText(), 'Front ↓');
  await page.getByRole('link', { name: 'Compare 2 searches' }).click();
  await page.getByRole('heading', { level: 1, name: 'Comparison' }).waitFor();
});

test('searches side by side tell their fronts, what they differ in, and hypervolumes below one point', async () => {
  const others = (await stack.get('/searches?page_size=1000')).items, { id: shorter } = others.find((s) => s.name === 'a shorter one');
  const both = await Promise.all([shorter, search].map(async (id) => ({ ...await stack.get(`/searches/${id}`), items: (await stack.get(`/searches/${id}/front`)).items })));
  const key = Object.keys(both[1].items[0].metrics).find((k) => k.startsWith('latency_us'));
  await open(`searches/compare?of=${shorter},${search},se_0`);
  await page.getByText('There is no search se_0 any more.').waitFor();
  const table = page.getByRole('region', { name: 'The searches side by side' });
  const row = async (name) => (await table.locator('tr', { has: page.getByRole('rowheader', { name, exact: true }) }).locator('td').allInnerTexts());
  await table.waitFor();
  assert.deepEqual(await row('Seed'), ['5', `${both[1].seed}`]);
  assert.deepEqual(await row('On the front'), both.map((s) => `${s.items.length}`));
  const measured = await Promise.all(both.map((s) => stack.get(`/searches/${s.id}/candidates?page_size=1&where=${encodeURIComponent(`${key}=measured,strategy=nsga2`)}`)));
  assert.deepEqual(await row('Networks measured'), measured.map((m) => `${m.total}`));
  assert.ok(measured[1].total > 0);
  assert.equal(await table.getByRole('rowheader', { name: 'Population', exact: true }).count(), 0, 'what is the same in both is left out');
  // Each front's best in two metrics is drawn, and the volumes are of one point: the worse of their own.
  const known = (metric) => both.flatMap((s) => [s.reference_point[metric], ...s.items.map((i) => i.metrics[metric].value)]);
  const point = [Math.min(...known('top1')), Math.max(...known(key))];
  const areas = both.map(({ items }) => {
    const steps = [...new Set([...items.map((i) => i.metrics[key].value), point[1]])].sort((a, b) => a - b);
    return steps.slice(1).reduce((sum, end, n) => sum + (end - steps[n]) * Math.max(0, ...items.filter((i) => i.metrics[key].value <= steps[n]).map((i) => i.metrics.top1.value - point[0])), 0);
  });
  const shares = (await row('Hypervolume of the front')).map((text) => Number(/\(([\d.]+) %\)/.exec(text)[1]));
  areas.forEach((area, i) => assert.ok(Math.abs(shares[i] - (100 * area) / Math.max(...areas)) < 0.06, `${shares}: ${areas}`));
  assert.equal(await page.locator('.fronts svg > g path').count(), 2);
  const legend = card('Hypervolume').locator('.curve-legend');
  await legend.getByText('a shorter one').waitFor();
  const asked = await Promise.all(both.map((s) => stack.get(`/searches/${s.id}/hypervolume?objectives=top1,${key}&where=strategy%3Dnsga2&reference=${point}`)));
  assert.ok(asked[1].series[0].hypervolume.at(-1) > 0, JSON.stringify(asked[1]));
  assert.match(await legend.innerText(), /a shorter one\s*[\d.]+.*front of bars\s*[\d.]+/s);
  await page.getByLabel('Across').first().selectOption('macs');
  await page.reload();
  await page.locator('.fronts text.title', { hasText: 'MACs' }).waitFor();
  await shot('compare');
  const mark = page.locator('.fronts svg > g').last().locator('rect, polygon, circle').first();
  const arch = (await mark.locator('title').textContent()).split('\n')[1];
  await mark.dispatchEvent('click'); // whatever lies over it
  await page.getByRole('heading', { level: 1, name: 'front of bars' }).waitFor();
  assert.equal(new URLSearchParams(page.url().split('?')[1]).get('arch'), both[1].items.find((i) => i.arch === arch).arch_id);
});
