// Boards: what they have done, their noise, how good their predictions are, and one search on two of them.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { card, comes, faults, nameOf, open, openAnew, page, search, searched, settled, shot, shots, stack, twoBoards } from './world.mjs';

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
      await openAnew(hash);
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
  await openAnew('devices');
  await page.locator('a.device', { hasText: 'test-board' }).waitFor();
  const real = (await stack.get('/devices')).items[0]; // of a busy machine it may be so indeed
  assert.equal(await page.locator('.noisy').count(), real.noise_note ? 1 : 0);
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

test('a calibration is asked for on the device page, of each space once that has a whole table', async () => {
  const board = (await stack.get('/devices')).items[0];
  const tables = await stack.get('/tables'), ready = tables.items.filter((t) => t.profile === board.profiles[0].id && t.state === 'ready');
  await page.route(/\/tables\?/, (route) => route.fulfill({ json: { ...tables, items: [...tables.items, ...ready.map((t) => ({ ...t, id: `${t.id}f`, method: 'full/1' }))] } }));
  await openAnew(`devices/${board.id}`);
  const spaces = page.locator('.row', { has: page.getByRole('button', { name: 'Calibrate' }) }).first().locator('option');
  await page.locator('details summary', { hasText: 'full' }).first().waitFor();
  assert.deepEqual((await spaces.allInnerTexts()).sort(), [...new Set(ready.map((t) => t.space))].sort());
  await page.unroute(/\/tables\?/);
  const before = (await stack.get(`/calibrations?profile=${board.profiles[0].id}`)).items;
  await openAnew(`devices/${board.id}`);
  await page.locator('.row', { has: page.getByRole('button', { name: 'Calibrate' }) }).locator('select').selectOption('tiny');
  page.once('dialog', (dialog) => dialog.accept());
  await page.getByRole('button', { name: 'Calibrate' }).click();
  await page.getByText('The calibration is queued; see Jobs.').waitFor();
  await comes(page.getByRole('region', { name: 'Calibrations' }).locator('tbody tr').nth(before.length));
  const [newest] = (await stack.get(`/calibrations?profile=${board.profiles[0].id}`)).items;
  assert.deepEqual([newest.search, newest.n_known + 10], [null, newest.n]);
});

test('a search for two boards shows its front on each of them', async () => {
  const profiles = await twoBoards();
  const made = await stack.post('/searches', { name: 'both', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, ...profiles.map((p) => ({ metric: 'latency_us', profile: p.id, direction: 'minimise' }))], evaluations: 120, population: 12, measure_front: 0, calibration_nets: 0, method: 'brief' });
  await searched(made.search.id);
  await open(`searches/${made.search.id}`);
  const fronts = card('The front on each board').locator('.board-front');
  await fronts.nth(1).waitFor();
  const { items } = await stack.get(`/searches/${made.search.id}/front`);
  await fronts.locator('figcaption', { hasText: profiles[0].name }).waitFor();
  assert.deepEqual(await fronts.locator('figcaption').allInnerTexts().then((names) => names.sort()), profiles.map((p) => p.name).sort());
  for (let i = 0; i < 2; i++) {
    assert.equal(await fronts.nth(i).locator('circle, rect, polygon').count(), items.length);
    assert.ok((await fronts.nth(i).locator('.top').count()) >= 1);
  }
  await fronts.nth(0).locator('.top').first().dispatchEvent('click');
  await fronts.nth(1).locator('.chosen').waitFor(); // the same network, on the other board
  assert.deepEqual(await faults(), []);
  await shot('search-two-boards');
  for (const { id } of profiles) await page.getByLabel('Add a limit').selectOption(`latency_us:${id}`);
  const labels = await page.locator('.limits input').evaluateAll((fields) => fields.map((field) => field.getAttribute('aria-label')));
  assert.equal(new Set(labels).size, 4, `each field has a name of its own: ${labels}`);
  // Boards are told apart where a metric is chosen, and every limit is in sight with the ways to more and to none.
  for (const [width, height] of [[1440, 900], [360, 740]]) {
    await page.setViewportSize({ width, height });
    const cut = await page.locator('.row-of select').first().evaluate((field) => { const ctx = document.createElement('canvas').getContext('2d'); ctx.font = getComputedStyle(field).font; return Math.max(...[...field.options].filter((o) => /^Latency/.test(o.text)).map((o) => ctx.measureText(o.text).width)) - (field.clientWidth - 30); });
    assert.ok(cut <= 0, `the names of metrics are cut by ${cut} pixels at ${width}`);
    const hidden = await page.locator('.limits').evaluate((e) => [...e.querySelectorAll('select, button, input')].filter((field) => {
      const [r, on] = [field.getBoundingClientRect(), (field.closest('.bounds') ?? e).getBoundingClientRect()];
      return r.left < on.left - 1 || r.right > on.right + 1 || r.top < on.top - 1 || r.bottom > on.bottom + 1;
    }).map((field) => field.getAttribute('aria-label') ?? field.textContent));
    assert.deepEqual(hidden, [], `out of sight at ${width}`);
    assert.deepEqual(await faults(), []);
    await shot(`search-two-boards-${width}`);
    if (shots) await page.locator('.limited').screenshot({ path: join(shots, `limits-${width}.png`) });
  }
  await page.setViewportSize({ width: 1360, height: 900 });
  await open(`searches/${made.search.id}?f=top1~2~`);
  await card('The front on each board').getByText('No network of the front keeps these limits.').waitFor();
  assert.equal(await fronts.count(), 0);
  await open(`searches/compare?of=${made.search.id},${search}`);
  const table = page.getByRole('region', { name: 'The searches side by side' });
  await table.waitFor();
  assert.match(await table.locator('tr', { has: page.getByRole('rowheader', { name: 'Networks measured', exact: true }) }).locator('td').first().innerText(), /^(\d+ on (slow|test)-board(, )?){2}$/);
  assert.equal(new Set(await table.locator('tr:last-child').last().locator('th, td').evaluateAll((cells) => cells.map((cell) => getComputedStyle(cell).borderBottomWidth))).size, 1, 'one cell has a line below it, another none');
  await shot('compare-two-boards');
  await open(`searches/${made.search.id}`);
  await fronts.first().waitFor();
  const calibrations = profiles.map((p, i) => ({ profile_id: p.id, version: 3 + i, kind: 'network', rung: 'line', a: 1, c: 0, n: 7 + i, residual_sd: 0.01, before: null, after: null }));
  const trust = card('How far to trust the predictions').locator('section'), own = new RegExp(`/searches/${made.search.id}$`);
  for (const told of [[], calibrations]) {
    await page.route(own, async (route) => { const response = await route.fetch(); await route.fulfill({ response, json: { ...await response.json(), calibrations: [...told.map((c) => ({ ...c, version: 1 })), ...told] } }); });
    await page.reload();
    for (const [i, { name }] of profiles.entries()) await trust.filter({ has: page.getByRole('heading', { name, exact: true }) }).getByText(told.length ? `version ${3 + i}, ${7 + i} networks` : 'none by this search').waitFor();
    assert.equal(await trust.count(), 2);
    await page.unrouteAll({ behavior: 'wait' });
  }
});

