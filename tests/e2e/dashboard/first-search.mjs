// From an empty daemon to a search with its front: what all others look at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asked, card, comes, keepSearch, open, page, search, shot, stack } from './world.mjs';

test('an empty daemon says how to begin', async () => {
  await page.goto(stack.url);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.getByText('No search yet.').waitFor();
  for (const text of ['Nothing is running.', 'espalier dataset add']) await card('Now').getByText(text).first().waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  assert.match(await card('Now').innerText(), /Nothing is running\..*espalier dataset add NAME PATH.*espalier supernet train NAME --space .* --dataset NAME.*submit a search/s);
  await shot('overview-empty');
  for (const hash of ['supernets', 'searches/new']) {
    await open(hash);
    assert.match(await page.locator('.empty', { hasText: 'espalier dataset add' }).first().innerText(), /No supernet yet\.|A search needs a trained supernet/);
  }
  for (const [hash, link] of [['', 'Add one'], ['searches/new', 'add one']]) {
    await open(hash);
    await page.getByRole('link', { name: link, exact: true }).click();
    await page.getByRole('button', { name: 'Make the command' }).waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.locator('.add-board').waitFor({ state: 'detached' });
  }
});

test('a board is added with one command and turns green', async () => {
  await open('devices');
  await page.getByRole('button', { name: 'Add a board' }).first().click();
  await page.getByRole('button', { name: 'Make the command' }).click();
  const command = await page.locator('.add-board code').innerText();
  assert.match(command, /^(u='|ESPALIER_ENROL_TOKEN=\S+ espalier-worker --daemon )http:\/\/127\.0\.0\.1:\d+/);
  stack.startWorker(command);
  await page.locator('.add-board.arrived').waitFor({ timeout: 30000 });
  await page.locator('a.device', { hasText: 'test-board' }).waitFor();
  await shot('devices');
});

test('training shows live curves for largest, smallest and random subnets', async () => {
  await stack.post('/supernets', { name: 'bars', space: 'tiny', dataset: 'bars', train: { epochs: 6, batch: 32, learning_rate: 0.02, checkpoint_steps: 37 } });
  await open('supernets');
  await page.getByRole('link', { name: 'bars' }).click();
  await comes(page.locator('.curve-legend'));
  await page.getByRole('button', { name: 'Pause' }).click();
  await comes(page.locator('.page-head .state', { hasText: 'paused' }));
  await page.getByRole('button', { name: 'Resume' }).click();
  await comes(page.locator('.page-head .state', { hasText: 'ready' }));
  const legend = await page.locator('.curve-legend').first().innerText();
  for (const name of ['largest', 'smallest', 'random']) assert.match(legend, new RegExp(name));
  const series = (await stack.get('/supernets/bars/metrics?series=top1/largest')).series[0];
  assert.ok(series.value.length >= 6, `no curve: ${series.step}`);
  assert.ok(series.value.at(-1) > 0.5, `the largest subnet learnt little: ${series.value}`);
  await shot('supernet');
});

test('the latency table is measured from the device page', async () => {
  await open('devices');
  await page.locator('a.device').click();
  await page.locator('.row select').selectOption('tiny');
  await page.getByRole('button', { name: 'Measure briefly' }).click();
  await comes(page.locator('summary .state', { hasText: 'ready' }));
  await page.locator('summary').first().click();
  await page.locator('details[open] tbody tr').first().waitFor();
  const rows = await page.locator('details[open] tbody tr').count();
  const { needed } = (await stack.get('/tables')).items[0];
  assert.equal(rows, needed);
  await comes(page.locator('summary').first().filter({ hasNotText: ' left' })); // of a real board: entries that were noisy are measured again
  assert.match(await page.locator('summary').first().innerText(), /\d+ of \d+(, \d+ noisy)?, spread [\d.]+ %, at worst [\d.]+ %, oldest (just\snow|\d+\smin\sago)$/);
  assert.match(await page.locator('details[open] tbody tr').first().innerText(), /[\d.]+ %\s+(just\snow|\d+\smin\sago)$/); // its spread, when it was measured
  await shot('device');
  const told = await stack.get('/tables');
  Object.assign(told.items[0], { state: 'building', measured: needed - 3, failed: 1, noisy: 2, changed: 4, spread: 0.034, spread_worst: 0.21, eta_s: 75, oldest_at: new Date(Date.now() - 3 * 86400e3).toISOString() });
  await page.route(/\/tables\?/, (route) => route.fulfill({ json: told }));
  await page.reload();
  await page.locator('summary', { hasText: `${needed - 3} of ${needed}, 1 failed, 2 noisy, 4 changed with age, spread 3.4 %, at worst 21.0 %, oldest 3 d ago, 1:15 min left` }).waitFor();
  await page.unroute(/\/tables\?/);
});

test('a limit that no subnet meets is refused at its field', async () => {
  await open('searches/new');
  await page.getByText('Random subnets:').first().waitFor({ timeout: 20000 });
  await page.getByLabel('Name', { exact: true }).fill('impossible');
  await page.getByLabel('Latency at most (ms)').fill('0.000001');
  await page.getByRole('button', { name: 'Submit the search' }).click();
  await page.locator('.field-problem').first().waitFor();
  assert.match(await page.locator('.problem').innerText(), /\d/);
  await shot('new-search-refused');
});

test('a search is submitted and its front grows before the eyes', async () => {
  await page.getByLabel('Name', { exact: true }).fill('front of bars');
  await page.getByLabel('Latency at most (ms)').fill('');
  await page.getByLabel('Evaluations', { exact: true }).fill('1000');
  await page.getByLabel('Population', { exact: true }).fill('24');
  await page.getByLabel('Rounds').fill('2');
  await page.getByLabel('Measuring the front on the board').selectOption('brief');
  await page.getByRole('button', { name: 'Submit the search' }).click();
  await page.getByRole('heading', { level: 1, name: 'front of bars' }).waitFor();
  const begun = Date.now();
  const failed = page.locator('main > .problem'); // ends the waiting at once
  const appears = (what) => comes(what.or(failed));
  await appears(page.locator('.scatter canvas.over'));
  await appears(page.getByText('on the predicted front').or(page.getByText('on the final front')));
  await appears(page.getByText('on the final front'));
  assert.deepEqual(await failed.allInnerTexts(), []);
  const perSecond = (1000 * asked.filter((t) => t >= begun).length) / (Date.now() - begun);
  assert.ok(perSecond < 10, `the page asks the daemon ${perSecond.toFixed(1)} times a second`);
  keepSearch(page.url().match(/se_[^?]+/)[0]);
  assert.equal((await stack.get(`/searches/${search}`)).result.hypervolume_stage, 'mixed'); // of two rounds
  const { items } = await stack.get(`/searches/${search}/front`);
  assert.ok(items.length > 1, JSON.stringify(items.map((i) => i.metrics)));
  for (const item of items) {
    assert.equal(item.metrics.top1.source, 'evaluated');
    const latency = Object.entries(item.metrics).find(([key]) => key.startsWith('latency_us'))[1];
    assert.equal(latency.source, 'measured');
    assert.ok(latency.low <= latency.value && latency.value <= latency.high);
  }
  await comes(page.locator('.page-head .state', { hasText: 'done' }));
  assert.equal(await card('The front as a table').locator('tbody tr').count(), items.length);
  const { total } = await stack.get(`/searches/${search}/candidates?page_size=1`);
  assert.ok(total > 1000, 'the candidates must not fit one page of the list');
  await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor();
  const { predictor } = await stack.get(`/searches/${search}`);
  await card('How far to trust the predictions').getByText(`${predictor.kendall_tau.toFixed(3)} (by MACs alone ${predictor.baseline_kendall_tau.toFixed(3)})`).waitFor();
  const { before, after: calibrated } = (await stack.get(`/searches/${search}`)).calibrations.at(-1);
  const trust = await card('How far to trust the predictions').innerText();
  for (const [bound, share] of [[5, 'within_5'], [10, 'within_10']]) assert.ok(trust.replace(/\s+/g, ' ').includes(`Latency within ±${bound} % ${Math.round(100 * before[share])} % → ${Math.round(100 * calibrated[share])} %`), trust);
  await shot('search');
});
