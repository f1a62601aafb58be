// The page of a network.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { card, comes, faults, networks, open, page, search, shot, stack, written } from './world.mjs';

/** What the page sends when the button is pressed, which the daemon takes. */
async function sent(path, button) {
  const [answer] = await Promise.all([page.waitForResponse((r) => r.request().method() === 'POST' && r.url().endsWith(`/api/v1${path}`)), button.click()]);
  assert.ok(answer.ok(), await answer.text());
  return answer.request().postDataJSON();
}
const done = ({ job }) => stack.waitFor('a job', async () => (await stack.get(`/jobs/${job.id}`)).state === 'done');
const remove = async (path) => {
  const answer = await fetch(`${stack.url}/api/v1${path}`, { method: 'DELETE' });
  assert.ok(answer.ok, await answer.text());
};
/** What the search of these pages scored by. */
async function scoredBy() {
  const { supernet, checkpoint, dataset } = await stack.get(`/searches/${search}`);
  return { supernet, checkpoint, dataset };
}

test('the page of a network draws it with its costs, samples, accuracy, relatives and files', async () => {
  const { items } = await stack.get(`/searches/${search}/front`);
  const { arch } = items.at(-1), its = await scoredBy();
  // Since the search, its supernet was trained on, and there is a newer one of the space: neither is what the front was scored by.
  const train = { epochs: 0.05, batch: 32, validation_images: 50, recalibration_images: 50 };
  await done(await stack.post('/supernets/bars/train', { train }));
  await done(await stack.post('/supernets', { name: 'bars later', space: 'tiny', dataset: 'bars', train }));
  const { step } = (await stack.get('/supernets/bars/checkpoints?page_size=1000')).items.find((c) => c.id === its.checkpoint);
  assert.notEqual((await stack.get('/supernets/bars')).checkpoint, its.checkpoint);
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
  await drawn.getByText(/[\d.]+ [µm]s in all, calibrated; the bars are not/).waitFor(); // they do not add up to it
  assert.ok(cells.length === 4 && cells.every((text) => /\d/.test(text)), cells.join());
  const { items: measured } = await stack.get(`/measurements?graph_id=${known.graph_id}`);
  const accepted = measured.filter((m) => m.state === 'accepted');
  const medians = accepted.map((m) => m.median_us);
  assert.ok(medians.length > 0 && Math.min(...medians) <= latencyOf.value && latencyOf.value <= Math.max(...medians), `the filter by graph finds what the front was measured by: ${medians}`);
  await comes(card('Raw samples').getByText(`${accepted[0].n} samples`));
  await comes(card('Latency, predicted and measured').getByText(/[+−]\d.*interval/));
  const [value, low, high] = [latencyOf.value, latencyOf.low, latencyOf.high].map((us) => (us >= 1000 ? `${(us / 1000).toPrecision(4)} ms` : `${us.toPrecision(4)} µs`));
  await card('Latency, predicted and measured').getByText(`${value} [${low}, ${high}]`, { exact: true }).waitFor(); // as the front has it
  for (const m of accepted) await card('Raw samples').getByText(`${m.n} samples, median ${m.median_us >= 1000 ? '' : `${m.median_us.toPrecision(4)} µs`}`).first().waitFor();
  await comes(card('Accuracy').getByRole('link', { name: 'bars' }));
  const told = await stack.get(`/searches/${search}/lineage?arch=${encodeURIComponent(arch)}&networks=20`);
  await card('Lineage').getByText(`Asked for in generation ${told.items[0].generation} by ${told.strategy}`).waitFor();
  const family = card('Lineage').locator('table.family tbody tr');
  assert.equal(await family.count(), told.items.length); // each network once, the newest first, each drawn
  const inRow = (item) => family.filter({ has: page.getByRole('link', { name: item.arch, exact: true }) });
  for (const item of told.items) {
    const shown = await inRow(item).innerText();
    assert.ok(shown.includes(item.origin) && item.parents.every((p) => shown.includes(p.arch_id.slice(0, 6)) && (p.distance > 6 ? shown.includes(`${p.distance} choices differ`) : p.changes.every((c) => shown.includes(`${c.gene}: ${c.from ?? '–'} → ${c.to ?? '–'}`)))), shown);
  }
  const lines = await card('Lineage').locator('.strands path').count(), among = told.items.flatMap((i) => i.parents).filter((p) => told.items.some((i) => i.arch_id === p.arch_id)).length;
  assert.ok(lines >= 2 * among, `${lines} lines for ${among} parents`);
  assert.equal(await card('Lineage').getByRole('button', { name: 'Show all that it came from' }).count(), Number(told.more));
  await card('Compare').locator('select').selectOption({ label: 'the largest of the space' });
  await page.getByRole('region', { name: 'Choices that differ' }).waitFor();
  assert.match(page.url(), /vs=/);
  assert.equal(await card('Downloads').getByLabel('By the weights of').locator('option:checked').innerText(), `bars, step ${step}: what its search scored by`);
  assert.deepEqual(await sent('/evaluations', page.getByRole('button', { name: 'Evaluate' })), { ...its, archs: [arch] });
  assert.deepEqual(await sent('/exports', page.getByRole('button', { name: 'Export as ONNX' })), { ...its, arch, format: 'onnx' });
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
  // The other one is of the same search, and compared with this one.
  const { largest } = await stack.get('/spaces/tiny');
  await card('Compare').getByRole('region', { name: 'Costs of each' }).getByRole('link', { name: 'Open' }).click();
  await page.locator('code.genotype', { hasText: largest.arch }).first().waitFor();
  const { searchParams } = new URL(page.url().replace('#/', ''));
  assert.deepEqual(['arch', 'search', 'vs'].map((name) => searchParams.get(name)), [largest.arch, search, arch]);
  await page.getByRole('link', { name: 'its search' }).waitFor();
});

