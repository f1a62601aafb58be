// What a person does with boards and jobs: tokens, quarantine, adding a board, the list of jobs. Simulated boards, no supernet.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { faultsOf, launch, resize, shots, ui } from './browser.mjs';
import { Stack } from './stack.mjs';

const stack = new Stack();
const errors = [];
let browser, page, board;

before(async () => {
  await stack.startDaemon();
  const { token } = await stack.post('/tokens', { kind: 'enrolment' });
  stack.startSimulated(token, 'sim-one');
  board = await stack.waitFor('the board', async () => (await stack.get('/devices')).items[0]);
  browser = await launch();
  page = await (await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' })).newPage();
  page.on('pageerror', (e) => errors.push(String(e)));
});
after(async () => {
  await browser?.close();
  await stack.stop();
});

const open = async (hash) => {
  await page.goto('about:blank');
  await page.goto(`${stack.url}/#/${hash}`);
};
/** Without faults in light and dark, no wider than a phone; pictures of all of it where they are asked for. */
async function fits(name) {
  for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 360], ['dark', 360]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await resize(page, width, 800);
    if (width === 1280) assert.deepEqual(await faultsOf(page), [], `${name} ${scheme}`);
    else assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, name);
    if (shots) await page.screenshot({ path: join(shots, `${name}-${scheme}-${width}.png`), fullPage: true });
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: 'light' });
}
/** On a busy machine an answer may be ready for a page that has gone on to its next test. */
const goneOn = () => undefined;
/** Answers of the daemon about devices, changed on their way. */
async function seen(change) {
  await page.route(/\/api\/v1\/devices(\/[^/]*)?(\?.*)?$/, async (route) => {
    if (route.request().method() !== 'GET') return route.continue();
    const response = await route.fetch(), doc = await response.json();
    return route.fulfill({ response, json: doc.items ? { ...doc, items: doc.items.map(change) } : change(doc) }).catch(goneOn);
  });
}

test('a board in quarantine by its own health says why and when it is tried again, and a person releases it', async () => {
  await seen((d) => ({ ...d, health: 'quarantined', retest_at: new Date(Date.now() + 600e3).toISOString() }));
  await page.route(/\/devices\/[^/]*\/history$/, async (route) => {
    const response = await route.fetch(), doc = await response.json();
    const at = (s) => new Date(Date.now() - s * 1000).toISOString();
    return route.fulfill({ response, json: { ...doc, transitions: [{ at: at(60), from: 'quarantined', to: 'quarantined', event: 'retest_failed' }, { at: at(660), from: 'good', to: 'quarantined', event: 'crash' }, ...doc.transitions] } }).catch(goneOn);
  });
  await open(`devices/${board.id}`);
  const note = page.locator('.noisy', { hasText: 'In quarantine' });
  await note.getByText('since 11 min').waitFor();
  assert.match(await note.innerText(), /crashed or were lost\. Nothing is measured here\. Its reference network is measured again in (10:00|9:\d\d) min/);
  await fits('quarantine');
  const [sent] = await Promise.all([page.waitForRequest((r) => r.method() === 'PATCH'), note.getByRole('button', { name: 'Release' }).click()]);
  assert.deepEqual(sent.postDataJSON(), { state: 'active' });
  await page.getByText('The board starts again, on probation.').waitFor();
  await page.unrouteAll({ behavior: 'wait' });
});

test('a token is revoked and rotated only once more asked, and a revoked board is let in again', async () => {
  await open(`devices/${board.id}`);
  const token = page.locator('.facts div', { hasText: 'Token from' });
  const asked = [];
  const answer = (yes) => page.once('dialog', (dialog) => { asked.push(dialog.message()); return yes ? dialog.accept() : dialog.dismiss(); });
  for (const name of ['Revoke', 'Rotate']) {
    answer(false);
    await token.getByRole('button', { name }).click();
  }
  assert.ok(asked.length === 2 && asked.every((text) => text.includes(board.name)), asked.join());
  const now = await stack.get(`/devices/${board.id}`);
  assert.ok(now.token_created_at && !now.rotating, 'nothing was done');
  answer(true);
  await token.getByRole('button', { name: 'Revoke' }).click();
  await token.getByRole('button', { name: 'Allow' }).waitFor();
  assert.equal(await token.getByRole('button').count(), 1);
  assert.equal((await stack.get(`/devices/${board.id}`)).token_created_at, null);
  await fits('revoked');
  await token.getByRole('button', { name: 'Allow' }).click();
  await token.getByText('allowed to come back').waitFor();
  assert.equal((await stack.get(`/devices/${board.id}`)).allowed, true);
});

