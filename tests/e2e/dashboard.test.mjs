// A person's way through the dashboard, in Chromium, against real processes.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Stack } from './stack.mjs';
import { ways } from './ways.mjs';

const ui = join(dirname(fileURLToPath(import.meta.url)), '../../web/ui');
const requireFromUi = createRequire(join(ui, 'package.json'));
const { chromium } = requireFromUi('playwright-core');
const axe = readFileSync(requireFromUi.resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.SHOTS;

const stack = new Stack();
let browser, context, page, search;
const foreign = [], errors = [], asked = [], reading = new Set();

before(async () => {
  await stack.startDaemon();
  stack.addData();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  context = await browser.newContext({ viewport: { width: 1360, height: 900 } });
  page = await context.newPage();
  page.on('request', (r) => { if (!r.url().startsWith(stack.url) && !r.url().startsWith('data:') && !r.url().startsWith('blob:')) foreign.push(r.url()); });
  page.on('request', (r) => { if (r.url().startsWith(`${stack.url}/api/`)) asked.push(Date.now()); });
  page.on('pageerror', (e) => errors.push(String(e)));
  context.on('request', (r) => { if (/\/api\/v1\/(?!events)/.test(r.url())) reading.add(r); });
  for (const end of ['requestfinished', 'requestfailed']) context.on(end, (r) => reading.delete(r));
});
after(async () => {
  await browser?.close();
  await stack.stop();
});

const open = (hash) => page.goto(`${stack.url}/#/${hash}`);
const shot = async (name) => {
  if (!shots) return;
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
};

const nameOf = (hash) => hash.replace(/\?arch.*/, '-network').replace(/\?/, '-').replace(/\/[a-z]+_[^-]*/, '-one').replace('/', '-') || 'overview';

/** Until the page, and every other tab that is open, has read what it shows; reads that are never told to have ended are waited for ten seconds. */
async function settled() {
  await page.locator('main h1').waitFor();
  for (let still = 0, since = Date.now(); still < 3 && Date.now() - since < 10000; still++) {
    await page.getByText('Reading…').first().waitFor({ state: 'detached' });
    await page.waitForTimeout(50);
    for (const request of reading) if (request.frame().page().isClosed()) reading.delete(request);
    if (reading.size > 0) still = -1;
  }
  reading.clear();
}

/** Accessibility faults of the page as it stands, small ones too. axe runs by evaluate, as the page's own policy forbids inline scripts. */
async function faults() {
  await page.evaluate(axe);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')}`);
}

/** What does not fit its page: a page that scrolls sideways, charts that leave their card empty, text too small to read. */
const misfits = () => page.evaluate(() => {
  const found = [], root = document.documentElement;
  const wide = root.scrollWidth - root.clientWidth;
  if (wide > 0) found.push(`${wide} pixels too wide`);
  if (innerWidth > 3000 && document.querySelector('main').getBoundingClientRect().width < 0.8 * innerWidth) found.push('a fifth of the screen is empty');
  for (const canvas of document.querySelectorAll('canvas.over')) {
    const [has, room] = [canvas.getBoundingClientRect().width, canvas.parentElement.clientWidth];
    if (has < room - 2 || (has > room + 2 && !canvas.closest('.parallel'))) found.push(`a chart of ${has} pixels in ${room}`);
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const [text, element] = [texts.currentNode.textContent.trim(), texts.currentNode.parentElement];
    if (!text || !element.checkVisibility() || element.closest('option, script, .sr-only')) continue;
    const drawn = element.closest('svg')?.getScreenCTM().a ?? 1;
    const size = parseFloat(getComputedStyle(element).fontSize) * drawn;
    if (size < 11.95 && found.length < 5) found.push(`"${text.slice(0, 30)}" in ${size.toFixed(1)} pixels`);
  }
  return found;
});

test('an empty daemon says how to begin', async () => {
  await page.goto(stack.url);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.getByText('No search yet.').waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  for (const [hash, link] of [['', 'Add one'], ['searches/new', 'add one']]) {
    await open(hash);
    await page.getByRole('link', { name: link, exact: true }).click();
    await page.locator('.add-board code').waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.locator('.add-board').waitFor({ state: 'detached' });
  }
});

/** Waits for something on the page for as long as the daemon's work moves on; two minutes without any movement are too many. */
async function comes(what) {
  for (let last = '', since = Date.now(); ;) {
    try {
      return await what.first().waitFor({ timeout: 3000 });
    } catch (error) {
      const [jobs, tables] = [await stack.get('/jobs'), await stack.get('/tables')];
      const now = JSON.stringify([jobs.items.map((j) => [j.id, j.state, j.attempt, j.progress]), tables.items.map((t) => t.measured)]);
      if (now === last && Date.now() - since > 120000) throw error;
      if (now !== last) since = Date.now();
      last = now;
    }
  }
}

test('a board is added with one command and turns green', async () => {
  await open('devices');
  await page.getByRole('button', { name: 'Add a board' }).first().click();
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
  await shot('device');
});

test('the device page tells what a board has done, and takes it out of service and back', async () => {
  const board = (await stack.get('/devices')).items[0];
  const history = await stack.get(`/devices/${board.id}/history`);
  await open(`devices/${board.id}`);
  const now = page.locator('section.card', { hasText: 'Temperature' });
  assert.match(await now.innerText(), new RegExp(`Table of tiny.*100 % of ${history.tables[0].needed} entries`, 's'));
  assert.ok(history.references.length >= 1, 'the noise floor was measured');
  await page.getByRole('heading', { name: 'Reference network' }).waitFor();
  await page.getByRole('button', { name: 'Maintenance' }).click();
  await comes(page.locator('.lead .state', { hasText: 'maintenance' }).first());
  assert.equal((await stack.get(`/devices/${board.id}`)).health, 'maintenance');
  await page.getByRole('button', { name: 'Activate' }).click();
  await comes(page.getByRole('button', { name: 'Drain' }));
  await page.getByRole('button', { name: 'Drain' }).click();
  await comes(page.locator('.lead .state', { hasText: 'paused' })); // it had nothing to end
  await page.getByRole('button', { name: 'Activate' }).click();
  await comes(page.getByRole('button', { name: 'Drain' }));
  const { transitions } = await stack.get(`/devices/${board.id}/history`);
  await comes(page.getByRole('region', { name: 'Changes of health' }).locator('tbody tr').nth(transitions.length - 1));
  await shot('device-history');
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
  search = page.url().match(/se_[^?]+/)[0];
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

test('a point opens its network, and the address keeps the view', async () => {
  await card('The front as a table').locator('tbody tr').first().click();
  await page.locator('.drawing .unit').first().waitFor();
  assert.ok((await page.locator('.drawing .unit').count()) >= 4);
  assert.match(page.url(), /arch=/);
  await page.getByRole('button', { name: 'Pin', exact: true }).click();
  await page.getByRole('button', { name: 'Score on test images' }).click();
  await page.getByRole('button', { name: 'Unpin' }).waitFor();
  await comes(card('The front as a table').locator('tbody tr').first().locator('td').nth(1).filter({ hasText: '%' }));
  await page.getByRole('button', { name: 'Unpin' }).click();
  await page.getByRole('button', { name: 'Pin', exact: true }).waitFor();
  await page.getByLabel('Across logarithmic').check();
  await page.reload();
  await page.locator('.drawing .unit').first().waitFor();
  assert.ok(await page.getByLabel('Across logarithmic').isChecked());
  await shot('search-network');
});

test('the scatter answers pointer and keyboard', async () => {
  const canvas = page.locator('.scatter canvas.over');
  const { total } = await stack.get(`/searches/${search}/candidates?page_size=1`);
  await open(`searches/${search}`); // no network is chosen
  await page.locator('.drawing').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor(); // axes reach to all of them
  await canvas.focus();
  await page.keyboard.press('ArrowRight');
  await page.locator('.tip').waitFor();
  const said = await page.locator('.tip').innerText();
  assert.match(said, /Top-1: [\d.]+ % \(evaluated\)/);
  const at = await page.locator('.tip').evaluate((tip) => ['left', 'top'].map((side) => parseFloat(getComputedStyle(tip)[side])));
  await page.keyboard.press('Escape');
  await page.locator('.tip').waitFor({ state: 'detached' });
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + at[0], box.y + at[1]);
  await page.locator('.tip').waitFor();
  assert.equal(await page.locator('.tip').innerText(), said);
  await page.mouse.click(box.x + at[0], box.y + at[1]);
  await page.locator('.drawing .unit').first().waitFor();
  assert.match(page.url(), /arch=/);
  await page.mouse.move(0, 0);
  await page.locator('.tip').waitFor({ state: 'detached' });
  await open(`searches/${search}`);
  await page.locator('.drawing').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor(); // axes reach to all of them
  await canvas.focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await page.locator('.drawing .unit').first().waitFor();
});

/** All networks of the search as the daemon tells them, the strategy's values before the baseline's, the front's before both. */
async function networks() {
  const all = new Map();
  for (let after = ''; ;) {
    const { columns, cursor, next } = await stack.get(`/searches/${search}/candidates?page_size=1000${after}`);
    columns.arch_id.forEach((id, i) => {
      if (all.has(id) && columns.strategy[i] === 'random') return;
      all.set(id, { arch: columns.arch[i], feasible: columns.feasible[i], generation: columns.generation[i], metrics: Object.fromEntries(Object.entries(columns.metrics).map(([key, m]) => [key, m.value[i]])) });
    });
    if (!next) break;
    after = `&after=${encodeURIComponent(cursor)}`;
  }
  for (const item of (await stack.get(`/searches/${search}/front`)).items) all.set(item.arch_id, { ...item, metrics: Object.fromEntries(Object.entries(item.metrics).map(([key, m]) => [key, m.value])) });
  return [...all.values()];
}
const card = (title) => page.locator('.card', { has: page.getByRole('heading', { name: title, exact: true }) });

test('a limit answers which network is best under it, and the address keeps it', async () => {
  const all = await networks();
  const macs = all.map((n) => n.metrics.macs).sort((a, b) => a - b);
  const most = macs[Math.floor(macs.length / 3)];
  const under = all.filter((n) => n.metrics.macs <= most);
  const best = Math.max(...under.filter((n) => n.feasible && n.metrics.top1 != null).map((n) => n.metrics.top1));
  await open(`searches/${search}?x=macs`);
  await page.getByLabel('Add a limit').selectOption('macs');
  await page.getByLabel('at most macs').fill(String(most));
  await page.getByLabel('at most macs').press('Enter');
  const answer = page.locator('.best', { hasText: `Top-1 ${(100 * best).toFixed(2)} %` });
  await answer.waitFor();
  await card('Candidates').getByText(`${under.length} of ${all.length};`).waitFor();
  await page.waitForURL(/f=macs/); // a drag's changes are written 200 ms apart
  await page.reload();
  await answer.waitFor();
  await card('Candidates').getByText(`${under.length} of ${all.length};`).waitFor();
  await shot('search-limits');
  // The line of the limit, dragged to the left, lets fewer through.
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await page.locator('.best').waitFor({ state: 'detached' });
  await page.mouse.move(box.x + box.width - 16, box.y + 120);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + 130, { steps: 5 });
  await page.mouse.up();
  await page.locator('.best').waitFor();
  const high = Number(await page.getByLabel('at most macs').inputValue());
  assert.ok(high > macs[0] && high < macs.at(-1), `${high}`);
  await card('Candidates').getByText(`${all.filter((n) => n.metrics.macs <= high * (1 + 1e-6)).length} of ${all.length};`).waitFor();
});

test('the charts stand still while limits are added, typed, dragged, drawn and removed, on a desk and on a phone', async () => {
  const all = await networks();
  for (const [width, height] of [[1360, 900], [360, 740]]) {
    await page.setViewportSize({ width, height });
    await open(`searches/${search}?x=macs&axes=depth,macs`);
    await card('Candidates').getByText(`${all.length} of ${all.length};`).waitFor();
    const charts = ['.scatter canvas.over', '.parallel canvas.over'];
    const places = () => page.evaluate((names) => names.map((name) => { const r = document.querySelector(name).getBoundingClientRect(); return [r.x + scrollX, r.y + scrollY, r.width, r.height].map(Math.round).join(); }), charts);
    const before = await places();
    const still = async (what) => assert.deepEqual(await places(), before, `${what} moves a chart at ${width} pixels`);
    const drag = async (chart, [x0, y0], [x1, y1]) => {
      await page.locator(chart).scrollIntoViewIfNeeded();
      const box = await page.locator(chart).boundingBox();
      await page.mouse.move(box.x + x0 * box.width, box.y + y0);
      await page.mouse.down();
      for (const share of [0.3, 1]) { // in the middle of it, too
        await page.mouse.move(box.x + (x0 + share * (x1 - x0)) * box.width, box.y + y0 + share * (y1 - y0));
        await page.waitForTimeout(100);
        await still(`a drag in ${chart}`);
      }
      await page.mouse.up();
      await page.locator('.best').waitFor();
      await still(`what was dragged in ${chart}`);
    };
    await page.getByLabel('Add a limit').selectOption('params');
    await page.getByLabel('at most params').waitFor();
    await still('a limit that is added');
    await page.getByLabel('at most params').fill('1');
    await page.getByLabel('at most params').press('Enter');
    await page.locator('.best', { hasText: 'No network keeps these limits' }).waitFor();
    await still('a limit that nothing keeps');
    await page.getByRole('button', { name: 'Remove the limit of Parameters' }).click();
    await page.locator('.best').waitFor({ state: 'detached' });
    await still('a limit that is removed');
    const [right, axis] = [await page.locator(charts[0]).evaluate((c) => 1 - 16 / c.clientWidth), await page.locator(charts[1]).evaluate((c) => 46 / c.clientWidth)];
    await drag(charts[0], [right, 100], [0.6, 110]); // the line at the edge
    await drag(charts[0], [0.3, 60], [0.55, 220]); // a box
    await drag(charts[1], [axis, 60], [axis, 160]);
    await page.getByLabel('Up to generation').fill('3');
    await page.getByText(/^generation 3 of/).waitFor();
    await still('a replay');
    if (width === 360) assert.ok(await page.locator('.answer').evaluate((e) => e.scrollHeight <= e.clientHeight), 'the answer has its place');
    await page.getByRole('button', { name: 'Clear limits' }).click();
    await page.locator('.best').waitFor({ state: 'detached' });
    await still('no limit any more');
  }
  await page.setViewportSize({ width: 1360, height: 900 });
});

test('a box in the scatter, a brush on an axis and the table show the same networks', async () => {
  const all = await networks();
  await open(`searches/${search}?x=macs&f=`);
  await page.locator('.best').waitFor({ state: 'detached' });
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + 120, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.7, { steps: 4 });
  await page.mouse.up();
  await page.locator('.best').waitFor();
  await page.waitForTimeout(300); // the address is written
  const ranges = new URLSearchParams(page.url().split('?')[1]).get('f').split(';').map((r) => r.split('~'));
  assert.deepEqual(ranges.map((r) => r[0]).sort(), ['macs', 'top1']);
  const inBox = all.filter((n) => ranges.every(([key, low, high]) => n.metrics[key] >= Number(low) && n.metrics[key] <= Number(high)));
  assert.ok(inBox.length > 0 && inBox.length < all.length);
  await card('Candidates').getByText(`${inBox.length} of ${all.length};`).waitFor();
  await card('Genes and metrics').getByText(`${inBox.length} of ${all.length} networks`).waitFor();
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await open(`searches/${search}?axes=depth,macs`);
  await card('Genes and metrics').getByText(`${all.length} of ${all.length} networks`).waitFor();
  const axes = page.locator('.parallel canvas.over');
  await axes.scrollIntoViewIfNeeded();
  const place = await axes.boundingBox();
  await page.mouse.move(place.x + 46, place.y + 36);
  await page.mouse.down();
  await page.mouse.move(place.x + 46, place.y + 120, { steps: 4 });
  await page.mouse.up();
  const deep = Number(await page.getByLabel('at least depth').inputValue());
  const blocks = (n) => n.arch.split('|').slice(1).reduce((sum, s) => sum + Number(s.match(/d(\d+)/)[1]), 0);
  const expected = all.filter((n) => blocks(n) >= deep).length;
  assert.ok(deep > 2 && deep < 6 && expected > 0 && expected < all.length, `${deep}: ${expected}`);
  await card('Candidates').getByText(`${expected} of ${all.length};`).waitFor();
  await shot('search-brushed');
});