test('up to six networks that are ticked in the tables of a search are compared, a column each, with what differs marked; one is left out, another put in its place', async () => {
  const { items } = await stack.get(`/searches/${search}/front`), all = await networks(), front = card('The front as a table'), rest = card('Candidates');
  const others = all.filter((n) => !items.some((i) => i.arch === n.arch)).map((n) => n.arch), wanted = [items[0].arch, ...others.slice(0, 5)];
  const box = (within, arch) => within.getByLabel(`Compare ${arch}`, { exact: true }), query = (name) => new URLSearchParams(page.url().split('?')[1]).get(name);
  await open(`searches/${search}`);
  await front.getByText('Tick two to 6 to compare them').waitFor();
  await box(front, wanted[0]).check();
  for (const arch of wanted.slice(1)) {
    for (let down = 0; !(await box(rest, arch).count()); down += 300) await rest.locator('.virtual').evaluate(async (e, down) => { e.scrollTop = down; for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame); }, down); // until its rows are drawn
    await box(rest, arch).check();
  }
  assert.equal(query('arch'), null, 'a box does not choose its row');
  assert.ok(await rest.locator('tbody input:not(:checked)').first().isDisabled(), 'six at most');
  await written();
  await page.reload();
  assert.ok(await box(front, wanted[0]).isChecked());
  await shot('search-ticked');
  await front.getByRole('link', { name: 'Compare 6 networks' }).click();
  const costs = page.getByRole('region', { name: 'Costs of each' }), differ = page.getByRole('region', { name: 'Choices that differ' });
  const table = async (region) => Promise.all((await region.locator('tbody tr').all()).map(async (row) => (await row.locator('td').allInnerTexts()).map((text) => text.replace('\n', ' '))));
  const short = (v) => (v >= 1e6 ? `${(v / 1e6).toPrecision(3)} M` : v >= 1e4 ? `${(v / 1e3).toPrecision(3)} k` : `${v}`);
  const us = (text) => { const [, n, unit] = /^([\d.]+) (ms|µs)( [\d.]+×)?$/.exec(text) ?? assert.fail(text); return Number(n) * (unit === 'ms' ? 1000 : 1); };
  /** Everything that the two tables say, against what the daemon says of each; `front`: of the search that they are of. */
  const holds = async (archs, front = items) => {
    const known = await Promise.all(archs.map((arch) => stack.get(`/archs?space=tiny&arch=${encodeURIComponent(arch)}`)));
    const heads = ['Cost', 'This network', ...known.slice(1).map((n) => `Network ${n.arch_id.slice(0, 8)}`)].join();
    await stack.waitFor('a column for each', async () => (await costs.locator('thead th').allInnerTexts()).join() === heads);
    const rows = new Map((await table(costs)).map(([name, ...cells]) => [name, cells]));
    for (const [name, cost] of [['MACs', 'macs'], ['Parameters', 'params']]) assert.deepEqual(rows.get(name), known.map(({ cost: { [cost]: v } }, i) => `${short(v)}${i ? ` ${(v / known[0].cost[cost]).toFixed(2)}×` : ''}`));
    const { id, name } = (await stack.get('/profiles')).items.find((p) => rows.has(`Latency on ${p.name}`));
    let first;
    for (const [i, arch] of archs.entries()) {
      const { latency } = await stack.get(`/archs?space=tiny&arch=${encodeURIComponent(arch)}&profile=${id}`);
      first ??= latency.us;
      const shown = rows.get(`Latency on ${name}`)[i];
      assert.ok(Math.abs(us(shown) / latency.us - 1) < 0.001 && shown.endsWith(i ? `s ${(latency.us / first).toFixed(2)}×` : 's'), `${shown}, and not ${latency.us}`);
    }
    const top1 = await Promise.all(known.map(async ({ arch_id }) => {
      const own = front.find((i) => i.arch_id === arch_id)?.metrics.top1, scored = (await stack.get(`/evaluations?arch_id=${arch_id}&split=validation`)).items[0];
      return own ? `${(100 * own.value).toFixed(2)} %, ${own.source}` : scored ? `${(100 * scored.top1).toFixed(2)} %, evaluated` : '–';
    }));
    assert.deepEqual(rows.get('Top-1'), top1);
    const genes = archs.map((text) => text.split('|').flatMap((stage, i) => { let block = 0; return stage.trim().split(' ').map((word) => [i === 0 ? 'resolution' : word[0] === 'd' ? `stage ${i} depth` : word[0] === 'c' ? `stage ${i} channels` : `block ${i}.${++block}`, /^[rdc]/.test(word) ? word.slice(1) : word]); })).map(Object.fromEntries);
    const names = [...new Set(genes.flatMap(Object.keys))].filter((gene) => genes.some((g) => g[gene] !== genes[0][gene]));
    assert.deepEqual(new Map((await table(differ)).map(([gene, ...values]) => [gene, values])), new Map(names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).map((gene) => [gene, genes.map((g) => g[gene] ?? '–')])));
    assert.equal(await differ.locator('.differs').count(), names.reduce((sum, gene) => sum + genes.filter((g) => g[gene] !== genes[0][gene]).length, 0));
  };
  await holds(wanted);
  assert.equal(query('search'), search);
  assert.equal(await card('Compare').getByLabel(/^And/).count(), 0, 'five others are as many as there can be');
  assert.deepEqual(await faults(), []);
  await shot('network-six');
  await costs.getByRole('button', { name: 'Leave out' }).nth(1).click();
  const fewer = wanted.filter((_, i) => i !== 2);
  await holds(fewer);
  await written();
  await page.reload();
  await holds(fewer);
  await card('Compare').getByLabel('or its text').fill(others[5]);
  await card('Compare').getByRole('button', { name: 'Add' }).click();
  await holds([...fewer, others[5]]);
  await costs.getByRole('link', { name: 'Open' }).first().click();
  await page.locator('main > code.genotype').getByText(fewer[1], { exact: true }).waitFor();
  await holds([fewer[1], fewer[0], ...fewer.slice(2), others[5]]);
  for (let left = 5; left > 1; left--) {
    await costs.getByRole('button', { name: 'Leave out' }).last().click();
    await stack.waitFor('a column less', async () => (await costs.locator('thead th').count()) === left + 1);
  }
  await card('Compare').getByLabel(/^And/).selectOption({ label: 'the largest of the space' });
  await stack.waitFor('a third', async () => (await costs.locator('thead th').count()) === 4);
  await open(`archs/tiny?${new URLSearchParams({ arch: wanted[0], search: 'se_gone', vs: wanted.slice(1, 3).join() })}`); // whose search was removed
  await holds(wanted.slice(0, 3), []);
});