test('a board is added with one token: a name is asked for, a reload keeps the command, an expired one is made anew', async () => {
  const tokens = async () => (await stack.get('/tokens?page_size=1000')).items.filter((t) => t.kind === 'enrolment').length;
  const before = await tokens();
  await open('devices?add=1');
  await page.getByLabel('Name of the board').fill('from-the-page');
  await page.reload();
  await page.getByLabel('Name of the board').fill('from-the-page');
  assert.equal(await tokens(), before, 'a page that is loaded makes none');
  await page.getByRole('button', { name: 'Make the command' }).click();
  const shown = page.locator('.add-board code');
  const command = await shown.innerText();
  await page.reload();
  assert.equal(await shown.innerText(), command);
  assert.equal(await tokens(), before + 1);
  await fits('add-board');
  await page.evaluate(() => sessionStorage.setItem('espalier-add-board', JSON.stringify({ ...JSON.parse(sessionStorage.getItem('espalier-add-board')), expires_at: new Date(Date.now() - 1000).toISOString() })));
  await page.reload();
  await page.getByText('The command has expired').waitFor();
  assert.equal(await tokens(), before + 1);
  await page.getByRole('button', { name: 'Make a new one' }).click();
  await page.getByText('Waiting for from-the-page…').waitFor();
  assert.notEqual(await shown.innerText(), command);
  stack.startSimulated((await shown.innerText()).match(/ESPALIER_ENROL_TOKEN=(\S+)/)[1], 'sim-two');
  await page.locator('.add-board.arrived', { hasText: 'from-the-page' }).waitFor({ timeout: 30000 });
  await page.locator('a.device', { hasText: 'from-the-page' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Make the command' }).waitFor();
});

test('a card tells of a board what its figures are worth, as its history and its profile know it', async () => {
  const reference = { measurement: 'ms_1', profile: 'p', us: 100 };
  await page.route(/\/devices\/[^/]*\/history$/, (route) => route.fulfill({ json: {
    environment: { at: new Date().toISOString(), temperature_c: 61.25, frequency_khz: 1800000 }, holder: null, revisions: [], failures: [], transitions: [],
    tables: [{ id: 'tb_1', needed: 100, measured: 100 }, { id: 'tb_2', needed: 100, measured: 67 }], references: [[120, -0.0123], [140, 0.5], [7, null, 'another'], [100, null]].map(([us, drift, profile = 'p'], i) => ({ ...reference, us, drift, profile, at: `2026-01-0${9 - i}T00:00:00Z` })),
  } }));
  await page.route(/\/profiles\?/, async (route) => {
    const response = await route.fetch(), doc = await response.json();
    await route.fulfill({ response, json: { ...doc, items: doc.items.map((p) => ({ ...p, calibration: { version: 1, created_at: '2026-01-01T00:00:00Z', after: { mape: 0.0345 } } })) } }).catch(goneOn);
  });
  await open('devices');
  const card = page.locator('a.device', { hasText: board.name });
  await card.getByText('61.3 °C, 1.80 GHz').waitFor();
  await card.getByText('3.5 %', { exact: true }).waitFor();
  const told = await card.locator('.facts').innerText();
  for (const [name, value] of [['Drift', '−1.2 %'], ['Least table', '67 %'], ['Prediction error', '3.5 %']]) assert.match(told, new RegExp(`${name}\\s+${value}`), told);
  const line = card.getByRole('img', { name: '3 visits, from 100.0 µs to 140.0 µs, the last 120.0 µs' }); // of one profile
  assert.equal(await line.locator('polyline').getAttribute('points'), '0,18 50,2 100,10');
  await fits('devices');
  await page.unrouteAll({ behavior: 'wait' });
});

test('jobs are narrowed by state and kind, tell their place in the queue, and are stopped and tried again in their row', async () => {
  await open('jobs');
  await page.getByText('No job yet. Add a data set').waitFor();
  stack.addData();
  const wrong = await stack.post('/models', { name: 'no table', kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
  await stack.waitFor('its end', async () => (await stack.get(`/jobs/${wrong.job.id}`)).state === 'failed');
  const row = (id) => page.locator('tbody tr', { has: page.locator(`a[href="#/jobs/${id}"]`) });
  await row(wrong.job.id).locator('.state', { hasText: 'failed' }).waitFor();
  assert.equal(await page.locator('thead th').nth(1).innerText(), 'State');
  const all = (await stack.get('/jobs')).items.length;
  assert.equal(await page.locator('tbody tr').count(), all);
  await page.getByLabel('State').selectOption('failed');
  await page.waitForFunction((n) => { const rows = document.querySelectorAll('tbody tr').length; return rows > 0 && rows < n; }, all); // none are there while it reads
  assert.equal(await page.locator('tbody tr').count(), 1);
  await page.reload();
  await row(wrong.job.id).getByRole('button', { name: 'Try again' }).click();
  await stack.waitFor('another attempt', async () => (await stack.get(`/jobs/${wrong.job.id}`)).attempt === 2);
  await page.getByLabel('Kind').selectOption('dataset');
  await page.getByText('No job is like this.').waitFor();
  // A training, and two that wait behind it.
  const train = await stack.post('/supernets', { name: 'long', space: 'tiny', dataset: 'bars', train: { epochs: 500, batch: 32 } });
  const behind = [];
  for (const name of ['second', 'third']) behind.push((await stack.post('/supernets', { name, space: 'tiny', dataset: 'bars', train: { epochs: 1, batch: 32 } })).job.id);
  await open('jobs?state=active');
  await row(behind[1]).getByText('number 2 in the queue').waitFor();
  await fits('jobs');
  await page.setViewportSize({ width: 360, height: 800 });
  assert.ok((await row(behind[1]).locator('.state').boundingBox()).x < 300, 'its state is on a phone\'s screen');
  await page.setViewportSize({ width: 1280, height: 800 });
  for (const id of [...behind, train.job.id]) {
    page.once('dialog', (dialog) => dialog.accept());
    await row(id).getByRole('button', { name: 'Stop' }).click();
    await row(id).waitFor({ state: 'detached', timeout: 30000 });
  }
});

test('the overview reads what runs, not all that ever ran', async () => {
  const asked = [];
  const note = (r) => { if (/\/api\/v1\/jobs/.test(r.url())) asked.push(new URL(r.url()).searchParams); };
  page.on('request', note);
  await open('');
  await page.getByText('Nothing is running.').waitFor();
  page.off('request', note);
  assert.deepEqual([...new Set(asked.map((q) => q.get('state') ?? `the newest ${q.get('page_size')}`))].sort(), ['canceling', 'paused', 'queued', 'running', 'the newest 20']);
  await page.getByRole('region', { name: 'What ended last' }).locator('.state', { hasText: 'cancelled' }).first().waitFor();
  await fits('overview');
});

test('tabs have the name of what they show, an address that is none says so, "/" finds, and a job\'s end is told wherever one is', async () => {
  await open(`devices/${board.id}`);
  await page.waitForFunction((name) => document.title === `${name} · Espalier`, board.name);
  await open('nonsense/x');
  await page.getByRole('heading', { level: 1, name: 'No such page' }).waitFor();
  await page.waitForFunction(() => document.title === 'No such page · Espalier');
  await open('devices?q=sim-on');
  await page.locator('a.device', { hasText: board.name }).waitFor();
  assert.equal(await page.locator('a.device').count(), 1, 'of two boards');
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.type), 'search');
  await open('data');
  await page.getByText('Live', { exact: true }).waitFor();
  await stack.post('/models', { name: 'none either', kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
  await page.locator('.toast.bad', { hasText: /^Model import none either: failed, .*\.$/ }).waitFor();
});

test('spaces and models that somebody else adds or removes come to the pages and go', async () => {
  const gone = async (path) => assert.ok((await fetch(`${stack.url}/api/v1${path}`, { method: 'DELETE' })).ok, path);
  const file = join(stack.dir, 'other.json'), row = (name) => page.locator('tbody tr', { has: page.getByText(name, { exact: true }) });
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(join(stack.dir, 'tiny.json'), 'utf8')), name: 'tiny_too' }));
  await open('data');
  await row('tiny').waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  await page.waitForTimeout(1000); // what is read when the stream has begun is read
  stack.cli('space', 'add', file);
  await row('tiny_too').waitFor({ timeout: 5000 });
  await gone('/spaces/tiny_too');
  await row('tiny_too').waitFor({ state: 'detached', timeout: 5000 });
  const { items: [model] } = await stack.get('/models');
  await open('models');
  await row(model.name).waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  await page.waitForTimeout(1000);
  await gone(`/models/${model.id}`);
  await row(model.name).waitFor({ state: 'detached', timeout: 5000 });
});