test('both axes of the scatter are logarithmic at will, and colours tell which board has measured a network', async () => {
  const all = await networks();
  await open(`searches/${search}?x=macs&y=params`);
  await card('Candidates').getByText(`${all.length} of ${all.length};`).waitFor();
  const picture = () => page.locator('.scatter canvas.base').evaluate((c) => c.toDataURL());
  const linear = await picture();
  await page.getByLabel('Up logarithmic').check();
  await page.waitForURL(/logy=1/);
  assert.notEqual(await picture(), linear);
  const params = all.map((n) => n.metrics.params);
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + 80, box.y + box.height - 50);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + (14 + box.height - 46) / 2, { steps: 3 }); // from the bottom to the middle: half of the logarithms
  await page.mouse.up();
  const high = Number(await page.getByLabel('at most params').inputValue()), middle = Math.sqrt(Math.min(...params) * Math.max(...params));
  assert.ok(Math.abs(high / middle - 1) < 0.05, `${high} is not near ${middle}`);
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await page.reload();
  assert.ok(await page.getByLabel('Up logarithmic').isChecked());
  await page.getByLabel('Up logarithmic').uncheck();
  await card('Candidates').getByText(`${all.length} of ${all.length};`).waitFor();
  const plain = await picture();
  await page.getByLabel('Colour by').selectOption({ label: 'board that measured it' });
  const { objectives: [, { profile }] } = await stack.get(`/searches/${search}`);
  const { name } = (await stack.get('/profiles')).items.find((p) => p.id === profile);
  await page.locator('.scatter .legend').getByText(`measured on ${name}`, { exact: true }).waitFor();
  await page.waitForURL(/by=board/);
  assert.notEqual(await picture(), plain);
  assert.deepEqual(await faults(), []);
  await shot('search-by-board');
});