test('a network is fine-tuned alone from its page', async () => {
  const { items } = await stack.get(`/searches/${search}/front`), its = await scoredBy();
  await open(`archs/tiny?arch=${encodeURIComponent(items[0].arch)}&search=${search}`);
  await card('Fine-tune').getByLabel('Name').fill('bars alone');
  await card('Fine-tune').getByLabel('Epochs').fill('0.5');
  await page.getByRole('button', { name: 'Fine-tune' }).click();
  await page.getByRole('heading', { level: 1, name: 'bars alone' }).waitFor();
  const made = await stack.get('/supernets/bars%20alone');
  assert.deepEqual([made.train.regime, made.train.arch, made.train.init_from], ['single', items[0].arch, { supernet: its.supernet, checkpoint: its.checkpoint }]);
  await comes(page.locator('.page-head .state', { hasText: 'ready' }));
  await page.getByText("espalier supernet estimate 'bars alone' -n 12").waitFor(); // to be pasted into a shell
  // What was trained alone is scored and exported from the pages as well, by its own weights.
  assert.deepEqual(await sent('/evaluations', page.getByRole('button', { name: 'Evaluate its network' })), { supernet: made.id });
  await comes(page.locator('.page-head .state', { hasText: 'done' }));
  assert.deepEqual((await stack.get(`/evaluations?supernet=${made.id}`)).items.map((e) => e.arch), [items[0].arch]);
  await open('supernets/bars alone');
  await page.getByRole('link', { name: 'one network' }).click();
  const by = card('Accuracy').getByLabel('By the weights of');
  await by.waitFor();
  assert.match(await by.locator('option:checked').innerText(), /^bars alone, step \d+: trained for this network alone$/);
  await card('Accuracy').getByRole('link', { name: 'bars alone' }).waitFor();
  assert.deepEqual(await sent('/exports', page.getByRole('button', { name: 'Export as ONNX' })), { supernet: made.id, arch: items[0].arch, format: 'onnx' });
  await open(`archs/tiny?arch=${encodeURIComponent(items[1].arch)}`); // weights that are no one else's
  await by.waitFor();
  assert.ok(!(await by.innerText()).includes('bars alone'));
  await remove('/supernets/bars later');
});

