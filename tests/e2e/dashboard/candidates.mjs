// What stands around the scatter of a search: axes of genes and metrics, the table, the replay, other searches, exports, the hypervolume.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { card, faults, limitShown, networks, open, openAnew, outOf, page, search, searched, shade, shot, slowSearch, stack, strokedTab, written } from './world.mjs';

test('axes of the parallel coordinates are turned around, made logarithmic, moved and hidden', async () => {
  const all = await networks();
  const macs = all.map((n) => n.metrics.macs), [least, most] = [Math.min(...macs), Math.max(...macs)];
  await open(`searches/${search}?axes=macs,depth,params`);
  await card('Genes and metrics').getByText(`${outOf(all.length, all.length)} networks`).waitFor();
  await page.getByText('Axes: order, direction, scale').click();
  const row = (title) => page.locator('.axes li', { has: page.getByText(title, { exact: true }) });
  /** What a brush over the upper half of the first axis holds. */
  const upperHalf = async (key) => {
    const canvas = page.locator('.parallel canvas.over');
    await canvas.scrollIntoViewIfNeeded();
    const box = await canvas.boundingBox();
    await page.mouse.move(box.x + 46, box.y + 30);
    await page.mouse.down();
    await page.mouse.move(box.x + 46, box.y + (40 + box.height - 26) / 2, { steps: 4 });
    await page.mouse.up();
    const range = [];
    for (const at of ['at least', 'at most']) range.push(await limitShown(`${at} ${key}`));
    await page.getByRole('button', { name: 'Clear limits' }).click();
    return range;
  };
  const near = (range, expected) => assert.ok(range.every((v, i) => Math.abs(v / expected[i] - 1) < 0.05), `${range} is not near ${expected}`);
  near(await upperHalf('MACs'), [(least + most) / 2, most]);
  await row('MACs').getByRole('button', { name: 'flip' }).click();
  await page.waitForURL(/axes=-macs/);
  near(await upperHalf('MACs'), [least, (least + most) / 2]);
  await row('MACs').getByRole('button', { name: 'flip' }).click();
  await row('MACs').getByRole('button', { name: 'log' }).click();
  await page.waitForURL(/axes=(\*|%2A|\*)macs/);
  near(await upperHalf('MACs'), [Math.sqrt(least * most), most]);
  await row('MACs').getByRole('button', { name: 'MACs to the right' }).click();
  await page.waitForURL(/axes=depth/);
  assert.equal((await upperHalf('Blocks'))[1], 6);
  await row('Blocks').getByRole('button', { name: 'Hide Blocks' }).click();
  await page.waitForURL(/axes=(\*|%2A)macs(,|%2C)params/);
  await written();
  await page.reload();
  await card('Genes and metrics').getByText(`${outOf(all.length, all.length)} networks`).waitFor();
  near(await upperHalf('MACs'), [Math.sqrt(least * most), most]);
  await page.getByText('Axes: order, direction, scale').click();
  assert.deepEqual(await page.locator('.axes li b').allInnerTexts(), ['MACs', 'Parameters']);
  assert.equal(await row('MACs').getByRole('button', { name: 'log' }).getAttribute('aria-pressed'), 'true');
  await card('Genes and metrics').getByLabel('Show').selectOption('depth');
  await page.waitForURL(/params(,|%2C)depth/);
});