test('axes of the parallel coordinates are turned around, made logarithmic, moved and hidden', async () => {
  const all = await networks();
  const macs = all.map((n) => n.metrics.macs), [least, most] = [Math.min(...macs), Math.max(...macs)];
  await open(`searches/${search}?axes=macs,depth,params`);
  await card('Genes and metrics').getByText(`${all.length} of ${all.length} networks`).waitFor();
  await page.getByText('Axes: order, direction, scale').click();
  const row = (title) => page.locator('.axes li', { has: page.getByText(title, { exact: true }) });
  /** What a brush over the upper half of the first axis holds. */
  const upperHalf = async (key) => {
    const canvas = page.locator('.parallel canvas.over');
    await canvas.scrollIntoViewIfNeeded();
    const box = await canvas.boundingBox();
    await page.mouse.move(box.x + 46, box.y + 30);
    await page.mouse.down();
    await page.mouse.move(box.x + 46, box.y + (40 + box.height - 26) / 2, { steps: 4 });
    await page.mouse.up();
    const range = [];
    for (const at of ['at least', 'at most']) range.push(Number(await page.getByLabel(`${at} ${key}`).inputValue()));
    await page.getByRole('button', { name: 'Clear limits' }).click();
    return range;
  };
  const near = (range, expected) => assert.ok(range.every((v, i) => Math.abs(v / expected[i] - 1) < 0.05), `${range} is not near ${expected}`);
  near(await upperHalf('macs'), [(least + most) / 2, most]);
  await row('MACs').getByRole('button', { name: 'flip' }).click();
  await page.waitForURL(/axes=-macs/);
  near(await upperHalf('macs'), [least, (least + most) / 2]);
  await row('MACs').getByRole('button', { name: 'flip' }).click();
  await row('MACs').getByRole('button', { name: 'log' }).click();
  await page.waitForURL(/axes=(\*|%2A|\*)macs/);
  near(await upperHalf('macs'), [Math.sqrt(least * most), most]);
  await row('MACs').getByRole('button', { name: 'MACs to the right' }).click();
  await page.waitForURL(/axes=depth/);
  assert.equal((await upperHalf('depth'))[1], 6);
  await row('Blocks').getByRole('button', { name: 'Hide Blocks' }).click();
  await page.waitForURL(/axes=(\*|%2A)macs(,|%2C)params/);
  await page.waitForTimeout(300); // the address is written
  await page.reload();
  near(await upperHalf('macs'), [Math.sqrt(least * most), most]);
  await page.getByText('Axes: order, direction, scale').click();
  assert.deepEqual(await page.locator('.axes li b').allInnerTexts(), ['MACs', 'Parameters']);
  assert.equal(await row('MACs').getByRole('button', { name: 'log' }).getAttribute('aria-pressed'), 'true');
  await card('Genes and metrics').getByLabel('Show').selectOption('depth');
  await page.waitForURL(/params(,|%2C)depth/);
});