test('weights that were imported without a data set are scored, exported and searched on one that is chosen', async () => {
  const weights = await stack.post('/exports', { supernet: 'bars', format: 'safetensors' });
  await done(weights);
  copyFileSync(join(stack.dir, 'daemon', (await stack.get(`/exports/${weights.export.id}`)).path), join(stack.dir, 'bars.safetensors'));
  await done(await stack.post('/imports', { name: 'from elsewhere', space: 'tiny', path: join(stack.dir, 'bars.safetensors') }));
  const { id: supernet } = await stack.get('/supernets/from%20elsewhere'), { id: dataset } = await stack.get('/datasets/bars');
  const { largest: { arch }, smallest } = await stack.get('/spaces/tiny'), images = page.getByLabel('On the images of').first();
  await open('supernets/from elsewhere');
  await page.getByText('imported without a data set').waitFor();
  await images.selectOption('bars');
  assert.deepEqual(await sent('/evaluations', page.getByRole('button', { name: 'Evaluate' })), { supernet, dataset, archs: [arch, smallest.arch] });
  await open(`archs/tiny?arch=${encodeURIComponent(arch)}&weights=${supernet}`);
  await images.selectOption('bars');
  assert.deepEqual(await sent('/exports', page.getByRole('button', { name: 'Export as C' })), { supernet, dataset, arch, format: 'c' });
  await card('Downloads').getByLabel('By the weights of').selectOption((await stack.get('/supernets/bars')).id);
  await images.waitFor({ state: 'detached' }); // it has its own
  await open(`searches/new?supernet=${supernet}`);
  const field = page.getByLabel('Data set', { exact: true });
  assert.match(await field.locator('option:checked').innerText(), /imported without one/);
  await field.selectOption('bars');
  assert.equal(JSON.parse(await card('What this will be').locator('.code code').nth(1).innerText()).dataset, dataset);
  await page.evaluate(() => sessionStorage.clear());
  const made = await stack.post('/searches', { name: 'on its own images', supernet, dataset, objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], accuracy: 'evaluated', strategy: 'random', baseline: null, evaluations: 4, population: 4, measure_front: 0 });
  await done(made);
  const [best] = (await stack.get(`/searches/${made.search.id}/front`)).items, { checkpoint } = await stack.get(`/searches/${made.search.id}`);
  await open(`searches/${made.search.id}?arch=${best.arch_id}`);
  assert.deepEqual(await sent('/exports', page.getByRole('button', { name: 'Export as ONNX' })), { supernet, checkpoint, dataset, arch: best.arch, format: 'onnx' });
  await page.getByRole('button', { name: 'Pin', exact: true }).click();
  assert.deepEqual(await sent('/evaluations', page.getByRole('button', { name: 'Score on test images' })), { supernet, checkpoint, dataset, archs: [best.arch], split: 'test' });
  assert.deepEqual(await faults(), []);
  await stack.waitFor('the end of all jobs', async () => (await stack.get('/jobs')).items.every((j) => !['queued', 'running'].includes(j.state)));
  await remove(`/searches/${made.search.id}`);
  for (const e of (await stack.get('/exports')).items) if (e.supernet === supernet) await remove(`/exports/${e.id}`);
  await remove(`/supernets/${supernet}`);
});