test('above 20,000 lines the parallel coordinates draw how many run from place to place, and what is within a range over the rest', async () => {
  const { columns: c } = await stack.get(`/searches/${search}/candidates?page_size=1`), front = await stack.get(`/searches/${search}/front`), { tab, strokes } = await strokedTab();
  const played = async (n) => {
    // On a grid of 48 places an axis, as the chart has them; the ends of each are there.
    const rows = Array.from({ length: n }, (_, i) => (i < 2 ? [47 * i, 47 * i] : [Math.floor(48 * ((i * 0.618034) % 1) ** 3), Math.floor(48 * ((i * 0.754878) % 1) ** 2)]));
    const metric = (name, k) => ({ ...Object.fromEntries(Object.keys(c.metrics[name]).map((part) => [part, rows.map(() => c.metrics[name][part][0])])), value: rows.map((row) => 1000 * (1 + row[k])) });
    const columns = { ...Object.fromEntries(Object.keys(c).map((name) => [name, rows.map((_, i) => (name.endsWith('id') ? `${name} ${i}` : name === 'on_front' ? false : c[name]?.[0]))])), metrics: { macs: metric('macs', 0), params: metric('params', 1) } };
    await tab.unrouteAll({ behavior: 'wait' });
    await tab.route(/\/candidates\?/, (route) => route.fulfill({ json: { total: n, cursor: 'all', next: null, columns } }));
    await tab.route(/\/front(\?|$)/, (route) => route.fulfill({ json: { ...front, items: [] } }));
    await tab.goto('about:blank');
    return rows;
  };
  /** How many run between each two places, counted from above. */
  const counted = (rows) => { const counts = new Map(); for (const [a, b] of rows) { const cell = `${47 - a} ${47 - b}`; counts.set(cell, (counts.get(cell) ?? 0) + 1); } return counts; };
  const shown = async (n, of) => { await tab.locator('.card', { has: tab.getByRole('heading', { name: 'Genes and metrics', exact: true }) }).getByText(`${outOf(n, of)} networks`).waitFor(); await tab.evaluate(() => new Promise((done) => { requestAnimationFrame(() => setTimeout(done)); })); return strokes('.parallel canvas.base'); };
  /** A stroke each, the stronger the more there are, as the logarithm goes. */
  const holds = (drawn, rows) => {
    const counts = counted(rows), most = Math.log1p(Math.max(...counts.values())), ends = drawn.flatMap((s) => s.lines.flat().map(([, y]) => y)), [top, bottom] = [Math.min(...ends), Math.max(...ends)], placeOf = (y) => Math.round(((y - top) / (bottom - top)) * 47);
    assert.equal(drawn.length, counts.size);
    for (const { alpha, lines } of drawn) {
      assert.deepEqual([lines.length, lines[0].length], [1, 2]);
      const cell = lines[0].map(([, y]) => placeOf(y)).join(' ');
      assert.ok(Math.abs(alpha - (0.04 + 0.5 * (Math.log1p(counts.get(cell)) / most))) < 1e-4, `${cell}: ${alpha} for ${counts.get(cell)} lines`);
      counts.delete(cell);
    }
    assert.equal(counts.size, 0);
  };
  try {
    const way = `${stack.url}/#/searches/${search}?axes=macs,params`, at = (f) => tab.evaluate((to) => { location.hash = to; }, `#/searches/${search}?axes=macs,params&f=${f}`);
    let rows = await played(20003);
    await tab.goto(way);
    holds((await shown(20003, 20003)).filter((s) => s.lines.length > 0), rows);
    // A range leaves some: the rest, still many or not, lies below them.
    const within = rows.filter(([a]) => 1000 * (1 + a) <= 12000), beyond = rows.length - within.length;
    assert.ok(within.length < 20000 && beyond < 20000);
    await at('macs~~12000');
    const [rest, chosen] = (await shown(within.length, 20003)).filter((s) => s.lines.length > 0);
    assert.deepEqual([rest.lines.length, chosen.lines.length], [beyond, within.length], 'a line each where they are fewer');
    rows = await played(60000);
    await tab.goto(`${way}&f=macs~~10000`);
    const inside = rows.filter(([a]) => 1000 * (1 + a) <= 10000), outside = rows.filter(([a]) => 1000 * (1 + a) > 10000);
    assert.ok(inside.length > 20000 && outside.length > 20000, `${inside.length} and ${outside.length}`);
    const drawn = (await shown(inside.length, 60000)).filter((s) => s.lines.length > 0), below = drawn[0].shade;
    const last = drawn.findLastIndex((s) => s.shade === below);
    assert.ok(drawn.slice(0, last).every((s) => s.shade === below), 'the rest is drawn first');
    assert.deepEqual([last + 1, drawn.length - last - 1], [counted(outside).size, counted(inside).size]);
    assert.equal(await tab.locator('main .problem').count(), 0);
  } finally {
    await tab.close();
  }
});

test('the table of all candidates keeps few rows in the page and sorts', async () => {
  await open(`searches/${search}`);
  const all = await networks();
  const table = card('Candidates');
  await table.getByText(`${outOf(all.length, all.length)};`).waitFor();
  assert.ok((await table.locator('tbody tr').count()) < 60);
  await table.getByRole('button', { name: 'MACs' }).click();
  const least = Math.min(...all.map((n) => n.metrics.macs)), most = Math.max(...all.map((n) => n.metrics.macs));
  const at = await table.locator('thead th').allInnerTexts().then((heads) => heads.findIndex((h) => h.startsWith('MACs')));
  const first = () => table.locator('tbody tr').first().locator('td').nth(at).innerText();
  const cut = (v) => (v >= 1e6 ? `${(v / 1e6).toPrecision(3)} M` : `${(v / 1e3).toPrecision(3)} k`);
  assert.equal(await first(), cut(least));
  await table.getByRole('button', { name: 'MACs' }).click();
  assert.equal(await first(), cut(most));
  await table.locator('.virtual').evaluate((e) => { e.scrollTop = e.scrollHeight; });
  await table.locator(`tr[aria-rowindex="${all.length + 1}"]`).waitFor();
  // Keys walk from row to row and keep the focus, however far they go.
  const here = () => page.evaluate(() => [document.activeElement.localName, Number(document.activeElement.closest('tr')?.ariaRowIndex) - 1]);
  await table.locator('.virtual').evaluate((e) => { e.scrollTop = 0; });
  await table.locator('tr[aria-rowindex="2"] button').focus();
  for (const [key, row] of [['ArrowDown', 2], ['PageDown', 12], ['PageDown', 22], ['PageDown', 32], ['ArrowUp', 31], ['PageUp', 21], ['End', all.length], ['ArrowDown', all.length], ['PageUp', all.length - 10], ['Home', 1], ['ArrowUp', 1]]) {
    await page.keyboard.press(key);
    await page.waitForFunction((n) => Number(document.activeElement.closest('tr')?.ariaRowIndex) - 1 === n, row);
    assert.deepEqual(await here(), ['button', row], key);
    const [head, box, place] = await Promise.all([table.locator('thead'), table.locator('.virtual'), table.locator('tr', { has: page.locator('button:focus') })].map((l) => l.boundingBox()));
    assert.ok(place.y >= head.y + head.height - 1 && place.y + place.height <= box.y + box.height + 1, `${key}: row ${row} is in sight`);
  }
  assert.ok((await table.locator('tbody tr').count()) < 60);
});

