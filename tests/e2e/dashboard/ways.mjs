// Other ways to the same pages: the keyboard alone, two fingers, a slow network, two tabs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { context, page, search, settled, stack } from './world.mjs';

/** Focus as a person with a keyboard moves it: Tab, until what is looked for has it. Everything on the way must show that it has it. */
async function tabTo(page, target, most = 150) {
  for (let i = 0; i < most; i++) {
    await page.keyboard.press('Tab');
    const { visible, name } = await page.evaluate(() => {
      const at = document.activeElement, style = getComputedStyle(at);
      return { visible: at === document.body || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0), name: at.outerHTML.slice(0, 120) };
    });
    assert.ok(visible, `focus does not show on ${name}`);
    if (await target.evaluate((element) => element === document.activeElement, undefined, { timeout: 1000 }).catch(() => false)) return;
  }
  assert.fail(`${most} times Tab do not reach ${target}`);
}

const go = async (page, hash) => page.goto(`${stack.url}/#/${hash}`);
/** A search whose every candidate is evaluated: long enough to be held up. */
const slowSearch = (name) => stack.post('/searches', { name, supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], accuracy: 'evaluated', evaluations: 3000, population: 16, measure_front: 0 });

test('two tabs follow one search, which is paused in one, goes on from the other and is stopped', async () => {
  const { search } = await slowSearch('in two tabs');
  const other = await context.newPage();
  try {
    await go(page, `searches/${search.id}`);
    await go(other, `searches/${search.id}`);
    const counted = (tab) => tab.getByRole('button', { name: /^CSV of \d+ candidates/ });
    await Promise.all([page, other].map((tab) => counted(tab).waitFor({ timeout: 60000 })));
    const states = (state) => Promise.all([page, other].map((tab) => tab.locator('.page-head .state', { hasText: state }).waitFor({ timeout: 30000 })));
    await page.getByRole('button', { name: 'Pause' }).click();
    await states('paused');
    const held = await stack.waitFor('a pause', async () => { const { state } = await stack.get(`/searches/${search.id}`); return state === 'paused' && (await stack.get(`/searches/${search.id}/candidates?page_size=1`)).total; });
    await Promise.all([page, other].map((tab) => tab.getByRole('button', { name: `CSV of ${held} candidates` }).waitFor({ timeout: 10000 })));
    await other.getByRole('button', { name: 'Resume' }).click();
    await states('running');
    await stack.waitFor('more candidates', async () => (await stack.get(`/searches/${search.id}/candidates?page_size=1`)).total > held);
    for (const tab of [page, other]) await tab.locator('.progress-line .numbers', { hasText: /^[1-9]/ }).waitFor({ timeout: 60000 });
    page.once('dialog', (dialog) => dialog.accept());
    await page.getByRole('button', { name: 'Stop' }).click();
    await states('cancelled');
    // Tried again behind another, it has nothing done: the bar of its first attempt is gone.
    const before = await slowSearch('in the way');
    await stack.waitFor('the other search', async () => (await stack.get(`/searches/${before.search.id}`)).state === 'running');
    await page.getByRole('button', { name: 'Resume' }).click();
    await states('queued');
    for (const tab of [page, other]) await tab.locator('.progress-line', { hasText: 'queued' }).getByText('0 %', { exact: true }).waitFor({ timeout: 5000 });
    for (const { id } of [search, before.search]) await stack.post(`/searches/${id}/cancel`, {});
  } finally {
    await other.close();
  }
});