test('what jobs work on is named on their pages, and no more once it is gone', async () => {
  const failed = async (name) => {
    const { model, job } = await stack.post('/models', { name, kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
    await stack.waitFor('its end', async () => (await stack.get(`/jobs/${job.id}`)).state === 'failed');
    return { job, remove: async () => assert.equal((await fetch(`${stack.url}/api/v1/models/${model.id}`, { method: 'DELETE' })).status, 204) };
  };
  const one = await failed('soon gone'), two = await failed('gone, too');
  for (const hash of ['jobs', '']) {
    await open(hash);
    await page.getByRole('link', { name: 'soon gone', exact: true }).waitFor();
    await page.getByRole('link', { name: 'gone, too', exact: true }).waitFor();
  }
  await one.remove();
  await page.getByRole('link', { name: 'soon gone', exact: true }).waitFor({ state: 'detached' });
  await open('jobs');
  const row = page.locator('tbody tr', { has: page.locator(`a[href="#/jobs/${two.job.id}"]`) });
  await row.getByRole('link', { name: 'gone, too' }).waitFor();
  const tab = await page.context().newPage();
  await tab.goto(`${stack.url}/#/jobs/${two.job.id}`);
  await tab.getByRole('heading', { level: 1, name: 'Model import gone, too', exact: true }).waitFor();
  await two.remove();
  await row.getByRole('link', { name: 'gone, too' }).waitFor({ state: 'detached' });
  await tab.getByRole('heading', { level: 1, name: 'Model import', exact: true }).waitFor();
  await tab.close();
});

test('the page of a board that was opened by its name follows the board', async () => {
  await open(`devices/${board.name}`);
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  const patch = (state) => fetch(`${stack.url}/api/v1/devices/${board.id}`, { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ state }) });
  for (const [state, name] of [['paused', 'Activate'], ['active', 'Pause']]) {
    assert.equal((await patch(state)).status, 200);
    await page.getByRole('button', { name }).waitFor({ timeout: 10000 });
  }
});

