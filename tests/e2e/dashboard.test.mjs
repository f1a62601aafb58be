// A person's way through the dashboard, in Chromium, against real processes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Stack } from './stack.mjs';

const ui = join(dirname(fileURLToPath(import.meta.url)), '../../web/ui');
const requireFromUi = createRequire(join(ui, 'package.json'));
const { chromium } = requireFromUi('playwright-core');
const axe = readFileSync(requireFromUi.resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.SHOTS;

const stack = new Stack();
let browser, context, page, search;
const foreign = [], errors = [], asked = [];

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

const nameOf = (hash) => hash.replace(/\/[a-z]+_.*/, '-one').replace('/', '-') || 'overview';

/** Serious accessibility faults of the page as it stands. axe runs by evaluate, as the page's own policy forbids inline scripts. */
async function faults() {
  await page.evaluate(axe);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return result.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')}`);
}

test('an empty daemon says how to begin', async () => {
  await page.goto(stack.url);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.getByText('No search yet.').waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
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
  await comes(page.locator('.u-legend'));
  await comes(page.locator('.page-head .state', { hasText: 'ready' }));
  const legend = await page.locator('.u-legend').first().innerText();
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

test('a limit that no subnet meets is refused at its field', async () => {
  await open('searches/new');
  await page.getByText('Random subnets:').waitFor({ timeout: 20000 });
  await page.getByLabel('Name').fill('impossible');
  await page.getByLabel('Latency at most (ms)').fill('0.000001');
  await page.getByRole('button', { name: 'Submit the search' }).click();
  await page.locator('.field-problem').first().waitFor();
  assert.match(await page.locator('.problem').innerText(), /\d/);
  await shot('new-search-refused');
});

test('a search is submitted and its front grows before the eyes', async () => {
  await page.getByLabel('Name').fill('front of bars');
  await page.getByLabel('Latency at most (ms)').fill('');
  await page.getByLabel('Evaluations').fill('1000');
  await page.getByLabel('Population').fill('24');
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
  const { items } = await stack.get(`/searches/${search}/front`);
  assert.ok(items.length > 1, JSON.stringify(items.map((i) => i.metrics)));
  for (const item of items) {
    assert.equal(item.metrics.top1.source, 'evaluated');
    const latency = Object.entries(item.metrics).find(([key]) => key.startsWith('latency_us'))[1];
    assert.equal(latency.source, 'measured');
    assert.ok(latency.low <= latency.value && latency.value <= latency.high);
  }
  await comes(page.locator('.page-head .state', { hasText: 'done' }));
  assert.equal(await page.locator('.wide tbody tr').count(), items.length);
  const { total } = await stack.get(`/searches/${search}/candidates?page_size=1`);
  assert.ok(total > 1000, 'the candidates must not fit one page of the list');
  await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor();
  await shot('search');
});

test('a point opens its network, and the address keeps the view', async () => {
  await page.locator('.wide tbody tr').first().click();
  await page.locator('.drawing .unit').first().waitFor();
  assert.ok((await page.locator('.drawing .unit').count()) >= 4);
  assert.match(page.url(), /arch=/);
  await page.getByRole('button', { name: 'Pin', exact: true }).click();
  await page.getByRole('button', { name: 'Score on test images' }).click();
  await page.getByRole('button', { name: 'Unpin' }).waitFor();
  await comes(page.locator('.wide tbody tr').first().locator('td').nth(1).filter({ hasText: '%' }));
  await page.getByRole('button', { name: 'Unpin' }).click();
  await page.getByRole('button', { name: 'Pin', exact: true }).waitFor();
  await page.getByLabel('logarithmic').check();
  await page.reload();
  await page.locator('.drawing .unit').first().waitFor();
  assert.ok(await page.getByLabel('logarithmic').isChecked());
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
  const at = await page.locator('.tip').evaluate((tip) => [parseFloat(tip.style.left), parseFloat(tip.style.top)]);
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

test('the hypervolume stands beside the scatter, with its reference point', async () => {
  const card = page.locator('.card', { has: page.getByRole('heading', { name: 'Hypervolume', exact: true }) });
  await card.getByText(/reference point: .*Top-1.*%/).waitFor();
  assert.match(await card.innerText(), /nsga2/);
  assert.match(await card.innerText(), /random/);
});

test('pages have no serious accessibility fault, in light and dark, and fit a phone', async () => {
  const first = async (list) => (await stack.get(`/${list}`)).items[0].id;
  const hashes = ['', 'searches', 'searches/new', `searches/${search}`, 'supernets', `supernets/${await first('supernets')}`, 'devices', `devices/${await first('devices')}`, 'jobs', `jobs/${await first('jobs')}`, 'data'];
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    for (const hash of hashes) {
      await open(hash);
      await page.locator('main').waitFor();
      await page.waitForTimeout(600);
      assert.deepEqual(await faults(), [], `${scheme} ${hash}`);
      await shot(`${scheme}-${nameOf(hash)}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 380, height: 800 });
  for (const hash of hashes) {
    await open(hash);
    await page.waitForTimeout(400);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${hash} is ${wide} pixels too wide`);
    await shot(`narrow-${nameOf(hash)}`);
  }
  await page.setViewportSize({ width: 1360, height: 900 });
});

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

test('the page survives a killed daemon', async () => {
  await open('jobs');
  const port = new URL(stack.url).port;
  stack.daemon.kill('SIGKILL');
  await page.getByText('Connection lost').waitFor({ timeout: 20000 });
  await stack.startDaemon(port);
  await page.getByText('Live', { exact: true }).waitFor({ timeout: 30000 });
  await page.getByRole('cell', { name: 'search', exact: true }).first().waitFor();
  await page.getByRole('cell', { name: 'front of bars', exact: true }).first().waitFor(); // not the id of what it is of
  const hidden = await page.locator('.table-wrap').evaluate((wrap) => wrap.scrollWidth - wrap.clientWidth);
  assert.ok(hidden <= 0, `${hidden} pixels of the jobs are pushed out`);
});

test('nothing was asked of another host, and no script failed', () => {
  assert.deepEqual(foreign, []);
  assert.deepEqual(errors, []);
});