test('the drawing of a network is as wide as its channels and as high as its resolution, and its JSON has all that the daemon tells of it', async () => {
  const { largest: { arch } } = await stack.get('/spaces/tiny'), known = await stack.get(`/archs?space=tiny&arch=${encodeURIComponent(arch)}`);
  await open(`archs/tiny?arch=${encodeURIComponent(arch)}`);
  await page.locator('table.network tbody tr').nth(known.units.length - 1).waitFor();
  /** Of each unit: how far its outline is from its middle where channels come in, are inside and go out, and the size that it has on the page. */
  const drawn = await page.locator('table.network polygon').evaluateAll((all) => all.map((polygon) => {
    const { width, height } = polygon.getBoundingClientRect(), points = [...polygon.points].map(({ x, y }) => ({ x, y }));
    return { half: points.slice(0, 4).map((p) => p.x), lowest: points.slice(0, 4).map((p) => p.y), width, height };
  }));
  assert.equal(drawn.length, known.units.length);
  const inside = (u) => u.mid_channels || u.c_out, most = (u) => Math.max(u.c_in, inside(u), u.c_out);
  const per = drawn.flatMap(({ half }, i) => { const u = known.units[i]; return [half[0] ** 2 / u.c_in, half[1] ** 2 / inside(u), half[2] ** 2 / inside(u), half[3] ** 2 / u.c_out]; });
  assert.ok(Math.max(...per) < 1.02 * Math.min(...per), `squares of widths by channel: ${per}`);
  const wide = drawn.map(({ width }, i) => width ** 2 / most(known.units[i]));
  assert.ok(Math.max(...wide) < 1.05 * Math.min(...wide), `as they are seen: ${wide}`);
  known.units.forEach((u, i) => known.units.forEach((v, j) => {
    if (u.h_out > v.h_out) assert.ok(drawn[i].height > drawn[j].height + 3, `${u.h_out} pixels in ${drawn[i].height}, ${v.h_out} in ${drawn[j].height}`);
    if (u.h_out === v.h_out) assert.ok(Math.abs(drawn[i].height - drawn[j].height) < 1, `${drawn[i].height} and ${drawn[j].height} of ${u.h_out} pixels`);
  }));
  assert.ok(new Set(known.units.map((u) => u.h_out)).size > 2 && drawn.every((d) => d.lowest[0] === 0 && d.lowest[3] > 29));
  const [file] = await Promise.all([page.waitForEvent('download'), card('Downloads').getByRole('link', { name: 'JSON', exact: true }).click()]);
  assert.equal(file.suggestedFilename(), `${known.arch_id.slice(0, 12)}.json`);
  assert.deepEqual(JSON.parse(readFileSync(await file.path(), 'utf8')), { space: 'tiny', ...known });
});
