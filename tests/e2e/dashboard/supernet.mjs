// The page of a supernet: its curves, and how far inherited accuracy is to be trusted.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { card, comes, faults, open, openAnew, page, shade, shot, stack, written } from './world.mjs';

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

test('a page that was opened by name follows its supernet', async () => {
  await open('supernets/bars');
  await page.getByText('Live', { exact: true }).waitFor();
  const [oldest] = (await stack.get('/supernets/bars/checkpoints')).items.reverse(), row = page.getByRole('region', { name: 'Checkpoints' }).locator('tr', { hasText: oldest.id });
  await row.waitFor();
  assert.equal((await fetch(`${stack.url}/api/v1/checkpoints/${oldest.id}`, { method: 'DELETE' })).status, 204);
  await row.waitFor({ state: 'detached', timeout: 10000 });
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

test('curves go over steps or epochs, as the address has it, and every point of them is saved as the command line client does it', async () => {
  await open('supernets/bars');
  const charts = page.locator('.lines'), across = page.getByLabel('Across');
  await charts.nth(1).waitFor();
  await across.selectOption('epoch');
  await page.waitForURL(/x=epoch/);
  await page.reload();
  await charts.nth(1).waitFor();
  assert.equal(await across.inputValue(), 'epoch');
  await charts.first().locator('canvas.over').focus();
  await page.keyboard.press('ArrowRight');
  const { epoch, value } = (await stack.get('/supernets/bars/metrics?series=top1/largest')).series[0];
  const [at, ...others] = await charts.locator('.curve-legend span:first-child').allInnerTexts();
  assert.equal(at, `epoch ${+Math.max(...(await stack.get('/supernets/bars/metrics?max_points=1500')).series.filter((s) => s.name.startsWith('top1')).flatMap((s) => s.epoch)).toPrecision(6)}`);
  assert.ok(others.every((other) => other === at), others.join());
  assert.ok(epoch.length > 0 && (await charts.first().locator('.curve-legend').innerText()).includes(`largest ${(100 * value.at(-1)).toFixed(1)} %`));
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save as CSV' }).click()]);
  assert.equal(file.suggestedFilename(), 'bars.csv');
  const numbers = (text) => text.trim().split('\r\n').map((line) => line.split(',').map((v) => (v === '' || Number.isNaN(Number(v)) ? v : Number(v))));
  const [heads, ...rows] = numbers(readFileSync(await file.path(), 'utf8')), told = await stack.get('/supernets/bars/metrics?max_points=100000');
  assert.deepEqual(heads, ['step', 'epoch', ...told.series.map((s) => s.name)]);
  assert.equal(rows.length, new Set(told.series.flatMap((s) => s.step)).size);
  assert.deepEqual([heads, ...rows], numbers(stack.cli('supernet', 'metrics', 'bars', '--format', 'csv', '--max-points', '100000')));
  await across.selectOption('step');
  await page.waitForURL((url) => !url.href.includes('x='));
});

test('on a logarithmic axis what grows tenfold again and again is a straight line, and what is not above 0 is left out and said to be', async () => {
  const curve = (name, value) => ({ name, step: [0, 1, 2, 3], epoch: [0, 0.5, 1, 1.5], value });
  await page.route(/\/metrics\?/, (route) => route.fulfill({ json: { series: [curve('loss', [1, 10, 100, 1000]), curve('distillation_gap', [-1, 0, 20, 20])], phases: [] } }));
  await openAnew('supernets/bars');
  const canvas = card('Loss').locator('canvas.base'), left = card('Loss').getByText('0 and less are not drawn');
  await canvas.waitFor();
  const middles = async (name) => canvas.evaluate((c, shade) => { // of the curve at a third and two thirds of its width, as shares of its height
    const { data, width, height } = c.getContext('2d').getImageData(0, 0, c.width, c.height), found = [];
    for (let x = 0; x < width; x++) {
      const ys = [];
      for (let y = 0; y < height; y++) if (shade.every((v, k) => Math.abs(data[4 * (y * width + x) + k] - v) < 12) && data[4 * (y * width + x) + 3] > 200) ys.push(y);
      if (ys.length > 0) found.push([x, (ys[0] + ys.at(-1)) / 2]);
    }
    const [[x0, y0], [x1, y1]] = [found[0], found.at(-1)];
    return [1 / 3, 2 / 3].map((part) => (y0 - found.find(([x]) => x >= x0 + part * (x1 - x0))[1]) / (y0 - y1));
  }, await shade(name));
  const near = (values, expected) => values.every((v, i) => Math.abs(v - expected[i]) < 0.04);
  const drawn = async (expected) => stack.waitFor(`a curve through ${expected}`, async () => { const values = await middles('curve-1').catch(() => null); return values && near(values, expected); }, 10);
  await drawn([0.009, 0.099]);
  assert.equal(await left.count(), 0);
  await page.getByLabel('Up logarithmic').check();
  await page.waitForURL(/logy=1/);
  await drawn([1 / 3, 2 / 3]);
  await left.waitFor();
  assert.match(await card('Loss').locator('.curve-legend').innerText(), /gap to the teacher 20\.000/);
  await written();
  await page.reload();
  await drawn([1 / 3, 2 / 3]);
  assert.ok(await page.getByLabel('Up logarithmic').isChecked());
  assert.deepEqual(await faults(), []);
  await page.unrouteAll({ behavior: 'wait' });
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

test('a training in phases is stopped from its page and goes on from its checkpoint; its page has the phases, rate, norm and speed, and a checkpoint is removed', async () => {
  const train = { regime: 'progressive', epochs: 200, batch: 32, checkpoint_steps: 50, validation_images: 50, recalibration_images: 50 };
  const { supernet, job } = await stack.post('/supernets', { name: 'in phases', space: 'tiny', dataset: 'bars', train });
  const training = card('Training'), resume = page.getByRole('button', { name: 'Resume' }), of = `/supernets/${supernet.id}`;
  await open(`supernets/${supernet.id}`);
  await comes(training.getByText(/ images\/s · loss \d/));
  await comes(page.getByRole('region', { name: 'Checkpoints' }).locator('tbody tr'));
  const asked = [], answer = (yes) => page.once('dialog', (dialog) => { asked.push(dialog.message()); return yes ? dialog.accept() : dialog.dismiss(); });
  const stop = async (yes) => { answer(yes); await page.getByRole('button', { name: 'Stop', exact: true }).click(); };
  const stopped = async () => {
    await stop(true);
    await comes(resume);
    await training.waitFor({ state: 'detached' });
    assert.equal((await stack.get(`/jobs/${job.id}`)).state, 'canceled');
    return (await stack.get(of)).step;
  };
  await stop(false);
  assert.equal((await stack.get(`/jobs/${job.id}`)).state, 'running', 'who says no stops nothing');
  const first = await stopped();
  assert.equal(asked.length, 2);
  await resume.click();
  await comes(page.getByText(/^Phases: full from step 0, kernel from step \d+/));
  const step = await stopped();
  assert.ok(first > 0 && step > first, `it goes on from ${first} to ${step}`);
  const { phases, series } = await stack.get(`${of}/metrics?max_points=1500`), seriesOf = (name) => series.find((s) => s.name === name);
  const made = seriesOf('learning_rate').step;
  assert.ok(phases.length > 1 && made.every((s, i) => i === 0 || s > made[i - 1]), `no step is there twice: ${made}`);
  await page.getByText(`Phases: ${phases.map((p) => `${p.name.replace('_', ' ')} from step ${p.step}`).join(', ')}.`, { exact: true }).waitFor();
  /** What the legend of a chart says of its curve, as a number, and half of its last digit. */
  const reads = async (title, name) => {
    const words = (await card(title).locator('.curve-legend').innerText()).trim(), [, number, power, thousands] = new RegExp(`${name} ([\\d.]+)(?: × 10⁻(.+))?( k)?$`).exec(words) ?? assert.fail(words);
    const unit = (power ? 10 ** -[...power].map((d) => '⁰¹²³⁴⁵⁶⁷⁸⁹'.indexOf(d)).join('') : 1) * (thousands ? 1000 : 1);
    return [Number(number) * unit, (unit / 2) * 10 ** -(number.split('.')[1] ?? '').length];
  };
  const near = ([value, half], known) => Math.abs(value - known) <= Math.max(0.03 * known, half); // of 1.04 two digits say 1.0
  const told = { 'Learning rate': ['learning rate', seriesOf('learning_rate')], 'Gradient norm': ['gradient norm', seriesOf('gradient_norm')], Speed: ['images/s', seriesOf('images_per_s')] };
  for (const [title, [name, { value }]] of Object.entries(told)) {
    await stack.waitFor(`the last value of ${title}`, async () => near(await reads(title, name), value.at(-1)), 10).catch(async () => assert.fail(`${title}: ${(await reads(title, name))[0]}, and not ${value.at(-1)}`));
    assert.ok(value.length > 5, `${title} has no curve: ${value}`);
  }
  // Read at another step, each says what the daemon told of it.
  await card('Learning rate').locator('canvas.over').focus();
  for (let i = 0; i < 9; i++) await page.keyboard.press('ArrowLeft');
  const at = Number(/step ([\d.]+)/.exec(await card('Learning rate').locator('.curve-legend').innerText())[1]);
  assert.ok(at > 0 && at < step, `${at} of ${step}`);
  for (const [title, [name, s]] of Object.entries(told)) {
    const [said, known] = [await reads(title, name), s.value[s.step.filter((other) => other <= at).length - 1]];
    assert.ok(near(said, known), `${title}: ${said[0]} at step ${at}, and not ${known}`);
  }
  const list = async () => (await stack.get(`${of}/checkpoints?page_size=1000`)).items, had = await list(), rows = page.getByRole('region', { name: 'Checkpoints' }).locator('tbody tr');
  const { checkpoint: newest } = await stack.get(of), oldest = had.filter((c) => c.id !== newest).sort((a, b) => a.step - b.step)[0];
  assert.equal(await rows.filter({ hasText: newest }).getByRole('button', { name: 'Remove' }).count(), 0, 'the newest stays');
  for (const yes of [false, true]) {
    assert.equal((await list()).length, had.length);
    answer(yes);
    await rows.filter({ hasText: oldest.id }).getByRole('button', { name: 'Remove' }).click();
  }
  await rows.filter({ hasText: oldest.id }).waitFor({ state: 'detached' });
  assert.ok(asked.at(-1).includes(`checkpoint of step ${oldest.step}?`), asked.at(-1));
  assert.deepEqual((await list()).map((c) => c.id), had.map((c) => c.id).filter((id) => id !== oldest.id));
  assert.equal(await rows.count(), had.length - 1);
  assert.deepEqual(await faults(), []);
  assert.ok((await fetch(`${stack.url}/api/v1${of}`, { method: 'DELETE' })).ok);
});