test('columns of the table are chosen, genes of each stage too, and kept in the address', async () => {
  const { columns } = await stack.get(`/searches/${search}/candidates?page_size=1000`);
  await open(`searches/${search}`);
  const table = card('Candidates'), heads = async () => (await table.locator('thead th').allInnerTexts()).map((text) => text.replace(/ [↑↓]$/, ''));
  await table.getByText(/^[\d,]+ of [\d,]+; click/).waitFor();
  const usual = await heads();
  assert.ok(['MACs', 'Generation', 'Blocks', 'Network'].every((title) => usual.includes(title)) && !usual.includes('Blocks, stage 1'), usual.join());
  await table.getByText('Columns', { exact: true }).click();
  await table.getByLabel('Generation').uncheck();
  await table.getByLabel('Blocks, stage 1').check();
  const chosen = [...usual.filter((title) => title !== 'Generation' && title !== 'Network'), 'Blocks, stage 1', 'Network'].sort();
  assert.deepEqual((await heads()).sort(), chosen);
  assert.deepEqual(await faults(), []);
  await shot('columns');
  await table.getByRole('button', { name: 'Blocks, stage 1' }).click(); // and sorted by
  await page.waitForURL(/sort=/);
  await page.reload();
  await table.getByText(/^[\d,]+ of [\d,]+; click/).waitFor();
  assert.deepEqual((await heads()).sort(), chosen);
  const depths = columns.arch.map((arch) => Number(/\| d(\d)/.exec(arch)[1])), at = (await heads()).indexOf('Blocks, stage 1');
  assert.equal(await table.locator('tbody tr[aria-rowindex="2"] td').nth(at).innerText(), `${Math.min(...depths)}`);
  await table.getByText('Columns', { exact: true }).click();
  for (const on = table.locator('.columns input:checked'); await on.count();) await on.first().click();
  assert.deepEqual(await heads(), ['Network']);
  for (const title of usual) if (title !== 'Network') await table.getByLabel(title, { exact: true }).check();
  assert.deepEqual(await heads(), usual);
  await page.waitForURL((url) => !url.href.includes('columns')); // as it is without a choice
});

test('the replay shows the search as it was in an earlier generation', async () => {
  const all = await networks();
  await open(`searches/${search}`);
  const slider = page.getByLabel('Up to generation');
  await slider.fill('3');
  const early = all.filter((n) => n.generation <= 3).length;
  await card('Candidates').getByText(`${outOf(early, all.length)};`).waitFor();
  const front = card('The front as a table'), told = () => front.locator('.card-head .note').innerText(), guessed = () => front.locator('.sr-only', { hasText: 'predicted' }).count();
  await front.getByText(/were the front among what is within every range/).waitFor();
  assert.match(await told(), (await guessed()) > 0 ? /; predicted where the mark says so$/ : /; evaluated and measured values only$/);
  const later = all.filter((n) => n.generation >= 5 && n.generation <= 9).length; // without those that were evaluated first
  await open(`searches/${search}?f=generation~5~9`);
  await card('Candidates').getByText(`${outOf(later, all.length)};`).waitFor();
  assert.ok((await guessed()) > 0);
  assert.match(await told(), /; predicted where the mark says so$/);
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await card('Candidates').getByText(`${outOf(all.length, all.length)};`).waitFor();
});