test('the scatter is zoomed by wheel, keys and buttons, and the address keeps it', async () => {
  const all = await networks();
  await open(`searches/${search}?x=macs&f=`);
  await card('Candidates').getByText(`${all.length} of ${all.length};`).waitFor();
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  const [x, y] = [box.x + box.width * 0.5, box.y + box.height * 0.4];
  const zoom = async () => {
    await page.waitForTimeout(400); // the address is written
    const z = new URLSearchParams(page.url().split('?')[1]).get('z');
    return z === null ? null : z.split('~').map(Number);
  };
  await page.mouse.move(x, y);
  await page.mouse.wheel(0, 120);
  assert.equal(await zoom(), null); // the page scrolls
  await page.evaluate(() => scrollTo(0, 0));
  await page.mouse.move(x, y);
  await page.keyboard.down('Control');
  for (let i = 0; i < 4; i++) await page.mouse.wheel(0, -100);
  await page.keyboard.up('Control');
  const closer = await zoom();
  assert.equal(closer.length, 4);
  await page.keyboard.down('Shift');
  await page.mouse.down();
  await page.mouse.move(x + 80, y, { steps: 3 });
  await page.mouse.up();
  await page.keyboard.up('Shift');
  const moved = await zoom();
  assert.ok(moved[0] < closer[0] && moved[1] < closer[1], `${closer} to ${moved}`);
  assert.ok(Math.abs(moved[1] - moved[0] - (closer[1] - closer[0])) < 1e-6 * closer[1]);
  assert.deepEqual(moved.slice(2), closer.slice(2));
  await card('Candidates').getByText(`${all.length} of ${all.length};`).waitFor(); // looking closer limits nothing
  // A box that covers all that is looked at holds what lies within these values.
  await page.reload();
  await card('Candidates').getByText(`${all.length} of ${all.length};`).waitFor();
  assert.deepEqual(await zoom(), moved);
  const now = await canvas.boundingBox();
  await page.mouse.move(now.x + 70, now.y + 34);
  await page.mouse.down();
  await page.mouse.move(now.x + now.width, now.y + now.height, { steps: 4 });
  await page.mouse.up();
  await page.waitForTimeout(400);
  const ranges = new URLSearchParams(page.url().split('?')[1]).get('f').split(';').map((r) => r.split('~'));
  for (const [key, low, high] of ranges) {
    const [from, to] = key === 'macs' ? moved : moved.slice(2);
    assert.ok(Number(low) >= from - 1e-6 * to && Number(high) <= to * (1 + 1e-6), `${key}: ${low} to ${high} in ${from} to ${to}`);
  }
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await canvas.focus();
  await page.keyboard.press('+');
  const [low, high] = await zoom();
  assert.ok(high - low < moved[1] - moved[0]);
  await page.keyboard.press('Shift+ArrowRight');
  assert.ok((await zoom())[0] > low);
  await page.keyboard.press('0');
  assert.equal(await zoom(), null);
  await page.getByRole('button', { name: 'Zoom in' }).click();
  assert.ok(await zoom());
  await shot('search-zoomed');
  await canvas.dblclick({ position: { x: 75, y: 20 } });
  assert.equal(await zoom(), null);
});

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

test('the table of all candidates keeps few rows in the page and sorts', async () => {
  await open(`searches/${search}`);
  const all = await networks();
  const table = card('Candidates');
  await table.getByText(`${all.length} of ${all.length};`).waitFor();
  assert.ok((await table.locator('tbody tr').count()) < 60);
  await table.getByRole('button', { name: 'MACs' }).click();
  const least = Math.min(...all.map((n) => n.metrics.macs)), most = Math.max(...all.map((n) => n.metrics.macs));
  const at = await table.locator('thead th').allInnerTexts().then((heads) => heads.findIndex((h) => h.startsWith('MACs')));
  const first = () => table.locator('tbody tr').first().locator('td').nth(at).innerText();
  const cut = (v) => (v >= 1e6 ? `${(v / 1e6).toPrecision(3)} M` : `${(v / 1e3).toPrecision(3)} k`);
  assert.equal(await first(), cut(least));
  await table.getByRole('button', { name: 'MACs' }).click();
  assert.equal(await first(), cut(most));
  await table.locator('.virtual').evaluate((e) => { e.scrollTop = e.scrollHeight; });
  await table.locator(`tr[aria-rowindex="${all.length + 1}"]`).waitFor();
  assert.ok((await table.locator('tbody tr').count()) < 60);
});

test('the replay shows the search as it was in an earlier generation', async () => {
  const all = await networks();
  await open(`searches/${search}`);
  const slider = page.getByLabel('Up to generation');
  await slider.fill('3');
  const early = all.filter((n) => n.generation <= 3).length;
  await card('Candidates').getByText(`${early} of ${all.length};`).waitFor();
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await card('Candidates').getByText(`${all.length} of ${all.length};`).waitFor();
});

test('the front of another search is laid over this one', async () => {
  const made = await stack.post('/searches', { name: 'beside', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], strategy: 'random', baseline: null, evaluations: 64, seed: 3, measure_front: 0 });
  await stack.waitFor('the second search', async () => (await stack.get(`/searches/${made.search.id}`)).state === 'done', 90);
  await open(`searches/${search}?x=macs`);
  await page.getByLabel('Compare with').selectOption('beside');
  await page.getByText('front of the other search').waitFor();
  assert.match(page.url(), new RegExp(`vs=${made.search.id}`));
  await shot('search-compared');
});

test('what the search makes large is better large: the best under a limit, and the sides of the axes', async () => {
  const { search: made } = await stack.post('/searches', { name: 'large ones', supernet: 'bars', objectives: [{ metric: 'params', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }, { metric: 'top1', direction: 'maximise' }], constraints: [{ metric: 'macs', min: 60000 }], strategy: 'random', baseline: null, evaluations: 64, initial_evaluations: 24, measure_front: 0 });
  await stack.waitFor('the search for large ones', async () => (await stack.get(`/searches/${made.id}`)).state === 'done', 90);
  await open(`searches/${made.id}`);
  await page.getByLabel('Add a limit').selectOption('macs');
  await page.getByLabel('at most macs').fill('300000');
  await page.getByLabel('at most macs').press('Enter');
  const { columns: c } = await stack.get(`/searches/${made.id}/candidates?page_size=1000`);
  const params = c.metrics.params.value.filter((_, i) => c.feasible[i] && c.metrics.macs.value[i] <= 300000);
  const said = (v) => (v >= 10000 ? `${(v / 1e3).toPrecision(3)} k` : `${v}`);
  assert.notEqual(said(Math.max(...params)), said(Math.min(...params)));
  await page.locator('.best', { hasText: `Parameters ${said(Math.max(...params))} (counted)` }).waitFor();
  await shot('search-large');
});