test('about: versions, limits and rules as the daemon tells them, and the licence of every package that is in the bundle', async () => {
  const [version, system, { dependencies }] = [await stack.get('/version'), await stack.get('/system'), JSON.parse(readFileSync(join(ui, 'package.json'), 'utf8'))];
  await open('');
  let refuses = true;
  await page.route('**/licences.txt', (route) => (refuses ? route.fulfill({ status: 503, body: '' }) : route.continue()));
  await page.getByRole('link', { name: 'About', exact: true }).click();
  await page.getByText(version.runtime_revision, { exact: true }).waitFor();
  await page.getByText('Memory of a job').waitFor();
  const told = await page.locator('main').innerText();
  for (const part of [version.version, version.sqlite, `${version.api}, as OpenAPI`, 'Memory of a job', ...system.retention.map((r) => r.rule)]) assert.ok(told.includes(part), `${part}: ${told}`);
  assert.ok(await page.locator('head script').evaluate((script, text) => text.includes(/app\.(\w+)\.js/.exec(script.src)[1]), told));
  await page.locator('main .problem', { hasText: /^The licences cannot be read; asked again in \d+ s\.$/ }).waitFor();
  refuses = false; // and they come without a touch
  await page.locator('pre.log', { hasText: 'Permission is hereby granted' }).waitFor();
  await page.unroute('**/licences.txt');
  const licences = await page.locator('pre.log').innerText();
  for (const [name, number] of Object.entries(dependencies)) assert.ok(licences.includes(`${name} ${number} (MIT)`), licences);
  await fits('about');
});

