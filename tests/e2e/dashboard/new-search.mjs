// The form of a new search.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { card, faults, open, page, shot, stack } from './world.mjs';

test('the form tells what a search will be before it is submitted, and the command shown makes the same', async () => {
  await open('searches/new');
  const ahead = card('What this will be');
  await ahead.getByText('up to 60 measurements').waitFor();
  // A name that is cleared stays so until another is typed; seconds stand in the place of evaluations.
  const [name, evaluations] = ['Name', 'Evaluations'].map((title) => page.getByLabel(title, { exact: true })), lacks = (field) => field.evaluate((e) => e.validity.valueMissing);
  await name.focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  assert.deepEqual([await name.inputValue(), await lacks(name)], ['', true]);
  await page.keyboard.type('-odd');
  assert.equal(await name.inputValue(), '-odd');
  await ahead.getByText(/^espalier search create --.* -- '-odd'$|^espalier search create --.* -- -odd$/).waitFor();
  const before = await evaluations.inputValue();
  await evaluations.fill('');
  assert.equal(await lacks(evaluations), true);
  await page.getByLabel('Or seconds', { exact: true }).fill('20');
  assert.equal(await lacks(evaluations), false);
  await page.getByLabel('Or seconds', { exact: true }).fill('');
  await evaluations.fill(before);
  await name.fill("a form's search");
  await page.getByLabel('MACs at most (millions)').fill('0.2');
  await page.getByText(/About .* of them keep this limit/).waitFor();
  assert.match(await ahead.innerText(), /(at most|about) [\d.]+ %/);
  // Limits are kept together, which fewer do than keep either.
  const [macs, params] = ['MACs at most (millions)', 'Parameters at most (thousands)'].map((name) => page.getByLabel(name));
  const { quantiles } = await stack.post('/spaces/tiny/sample', { n: 1000 });
  await macs.fill(`${quantiles.macs.median / 1e6}`);
  await params.fill(`${quantiles.params.median / 1e3}`);
  const tried = { ...JSON.parse(await ahead.locator('.code code').nth(1).innerText()), name: 'tried' };
  const share = async (constraints) => (await stack.post('/searches?dry_run=true', { ...tried, constraints })).limits_share;
  const [least, together] = [Math.min(...await Promise.all(tried.constraints.map((c) => share([c])))), await share(tried.constraints)];
  assert.ok(0 < together && together < least - 0.01, `${together} of ${least}`);
  const said = `${(100 * together).toFixed(together < 0.1 ? 1 : 0)} %`, top1 = page.getByLabel('Top-1 at least (%)');
  await ahead.getByText(`about ${said}`).waitFor();
  await top1.fill('50'); // of which nobody knows before
  await ahead.getByText(`at most ${said}`).waitFor();
  await top1.fill('');
  await macs.fill('0.2');
  await params.fill('');
  assert.match(await ahead.innerText(), new RegExp(`Networks in the space\\s+${(await stack.get('/spaces/tiny')).cardinality.toLocaleString('en')}`));
  await page.getByLabel('Strategy', { exact: true }).selectOption('aging');
  const known = (await stack.get('/strategies')).items.find((s) => s.name === 'aging');
  await page.getByText(`Take it when ${known.when}.`).waitFor();
  await page.getByText('Options of aging').click();
  await page.locator('#option-drawn').fill('0.5');
  await page.getByLabel('Evaluations', { exact: true }).fill('40');
  await page.getByLabel('Networks measured').fill('0');
  await page.reload(); // what was typed survives
  await ahead.getByText('drawn=0.5').waitFor();
  await ahead.locator('.code code').nth(1).filter({ hasText: '"supernet"' }).waitFor(); // which comes with the list of them
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
  await page.locator('#option-drawn').waitFor();
  assert.equal(await page.getByLabel('MACs at most (millions)').inputValue(), '0.2');
  assert.equal(await page.locator('#option-drawn').inputValue(), '0.5');
  assert.equal(JSON.parse(await ahead.locator('.code code').nth(1).innerText()).measure_front, 0);
  assert.deepEqual(await faults(), []);
  await shot('new-search');
  // What the form has no field for by itself is shown, and is in what it sends.
  const asked = await stack.get(`/searches/${made.id}/request`);
  const rare = await stack.post('/searches', { ...asked, name: 'of rare wishes', objectives: [...asked.objectives, { metric: 'params', direction: 'maximise' }], constraints: [{ metric: 'macs', min: 60000 }], subspace: { kernel_sizes: [3] }, calibration_nets: 3, calibration_choice: 'spread', patience: 20 });
  await stack.post(`/searches/${rare.search.id}/cancel`, {});
  await open(`searches/new?from=${rare.search.id}`);
  await page.getByText('Also taken over').waitFor();
  assert.equal(await page.getByLabel('MACs at least (millions)').inputValue(), '0.06');
  await page.getByLabel('Parameters, to be made large').waitFor();
  await page.getByText('The command has no option for params made large, a least of macs').waitFor();
  await page.getByLabel('Seed').fill('9');
  await page.reload(); // and what was changed survives
  await page.getByText('Also taken over').waitFor();
  await ahead.locator('.code code').nth(1).filter({ hasText: '"supernet"' }).waitFor(); // which comes with the list of them
  const sent = JSON.parse(await ahead.locator('.code code').nth(1).innerText());
  assert.equal(sent.seed, 9);
  const { name: _, ...kept } = await stack.get(`/searches/${rare.search.id}/request`), again = await stack.post('/searches?dry_run=true', sent);
  assert.deepEqual(again.request, { ...kept, seed: 9, name: 'of rare wishes again' });
  const kernels = page.getByRole('group', { name: 'Kernel sizes', exact: true });
  assert.deepEqual([await kernels.getByLabel('3').isChecked(), await kernels.getByLabel('5').isChecked()], [true, false]);
  await page.getByRole('button', { name: 'Leave it out' }).click();
  await page.reload();
  await kernels.waitFor();
  assert.equal(await page.getByRole('button', { name: 'Leave it out' }).count(), 0);
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

test('what would be refused is said as it is typed, at its field and before anything is sent; boxes keep a part of the space', async () => {
  const searches = async () => (await stack.get('/searches?page_size=1000')).items.length, had = await searches();
  const { cardinality } = await stack.get('/spaces/tiny');
  await open('searches/new');
  await page.evaluate(() => sessionStorage.clear());
  await page.reload();
  const ahead = card('What this will be'), refused = ahead.getByText('As it is, it would be refused:'), left = (n) => ahead.getByText(`${n} of ${cardinality.toLocaleString('en')}`, { exact: true }).waitFor();
  await page.getByLabel('Name', { exact: true }).fill('all of a part');
  await page.getByLabel('Strategy', { exact: true }).selectOption('exhaustive');
  await page.getByLabel('Evaluations', { exact: true }).fill('600');
  await refused.waitFor();
  await page.locator('.field', { has: page.locator('#evaluations') }).getByRole('alert').getByText(/\d/).waitFor();
  await ahead.getByText('nothing: it would be refused').waitFor();
  await page.getByText('A part of the space', { exact: true }).click();
  const kernels = page.getByRole('group', { name: 'Kernel sizes', exact: true });
  await kernels.getByLabel('5').uncheck();
  await left(546); // of one kernel size and 3 expand ratios 3 + 9 + 27, of one and 2 of these 2 + 4 + 8
  await refused.waitFor({ state: 'detached' });
  await kernels.getByLabel('3').uncheck();
  await kernels.getByRole('alert').waitFor();
  await kernels.getByLabel('3').check();
  await refused.waitFor({ state: 'detached' });
  await page.getByText('Each stage for itself').click();
  const late = page.getByRole('group', { name: 'Depths of stage2', exact: true });
  await late.getByLabel('3').uncheck();
  await left(234);
  await page.reload();
  await left(234);
  assert.equal(await late.getByLabel('3').isChecked(), false);
  assert.deepEqual(await faults(), []);
  const [command, json] = await ahead.locator('.code code').allInnerTexts(), part = { kernel_sizes: [3], stages: { stage2: { depths: [1, 2] } } };
  assert.deepEqual(JSON.parse(json).subspace, part);
  assert.equal(await searches(), had, 'nothing was kept of all that');
  const made = JSON.parse(stack.shell(`${command} --json`));
  assert.deepEqual(made.subspace, part);
  await stack.post(`/searches/${made.id}/cancel`, {});
  await page.getByRole('button', { name: 'Keep all' }).click();
  await refused.waitFor();
  await late.getByLabel('3', { exact: true }).waitFor(); // still open
  assert.ok(await late.getByLabel('3').isChecked());
  await page.evaluate(() => sessionStorage.clear());
});