test('limits that the search itself set are dashed lines on both axes, a limit that is dragged is a whole one', async () => {
  const all = await networks();
  const at = (key, share) => all.map((n) => n.metrics[key]).sort((a, b) => a - b)[Math.floor(share * all.length)];
  const [most, least] = [at('macs', 0.8), at('params', 0.3)];
  const { search: made } = await stack.post('/searches', { name: 'within limits', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], constraints: [{ metric: 'macs', max: most }, { metric: 'params', min: least }], strategy: 'random', baseline: null, evaluations: 64, initial_evaluations: 24, measure_front: 0 });
  await stack.waitFor('the search within limits', async () => (await stack.get(`/searches/${made.id}`)).state === 'done', 90);
  const { total } = await stack.get(`/searches/${made.id}/candidates?page_size=1`);
  /** How many rows and columns of a canvas are dashed, and how many drawn whole, in the colour of limits. */
  const lines = (layer) => page.locator(`.scatter canvas.${layer}`).evaluate((c) => {
    const probe = document.createElement('i');
    probe.style.color = 'var(--limit)';
    document.body.append(probe);
    const shade = getComputedStyle(probe).color.match(/\d+/g).map(Number);
    probe.remove();
    const { data, width, height } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
    const [rows, columns] = [new Array(height).fill(0), new Array(width).fill(0)];
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      const i = 4 * (y * width + x);
      if (data[i + 3] > 150 && shade.every((v, k) => Math.abs(data[i + k] - v) < 12)) { rows[y]++; columns[x]++; }
    }
    const [across, up] = [width - 82, height - 60]; // of the chart within its axes
    const count = (list, whole, from, to) => list.filter((n) => n >= from * whole && n < to * whole).length;
    return { dashed: [count(rows, across, 0.35, 0.75), count(columns, up, 0.35, 0.75)], whole: [count(rows, across, 0.9, 2), count(columns, up, 0.9, 2)] };
  });
  for (const [x, y, expected] of [['macs', 'params', [1, 1]], ['params', 'macs', [1, 1]], ['top1', 'params', [1, 0]], ['macs', 'top1', [0, 1]]]) {
    await open(`searches/${made.id}?x=${x}&y=${y}`);
    await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor();
    await stack.waitFor(`dashed lines of ${y} over ${x}`, async () => String((await lines('base')).dashed) === String(expected), 10).catch(async (error) => assert.fail(`${error.message.split('\n')[0]}: ${JSON.stringify(await lines('base'))}`));
    assert.deepEqual(await lines('over'), { dashed: [0, 0], whole: [0, 0] });
  }
  const said = await page.locator('.scatter canvas.over').getAttribute('aria-label');
  assert.match(said, /The search demands MACs of at most [\d.]+ [kM]\./);
  assert.ok(!said.includes('demands Top-1'), said);
  await page.locator('.scatter .legend').getByText('limit of the search', { exact: true }).waitFor();
  await page.getByLabel('Add a limit').selectOption('top1');
  await page.getByLabel('at least top1').fill('20');
  await page.getByLabel('at least top1').press('Enter');
  await page.locator('.best').waitFor();
  await stack.waitFor('a whole line', async () => (await lines('over')).whole[0] > 0, 10);
  assert.deepEqual((await lines('base')).dashed, [0, 1]);
  await shot('search-limits-of-its-own');
});

test('every candidate is exported, as the command line client does it', async () => {
  await open(`searches/${search}`);
  const download = async (name) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()]);
    return readFileSync(await file.path(), 'utf8');
  };
  stack.cli('search', 'export', search, '--file', join(stack.dir, 'all.csv'));
  stack.cli('search', 'export', search, '--format', 'json', '--file', join(stack.dir, 'all.json'));
  assert.deepEqual(JSON.parse(await download('JSON')), JSON.parse(readFileSync(join(stack.dir, 'all.json'), 'utf8')));
  const numbers = (text) => text.split('\r\n').map((line) => line.split(',').map((v) => (v === '' || Number.isNaN(Number(v)) ? v : Number(v))));
  assert.deepEqual(numbers(await download(/^CSV of/)), numbers(readFileSync(join(stack.dir, 'all.csv'), 'utf8')));
});

test('the hypervolume stands beside the scatter, with its reference point', async () => {
  const volume = card('Hypervolume');
  await volume.getByText(/reference point: .*Top-1.*%/).waitFor();
  assert.match(await volume.innerText(), /nsga2/);
  assert.match(await volume.innerText(), /random/);
});

test('a hypervolume that is not known is a gap in its curve, not a value', async () => {
  const evaluations = Array.from({ length: 50 }, (_, i) => 20 * i);
  const hypervolume = evaluations.map((n, i) => (i >= 20 && i < 30 ? null : 5000 + n));
  await page.route(/\/hypervolume$/, (route) => route.fulfill({ json: { series: [{ strategy: 'nsga2', evaluations, hypervolume }] } }));
  await page.goto('about:blank');
  await open(`searches/${search}`);
  const canvas = card('Hypervolume').locator('canvas.base');
  await canvas.waitFor();
  const columns = () => canvas.evaluate((c) => { // columns of the picture in which the curve is, as shares of its width
    const probe = document.createElement('i');
    probe.style.color = 'var(--curve-1)';
    document.body.append(probe);
    const shade = getComputedStyle(probe).color.match(/\d+/g).map(Number);
    probe.remove();
    const { data, width, height } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
    const found = [];
    for (let x = 0; x < width; x++) for (let y = 0; y < height; y++) {
      if (shade.every((v, k) => Math.abs(data[4 * (y * width + x) + k] - v) < 12) && data[4 * (y * width + x) + 3] > 200) { found.push([x / width, y / height]); break; }
    }
    return found;
  });
  const inked = await stack.waitFor('a whole curve on the picture', async () => { const found = await columns(); return found.length > 40 && found; });
  const [left, right] = [inked[0][0], inked.at(-1)[0]];
  const among = (from, to) => inked.filter(([x]) => x > left + from * (right - left) && x < left + to * (right - left));
  assert.equal(among(0.4, 0.6).length, 0, 'nothing is drawn where nothing is known');
  assert.ok(among(0, 0.38).length > 20 && among(0.62, 1).length > 20);
  assert.ok(among(0, 0.05)[0][1] > 0.5 && among(0.95, 1)[0][1] < 0.3, 'the axis reaches over what is known, not down to 0');
  await page.unrouteAll({ behavior: 'wait' });
});