test('a ready supernet is searched from its page, by the checkpoint that was chosen', async () => {
  const { supernet, job } = await stack.post('/supernets', { name: 'ready', space: 'tiny', dataset: 'bars', train: { epochs: 1, batch: 64 } });
  await stack.waitFor('the training', async () => (await stack.get(`/jobs/${job.id}`)).state === 'done', 180);
  await open(`supernets/${supernet.id}`);
  const { items: [checkpoint] } = await stack.get(`/supernets/${supernet.id}/checkpoints`);
  await page.getByRole('region', { name: 'Checkpoints' }).getByRole('link', { name: 'Search it' }).first().click();
  const json = async () => JSON.parse(await page.locator('.side-card .code code').nth(1).innerText());
  const known = page.getByLabel('Checkpoint', { exact: true }).locator('option', { hasText: `step ${checkpoint.step}` });
  await known.waitFor({ state: 'attached' });
  assert.deepEqual([(await json()).supernet, (await json()).checkpoint], ['ready', checkpoint.id]);
  await page.reload(); // nothing was changed: the address says it
  await known.waitFor({ state: 'attached' });
  assert.equal((await json()).checkpoint, checkpoint.id);
  await page.getByLabel('Name', { exact: true }).fill('by the newest');
  await page.getByLabel('Checkpoint', { exact: true }).selectOption('the newest');
  await page.waitForURL((url) => !url.href.includes('checkpoint='));
  await page.reload();
  await page.getByText('by the newest').first().waitFor();
  await known.waitFor({ state: 'attached' });
  assert.deepEqual([(await json()).supernet, (await json()).checkpoint], ['ready', undefined], 'what was changed survives');
});

test('the page of a board tells what it measures now, since when and for whom, and how much waits', async () => {
  stack.startSimulated((await stack.post('/tokens', { kind: 'enrolment' })).token, 'by-the-clock', ',pace=1'); // whose seconds do pass
  const profile = await stack.waitFor('the board', async () => (await stack.get('/profiles')).items.find((p) => p.name.startsWith('by-the-clock')));
  const { job } = await stack.post('/tables', { profile: profile.id, space: 'tiny', method: 'full' });
  await open(`devices/${profile.device}`);
  const fact = (name) => page.locator('.facts div', { has: page.getByText(name, { exact: true }) }).locator('dd').first(), measures = fact('Measures');
  await measures.getByRole('link', { name: 'its job' }).waitFor({ timeout: 60000 });
  assert.equal(await measures.getByRole('link').getAttribute('href'), `#/jobs/${job.id}`);
  const told = await stack.waitFor('one and the same', async () => { const { holder } = await stack.get(`/devices/${profile.device}/history`), text = await measures.innerText(); return holder?.job === job.id && text.startsWith(`${holder.what}, full, since `) && text; }, 20);
  assert.match(told, /since (just\snow|\d+\ss\sago), for its job$/);
  assert.equal(await fact('Seen').innerText(), 'measuring now');
  const board = await stack.get(`/devices/${profile.device}`);
  assert.ok(board.queue > 1);
  await stack.waitFor('how much waits', async () => Math.abs(Number(await fact('Waiting').innerText()) - (await stack.get(`/devices/${profile.device}`)).queue) <= 1, 20);
  await fits('device-measures');
  await open('devices');
  const card = page.locator('a.device', { hasText: 'by-the-clock' });
  await stack.waitFor('its card', async () => { const { holder } = await stack.get(`/devices/${profile.device}/history`); return holder && (await card.locator('.one-line').innerText()) === holder.what; }, 20);
  await open(`devices/${profile.device}`);
  await stack.post(`/jobs/${job.id}/cancel`, {});
  await measures.getByText('nothing', { exact: true }).waitFor();
  await page.getByText('measuring now').waitFor({ state: 'detached' });
  await stack.waitFor('none that waits', async () => (await fact('Waiting').innerText()) === '0', 20);
});

test('no script failed', () => assert.deepEqual(errors, []));
