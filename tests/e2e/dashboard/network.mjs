// The page of a network.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { card, comes, faults, open, page, search, shot, stack } from './world.mjs';

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
