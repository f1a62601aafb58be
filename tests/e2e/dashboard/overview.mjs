// The overview: what runs, what the disk has; and the page of data and spaces.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Stack } from '../stack.mjs';
import { browser, card, faults, open, page, shot, slowSearch, stack } from './world.mjs';

test('the overview shows what runs and how far it is, leads to it, tells what the disk has, and says when nothing runs any more', async () => {
  await stack.waitFor('the end of all jobs', async () => (await stack.get('/jobs')).items.every((j) => !['queued', 'running'].includes(j.state)));
  await open('');
  const now = card('Now'), running = now.locator('.running');
  await now.getByText('0 jobs').waitFor();
  await now.getByText('Nothing is running.').waitFor();
  const { search: made, job } = await slowSearch('seen to run');
  await now.getByText('1 job', { exact: true }).waitFor(); // without a touch
  await running.locator('.state', { hasText: 'running' }).waitFor({ timeout: 30000 });
  const done = async () => running.locator('progress').evaluate((bar) => bar.value, undefined, { timeout: 5000 });
  const first = await stack.waitFor('progress', done);
  const more = await stack.waitFor('more of it', async () => { const v = await done(); return v > first && v; });
  assert.ok(more < 1, `${first}, ${more}`);
  assert.match(await running.locator('.numbers').innerText(), /^\d+ %$/);
  assert.match(await running.locator('.note').innerText(), /\d+ of \d+/);
  await card('Searches').locator('tbody tr', { hasText: 'seen to run' }).locator('.state', { hasText: 'running' }).waitFor();
  await page.reload(); // what the disk has is measured now and then
  await card('Daemon').locator('.facts').waitFor();
  const system = await stack.get('/system'), disk = await card('Daemon').locator('.facts div', { hasText: 'Disk' }).innerText();
  const said = /([\d.]+) ([kMGTP]?)B free, ([\d.]+) ([kMGTP]?)B used: (.*)/.exec(disk), bytes = (n, prefix) => Number(n) * 1000 ** ['', 'k', 'M', 'G', 'T', 'P'].indexOf(prefix);
  assert.ok(said, disk);
  assert.ok(Math.abs(bytes(said[1], said[2]) / system.disk_free_bytes - 1) < 0.05, `${disk}, and not ${system.disk_free_bytes}`);
  const kinds = said[5].split(', ').map((part) => /^(\w+) ([\d.]+) ([kMGTP]?)B$/.exec(part)), sizes = kinds.map(([, , n, prefix]) => bytes(n, prefix));
  assert.deepEqual(kinds.map(([, name]) => name).sort(), system.disk.kinds.filter((k) => k.bytes > 0).map((k) => k.kind).sort());
  assert.ok(kinds.some(([, name]) => name === 'database'), disk);
  assert.deepEqual(sizes, [...sizes].sort((a, b) => b - a), 'what takes most comes first');
  assert.ok(Math.abs(sizes.reduce((a, b) => a + b, 0) / bytes(said[3], said[4]) - 1) < 0.03, disk);
  assert.equal(await page.locator('main .problem').count(), 0);
  assert.deepEqual(await faults(), []);
  await shot('overview-running');
  await running.getByRole('link', { name: 'Search seen to run' }).click();
  await page.getByRole('heading', { level: 1, name: 'seen to run' }).waitFor();
  await open('');
  await stack.post(`/searches/${made.id}/cancel`, {});
  await now.getByText('Nothing is running.').waitFor({ timeout: 30000 });
  await page.getByRole('region', { name: 'What ended last' }).locator('tbody tr').first().filter({ hasText: 'seen to run' }).locator('.state', { hasText: 'cancelled' }).waitFor();
  assert.equal((await stack.get(`/jobs/${job.id}`)).state, 'canceled');
});

test('of a job whose progress is not known no figure is shown, and not 0 %', async () => {
  const { search: made, job } = await slowSearch('without progress');
  await page.route(/\/api\/v1\/jobs\?state=/, (route) => route.fulfill({ json: { items: /state=paused/.test(route.request().url()) ? [{ ...job, state: 'paused', progress: null }] : [], next: null } }));
  await open('searches');
  await open('');
  const running = card('Now').locator('.running');
  await running.locator('.state', { hasText: 'paused' }).waitFor();
  assert.equal(await running.locator('.numbers').innerText(), '–');
  assert.equal(await running.locator('progress').evaluate((bar) => bar.position), -1, 'the bar says how far');
  await shot('overview-paused');
  await page.unrouteAll({ behavior: 'wait' });
  await stack.post(`/searches/${made.id}/cancel`, {});
});

