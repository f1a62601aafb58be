// A search that another program made: results of DyNAS-T, with latencies that it measured.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { card, faults, open, page, shade, shot, stack } from './world.mjs';

const latencyKey = 'latency_us:dynast';

/** Results of 30 networks as DyNAS-T writes them: the more blocks, the slower and, but for every third, the better. Of two resolutions in turn. Returns resolution, depths, ms and top-1 in per cent of each. */
function writeResults(path) {
  const rows = Array.from({ length: 30 }, (_, i) => ({ pixels: i % 2 ? 224 : 192, depths: [0, 1, 2, 3, 4].map((stage) => 2 + (Math.floor(i / 3 ** stage) % 3)), ms: 10 + 3.25 * i, top1: i % 3 === 2 ? 60 + 0.1 * i : 70 + 0.25 * i }));
  const twenty = (value) => `[${new Array(20).fill(value).join(', ')}]`;
  const lines = rows.map(({ pixels, depths, ms, top1 }, i) => `"{'wid': None, 'ks': ${twenty(3)}, 'e': ${twenty(4)}, 'd': [${depths.join(', ')}], 'r': [${pixels}]}",2022-11-01 05:${10 + i}:00.5,1234567,${ms},0,${top1}\n`);
  writeFileSync(path, `Sub-network,Date,Model Parameters,Latency (ms),MACs,Top-1 Acc (%)\n${lines.join('')}`);
  return rows;
}
const archOf = ({ pixels, depths }) => [`r${pixels}`, 'd1 c16 k3e1', ...depths.map((d, i) => [`d${d} c${[24, 40, 80, 112, 160][i]}`, ...new Array(d).fill('k3e4')].join(' '))].join(' | ');