test('the front of another search is laid over this one, as it grows where that was named', async () => {
  const { search: ahead } = await slowSearch('ahead of it');
  const made = await stack.post('/searches', { name: 'beside', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], strategy: 'random', accuracy: 'evaluated', baseline: null, evaluations: 16, seed: 3, measure_front: 0 });
  await open(`searches/${search}?x=macs&vs=beside`);
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByLabel('Compare with').waitFor();
  await stack.post(`/searches/${ahead.id}/cancel`, {});
  await page.getByText('front of the other search').waitFor();
  assert.ok((await fetch(`${stack.url}/api/v1/searches/${ahead.id}`, { method: 'DELETE' })).ok);
  await searched(made.search.id);
  await open(`searches/${search}?x=macs`);
  await page.getByLabel('Compare with').selectOption('beside');
  await page.getByText('front of the other search').waitFor();
  assert.match(page.url(), new RegExp(`vs=${made.search.id}`));
  await shot('search-compared');
});

test('while a search runs its page has the best so far as its front, drawn and as a table', async () => {
  const { search: made } = await slowSearch('best so far'), table = card('The front as a table');
  await open(`searches/${made.id}`);
  await table.getByText('the best so far', { exact: true }).waitFor();
  await stack.waitFor('two of the front', async () => (await table.locator('tbody tr').count()) > 1);
  const accent = await shade('accent'), inked = () => page.locator('.scatter canvas.base').evaluate((c, shade) => { const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height); let n = 0; for (let i = 0; i < data.length; i += 4) n += Number(data[i + 3] > 200 && shade.every((v, k) => Math.abs(v - data[i + k]) < 6)); return n; }, accent);
  await stack.waitFor('its line', async () => (await inked()) > 40);
  await stack.post(`/searches/${made.id}/cancel`, {});
  await stack.waitFor('its end', async () => (await stack.get(`/searches/${made.id}`)).state === 'canceled', 30);
  assert.equal((await stack.get(`/searches/${made.id}/front`)).stage, null);
  assert.ok((await fetch(`${stack.url}/api/v1/searches/${made.id}`, { method: 'DELETE' })).ok);
});

test('every candidate is exported, as the command line client does it', async () => {
  await open(`searches/${search}`);
  const download = async (name) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()]);
    return readFileSync(await file.path(), 'utf8');
  };
  stack.cli('search', 'export', search, '--names', '--file', join(stack.dir, 'all.csv'));
  stack.cli('search', 'export', search, '--format', 'json', '--file', join(stack.dir, 'all.json'));
  assert.deepEqual(JSON.parse(await download('JSON')), JSON.parse(readFileSync(join(stack.dir, 'all.json'), 'utf8')));
  const numbers = (text) => text.split('\r\n').map((line) => line.split(',').map((v) => (v === '' || Number.isNaN(Number(v)) ? v : Number(v))));
  assert.deepEqual(numbers(await download(/^CSV of/)), numbers(readFileSync(join(stack.dir, 'all.csv'), 'utf8')));
});

test('the hypervolume stands beside the scatter, with its reference point', async () => {
  await open(`searches/${search}`);
  const volume = card('Hypervolume');
  await volume.getByText(/reference point: .*Top-1.*%/).waitFor();
  assert.match(await volume.innerText(), /nsga2/);
  assert.match(await volume.innerText(), /random/);
});

test('a hypervolume that is not known is a gap in its curve, not a value', async () => {
  const evaluations = Array.from({ length: 50 }, (_, i) => 20 * i);
  const hypervolume = evaluations.map((n, i) => (i >= 20 && i < 30 ? null : 5000 + n));
  await page.route(/\/hypervolume$/, (route) => route.fulfill({ json: { series: [{ strategy: 'nsga2', evaluations, hypervolume }] } }));
  await openAnew(`searches/${search}`);
  const canvas = card('Hypervolume').locator('canvas.base');
  await canvas.waitFor();
  const columns = async () => canvas.evaluate((c, shade) => { // columns of the picture in which the curve is, as shares of its width
    const { data, width, height } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
    const found = [];
    for (let x = 0; x < width; x++) for (let y = 0; y < height; y++) {
      if (shade.every((v, k) => Math.abs(data[4 * (y * width + x) + k] - v) < 12) && data[4 * (y * width + x) + 3] > 200) { found.push([x / width, y / height]); break; }
    }
    return found;
  }, await shade('curve-1'));
  const inked = await stack.waitFor('a whole curve on the picture', async () => { const found = await columns(); return found.length > 40 && found; });
  const [left, right] = [inked[0][0], inked.at(-1)[0]];
  const among = (from, to) => inked.filter(([x]) => x > left + from * (right - left) && x < left + to * (right - left));
  assert.equal(among(0.4, 0.6).length, 0, 'nothing is drawn where nothing is known');
  assert.ok(among(0, 0.38).length > 20 && among(0.62, 1).length > 20);
  assert.ok(among(0, 0.05)[0][1] > 0.5 && among(0.95, 1)[0][1] < 0.3, 'the axis reaches over what is known, not down to 0');
  await page.unrouteAll({ behavior: 'wait' });
});