test('the form tells what a search will be before it is submitted, and the command shown makes the same', async () => {
  await open('searches/new');
  const ahead = card('What this will be');
  await ahead.getByText('up to 60 measurements').waitFor();
  await page.getByLabel('Name', { exact: true }).fill("a form's search");
  await page.getByLabel('MACs at most (millions)').fill('0.2');
  await page.getByText(/About .* of them keep this limit/).waitFor();
  assert.match(await ahead.innerText(), /at most [\d.]+ %/);
  assert.match(await ahead.innerText(), new RegExp(`Networks in the space\\s+${(await stack.get('/spaces/tiny')).cardinality}`));
  await page.getByLabel('Strategy', { exact: true }).selectOption('aging');
  const known = (await stack.get('/strategies')).items.find((s) => s.name === 'aging');
  await page.getByText(`Take it when ${known.when}.`).waitFor();
  await page.getByText('Options of aging').click();
  await page.locator('#option-drawn').fill('0.5');
  await page.getByLabel('Evaluations', { exact: true }).fill('40');
  await page.getByLabel('Networks measured').fill('0');
  await page.reload(); // what was typed survives
  await ahead.getByText('drawn=0.5').waitFor();
  const [command, json] = await ahead.locator('.code code').allInnerTexts();
  const body = JSON.parse(json);
  assert.deepEqual([body.strategy_options, body.constraints, body.measure_front], [{ drawn: 0.5 }, [{ metric: 'macs', max: 200000 }], 0]);
  const made = JSON.parse(stack.shell(`${command} --json`));
  for (const [member, value] of Object.entries({ name: body.name, strategy: 'aging', evaluations: 40, population: body.population, seed: body.seed })) assert.equal(made[member], value, member);
  assert.equal(made.strategy_options.drawn, 0.5);
  assert.deepEqual(made.constraints.map((c) => [c.metric, c.max]), [['macs', 200000]]);
  assert.deepEqual(made.objectives.map((o) => o.metric), body.objectives.map((o) => o.metric));
  await stack.post(`/searches/${made.id}/cancel`, {}); // what it is was to be seen, not what it finds
  await open(`searches/new?from=${made.id}`);
  await page.getByText('to be changed').waitFor();
  assert.equal(await page.getByLabel('MACs at most (millions)').inputValue(), '0.2');
  assert.equal(await page.locator('#option-drawn').inputValue(), '0.5');
  assert.equal(JSON.parse(await ahead.locator('.code code').nth(1).innerText()).measure_front, 0);
  assert.deepEqual(await faults(), []);
  await shot('new-search');
  // What the form has no field for by itself is shown, and is in what it sends.
  const asked = await stack.get(`/searches/${made.id}/request`);
  const rare = await stack.post('/searches', { ...asked, name: 'of rare wishes', objectives: [...asked.objectives, { metric: 'params', direction: 'maximise' }], constraints: [{ metric: 'macs', min: 60000 }], subspace: { kernel_sizes: [3] }, calibration_nets: 3, patience: 20 });
  await stack.post(`/searches/${rare.search.id}/cancel`, {});
  await open(`searches/new?from=${rare.search.id}`);
  await page.getByText('Also taken over').waitFor();
  assert.equal(await page.getByLabel('MACs at least (millions)').inputValue(), '0.06');
  await page.getByLabel('Parameters, to be made large').waitFor();
  await page.getByText('The command has no option for params made large, a least of macs').waitFor();
  await page.getByLabel('Seed').fill('9');
  await page.reload(); // and what was changed survives
  await page.getByText('Also taken over').waitFor();
  const sent = JSON.parse(await ahead.locator('.code code').nth(1).innerText());
  assert.equal(sent.seed, 9);
  const { name: _, ...kept } = await stack.get(`/searches/${rare.search.id}/request`), again = await (await fetch(`${stack.url}/api/v1/searches?dry_run=true`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(sent) })).json();
  assert.deepEqual({ ...again, notes: undefined }, { ...kept, seed: 9, name: 'of rare wishes again', notes: undefined });
  await page.getByRole('button', { name: 'Leave it out' }).first().click();
  await page.reload();
  await page.getByText('Also taken over').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Leave it out' }).count(), 1);
  assert.deepEqual(await faults(), []);
  // Judged by loss and top-1 at once, in the order that it had.
  const objectives = [['loss', 'minimise'], ['macs', 'minimise'], ['top1', 'maximise']].map(([metric, direction]) => ({ metric, direction }));
  const both = await stack.post('/searches', { name: 'by both', supernet: 'bars', objectives, accuracy: 'evaluated', evaluations: 20, baseline: null, measure_front: 0 });
  await stack.post(`/searches/${both.search.id}/cancel`, {});
  await open(`searches/new?from=${both.search.id}`);
  const judged = page.getByLabel('Judged by'), sends = async () => JSON.parse(await ahead.locator('.code code').nth(1).innerText()).objectives;
  await judged.waitFor();
  assert.deepEqual([await judged.inputValue(), await sends()], ['top1,loss', objectives]);
  await judged.selectOption('loss');
  assert.deepEqual((await sends()).map((o) => o.metric), ['loss', 'macs']);
  await judged.selectOption({ label: 'both' });
  await page.reload();
  await judged.waitFor();
  assert.deepEqual((await sends()).map((o) => `${o.metric} ${o.direction}`), ['top1 maximise', 'loss minimise', 'macs minimise']);
});

test('the page of a network draws it with its costs, samples, accuracy, relatives and files', async () => {
  const { items } = await stack.get(`/searches/${search}/front`);
  const { arch } = items.at(-1);
  const latencyOf = Object.entries(items.at(-1).metrics).find(([key]) => key.startsWith('latency_us'))[1];
  await open(`searches/${search}?arch=${items.at(-1).arch_id}`);
  await page.getByRole('link', { name: 'Open its page' }).click();
  const known = await stack.get(`/archs?space=tiny&arch=${encodeURIComponent(arch)}`);
  const drawn = page.locator('table.network');
  await drawn.locator('tbody tr').first().waitFor();
  assert.equal(await drawn.locator('tbody tr').count(), known.units.length);
  assert.equal(await drawn.locator('polygon.se').count(), known.units.filter((u) => u.se).length);
  await comes(drawn.locator('th', { hasText: 'test-board' })); // the board with a table is shown unasked
  const cells = await drawn.locator('tbody tr').nth(1).locator('.bar-cell').allInnerTexts();
  assert.ok(cells.length === 4 && cells.every((text) => /\d/.test(text)), cells.join());
  const { items: measured } = await stack.get(`/measurements?graph_id=${known.graph_id}`);
  const accepted = measured.filter((m) => m.state === 'accepted');
  const medians = accepted.map((m) => m.median_us);
  assert.ok(medians.length > 0 && Math.min(...medians) <= latencyOf.value && latencyOf.value <= Math.max(...medians), `the filter by graph finds what the front was measured by: ${medians}`);
  await comes(card('Raw samples').getByText(`${accepted[0].n} samples`));
  await comes(card('Latency, predicted and measured').getByText(/[+−]\d.*interval/));
  await comes(card('Accuracy').getByRole('link', { name: 'bars' }));
  await page.getByRole('button', { name: 'Find what it came from' }).click();
  await card('Lineage').getByText('Asked for in generation').waitFor();
  await card('Compare').locator('select').selectOption({ label: 'the largest of the space' });
  await page.getByRole('region', { name: 'Choices that differ' }).waitFor();
  assert.match(page.url(), /vs=/);
  await page.getByRole('button', { name: 'Export as ONNX' }).click();
  const link = card('Downloads').getByRole('link', { name: 'ONNX' });
  await comes(link);
  const [file] = await Promise.all([page.waitForEvent('download'), link.click()]);
  assert.match(readFileSync(await file.path()).toString('latin1'), /espalier\.arch/);
  await page.getByRole('button', { name: 'Export as C', exact: true }).click();
  const header = card('Downloads').getByRole('link', { name: 'C', exact: true });
  await comes(header);
  const [source] = await Promise.all([page.waitForEvent('download'), header.click()]);
  assert.match(source.suggestedFilename(), /\.h$/);
  assert.match(readFileSync(await source.path(), 'utf8'), /espalier_net_run/);
  assert.deepEqual(await faults(), []);
  await shot('network');
  await page.reload();
  await page.getByRole('region', { name: 'Choices that differ' }).waitFor();
});

test('a network is fine-tuned alone from its page', async () => {
  const { items } = await stack.get(`/searches/${search}/front`);
  await open(`archs/tiny?arch=${encodeURIComponent(items[0].arch)}`);
  await card('Fine-tune').getByLabel('Name').fill('bars alone');
  await card('Fine-tune').getByLabel('Epochs').fill('0.5');
  await page.getByRole('button', { name: 'Fine-tune' }).click();
  await page.getByRole('heading', { level: 1, name: 'bars alone' }).waitFor();
  const made = await stack.get('/supernets/bars%20alone');
  assert.deepEqual([made.train.regime, made.train.arch, made.train.init_from.supernet], ['single', items[0].arch, (await stack.get('/supernets/bars')).id]);
  await comes(page.locator('.page-head .state', { hasText: 'ready' }));
  await page.getByText("espalier supernet estimate 'bars alone' -n 12").waitFor(); // to be pasted into a shell
});