test('jobs, data, models and devices that are reloaded in the middle of things show where these stand, and follow them on', async () => {
  const { search, job } = await slowSearch('held up'); // behind which the others wait
  const dataset = await stack.post('/datasets', { name: 'in the middle', path: `${stack.dir}/bars`, validation: 1000 });
  const model = await stack.post('/models', { name: 'in the middle', kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
  const [board] = (await stack.get('/devices')).items;
  const row = (text) => page.locator('tbody tr', { hasText: text });
  const places = [['jobs', () => page.locator('tr', { has: page.locator(`a[href="#/jobs/${job.id}"]`) }), 'running', 'cancelled'], ['data', () => row('in the middle'), 'checking', 'ready'], ['models', () => row('in the middle'), 'importing', 'failed'], ['devices', () => page.locator('a.device', { hasText: board.name }), 'online', 'paused']];
  const shows = (what, state) => what().locator('.state', { hasText: state }).first().waitFor({ timeout: 20000 });
  for (const [hash, what, state] of places) {
    await go(page, hash);
    await shows(what, state);
    await page.reload();
    await shows(what, state);
    if (hash === 'jobs') await what().getByText(/^\d+ %$/).waitFor({ timeout: 20000 }); // where it stands, not only that it does
  }
  const patch = (state) => fetch(`${stack.url}/api/v1/devices/${board.id}`, { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ state }) });
  for (const [hash, what, , state] of places.reverse()) {
    await go(page, hash);
    await page.reload();
    await page.getByText('Live', { exact: true }).waitFor();
    if (hash === 'devices') assert.equal((await patch('paused')).status, 200);
    if (hash === 'models') await stack.post(`/searches/${search.id}/cancel`, {});
    await shows(what, state);
  }
  assert.equal((await patch('active')).status, 200);
  assert.ok((await stack.get(`/jobs/${dataset.job.id}`)).state === 'done');
  await fetch(`${stack.url}/api/v1/models/${model.model.id}`, { method: 'DELETE' });
});

test('on a slow network the page says that it reads, stays usable and loses no change', async () => {
  const page = await context.newPage();
  try {
    const cdp = await context.newCDPSession(page);
    await cdp.send('Network.enable');
    await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 400, downloadThroughput: 60e3, uploadThroughput: 20e3 });
    await go(page, `searches/${search}`);
    await page.getByText('Reading…').waitFor({ timeout: 15000 });
    await page.getByRole('button', { name: /^CSV of/ }).waitFor({ timeout: 20000 });
    await page.getByLabel('Across logarithmic').check(); // answers at once, without asking
    assert.match(await page.evaluate(() => location.hash), /log=1/);
    await page.getByRole('link', { name: 'Jobs' }).click();
    await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();
    const { items: [point] } = await stack.get(`/searches/${search}/front`);
    const made = [];
    for (let i = 0; i < 3; i++) made.push((await stack.post('/evaluations', { supernet: 'bars', archs: [point.arch] })).job.id);
    for (const id of made) await stack.waitFor('an evaluation', async () => (await stack.get(`/jobs/${id}`)).state === 'done');
    for (const id of made) await page.locator('tr', { has: page.locator(`a[href="#/jobs/${id}"]`) }).locator('.state', { hasText: 'done' }).waitFor({ timeout: 10000 });
  } finally {
    await page.close();
  }
});

test('on a slow network the page of a board follows it, and the form of a search takes what is typed meanwhile', async () => {
  const page = await context.newPage();
  const [board] = (await stack.get('/devices')).items;
  try {
    const cdp = await context.newCDPSession(page);
    await cdp.send('Network.enable');
    await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 200, downloadThroughput: 60e3, uploadThroughput: 20e3 });
    await go(page, `devices/${board.id}`);
    await page.getByText('Reading…').first().waitFor({ timeout: 15000 });
    await page.getByRole('button', { name: 'Pause' }).click({ timeout: 20000 });
    await page.getByText('No more measurements go to this board').waitFor();
    await page.getByRole('button', { name: 'Activate' }).click();
    await page.getByRole('button', { name: 'Drain' }).waitFor();
    assert.equal((await stack.get(`/devices/${board.id}`)).state, 'active');
    await go(page, 'searches/new');
    const name = page.getByLabel('Name', { exact: true });
    await name.fill('typed early'); // before it is known what there is
    const limit = page.getByLabel('MACs at most (millions)');
    await limit.fill('0.000001');
    await page.getByText('As it is, it would be refused:').waitFor({ timeout: 20000 });
    for (const text of ['0.2', '0.3', '0.4']) await limit.fill(text); // each is asked about: the last answer counts
    await page.getByText('As it is, it would be refused:').waitFor({ state: 'detached' });
    await page.getByText(/About .* of them keep this limit/).waitFor();
    assert.equal(await name.inputValue(), 'typed early');
    const body = JSON.parse(await page.locator('.code code').nth(1).innerText());
    assert.deepEqual([body.name, body.supernet, body.constraints], ['typed early', 'bars', [{ metric: 'macs', max: 400000 }]]);
    await page.evaluate(() => sessionStorage.clear());
  } finally {
    await page.close();
  }
});