test('the page of a network has a bar for each board that is ticked, and a measurement that it asks for shows on it', async () => {
  const profiles = (await stack.get('/profiles')).items, slow = profiles.find((p) => p.name.startsWith('slow-board')), text = (us, most = us) => (most >= 1000 ? `${(us / 1000).toPrecision(4)} ms` : `${us.toPrecision(4)} µs`);
  const { largest: { arch } } = await stack.get('/spaces/tiny'), at = `/archs?space=tiny&arch=${encodeURIComponent(arch)}`;
  const known = Object.fromEntries(await Promise.all(profiles.map(async (p) => [p.name, await stack.get(`${at}&profile=${p.id}`)])));
  await open(`archs/tiny?arch=${encodeURIComponent(arch)}`);
  const drawn = page.locator('table.network'), heads = () => drawn.locator('thead th').allInnerTexts();
  for (const { name } of profiles) await drawn.locator('th', { hasText: name }).waitFor();
  /** Each unit has its latency on this board as a number and as a bar, the longest of which fills its cell. */
  const barsOf = async (name) => {
    const column = (await heads()).findIndex((head) => head.startsWith(name)), units = known[name].units.map((u) => u.latency_us), most = Math.max(...units);
    const cells = await drawn.locator('tbody tr').evaluateAll((rows, column) => rows.map((row) => { const cell = [...row.cells].at(column), bar = cell.querySelector('i'); return [cell.innerText.trim(), bar.getBoundingClientRect().width]; }), column - (await heads()).length);
    const longest = Math.max(...cells.map(([, width]) => width));
    assert.deepEqual(cells.map(([text]) => text), units.map((us) => text(us, most)), name);
    cells.forEach(([, width], i) => assert.ok(Math.abs(width / longest - Math.max(0.01, units[i] / most)) < 0.02, `${name}, unit ${i}: ${width} of ${longest} pixels for ${units[i]} of ${most} µs`));
  };
  for (const { name } of profiles) await barsOf(name);
  await page.getByLabel(slow.name, { exact: true }).uncheck();
  await drawn.locator('th', { hasText: slow.name }).waitFor({ state: 'detached' });
  await page.waitForURL(/boards=/);
  await page.reload();
  await drawn.locator('th', { hasText: profiles.find((p) => p !== slow).name }).waitFor();
  assert.ok(!(await heads()).some((head) => head.startsWith(slow.name)), 'the address keeps which boards are shown');
  await page.getByLabel(slow.name, { exact: true }).check();
  await drawn.locator('th', { hasText: slow.name }).waitFor();
  await barsOf(slow.name);
  // Nobody has measured it there yet.
  const measured = async () => (await stack.get(`/measurements?graph_id=${known[slow.name].graph_id}&profile=${slow.id}`)).items;
  const row = card('Latency, predicted and measured').locator('tbody tr', { hasText: slow.name });
  await row.getByText('not yet').waitFor();
  assert.deepEqual(await measured(), []);
  await page.getByLabel('Measure on').selectOption({ label: slow.name });
  await page.getByRole('button', { name: 'Measure fully' }).click();
  await page.getByText('The measurement is queued; what was measured before is not repeated.').waitFor();
  await comes(row.getByText(/^full\/\d+, \d+ samples/));
  const [made, ...others] = await measured();
  assert.deepEqual([others.length, made.state, made.method, made.profile], [0, 'accepted', 'full/2', slow.id]);
  const told = await row.innerText(), { us } = known[slow.name].latency;
  assert.ok(told.includes(`${text(made.median_us)} [${text(made.low_us)}, ${text(made.high_us)}]`) && told.includes(`${made.method}, ${made.n} samples`) && told.includes(`${made.median_us < us ? '−' : '+'}${(100 * Math.abs(made.median_us / us - 1)).toFixed(1)} %`), told);
  const samples = card('Raw samples').locator('figure', { hasText: `${slow.name}, ${made.method}` });
  await samples.getByText(`${made.n} samples`).waitFor();
  await page.getByLabel('Measure on').selectOption({ label: slow.name });
  const [answer] = await Promise.all([page.waitForResponse((r) => r.request().method() === 'POST' && r.url().endsWith('/api/v1/measurements')), page.getByRole('button', { name: 'Measure fully' }).click()]);
  assert.deepEqual((await answer.json()).items.map((m) => m.id), [made.id], 'it is not repeated, as it says');
  assert.deepEqual((await measured()).map((m) => m.id), [made.id]);
  assert.deepEqual(await faults(), []);
});