test('the newest searches have their fronts drawn small, in their first two objectives, which lead to them', async () => {
  await open('');
  const objectives = [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }];
  const { search: made } = await stack.post('/searches', { name: 'drawn small', supernet: 'bars', objectives, accuracy: 'evaluated', strategy: 'random', baseline: null, evaluations: 24, seed: 5, measure_front: 0 });
  const row = card('Searches').locator('tbody tr', { hasText: 'drawn small' });
  await row.locator('.state', { hasText: 'done' }).waitFor({ timeout: 90000 }); // without a touch
  const { items } = await stack.get(`/searches/${made.id}/front`), of = (i) => [i.metrics.macs.value, i.metrics.top1.value];
  const best = items.map(of).filter(([x, y], i, all) => !all.some(([u, v], j) => u <= x && v >= y && (u < x || v > y || j < i))).sort(([a], [b]) => a - b);
  assert.ok(best.length > 1, `a front of ${best.length}`);
  const link = row.getByRole('link', { name: `Front of drawn small, ${best.length} networks: Top-1 over MACs` });
  await link.waitFor();
  const drawn = (await link.locator('polyline').getAttribute('points')).split(' ').map((at) => at.split(',').map(Number));
  const [[x0, y0], [x1, y1]] = [best[0], best.at(-1)]; // rising, since it is a front
  assert.equal(drawn.length, best.length);
  best.forEach(([x, y], i) => assert.ok(Math.abs(drawn[i][0] - (100 * (x - x0)) / (x1 - x0)) < 1e-6 && Math.abs(drawn[i][1] - (18 - (16 * (y - y0)) / (y1 - y0))) < 1e-6, `${drawn[i]} for ${x}, ${y}`));
  const { width, height } = await link.locator('svg').boundingBox();
  assert.ok(width > 60 && height > 12, `${width} × ${height}`);
  assert.deepEqual(await faults(), []);
  await shot('overview-fronts');
  await link.click();
  await page.getByRole('heading', { level: 1, name: 'drawn small' }).waitFor();
  assert.ok((await fetch(`${stack.url}/api/v1/searches/${made.id}`, { method: 'DELETE' })).ok);
});

test('a disk that is below its floor is an alert on the overview, with what to do', async () => {
  const full = new Stack(), apart = await browser.newContext(), tab = await apart.newPage();
  try {
    await full.startDaemon(0, ['--disk-floor', '800TB']); // more than any disk has
    await tab.goto(full.url);
    const alert = tab.getByRole('alert').filter({ hasText: 'The disk is too full: nothing new is begun.' });
    await alert.waitFor();
    await alert.getByText('espalier prune --dry-run').waitFor();
    assert.match(await tab.locator('.facts div', { hasText: 'Disk' }).innerText(), /[\d.]+ [kMGTP]B free/);
  } finally {
    await apart.close();
    await full.stop();
  }
});

test('data sets and spaces have their rows: what is added shows by itself, with its state, and why it failed', async () => {
  const empty = join(stack.dir, 'no images'), sets = page.getByRole('region', { name: 'Data sets' }), spaces = page.getByRole('region', { name: 'Search spaces' });
  mkdirSync(empty, { recursive: true });
  await open('data');
  const cellsOf = async (region, name) => Object.fromEntries((await region.locator('tbody tr').filter({ has: page.getByRole('cell', { name, exact: true }) }).locator('td').allInnerTexts()).map((text, i) => [i, text]));
  await sets.locator('tbody tr').first().waitFor();
  const bars = await stack.get('/datasets/bars');
  assert.deepEqual(Object.values(await cellsOf(sets, 'bars')), ['bars', 'ready', '28×28×1', '10', '1400', '1000', '300', bars.format, join(stack.dir, 'bars'), 'Remove…']);
  const had = await sets.locator('tbody tr').count(), row = (name) => sets.locator('tbody tr', { hasText: name });
  const good = await stack.post('/datasets', { name: 'added meanwhile', path: join(stack.dir, 'bars'), validation: 600 });
  const bad = await stack.post('/datasets', { name: 'of no images', path: empty });
  await row('added meanwhile').locator('.state', { hasText: 'ready' }).waitFor();
  await row('of no images').locator('.state', { hasText: 'failed' }).waitFor();
  assert.deepEqual(Object.values(await cellsOf(sets, 'added meanwhile')).slice(1, 7), ['ready', '28×28×1', '10', '1800', '600', '300']);
  const { error } = await stack.get(`/datasets/${bad.dataset.id}`);
  await row('of no images').getByText(error.message).waitFor();
  assert.equal(await sets.locator('tbody tr').count(), had + 2);
  const tiny = await stack.get('/spaces/tiny'), known = (await stack.get('/spaces?page_size=1000')).items;
  assert.equal(await spaces.locator('tbody tr').count(), known.length);
  assert.equal(await spaces.getByText('built in').count(), known.filter((s) => s.builtin).length);
  const told = await spaces.locator('tbody tr').filter({ has: page.getByRole('cell', { name: 'tiny', exact: true }) }).locator('td').allInnerTexts();
  assert.deepEqual(told.slice(-4), [`${tiny.n_stages}`, `${tiny.table_entries}`, '28', 'Remove…'], told.join('; '));
  for (const end of ['smallest', 'largest']) {
    await open('data');
    await spaces.locator('tbody tr').filter({ has: page.getByRole('cell', { name: 'tiny', exact: true }) }).getByRole('link', { name: end }).click();
    await page.locator('main > code.genotype').getByText(tiny[end].arch, { exact: true }).waitFor();
  }
  for (const { dataset } of [good, bad]) assert.ok((await fetch(`${stack.url}/api/v1/datasets/${dataset.id}`, { method: 'DELETE' })).ok);
});
