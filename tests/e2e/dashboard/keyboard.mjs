// The pages by the keyboard alone: no test of this file touches a mouse.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { card, comes, faults, open, page, search, settled, stack, stands, twoBoards } from './world.mjs';

/** Focus as a person with a keyboard moves it: Tab, until what is looked for has it. Everything on the way must show that it has it. */
async function tabTo(target, most = 150) {
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

/** Moves the focus there and presses a key. */
async function press(target, key = 'Enter') {
  await tabTo(target);
  await page.keyboard.press(key);
}

test('a search is begun, looked at and stopped with the keyboard alone', async () => {
  await open('');
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter'); // skip to the content
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await open('searches');
  await press(page.getByRole('link', { name: 'New search' }).first());
  await tabTo(page.getByLabel('Name', { exact: true }));
  await page.keyboard.type('by keys');
  const limit = page.getByLabel('Latency at most (ms)');
  await tabTo(limit);
  await page.keyboard.type('0.000001');
  await page.keyboard.press('Enter');
  await page.locator('.field-problem').first().waitFor();
  await limit.focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await press(page.getByRole('button', { name: 'Submit the search' }));
  await page.getByRole('heading', { level: 1, name: 'by keys' }).waitFor();
  const stop = page.getByRole('button', { name: 'Stop' });
  await stop.waitFor();
  await tabTo(stop);
  page.once('dialog', (dialog) => dialog.accept());
  await page.keyboard.press('Enter');
  await page.locator('.page-head .state', { hasText: /cancelled|done/ }).waitFor({ timeout: 60000 });
});

test('front, network, axes and table are used with the keyboard alone, and nothing holds the focus', async () => {
  await open(`searches/${search}`);
  await page.reload();
  await page.getByText('on the final front').waitFor();
  await tabTo(page.locator('.scatter canvas.over'));
  await page.keyboard.press('ArrowRight');
  await page.locator('.tip').waitFor();
  await page.keyboard.press('Enter');
  await press(page.getByRole('button', { name: 'Close the network' }));
  await page.locator('.drawing').waitFor({ state: 'detached' });
  const brush = page.locator('.parallel canvas.over');
  await tabTo(brush);
  const range = () => page.evaluate(() => new URLSearchParams(location.hash.split('?')[1]).get('f') ?? '');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  for (let i = 0; i < 6; i++) await page.keyboard.press('ArrowUp');
  for (let i = 0; i < 3; i++) await page.keyboard.press('Shift+ArrowDown');
  await stack.waitFor('a range with two ends in the address', async () => { const [key, low, high] = (await range()).split('~'); return key && low && high && Number(low) < Number(high); }, 10).catch(async () => assert.fail(`the address has the range '${await range()}'`));
  await page.locator('.best').waitFor();
  await page.keyboard.press('Delete');
  await page.locator('.best').waitFor({ state: 'detached' });
  const table = page.getByRole('region', { name: 'Candidates within the ranges' });
  await tabTo(table);
  await page.keyboard.press('PageDown');
  await page.waitForFunction(() => document.querySelector('[aria-label="Candidates within the ranges"]').scrollTop > 0);
  await press(table.getByRole('button', { name: 'Generation' }));
  await table.locator('th[aria-sort=ascending]').waitFor();
  await page.waitForTimeout(100);
  await press(table.locator('tbody input[tabindex="0"]'), 'Space');
  await page.keyboard.press('ArrowDown'); // to the box of the next row
  await page.keyboard.press('Space');
  await page.getByRole('link', { name: 'Compare 2 networks' }).first().waitFor();
  await press(page.getByRole('button', { name: 'Tick none' }).last());
  await page.getByText('Tick two to 6 to compare them').first().waitFor();
  await tabTo(table.locator('tbody button[tabindex="0"]'));
  const row = () => page.evaluate(() => Number(document.activeElement.closest('tr').getAttribute('aria-rowindex')));
  const from = await row();
  const drawn = () => page.evaluate(() => new Promise(requestAnimationFrame)); // rows come as the table is scrolled
  for (let i = 0; i < 30; i++) await page.keyboard.press('ArrowDown').then(drawn); // beyond the rows that were there
  for (let i = 0; i < 2; i++) await page.keyboard.press('ArrowUp').then(drawn);
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
  await open('devices');
  await page.reload();
  const board = page.locator('a.device').first();
  await board.waitFor();
  await press(page.getByRole('button', { name: 'Add a board' }));
  await tabTo(page.getByLabel('Name of the board'));
  await page.keyboard.type('by keys');
  await page.keyboard.press('Enter');
  await page.getByText('Waiting for by keys…').waitFor();
  await press(page.locator('.add-board').getByRole('button', { name: 'Copy' }));
  await sent('/tokens', page.locator('.add-board').getByRole('button', { name: 'Make a new one' }));
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
  await tabTo(table.getByRole('region', { name: 'Entries of the table' })); // to be scrolled
  await tabTo(page.locator('.row', { has: page.getByRole('button', { name: 'Measure briefly' }) }).locator('select'));
  await page.keyboard.type('tiny'); // which is measured already
  await press(page.getByRole('button', { name: 'Measure briefly' }));
  await page.getByText('The table is being measured.').waitFor();

  await open('models');
  await tabTo(page.getByLabel('Name', { exact: true }));
  await page.keyboard.type('by keys');
  await tabTo(page.getByLabel('What it knows'));
  await page.keyboard.press('a'); // accuracies
  await tabTo(page.getByLabel('Space'));
  await page.keyboard.type('tiny');
  await tabTo(page.getByLabel('File or folder'));
  await page.keyboard.type(`${stack.dir}/tiny.json`);
  assert.deepEqual(await page.locator('main form').locator('input, select').evaluateAll((fields) => fields.map((field) => field.value)), ['by keys', 'accuracy', 'tiny', `${stack.dir}/tiny.json`]);
  await entered('/models');
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

/** What the daemon took when the key was pressed where the focus is. */
async function entered(path) {
  const [answer] = await Promise.all([page.waitForResponse((r) => r.request().method() === 'POST' && r.url().endsWith(`/api/v1${path}`)), page.keyboard.press('Enter')]);
  assert.ok(answer.ok(), await answer.text());
  return answer.request().postDataJSON();
}

async function sent(path, button) {
  await tabTo(button);
  return entered(path);
}
const heading = (name) => page.getByRole('heading', { level: 1, name, exact: true });
const inHead = (state) => page.locator('.page-head .state', { hasText: state });
const button = (name) => page.getByRole('button', { name, exact: true });

test('a supernet in training is found, held up, looked at, let go on and stopped, its checkpoints removed and searched, with the keyboard alone', async () => {
  const { supernet, job } = await stack.post('/supernets', { name: 'by keys', space: 'tiny', dataset: 'bars', train: { epochs: 500, batch: 32, checkpoint_steps: 20, validation_images: 50, recalibration_images: 50 } });
  const steps = () => stack.get(`/supernets/${supernet.id}/checkpoints?page_size=1000`).then(({ items }) => items.map((c) => c.step));
  await open('supernets');
  await press(page.getByRole('link', { name: 'by keys', exact: true }));
  await heading('by keys').waitFor();
  const legends = page.locator('.curve-legend span:first-child');
  await comes(legends.nth(4)); // the first point of a training comes after a second
  await comes(card('Checkpoints').locator('tbody tr').nth(1));
  await press(button('Pause'));
  await comes(inHead('paused'));
  await stands(job.id);
  await settled();
  const held = await steps();

  // Each chart is read by the arrows, all at one step, until the focus leaves it.
  for (let i = 0; i < 5; i++) {
    await press(page.locator('.lines canvas.over').nth(i), 'ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    const told = await legends.allInnerTexts();
    assert.match(told[i], /^step \d+$/);
    assert.ok(told.every((text) => text === told[i]), told.join());
    assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), new RegExp(`At ${told[i].slice(5)}:`));
    await page.keyboard.press('Tab');
    await page.waitForFunction(() => [...document.querySelectorAll('.curve-legend span:first-child')].every((span) => span.innerText.endsWith('latest')));
    await page.keyboard.press('Shift+Tab');
  }
  await press(page.getByLabel('Smooth the curves of each step'), 'PageUp');
  await page.waitForURL(/smooth=0\.1/);
  await page.keyboard.press('Home');
  await page.waitForURL((url) => !url.href.includes('smooth'));

  const checkpoints = page.getByRole('region', { name: 'Checkpoints' });
  await tabTo(checkpoints); // to be scrolled
  await press(checkpoints.getByRole('link', { name: 'Search it' }).first());
  await heading('New search').waitFor();
  const field = page.getByLabel('Checkpoint', { exact: true });
  await field.locator('option:checked', { hasText: `step ${held[0]}` }).waitFor({ state: 'attached' });
  await page.goBack(); // the browser's own keys
  await heading('by keys').waitFor();

  await press(button('Resume'));
  await comes(inHead('training'));
  await stack.waitFor('a step further', async () => (await steps())[0] > held[0]);
  const { largest, smallest } = await stack.get('/spaces/tiny');
  assert.deepEqual(await sent('/evaluations', button('Evaluate')), { supernet: supernet.id, archs: [largest.arch, smallest.arch] });
  await page.getByRole('heading', { level: 1, name: 'Evaluation by keys' }).waitFor();
  await page.goBack(); // the browser's own keys
  await heading('by keys').waitFor();
  page.once('dialog', (dialog) => dialog.accept());
  await press(button('Stop'));
  await comes(inHead('cancelled'));
  await button('Resume').waitFor();
  assert.equal((await stack.get(`/jobs/${job.id}`)).state, 'canceled');
  await stack.waitFor('the evaluation', async () => (await stack.get('/jobs')).items.every((j) => !['queued', 'running'].includes(j.state)));
  await settled();
  const last = await steps(), remove = checkpoints.getByRole('button', { name: 'Remove' }).last();
  for (const yes of [false, true]) {
    page.once('dialog', (dialog) => (yes ? dialog.accept() : dialog.dismiss()));
    await press(remove);
    if (!yes) assert.deepEqual(await steps(), last);
  }
  await page.getByText('The checkpoint is removed.').waitFor();
  assert.deepEqual(await steps(), last.slice(0, -1));
  await checkpoints.locator('tbody tr').nth(last.length - 1).waitFor({ state: 'detached' });
  assert.deepEqual(await faults(), []);
  assert.equal((await fetch(`${stack.url}/api/v1/supernets/${supernet.id}`, { method: 'DELETE' })).status, 204);
});

test('a network is opened from a front, looked at on other boards, compared, measured, scored, loaded down and trained alone with the keyboard alone', async () => {
  const { items: front } = await stack.get(`/searches/${search}/front`), { largest, smallest } = await stack.get('/spaces/tiny'), profiles = await twoBoards();
  await open(`searches/${search}`);
  await page.reload();
  await page.getByText('on the final front').waitFor();
  await press(page.locator('.scatter canvas.over'), 'ArrowRight');
  await page.locator('.tip').waitFor();
  await page.keyboard.press('Enter');
  await press(page.getByRole('link', { name: 'Open its page' }));
  await page.getByRole('heading', { level: 1, name: /^Network/ }).waitFor();
  const { arch, graph_id: graph } = await stack.get(`/archs?space=tiny&arch=${encodeURIComponent(new URLSearchParams(page.url().split('?')[1]).get('arch'))}`);
  assert.ok(front.some((f) => f.arch === arch), arch);
  await settled();

  const drawn = page.locator('table.network'), [slow] = profiles.filter((p) => p.name.startsWith('slow-board'));
  const named = drawn.locator('th', { hasText: slow.name });
  await named.waitFor();
  const box = page.locator('.toolbar').getByLabel(slow.name);
  await press(box, 'Space');
  await named.waitFor({ state: 'detached' });
  assert.equal(new URLSearchParams(page.url().split('?')[1]).get('boards'), profiles.find((p) => p !== slow).id);
  await page.keyboard.press('Space'); // the box has kept the focus
  await named.waitFor();

  const measured = async () => (await stack.get(`/measurements?graph_id=${graph}&profile=${slow.id}`)).items.filter((m) => m.state === 'accepted');
  const row = page.getByRole('region', { name: 'Latency, predicted and measured' }).locator('tbody tr', { hasText: slow.name });
  await row.getByText('not yet').waitFor();
  assert.deepEqual(await measured(), []);
  await tabTo(page.getByLabel('Measure on'));
  await page.keyboard.type(slow.name);
  assert.deepEqual(await sent('/measurements', button('Measure briefly')), { profile: slow.id, space: 'tiny', archs: [arch], method: 'brief' });
  await comes(row.getByText(/[+−]\d.*interval/));
  assert.equal((await measured()).length, 1);
  await comes(card('Raw samples').getByText(new RegExp(`^${slow.name}`)));

  assert.deepEqual((await sent('/evaluations', button('Evaluate'))).archs, [arch]);
  const differ = page.getByRole('region', { name: 'Choices that differ' }), vs = () => new URLSearchParams(page.url().split('?')[1]).get('vs');
  const [end, name] = arch === smallest.arch ? [largest.arch, 'the largest'] : [smallest.arch, 'the smallest'], another = front.find((f) => ![arch, end].includes(f.arch))?.arch ?? largest.arch;
  await tabTo(card('Compare').getByLabel('With'));
  await page.keyboard.type(name); // each letter chooses
  await page.waitForURL(() => vs() === end);
  await differ.waitFor();
  await tabTo(differ); // to be scrolled
  await tabTo(card('Compare').getByLabel('or its text'));
  await page.keyboard.type(another);
  await press(button('Compare'));
  await page.waitForURL(() => vs() === another);
  await press(page.getByRole('region', { name: 'Costs of each' }).getByRole('link', { name: 'Open' }));
  await page.locator('main > code.genotype', { hasText: another }).waitFor();
  assert.equal(vs(), arch);
  await page.goBack(); // the browser's own keys
  await page.locator('main > code.genotype', { hasText: arch }).waitFor();
  await settled();

  const file = async (link) => {
    await tabTo(link);
    const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
    return readFileSync(await download.path());
  };
  const known = await file(card('Downloads').getByRole('link', { name: 'JSON' }));
  assert.equal(JSON.parse(known).arch, arch);
  assert.equal((await sent('/exports', button('Export as ONNX'))).arch, arch);
  const onnx = card('Downloads').getByRole('link', { name: 'ONNX' }).first();
  await comes(onnx);
  assert.match((await file(onnx)).toString('latin1'), /espalier\.arch/);

  const tune = card('Fine-tune');
  for (const [field, text] of [['Name', 'alone by keys'], ['Epochs', '0.5'], ['Learning rate', '0.02']]) {
    await tabTo(tune.getByLabel(field)); // which selects what stands there
    await page.keyboard.type(text);
  }
  const { init_from, train } = await sent('/supernets', button('Fine-tune'));
  assert.deepEqual([init_from.supernet, train.arch, train.epochs, train.learning_rate], [(await stack.get(`/searches/${search}`)).supernet, arch, 0.5, 0.02]);
  await heading('alone by keys').waitFor();
  await comes(inHead('ready'));
  await press(page.getByRole('link', { name: 'one network' }));
  await page.locator('main > code.genotype', { hasText: arch }).waitFor();
});