test('a search says which board it waits for while that takes no work, and keeps its name once the board is removed', async () => {
  const send = async (method, path, body) => assert.ok((await fetch(`${stack.url}/api/v1${path}`, { method, ...(body && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }) })).ok, `${method} ${path}`);
  const { token } = await stack.post('/tokens', { kind: 'enrolment' });
  stack.startSimulated(token, 'leaving-board');
  const profile = await stack.waitFor('the board', async () => (await stack.get('/profiles')).items.find((p) => p.name.startsWith('leaving-board')), 60);
  const { table } = await stack.post('/tables', { profile: profile.id, space: 'tiny', method: 'brief' });
  await stack.waitFor('its table', async () => (await stack.get(`/tables/${table.id}`)).state === 'ready', 90);
  await send('PATCH', `/devices/${profile.device}`, { state: 'paused' });
  await open('');
  const made = await stack.post('/searches', { name: 'left alone', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'latency_us', profile: profile.id, direction: 'minimise' }], accuracy: 'evaluated', evaluations: 24, population: 8, measure_front: 4, calibration_nets: 4, method: 'brief' });
  const running = card('Now').locator('.running', { hasText: 'left alone' });
  await comes(running.getByText('waits for leaving-board, which is paused'));
  assert.doesNotMatch(await running.innerText(), / left\b(?! alone)/, 'a time left');
  await open('jobs');
  const row = page.getByRole('row', { name: /left alone/ });
  await comes(row.getByText('waits for leaving-board, which is paused'));
  const at = (await page.getByRole('columnheader').allInnerTexts()).findIndex((title) => title.startsWith('Left'));
  assert.equal(await row.evaluate((tr, at) => tr.cells[at].innerText, at), '–', 'a time left in the list');
  await open(`searches/${made.search.id}`);
  const waits = page.locator('.progress-line', { hasText: 'waits for leaving-board, which is paused' });
  await comes(waits);
  await send('PATCH', `/devices/${profile.device}`, { state: 'active' });
  await waits.waitFor({ state: 'detached' });
  await searched(made.search.id);
  await send('DELETE', `/devices/${profile.device}`);
  for (const path of [`searches/${made.search.id}`, `searches/new?from=${made.search.id}`, `searches/compare?of=${made.search.id},${search}`, `archs/tiny?arch=${encodeURIComponent((await stack.get(`/searches/${made.search.id}/front`)).items[0].arch)}&search=${made.search.id}`]) {
    await openAnew(path);
    await page.locator('main').getByText('leaving-board').first().waitFor({ state: 'attached' }); // or a choice that is not open
    await settled();
    assert.ok(!(await page.locator('main').evaluate((main) => main.textContent)).includes(profile.id), `${path} has the id of a profile`);
  }
  assert.deepEqual(await faults(), []);
  await send('DELETE', `/searches/${made.search.id}`);
  await send('DELETE', `/tables/${table.id}`);
  await send('DELETE', `/profiles/${profile.id}`);
});