/** The address of each page, with what there is by then. */
async function everyPage() {
  const first = async (list) => (await stack.get(`/${list}`)).items[0].id;
  const { items: [point] } = await stack.get(`/searches/${search}/front`);
  return ['', 'searches', 'searches/new', `searches/${search}`, `searches/${search}?arch=${point.arch_id}`, 'supernets', `supernets/${await first('supernets')}`, 'devices', 'devices?add=1', `devices/${await first('devices')}`, 'jobs', `jobs/${await first('jobs')}`, 'models', `models/${await first('models')}`, 'data', 'archs/tiny', 'archs/ofa_mbv3'];
}

test('pages have no accessibility fault, in light and dark, and fit a phone', async () => {
  const { model, job } = await stack.post('/models', { name: 'of no table', kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
  await stack.waitFor('the end of the import', async () => (await stack.get(`/jobs/${job.id}`)).state === 'failed');
  const hashes = await everyPage();
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    for (const hash of hashes) {
      await open(hash);
      if (hash.includes('add')) await page.locator('.add-board code').waitFor();
      await settled();
      assert.deepEqual(await faults(), [], `${scheme} ${hash}`);
      await shot(`${scheme}-${nameOf(hash)}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  const cdp = await context.newCDPSession(page);
  // A phone, 200 % zoom of a laptop's window, a large screen, and text that a person has set to twice its size.
  const sizes = [['narrow', 360, 740, 16], ['zoomed', 640, 400, 16]];
  if (process.env.ESP_LONG === '1') sizes.push(['4k', 3840, 2160, 16], ['large-text', 1280, 800, 32]);
  for (const [name, width, height, text] of sizes) {
    await page.setViewportSize({ width, height });
    await cdp.send('Page.setFontSizes', { fontSizes: { standard: text, fixed: text - 3 } });
    for (const hash of hashes) {
      await open(hash);
      await settled();
      assert.deepEqual(await misfits(), [], `${name} ${hash}`);
      await shot(`${name}-${nameOf(hash)}`);
    }
  }
  await cdp.send('Page.setFontSizes', { fontSizes: { standard: 16, fixed: 13 } });
  await page.setViewportSize({ width: 1360, height: 900 });
  await fetch(`${stack.url}/api/v1/models/${model.id}`, { method: 'DELETE' });
});

ways(() => ({ stack, context, page, search }));

test('a board whose noise was measured on a busy machine is flagged, in light and dark, and can be measured again', async () => {
  const board = (await stack.get('/devices')).items[0];
  const noisy = (d) => ({ ...d, noise: 9.99, noise_doubt: 'implausible', noise_note: `noise measured on a busy machine: measure again with: espalier device check ${d.name}` });
  await page.route(/\/api\/v1\/devices(\/[^/]*)?(\?.*)?$/, async (route) => {
    const response = await route.fetch(), doc = await response.json();
    await route.fulfill({ response, json: doc.items ? { ...doc, items: doc.items.map(noisy) } : noisy(doc) });
  });
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    for (const hash of ['devices', `devices/${board.id}`]) {
      await page.goto('about:blank');
      await open(hash);
      const flag = page.locator('.noisy');
      await flag.waitFor();
      assert.match(await flag.innerText(), /Noisy.*measured on a busy machine.*espalier device check test-board/s);
      assert.deepEqual(await faults(), [], `${scheme} ${hash}`);
      await shot(`${scheme}-noisy-${nameOf(hash)}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  const before = (await stack.get('/measurements?kind=reference')).items.length;
  await page.getByRole('button', { name: 'Measure again' }).click();
  await page.getByText('The noise floor will be measured again.').waitFor();
  assert.equal((await stack.get('/measurements?kind=reference')).items.length, before + 1);
  await page.unrouteAll({ behavior: 'wait' }); // a handler under way would find its route handled
  await page.goto('about:blank');
  await open('devices');
  await page.locator('a.device', { hasText: 'test-board' }).waitFor();
  const real = (await stack.get('/devices')).items[0]; // of a busy machine it may be so indeed
  assert.equal(await page.locator('.noisy').count(), real.noise_note ? 1 : 0);
});

test('the log of a job is searched', async () => {
  const jobs = (await stack.get('/jobs')).items;
  const logs = await Promise.all(jobs.map(async (j) => ({ id: j.id, text: (await stack.get(`/jobs/${j.id}/log?offset=0&limit=65536`)).text })));
  const longest = logs.sort((a, b) => b.text.length - a.text.length)[0];
  const word = longest.text.match(/[a-z]{5,}/)[0];
  await open(`jobs/${longest.id}`);
  await page.locator('pre.log').waitFor();
  await page.getByLabel('Find').fill(word.toUpperCase());
  const expected = longest.text.split('\n').filter((l) => l.toLowerCase().includes(word)).length;
  await page.getByText(expected === 1 ? '1 line' : `${expected} lines`, { exact: true }).waitFor();
  await page.getByLabel('Find').fill('no such words at all');
  await page.getByText('No line of the log has these words.').waitFor();
  // Of a long one the newest part is shown, and everything is searched.
  appendFileSync(join(stack.dir, 'daemon/jobs', longest.id, 'log'), `${Array.from({ length: 9000 }, (_, i) => `step ${i} of a long way, and words to fill the line`).join('\n')}\n`);
  await page.reload();
  await page.getByText(/^The latest 200 kB of 4\d\d kB are shown/).waitFor();
  assert.ok(!(await page.locator('pre.log').innerText()).includes('step 7 of'));
  await page.getByLabel('Find').fill('STEP 7 OF');
  await page.getByText('1 line', { exact: true }).waitFor();
  assert.equal(await page.locator('pre.log').innerText(), 'step 7 of a long way, and words to fill the line');
  await page.getByLabel('Find').fill('a long way');
  await page.getByText('9000 lines, of which the latest are shown').waitFor();
});

test('the device page shows how far its predictions are from what was measured', async () => {
  const board = (await stack.get('/devices')).items[0];
  const newest = (await stack.get(`/calibrations?profile=${board.profiles[0].id}`)).items[0];
  const { points } = await stack.get(`/calibrations/${newest.id}`);
  await open(`devices/${board.id}`);
  await page.locator('.residuals circle').first().waitFor();
  assert.equal(await page.locator('.residuals circle').count(), points.length);
  assert.equal(await page.locator('.residuals circle.outside').count(), points.filter((p) => p.measured_us < p.low_us || p.measured_us > p.high_us).length);
  assert.deepEqual(await faults(), []);
});

test('what a model cannot be imported of is said at the form', async () => {
  await open('models');
  await page.getByText('None yet.').waitFor();
  await page.getByLabel('Name').fill('elsewhere');
  await page.getByLabel('Space').selectOption('tiny');
  await page.getByLabel('File or folder').fill('/nowhere');
  await page.getByRole('button', { name: 'Import' }).click();
  await page.locator('.problem').waitFor();
  await page.getByLabel('File or folder').fill(`${stack.dir}/tiny.json`); // no table of latencies: its job says so
  await page.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('heading', { level: 1, name: 'elsewhere' }).waitFor();
  await comes(page.locator('.page-head .state', { hasText: 'failed' }));
  await page.getByRole('link', { name: 'Its job' }).click();
  await comes(page.locator('main > .problem'));
});

test('a search for two boards shows its front on each of them', async () => {
  const { token } = await stack.post('/tokens', { kind: 'enrolment' });
  stack.startSimulated(token, 'slow-board');
  await stack.waitFor('the second board', async () => (await stack.get('/profiles')).items.length === 2, 60);
  const profiles = (await stack.get('/profiles')).items;
  for (const { id } of profiles) await stack.post('/tables', { profile: id, space: 'tiny', method: 'brief' });
  await stack.waitFor('both tables', async () => (await stack.get('/tables')).items.filter((t) => t.state === 'ready').length === 2, 90);
  const made = await stack.post('/searches', { name: 'both', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, ...profiles.map((p) => ({ metric: 'latency_us', profile: p.id, direction: 'minimise' }))], evaluations: 120, population: 12, measure_front: 0, calibration_nets: 0, method: 'brief' });
  await stack.waitFor('the search for both', async () => (await stack.get(`/searches/${made.search.id}`)).state === 'done', 90);
  await open(`searches/${made.search.id}`);
  const fronts = card('The front on each board').locator('.board-front');
  await fronts.nth(1).waitFor();
  const { items } = await stack.get(`/searches/${made.search.id}/front`);
  assert.deepEqual(await fronts.locator('figcaption').allInnerTexts().then((names) => names.sort()), profiles.map((p) => p.name).sort());
  for (let i = 0; i < 2; i++) {
    assert.equal(await fronts.nth(i).locator('circle, rect').count(), items.length);
    assert.ok((await fronts.nth(i).locator('.top').count()) >= 1);
  }
  await fronts.nth(0).locator('.top').first().dispatchEvent('click');
  await fronts.nth(1).locator('.chosen').waitFor(); // the same network, on the other board
  assert.deepEqual(await faults(), []);
  await shot('search-two-boards');
});

test('names that are HTML, quotes or formulas are text on every page', async () => {
  const evil = ['<img src=x onerror="hit=1">', `'"><svg onload=hit=1>`, '=HYPERLINK("x")&{{hit=1}}'];
  const [board] = (await stack.get('/devices')).items;
  const patch = (path, body) => fetch(`${stack.url}/api/v1${path}`, { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.equal((await patch(`/devices/${board.id}`, { name: evil[0], note: `${evil[1]}\n${evil[2]}` })).status, 200);
  await stack.post('/tokens', { kind: 'api', label: evil[0], scope: 'read' });
  const dataset = await stack.post('/datasets', { name: evil[1], path: join(stack.dir, 'bars'), validation: 1000 });
  await stack.waitFor('the data set', async () => (await stack.get(`/jobs/${dataset.job.id}`)).state === 'done');
  const supernet = await stack.post('/supernets', { name: evil[0], dataset: evil[1], init_from: { supernet: 'bars' }, train: { epochs: 0.1, batch: 32 } });
  const copy = await stack.post(`/searches/${search}/clone`, { name: evil[2], evaluations: 60, rounds: 1, measure_front: 0, calibration_nets: 0, initial_evaluations: 24 });
  await stack.waitFor('the copy of the search', async () => (await stack.get(`/jobs/${copy.job.id}`)).state === 'done', 120);
  await stack.waitFor('the training', async () => (await stack.get(`/jobs/${supernet.job.id}`)).state === 'done', 60);
  const arch = (await stack.get('/spaces/tiny')).smallest.arch;
  for (const hash of ['', 'searches', 'searches/new', `searches/new?from=${copy.search.id}`, `searches/${copy.search.id}`, `searches/${search}?with=${copy.search.id}`, 'supernets', `supernets/${supernet.supernet.id}`, 'devices', `devices/${board.id}`, 'jobs', `jobs/${copy.job.id}`, 'models', 'data', `archs/tiny?arch=${encodeURIComponent(arch)}`]) {
    await open(hash);
    await page.locator('main').waitFor();
    await page.waitForTimeout(700);
    assert.deepEqual(await page.evaluate(() => [typeof window.hit, document.querySelectorAll('img[src=x], svg[onload]').length]), ['undefined', 0], hash);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  await open(`devices/${board.id}`);
  await page.getByText(/^Table of tiny, <img/).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), 'a long name fits a phone');
  await page.setViewportSize({ width: 1360, height: 900 });
  await open('searches');
  await page.getByRole('link', { name: evil[2] }).click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /^CSV of / }).click()]);
  const text = readFileSync(await download.path(), 'utf8');
  const { total } = await stack.get(`/searches/${copy.search.id}/candidates?page_size=1`);
  assert.equal(text.split('\r\n').length, total + 2, 'a head, all candidates, and the end of the last line');
  assert.ok(!/(^|,)"[=+@]/m.test(text), 'no cell is a formula');
  await patch(`/devices/${board.id}`, { name: 'test-board', note: '' });
});

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

test('every page survives a killed daemon: it says so, and shows again what it showed, also where it was reading meanwhile', async () => {
  const tabs = [];
  /** What a page shows, without what moves on by itself. */
  const shown = (tab) => tab.evaluate(() => JSON.stringify([...document.querySelectorAll('main :is(h1, h2), main > .problem')].map((e) => e.innerText)));
  for (const hash of await everyPage()) {
    const tab = hash === 'jobs' ? page : await context.newPage();
    tab.on('pageerror', (e) => errors.push(`${hash}: ${e}`));
    await tab.goto(`${stack.url}/#/${hash}`);
    await tab.locator('main h1').waitFor();
    await tab.getByText('Reading…').first().waitFor({ state: 'detached' });
    tabs.push({ hash, tab });
  }
  await settled();
  for (const one of tabs) one.before = await shown(one.tab);
  const { port } = new URL(stack.url);
  stack.daemon.kill('SIGKILL');
  for (const { tab } of tabs) {
    await tab.getByText('Connection lost').waitFor({ timeout: 20000 });
    await tab.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))); // it reads anew, and cannot
  }
  for (const { hash, tab } of tabs.filter(({ hash }) => /^(jobs|devices|models|data|searches|supernets)$/.test(hash))) await tab.locator('main .problem', { hasText: 'cannot be reached' }).first().waitFor({ timeout: 10000 }).catch(() => assert.fail(`${hash} does not say that it could not read`));
  await stack.startDaemon(port);
  for (const { hash, tab, before } of tabs) {
    await tab.getByText('Live', { exact: true }).waitFor({ timeout: 30000 });
    const again = () => shown(tab).then((now) => now === before);
    await stack.waitFor(`what #/${hash} showed before (${before})`, again, 20).catch(async (error) => assert.fail(`${error.message}\nnow: ${await shown(tab)}`));
    if (tab !== page) await tab.close();
  }
  await page.getByRole('cell', { name: 'search', exact: true }).first().waitFor();
  await page.getByRole('cell', { name: 'front of bars', exact: true }).first().waitFor(); // not the id of what it is of
  const hidden = await page.locator('.table-wrap').evaluate((wrap) => wrap.scrollWidth - wrap.clientWidth);
  assert.ok(hidden <= 0, `${hidden} pixels of the jobs are pushed out`);
});

test('nothing was asked of another host, and no script failed', () => {
  assert.deepEqual(foreign, []);
  assert.deepEqual(errors, []);
});