test('two fingers zoom the scatter about where they are', async () => {
  await go(page, `searches/${search}?x=macs`);
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  await page.locator('.zoom .note', { hasText: 'pinch' }).waitFor();
  const box = await canvas.boundingBox(), [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const cdp = await context.newCDPSession(page);
  const touch = (type, apart) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: apart === null ? [] : [{ x: x - apart, y, id: 1 }, { x: x + apart, y, id: 2 }] });
  const pinch = async (from, to) => {
    await touch('touchStart', from);
    for (let i = 1; i <= 8; i++) await touch('touchMove', from + ((to - from) * i) / 8);
    await touch('touchEnd', null);
  };
  await pinch(40, 120);
  await page.waitForURL(/z=/);
  const span = () => { const [a, b] = new URLSearchParams(page.url().split('?')[1]).get('z').split('~').map(Number); return b - a; };
  await page.waitForTimeout(300); // the address is written
  const near = span();
  await pinch(40, 80);
  await page.waitForFunction((before) => { const [a, b] = new URLSearchParams(location.hash.split('?')[1]).get('z').split('~').map(Number); return b - a < before * 0.7; }, near);
  await pinch(150, 15);
  await page.waitForURL((url) => !/z=/.test(url.href)); // the whole again
  assert.equal(await page.evaluate(() => visualViewport.scale), 1, 'the page itself is not zoomed');
});

test('a search is begun, looked at and stopped with the keyboard alone', async () => {
  await go(page, '');
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter'); // skip to the content
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await go(page, 'searches');
  await tabTo(page, page.getByRole('link', { name: 'New search' }).first());
  await page.keyboard.press('Enter');
  await tabTo(page, page.getByLabel('Name', { exact: true }));
  await page.keyboard.type('by keys');
  const limit = page.getByLabel('Latency at most (ms)');
  await tabTo(page, limit);
  await page.keyboard.type('0.000001');
  await page.keyboard.press('Enter');
  await page.locator('.field-problem').first().waitFor();
  await limit.focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await tabTo(page, page.getByRole('button', { name: 'Submit the search' }));
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'by keys' }).waitFor();
  const stop = page.getByRole('button', { name: 'Stop' });
  await stop.waitFor();
  await tabTo(page, stop);
  page.once('dialog', (dialog) => dialog.accept());
  await page.keyboard.press('Enter');
  await page.locator('.page-head .state', { hasText: /cancelled|done/ }).waitFor({ timeout: 60000 });
});

test('front, network, axes and table are used with the keyboard alone, and nothing holds the focus', async () => {
  await go(page, `searches/${search}`);
  await page.reload();
  await page.getByText('on the final front').waitFor();
  await tabTo(page, page.locator('.scatter canvas.over'));
  await page.keyboard.press('ArrowRight');
  await page.locator('.tip').waitFor();
  await page.keyboard.press('Enter');
  await tabTo(page, page.getByRole('button', { name: 'Close the network' }));
  await page.keyboard.press('Enter');
  await page.locator('.drawing').waitFor({ state: 'detached' });
  const brush = page.locator('.parallel canvas.over');
  await tabTo(page, brush);
  const range = () => page.evaluate(() => new URLSearchParams(location.hash.split('?')[1]).get('f') ?? '');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  for (let i = 0; i < 6; i++) await page.keyboard.press('ArrowUp');
  for (let i = 0; i < 3; i++) await page.keyboard.press('Shift+ArrowDown');
  await page.waitForTimeout(300); // the address is written
  const [key, low, high] = (await range()).split('~');
  assert.ok(key && Number(low) < Number(high), await range());
  await page.locator('.best').waitFor();
  await page.keyboard.press('Delete');
  await page.locator('.best').waitFor({ state: 'detached' });
  const table = page.getByRole('region', { name: 'Candidates within the ranges' });
  await tabTo(page, table);
  await page.keyboard.press('PageDown');
  await page.waitForFunction(() => document.querySelector('[aria-label="Candidates within the ranges"]').scrollTop > 0);
  await tabTo(page, table.getByRole('button', { name: 'Generation' }));
  await page.keyboard.press('Enter');
  await table.locator('th[aria-sort=ascending]').waitFor();
  await page.waitForTimeout(100);
  await tabTo(page, table.locator('tbody button[tabindex="0"]'));
  const row = () => page.evaluate(() => Number(document.activeElement.closest('tr').getAttribute('aria-rowindex')));
  const from = await row();
  for (let i = 0; i < 30; i++) await page.keyboard.press('ArrowDown'); // beyond the rows that were there
  for (let i = 0; i < 2; i++) await page.keyboard.press('ArrowUp');
  assert.equal(await row(), from + 28);
  await page.keyboard.press('Enter');
  await page.waitForURL(/arch=/);
  // On to the end of the page and around: no part of it keeps the focus.
  let left = false;
  for (let i = 0; i < 120 && !left; i++) {
    await page.keyboard.press('Tab');
    left = await page.evaluate(() => document.activeElement === document.body || document.activeElement.classList.contains('skip'));
  }
  assert.ok(left, 'the focus does not leave the page');
});

