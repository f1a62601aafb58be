// What a search page says of its candidates: one filter for every view, and how many have been read.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { card, faults, open, openAnew, page, resized, search, stack } from './world.mjs';

test('the table of the front obeys the filter, sorts, and in a replay shows the front of that time', async () => {
  const { items } = await stack.get(`/searches/${search}/front`);
  const top1 = items.map((i) => i.metrics.top1.value).sort((a, b) => a - b), bound = top1[top1.length - 1];
  const kept = items.filter((i) => i.metrics.top1.value >= bound).length;
  const table = card('The front as a table');
  await open(`searches/${search}?f=top1~${bound}~&fsort=-macs`);
  await table.getByText(`${kept} of ${items.length} within every range`).waitFor();
  assert.equal(await table.locator('tbody tr').count(), kept);
  await open(`searches/${search}?fsort=-macs`);
  await stack.waitFor('the whole front', async () => (await table.locator('tbody tr').count()) === items.length);
  const byMacs = [...items].sort((a, b) => b.metrics.macs.value - a.metrics.macs.value).map((i) => i.arch);
  assert.equal(await table.locator('tbody .genotype').first().innerText(), byMacs[0]);
  await open(`searches/${search}?f=generation~~0`);
  await table.getByText(/were the front among what is within every range/).waitFor();
  for (const arch of await table.locator('tbody .genotype').allInnerTexts()) {
    const { columns } = await stack.get(`/searches/${search}/candidates?page_size=20000&where=generation%3C%3D0`);
    assert.ok(columns.arch.includes(arch), `${arch} was known in the first generation`);
  }
});

test('a latency that rests on entries that its table lacks is called interpolated: in the table, beside the network, in tooltips, and ~ where it is what was predicted before', async () => {
  const front = await stack.get(`/searches/${search}/front`), [point] = front.items, key = Object.keys(point.metrics).find((k) => k.startsWith('latency_us'));
  point.metrics[key].source = 'interpolated';
  const before = ['interpolated', 'predicted'].map((source, i) => {
    const item = front.items[i + 1], value = 1.1 * item.metrics[key].value;
    item.metrics[key].source = 'measured';
    item.predicted = { ...item.predicted, [key]: { value, low: value, high: value, source } };
    return { arch: item.arch, source };
  });
  await page.route(/\/front$/, (route) => route.fulfill({ json: front }));
  await openAnew(`searches/${search}?arch=${point.arch_id}`);
  const cell = card('The front as a table').locator('tr.selected td .source');
  await cell.waitFor();
  assert.equal(await cell.innerText(), 'interpolated');
  assert.match(await card('The front as a table').locator('tr.selected [title*=" to "]', { hasText: 'interpolated' }).getAttribute('title'), / to .*, interpolated: the table has no entry for some of its units/);
  await card('Network').locator('.facts .source.predicted', { hasText: 'interpolated' }).waitFor();
  for (const { arch, source } of before) {
    const row = card('The front as a table').locator('tbody tr', { has: page.getByTitle(arch, { exact: true }) }), was = row.locator('td', { has: page.locator('.mark.square') }).locator('.was').first();
    assert.match(await was.innerText(), source === 'interpolated' ? /^~\d[\d.]* →/ : /^\d[\d.]* →/, source);
  }
  assert.deepEqual(await faults(), []);
  await page.unroute(/\/front$/);
});

test('while candidates are read, part is told as part, and the files are whole', async () => {
  let go = () => undefined;
  const held = new Promise((done) => { go = done; });
  await page.route(/\/candidates\?/, async (route) => {
    if (/after=/.test(route.request().url())) await held;
    const response = await route.fetch({ url: route.request().url().replace(/page_size=1000$/, 'page_size=10') });
    return route.fulfill({ response });
  });
  const { total } = await stack.get(`/searches/${search}/candidates?page_size=1`);
  assert.ok(total > 10);
  await openAnew(`searches/${search}?f=macs~1~&columns=macs,later`);
  await card('Pareto front').getByText(`10 of ${total.toLocaleString('en')} candidates read…`).waitFor();
  await page.locator('.best').getByText(/^Best so far, of [\d,]+ read that keep these limits/).waitFor();
  await card('Candidates').getByText(/of [\d,]+ read so far/).waitFor();
  await card('Candidates').getByText('Columns', { exact: true }).click();
  await card('Candidates').getByLabel('Generation').check();
  await page.waitForURL(/columns=macs(,|%2C)generation(,|%2C)later/); // what no candidate has told of yet is not dropped
  assert.ok(await page.getByRole('button', { name: `CSV of all ${total} candidates` }).isEnabled());
  go();
  await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor();
  await page.locator('.best').getByText(/^Best of [\d,]+ under these limits/).waitFor();
  await card('Pareto front').getByText('read…').waitFor({ state: 'detached' });
  await page.unrouteAll({ behavior: 'wait' });
});

test('the scatter and what it answers are in sight without scrolling, on a small screen too', async () => {
  for (const [width, height, top] of [[1280, 800, 290], [360, 800, 620]]) {
    await open(`searches/${search}`);
    await resized(width, height);
    const chart = page.locator('.scatter canvas.over');
    await chart.waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    const box = await chart.boundingBox(), answer = await page.locator('.answer').boundingBox();
    assert.ok(box.y < top, `the chart begins at ${box.y} of ${height}`);
    assert.ok(answer.y >= box.y + box.height, 'the answer is below it');
    if (width === 1280) assert.ok(answer.y + answer.height < height, `and ends at ${answer.y + answer.height}`);
  }
  await page.setViewportSize({ width: 1360, height: 900 });
});

test('a search is extended, its report has a command, and its chart is saved as a picture', async () => {
  const { name, evaluations_done: had } = await stack.get(`/searches/${search}`);
  await open(`searches/${search}`);
  await page.getByRole('button', { name: 'Extend', exact: true }).click();
  await page.getByLabel('Evaluations more').fill('150');
  await page.getByText(`espalier search extend '${name}' -n ${had + 150}`, { exact: true }).waitFor();
  assert.deepEqual(await faults(), []);
  const bodies = [];
  await page.route(/\/extend$/, (route) => { // others look at this search: it is not to run again
    bodies.push(route.request().postDataJSON());
    return bodies.length === 1 ? route.fulfill({ status: 422, json: { detail: 'Its patience has ended it: name another one.' } }) : route.fulfill({ status: 202, json: { search: {}, job: {} } });
  });
  await page.getByRole('button', { name: `Extend to ${had + 150}` }).click();
  await page.getByRole('alert').getByText('Its patience has ended it: name another one.').waitFor();
  await page.getByLabel('Patience').fill('0');
  await page.getByRole('button', { name: `Extend to ${had + 150}` }).click();
  await page.getByLabel('Evaluations more').waitFor({ state: 'detached' });
  assert.deepEqual(bodies, [{ evaluations: had + 150 }, { evaluations: had + 150, patience: null }]);
  await page.unroute(/\/extend$/);
  await page.getByRole('button', { name: 'Report', exact: true }).click();
  await page.getByText(`espalier report '${name}' -o ${name.replaceAll(' ', '-')}.html`, { exact: true }).waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save the chart as a PNG picture' }).click()]);
  const picture = readFileSync(await download.path()), chart = await page.locator('.scatter canvas.base').evaluate((c) => [c.width, c.height]);
  assert.equal(download.suggestedFilename(), `${name}.png`);
  assert.deepEqual([picture.toString('latin1', 1, 4), picture.readUInt32BE(16), picture.readUInt32BE(20)], ['PNG', ...chart]);
});