test('results of DyNAS-T open as a search: its points are drawn, its front is a table, a network of it opens, and all of it is exported', async () => {
  const rows = writeResults(join(stack.dir, 'dynast.csv'));
  const { search: made, job } = await stack.post('/results', { name: 'of another program', space: 'ofa_mbv3', path: join(stack.dir, 'dynast.csv'), cost: 'latency_us' });
  await stack.waitFor('the import', async () => (await stack.get(`/jobs/${job.id}`)).state === 'done');
  await open('searches');
  await page.getByRole('region', { name: 'Searches', exact: true }).getByRole('link', { name: 'of another program' }).click();
  await page.getByRole('heading', { level: 1, name: 'of another program' }).waitFor();
  const best = rows.filter((r) => !rows.some((o) => o !== r && o.ms <= r.ms && o.top1 >= r.top1)); // the first, and whatever is better than all that are faster
  assert.equal(best.length, 20);
  await card('Pareto front').getByText('30 networks, 20 on the final front').waitFor();
  assert.match(await page.locator('.lead').innerText(), /Space ofa_mbv3, imported, on dynast\s+done/);
  await page.getByRole('button', { name: 'Report' }).waitFor();
  for (const role of ['button', 'link']) assert.equal(await page.getByRole(role, { name: /Extend|Search again/ }).count(), 0, 'what the daemon would refuse');
  // Every network of the front is walked to, and its mark is at that place; so is one that is not on it.
  const canvas = page.locator('.scatter canvas.over'), tip = page.locator('.tip'), measured = await shade('measured');
  const ink = (x, y) => page.locator('.scatter canvas.base').evaluate((c, [x, y, measured]) => { // a little beside the line of the front
    const ratio = c.width / c.clientWidth, [r, g, b, a] = c.getContext('2d').getImageData(Math.round((x - 2) * ratio), Math.round((y - 2) * ratio), 1, 1).data;
    return a > 80 && [r, g, b].every((v, k) => Math.abs(v - measured[k]) < 40);
  }, [x, y, measured]);
  const places = [];
  await canvas.focus();
  for (const row of best) {
    await page.keyboard.press('ArrowRight');
    await tip.getByText(archOf(row), { exact: true }).waitFor();
    const said = await tip.innerText();
    assert.ok(said.includes(`Top-1: ${row.top1.toFixed(2)} %`) && said.includes(`: ${row.ms.toPrecision(4)} ms (`), `${said}, and not ${JSON.stringify(row)}`);
    places.push(await tip.evaluate((e) => ['left', 'top'].map((side) => parseFloat(getComputedStyle(e)[side]))));
  }
  const inked = await Promise.all(places.map(([x, y]) => ink(x, y)));
  assert.ok(inked.every(Boolean), `marks of the front: ${inked}`);
  await page.keyboard.press('Escape');
  const across = (ms) => { const [[x0], [x1]] = [places[0], places.at(-1)]; return x0 + ((ms - best[0].ms) / (best.at(-1).ms - best[0].ms)) * (x1 - x0); };
  const up = (top1) => { const [[, y0], [, y1]] = [places[0], places.at(-1)]; return y0 + ((top1 - best[0].top1) / (best.at(-1).top1 - best[0].top1)) * (y1 - y0); };
  const worse = rows.filter((r) => !best.includes(r)), box = await canvas.boundingBox();
  for (const row of [worse[0], worse.at(-1)]) {
    const [x, y] = [across(row.ms), up(row.top1)];
    assert.ok(await ink(x, y), `the mark of ${JSON.stringify(row)} at ${x}, ${y}`);
    await page.mouse.move(box.x + x, box.y + y);
    await tip.getByText(archOf(row), { exact: true }).waitFor();
  }
  await page.mouse.move(0, 0);
  // By resolution, the marks have the two ends of the colours that the legend shows.
  await page.getByLabel('Colour by').selectOption({ label: 'Resolution' });
  const legend = page.locator('.scatter .legend li', { has: page.locator('.mark.hue') });
  await legend.waitFor();
  assert.equal((await legend.innerText()).replace(/\s+/g, ' ').trim(), 'Resolution: 192 224');
  const ends = await legend.locator('.mark.hue').evaluate((e) => { const all = getComputedStyle(e).backgroundImage.match(/rgb\([^)]*\)/g); return [all[0], all.at(-1)].map((c) => c.match(/\d+/g).map(Number)); });
  for (const [i, row] of best.entries()) {
    const shade = await page.locator('.scatter canvas.base').evaluate((c, [x, y]) => { const ratio = c.width / c.clientWidth; return [...c.getContext('2d').getImageData(Math.round((x - 2) * ratio), Math.round((y - 2) * ratio), 1, 1).data]; }, places[i]);
    const [low, high] = ends.map((end) => Math.hypot(...end.map((v, k) => v - shade[k]))); // the line of the front may lie over its edge
    assert.ok(row.pixels === 224 ? high < low / 2 : low < high / 2, `${shade} of ${row.pixels} pixels: ${JSON.stringify(ends)}`);
  }
  await page.getByLabel('Colour by').selectOption({ label: 'source' });
  await legend.waitFor({ state: 'detached' });
  const table = card('The front as a table').locator('tbody tr');
  assert.deepEqual((await table.locator('.genotype').allInnerTexts()).sort(), best.map(archOf).sort());
  const row = await table.filter({ hasText: archOf(best[5]) }).innerText();
  assert.ok(row.includes(`${best[5].top1.toFixed(2)} %`) && row.includes(`${best[5].ms.toPrecision(4)} ms`), row);
  await table.filter({ hasText: archOf(best[5]) }).click();
  await card('Network').getByText(`${best[5].ms.toPrecision(4)} ms`).first().waitFor();
  await page.locator('.drawing .unit').first().waitFor();
  assert.equal(await page.locator('main .problem').count(), 0);
  assert.deepEqual(await faults(), []);
  await shot('search-imported');
  const saved = async (name) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()]);
    return readFileSync(await file.path(), 'utf8');
  };
  stack.cli('search', 'export', 'of another program', '--names', '--file', join(stack.dir, 'elsewhere.csv'));
  const text = await saved(/^CSV of 30 candidates/), numbers = (all) => all.split('\r\n').map((line) => line.split(',').map((v) => (v === '' || Number.isNaN(Number(v)) ? v : Number(v))));
  assert.deepEqual(numbers(text), numbers(readFileSync(join(stack.dir, 'elsewhere.csv'), 'utf8')));
  const told = JSON.parse(await saved('JSON')).map((c) => [c.arch, c.on_front, c.metrics[latencyKey].value, c.metrics.top1.value]);
  assert.deepEqual(told.map(([arch, on]) => [arch, on]).sort(), rows.map((r) => [archOf(r), best.includes(r)]).sort());
  for (const [arch, , us, top1] of told) { const r = rows.find((r) => archOf(r) === arch); assert.ok(Math.abs(us - 1000 * r.ms) < 1e-6 * us && Math.abs(top1 - r.top1 / 100) < 1e-9, `${us}, ${top1} of ${JSON.stringify(r)}`); }
  await page.getByRole('link', { name: 'Open its page' }).click();
  await page.locator('table.network tbody tr').first().waitFor();
  await card('Lineage').getByText('Asked for in generation').waitFor();
  assert.ok((await fetch(`${stack.url}/api/v1/searches/${made.id}`, { method: 'DELETE' })).ok);
});