test('a board is added, measured and taken out of service, and a model imported, with the keyboard alone', async () => {
  const press = async (target, key = 'Enter') => { await tabTo(page, target); await page.keyboard.press(key); };
  await go(page, 'devices');
  await page.reload();
  const board = page.locator('a.device').first();
  await board.waitFor();
  await press(page.getByRole('button', { name: 'Add a board' }));
  await tabTo(page, page.getByLabel('Name of the board'));
  await page.keyboard.type('by keys');
  await page.keyboard.press('Enter');
  await page.getByText('Waiting for by keys…').waitFor();
  await press(page.locator('.add-board').getByRole('button', { name: 'Copy' }));
  await press(page.locator('.add-board').getByRole('button', { name: 'Make a new one' }));
  await press(page.getByRole('button', { name: 'Close' }));
  await page.locator('.add-board').waitFor({ state: 'detached' });
  await page.evaluate(() => sessionStorage.clear());
  await press(board);
  await page.getByRole('heading', { level: 2, name: 'Board', exact: true }).waitFor();
  await settled();
  const pause = page.getByRole('button', { name: 'Pause' });
  await press(pause);
  const activate = page.getByRole('button', { name: 'Activate' });
  await activate.waitFor();
  await press(activate);
  await pause.waitFor();
  const table = page.locator('details', { hasText: 'tiny' });
  await press(table.locator('summary'));
  await table.getByRole('region', { name: 'Entries of the table' }).waitFor();
  await tabTo(page, table.getByRole('region', { name: 'Entries of the table' })); // to be scrolled
  await tabTo(page, page.locator('.row', { has: page.getByRole('button', { name: 'Measure briefly' }) }).locator('select'));
  await page.keyboard.type('tiny'); // which is measured already
  await press(page.getByRole('button', { name: 'Measure briefly' }));
  await page.getByText('The table is being measured.').waitFor();

  await go(page, 'models');
  await tabTo(page, page.getByLabel('Name', { exact: true }));
  await page.keyboard.type('by keys');
  await tabTo(page, page.getByLabel('What it knows'));
  await page.keyboard.press('a'); // accuracies
  await tabTo(page, page.getByLabel('Space'));
  await page.keyboard.type('tiny');
  await tabTo(page, page.getByLabel('File or folder'));
  await page.keyboard.type(`${stack.dir}/tiny.json`);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'by keys' }).waitFor();
  const { items: [model] } = await stack.get('/models');
  assert.deepEqual([model.kind, model.space], ['accuracy', 'tiny']);
  await page.locator('.page-head .state', { hasText: 'failed' }).waitFor({ timeout: 30000 });
  await press(page.getByRole('link', { name: 'Its job' }));
  await page.getByRole('heading', { level: 1, name: 'Model import by keys' }).waitFor();
  await page.goBack();
  page.once('dialog', (dialog) => dialog.accept());
  await press(page.getByRole('button', { name: 'Remove' }));
  await page.getByText('The model is removed.').waitFor();
});
