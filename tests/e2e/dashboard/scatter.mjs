// The scatter of a search: pointer and keyboard, limits, boxes, axes, zoom.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { card, comes, faults, limitShown, limitTyped, networks, open, openAnew, outOf, page, resized, search, searched, shade, shot, stack, strokedTab, written } from './world.mjs';

/** The picture of the scatter, once it has all that is read and stands still. */
async function picture() {
  await page.getByText('on the final front').waitFor();
  for (let before = ''; ;) {
    const now = await page.locator('.scatter canvas.base').evaluate((c) => c.toDataURL());
    if (now === before) return now;
    before = now;
    await page.waitForTimeout(100);
  }
}

test('a point opens its network, and the address keeps the view', async () => {
  await card('The front as a table').locator('tbody tr').first().click();
  await page.locator('.drawing .unit').first().waitFor();
  assert.ok((await page.locator('.drawing .unit').count()) >= 4);
  assert.match(page.url(), /arch=/);
  await page.getByRole('button', { name: 'Pin', exact: true }).click();
  await page.getByRole('button', { name: 'Score on test images' }).click();
  await page.getByRole('button', { name: 'Unpin' }).waitFor();
  await comes(card('The front as a table').locator('tbody tr').first().locator('td').nth(2).filter({ hasText: '%' }));
  await page.getByRole('button', { name: 'Unpin' }).click();
  await page.getByRole('button', { name: 'Pin', exact: true }).waitFor();
  await page.getByLabel('Across logarithmic').check();
  await page.reload();
  await page.locator('.drawing .unit').first().waitFor();
  assert.ok(await page.getByLabel('Across logarithmic').isChecked());
  await shot('search-network');
});

test('the scatter answers pointer and keyboard', async () => {
  const canvas = page.locator('.scatter canvas.over');
  const { total } = await stack.get(`/searches/${search}/candidates?page_size=1`);
  await open(`searches/${search}`); // no network is chosen
  await page.locator('.drawing').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor(); // axes reach to all of them
  await canvas.focus();
  await page.keyboard.press('ArrowRight');
  await page.locator('.tip').waitFor();
  const said = await page.locator('.tip').innerText();
  assert.match(said, /Top-1: [\d.]+ % \(evaluated\)/);
  const at = await page.locator('.tip').evaluate((tip) => ['left', 'top'].map((side) => parseFloat(getComputedStyle(tip)[side])));
  await page.keyboard.press('Escape');
  await page.locator('.tip').waitFor({ state: 'detached' });
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + at[0], box.y + at[1]);
  await page.locator('.tip').waitFor();
  assert.equal(await page.locator('.tip').innerText(), said);
  await page.mouse.click(box.x + at[0], box.y + at[1]);
  await page.locator('.drawing .unit').first().waitFor();
  assert.match(page.url(), /arch=/);
  await page.mouse.move(0, 0);
  await page.locator('.tip').waitFor({ state: 'detached' });
  await open(`searches/${search}`);
  await page.locator('.drawing').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor(); // axes reach to all of them
  await canvas.focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await page.locator('.drawing .unit').first().waitFor();
});

test('a limit answers which network is best under it, and the address keeps it', async () => {
  const all = await networks();
  const macs = all.map((n) => n.metrics.macs).sort((a, b) => a - b);
  const most = macs[Math.floor(macs.length / 3)];
  const under = all.filter((n) => n.metrics.macs <= most);
  const best = Math.max(...under.filter((n) => n.feasible && n.metrics.top1 != null).map((n) => n.metrics.top1));
  await open(`searches/${search}?x=macs`);
  await page.getByLabel('Add a limit').selectOption('macs');
  await limitTyped('at most MACs', most);
  const answer = page.locator('.best', { hasText: `Top-1 ${(100 * best).toFixed(2)} %` }), typed = await page.getByLabel('at most MACs').inputValue();
  assert.match(typed, /^\d{2,3}(\.\d+)?$/); // in thousands, as the axis has them
  assert.ok(Math.abs(Number(typed) * 1000 - most) < 1, `${typed} k is not ${most}`);
  await answer.waitFor();
  await card('Candidates').getByText(`${outOf(under.length, all.length)};`).waitFor();
  await page.waitForURL(/f=macs/); // a drag's changes are written 200 ms apart
  await page.reload();
  await answer.waitFor();
  await card('Candidates').getByText(`${outOf(under.length, all.length)};`).waitFor();
  await shot('search-limits');
  // The line of the limit, dragged to the left, lets fewer through.
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await page.locator('.best').waitFor({ state: 'detached' });
  await page.mouse.move(box.x + box.width - 16, box.y + 120);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + 130, { steps: 5 });
  await page.mouse.up();
  await page.locator('.best').waitFor();
  const high = await limitShown('at most MACs');
  assert.ok(high > macs[0] && high < macs.at(-1), `${high}`);
  await card('Candidates').getByText(`${outOf(all.filter((n) => n.metrics.macs <= high * (1 + 1e-6)).length, all.length)};`).waitFor();
});

test('the charts stand still while limits are added, typed, dragged, drawn and removed, on a desk and on a phone', async () => {
  const all = await networks();
  for (const [width, height] of [[1360, 900], [360, 740]]) {
    await open(`searches/${search}?x=macs&axes=depth,macs`);
    await card('Candidates').getByText(`${outOf(all.length, all.length)};`).waitFor();
    await resized(width, height);
    const charts = ['.scatter canvas.over', '.parallel canvas.over'];
    const places = () => page.evaluate((names) => names.map((name) => { const r = document.querySelector(name).getBoundingClientRect(); return [r.x + scrollX, r.y + scrollY, r.width, r.height].map(Math.round).join(); }), charts);
    const before = await places();
    const still = async (what) => assert.deepEqual(await places(), before, `${what} moves a chart at ${width} pixels`);
    const drag = async (chart, [x0, y0], [x1, y1]) => {
      await page.locator(chart).scrollIntoViewIfNeeded();
      const box = await page.locator(chart).boundingBox();
      await page.mouse.move(box.x + x0 * box.width, box.y + y0);
      await page.mouse.down();
      for (const share of [0.3, 1]) { // in the middle of it, too
        await page.mouse.move(box.x + (x0 + share * (x1 - x0)) * box.width, box.y + y0 + share * (y1 - y0));
        await page.waitForTimeout(100);
        await still(`a drag in ${chart}`);
      }
      await page.mouse.up();
      await page.locator('.best').waitFor();
      await still(`what was dragged in ${chart}`);
    };
    await page.getByLabel('Add a limit').selectOption('params');
    await page.getByLabel('at most Parameters').waitFor();
    await still('a limit that is added');
    await limitTyped('at most Parameters', 1);
    await page.locator('.best', { hasText: 'No network keeps these limits' }).waitFor();
    await still('a limit that nothing keeps');
    await page.getByRole('button', { name: 'Remove the limit of Parameters' }).click();
    await page.locator('.best').waitFor({ state: 'detached' });
    await still('a limit that is removed');
    const [right, axis] = [await page.locator(charts[0]).evaluate((c) => 1 - 16 / c.clientWidth), await page.locator(charts[1]).evaluate((c) => 46 / c.clientWidth)];
    await drag(charts[0], [right, 100], [0.6, 110]); // the line at the edge
    await drag(charts[0], [0.3, 60], [0.55, 220]); // a box
    await drag(charts[1], [axis, 60], [axis, 160]);
    await page.getByLabel('Up to generation').fill('3');
    await page.getByText(/^generation 3 of/).waitFor();
    await still('a replay');
    if (width === 360) assert.ok(await page.locator('.answer').evaluate((e) => e.scrollHeight <= e.clientHeight), 'the answer has its place');
    await page.getByRole('button', { name: 'Clear limits' }).click();
    await page.locator('.best').waitFor({ state: 'detached' });
    await still('no limit any more');
  }
  await page.setViewportSize({ width: 1360, height: 900 });
});

test('a box in the scatter, a brush on an axis and the table show the same networks', async () => {
  const all = await networks();
  await open(`searches/${search}?x=macs&f=`);
  await page.locator('.best').waitFor({ state: 'detached' });
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + 120, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.7, { steps: 4 });
  await page.mouse.up();
  await page.locator('.best').waitFor();
  await written();
  const ranges = new URLSearchParams(page.url().split('?')[1]).get('f').split(';').map((r) => r.split('~'));
  assert.deepEqual(ranges.map((r) => r[0]).sort(), ['macs', 'top1']);
  const inBox = all.filter((n) => ranges.every(([key, low, high]) => n.metrics[key] >= Number(low) && n.metrics[key] <= Number(high)));
  assert.ok(inBox.length > 0 && inBox.length < all.length);
  await card('Candidates').getByText(`${outOf(inBox.length, all.length)};`).waitFor();
  await card('Genes and metrics').getByText(`${outOf(inBox.length, all.length)} networks`).waitFor();
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await open(`searches/${search}?axes=depth,macs`);
  await card('Genes and metrics').getByText(`${outOf(all.length, all.length)} networks`).waitFor();
  const axes = page.locator('.parallel canvas.over');
  await axes.scrollIntoViewIfNeeded();
  const place = await axes.boundingBox();
  await page.mouse.move(place.x + 46, place.y + 36);
  await page.mouse.down();
  await page.mouse.move(place.x + 46, place.y + 120, { steps: 4 });
  await page.mouse.up();
  const deep = await limitShown('at least Blocks');
  const blocks = (n) => n.arch.split('|').slice(1).reduce((sum, s) => sum + Number(s.match(/d(\d+)/)[1]), 0);
  const expected = all.filter((n) => blocks(n) >= deep).length;
  assert.ok(deep > 2 && deep < 6 && expected > 0 && expected < all.length, `${deep}: ${expected}`);
  await card('Candidates').getByText(`${outOf(expected, all.length)};`).waitFor();
  await shot('search-brushed');
});

test('both axes of the scatter are logarithmic at will, and colours tell which board has measured a network', async () => {
  const all = await networks();
  await open(`searches/${search}?x=macs&y=params`);
  await card('Candidates').getByText(`${outOf(all.length, all.length)};`).waitFor();
  const linear = await picture();
  await page.getByLabel('Up logarithmic').check();
  await page.waitForURL(/logy=1/);
  assert.notEqual(await picture(), linear);
  const params = all.map((n) => n.metrics.params);
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + 80, box.y + box.height - 50);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + (14 + box.height - 46) / 2, { steps: 3 }); // from the bottom to the middle: half of the logarithms
  await page.mouse.up();
  const high = await limitShown('at most Parameters'), middle = Math.sqrt(Math.min(...params) * Math.max(...params));
  assert.ok(Math.abs(high / middle - 1) < 0.05, `${high} is not near ${middle}`);
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await page.waitForFunction(() => !/[?&]f=[^&]/.test(location.hash)); // the address is written a little later
  await page.reload();
  assert.ok(await page.getByLabel('Up logarithmic').isChecked());
  await page.getByLabel('Up logarithmic').uncheck();
  await card('Candidates').getByText(`${outOf(all.length, all.length)};`).waitFor();
  const plain = await picture();
  await page.getByLabel('Colour by').selectOption({ label: 'board that measured it' });
  const { objectives: [, { profile }] } = await stack.get(`/searches/${search}`);
  const { name } = (await stack.get('/profiles')).items.find((p) => p.id === profile);
  await page.locator('.scatter .legend').getByText(`measured on ${name}`, { exact: true }).waitFor();
  await page.waitForURL(/by=board/);
  assert.notEqual(await picture(), plain);
  assert.deepEqual(await faults(), []);
  await shot('search-by-board');
});

test('the scatter is zoomed by wheel, keys and buttons, and the address keeps it', async () => {
  const all = await networks();
  await open(`searches/${search}?x=macs&f=`);
  await card('Candidates').getByText(`${outOf(all.length, all.length)};`).waitFor();
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  const [x, y] = [box.x + box.width * 0.5, box.y + box.height * 0.4];
  const zoom = async () => {
    await written();
    const z = new URLSearchParams(page.url().split('?')[1]).get('z');
    return z === null ? null : z.split('~').map(Number);
  };
  await page.mouse.move(x, y);
  await page.mouse.wheel(0, 120);
  assert.equal(await zoom(), null); // the page scrolls
  await page.evaluate(() => scrollTo(0, 0));
  await page.mouse.move(x, y);
  await page.keyboard.down('Control');
  for (let i = 0; i < 4; i++) await page.mouse.wheel(0, -100);
  await page.keyboard.up('Control');
  const closer = await zoom();
  assert.equal(closer.length, 4);
  await page.keyboard.down('Shift');
  await page.mouse.down();
  await page.mouse.move(x + 80, y, { steps: 3 });
  await page.mouse.up();
  await page.keyboard.up('Shift');
  const moved = await zoom();
  assert.ok(moved[0] < closer[0] && moved[1] < closer[1], `${closer} to ${moved}`);
  assert.ok(Math.abs(moved[1] - moved[0] - (closer[1] - closer[0])) < 1e-6 * closer[1]);
  assert.deepEqual(moved.slice(2), closer.slice(2));
  await card('Candidates').getByText(`${outOf(all.length, all.length)};`).waitFor(); // looking closer limits nothing
  // A box that covers all that is looked at holds what lies within these values.
  await page.reload();
  await card('Candidates').getByText(`${outOf(all.length, all.length)};`).waitFor();
  assert.deepEqual(await zoom(), moved);
  const now = await canvas.boundingBox();
  await page.mouse.move(now.x + 70, now.y + 34);
  await page.mouse.down();
  await page.mouse.move(now.x + now.width, now.y + now.height, { steps: 4 });
  await page.mouse.up();
  await written();
  const ranges = new URLSearchParams(page.url().split('?')[1]).get('f').split(';').map((r) => r.split('~'));
  for (const [key, low, high] of ranges) {
    const [from, to] = key === 'macs' ? moved : moved.slice(2);
    assert.ok(Number(low) >= from - 1e-6 * to && Number(high) <= to * (1 + 1e-6), `${key}: ${low} to ${high} in ${from} to ${to}`);
  }
  await page.getByRole('button', { name: 'Clear limits' }).click();
  await canvas.focus();
  await page.keyboard.press('+');
  const [low, high] = await zoom();
  assert.ok(high - low < moved[1] - moved[0]);
  await page.keyboard.press('Shift+ArrowRight');
  assert.ok((await zoom())[0] > low);
  await page.keyboard.press('0');
  assert.equal(await zoom(), null);
  await page.getByRole('button', { name: 'Zoom in' }).click();
  assert.ok(await zoom());
  await shot('search-zoomed');
  await canvas.dblclick({ position: { x: 75, y: 20 } });
  assert.equal(await zoom(), null);
});

test('the grips of two metrics that are made small do not lie over each other', async () => {
  await open(`searches/${search}?x=macs&y=params`);
  await picture();
  await page.mouse.move(0, 0);
  const inked = await page.locator('.scatter canvas.over').evaluate((c, limit) => {
    const ratio = c.width / c.clientWidth, { data, width, height } = c.getContext('2d').getImageData(0, 0, c.width, c.height), rows = new Set();
    for (let i = 0; i < width * height; i++) if (data[4 * i + 3] > 200 && limit.every((v, k) => Math.abs(v - data[4 * i + k]) < 12)) rows.add(Math.floor(i / width / ratio));
    return { rows: [...rows], height: c.clientHeight };
  }, await shade('limit'));
  const above = inked.rows.filter((row) => row < 40), below = inked.rows.filter((row) => row > inked.height - 80);
  assert.ok(above.length >= 5 && below.length >= 15, `above ${above}; below ${below}`);
  await shot('search-grips');
});

test('an address with a metric that the search does not have says so, and offers those that it has', async () => {
  for (const odd of ['bogus', 'constructor']) {
    await open(`searches/${search}?x=${odd}&vs=se_none`);
    await page.getByText('No candidate of this search has both of these metrics.').waitFor();
    const across = page.locator('label', { hasText: 'Across' }).locator('select');
    assert.equal(await across.evaluate((e) => e.selectedOptions[0].text), `${odd} (unknown here)`);
    await page.getByText(/there is no search/i).waitFor();
    await across.selectOption('macs');
    await page.locator('.scatter canvas.over').waitFor();
    assert.equal(await across.locator('option', { hasText: 'unknown here' }).count(), 0);
  }
});

test('what the search makes large is better large: the best under a limit, and the sides of the axes', async () => {
  const { search: made } = await stack.post('/searches', { name: 'large ones', supernet: 'bars', objectives: [{ metric: 'params', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }, { metric: 'top1', direction: 'maximise' }], constraints: [{ metric: 'macs', min: 60000 }], strategy: 'random', accuracy: 'evaluated', baseline: null, evaluations: 16, measure_front: 0 });
  await searched(made.id);
  await open(`searches/${made.id}`);
  await page.getByLabel('Add a limit').selectOption('macs');
  await limitTyped('at most MACs', 300000);
  const { columns: c } = await stack.get(`/searches/${made.id}/candidates?page_size=1000`);
  const params = c.metrics.params.value.filter((_, i) => c.feasible[i] && c.metrics.macs.value[i] <= 300000);
  const said = (v) => (v >= 10000 ? `${(v / 1e3).toPrecision(3)} k` : `${v}`);
  assert.notEqual(said(Math.max(...params)), said(Math.min(...params)));
  await page.locator('.best', { hasText: `Parameters ${said(Math.max(...params))} (counted)` }).waitFor();
  await shot('search-large');
});

test('limits that the search itself set are dashed lines on both axes, a limit that is dragged is a whole one', async () => {
  const all = await networks();
  const at = (key, share) => all.map((n) => n.metrics[key]).sort((a, b) => a - b)[Math.floor(share * all.length)];
  const [most, least] = [at('macs', 0.8), at('params', 0.3)];
  const { search: made } = await stack.post('/searches', { name: 'within limits', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], constraints: [{ metric: 'macs', max: most }, { metric: 'params', min: least }, { metric: 'model_bytes', max: 1e9 }], strategy: 'random', accuracy: 'evaluated', baseline: null, evaluations: 16, measure_front: 0 });
  await searched(made.id);
  const { total } = await stack.get(`/searches/${made.id}/candidates?page_size=1`);
  /** How many rows and columns of a canvas are dashed, and how many drawn whole, in the colour of limits. */
  const lines = async (layer) => page.locator(`.scatter canvas.${layer}`).evaluate((c, shade) => {
    const { data, width, height } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
    const [rows, columns] = [new Array(height).fill(0), new Array(width).fill(0)];
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      const i = 4 * (y * width + x);
      if (data[i + 3] > 150 && shade.every((v, k) => Math.abs(data[i + k] - v) < 12)) { rows[y]++; columns[x]++; }
    }
    const [across, up] = [width - 82, height - 60]; // of the chart within its axes
    const count = (list, whole, from, to) => list.filter((n) => n >= from * whole && n < to * whole).length;
    return { dashed: [count(rows, across, 0.35, 0.75), count(columns, up, 0.35, 0.75)], whole: [count(rows, across, 0.9, 2), count(columns, up, 0.9, 2)] };
  }, await shade('limit'));
  /** What the chart says of limits, each as [text, its left end, its right end, the chart's width]. */
  const words = () => page.evaluate(async () => {
    const { prototype } = CanvasRenderingContext2D, own = prototype.fillText, seen = [];
    prototype.fillText = function (text, x, ...rest) {
      const width = this.measureText(text).width, left = x - ({ center: 0.5, right: 1 }[this.textAlign] ?? 0) * width;
      if (/^limit /.test(text)) seen.push([text, left, left + width, this.canvas.clientWidth]);
      return own.call(this, text, x, ...rest);
    };
    document.querySelector('.scatter').parentElement.querySelector('input[type=checkbox]').click(); // drawn anew
    for (let i = 0; i < 20 && !seen.length; i++) await new Promise(requestAnimationFrame);
    prototype.fillText = own;
    return seen;
  });
  for (const [x, y, expected] of [['macs', 'params', [1, 1]], ['params', 'macs', [1, 1]], ['top1', 'params', [1, 0]], ['macs', 'top1', [0, 1]]]) {
    await open(`searches/${made.id}?x=${x}&y=${y}`);
    await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor();
    await stack.waitFor(`dashed lines of ${y} over ${x}`, async () => String((await lines('base')).dashed) === String(expected), 10).catch(async (error) => assert.fail(`${error.message.split('\n')[0]}: ${JSON.stringify(await lines('base'))}`));
    const said = await words();
    assert.ok(said.length >= expected[0] + expected[1] && said.every(([, left, right, width]) => left >= 66 && right <= width - 16), `whole words within the axes: ${JSON.stringify(said)}`);
    assert.deepEqual(await lines('over'), { dashed: [0, 0], whole: [0, 0] });
  }
  const said = await page.locator('.scatter canvas.over').getAttribute('aria-label');
  assert.match(said, /The search demands MACs of at most [\d.]+ [kM]\./);
  assert.ok(!said.includes('demands Top-1'), said);
  await page.locator('.scatter .legend').getByText('limit of the search', { exact: true }).waitFor();
  await page.getByLabel('Add a limit').selectOption('top1');
  await page.getByLabel('at least Top-1').fill('20');
  await page.getByLabel('at least Top-1').press('Enter');
  await page.locator('.best').waitFor();
  await stack.waitFor('a whole line', async () => (await lines('over')).whole[0] > 0, 10);
  assert.deepEqual((await lines('base')).dashed, [0, 1]);
  await shot('search-limits-of-its-own');
  const { items: [point] } = await stack.get(`/searches/${made.id}/front`);
  await open(`searches/${made.id}?arch=${point.arch_id}`);
  const facts = card('Network');
  await facts.getByText('Model size', { exact: true }).first().waitFor();
  assert.match(await card('The front as a table').locator('thead').innerText(), /Network.*Top-1.*MACs.*Parameters.*Model size.*Peak memory/s); // what it is about, then the rest
  assert.match(await facts.innerText(), /Top-1.*evaluated.*MACs.*Parameters.*Model size/s);
});

test('a colour by generation has its legend and is on the marks, and the button replays the search by itself until it is held', async () => {
  const { items } = await stack.get(`/searches/${search}/front`), all = await networks();
  await open(`searches/${search}?x=macs`);
  await card('Candidates').getByText(`${outOf(all.length, all.length)};`).waitFor();
  const plain = await picture();
  const colour = page.getByLabel('Colour by'), legend = page.locator('.scatter .legend li', { has: page.locator('.mark.hue') });
  assert.equal(await legend.count(), 0);
  await colour.selectOption({ label: 'Generation' });
  await page.waitForURL(/by=generation/);
  const generations = all.map((n) => n.generation), [least, most] = [Math.min(...generations), Math.max(...generations)];
  assert.equal((await legend.innerText()).replace(/\s+/g, ' ').trim(), `Generation: ${least} ${most}`);
  assert.notEqual(await picture(), plain);
  const ramp = await legend.locator('.mark.hue').evaluate((e) => getComputedStyle(e).backgroundImage.match(/rgb\([^)]*\)/g).map((c) => c.match(/\d+/g).map(Number)));
  const canvas = page.locator('.scatter canvas.over'), places = [];
  await canvas.focus();
  for (let i = 0; i < items.length; i++) {
    await page.keyboard.press('ArrowRight');
    const arch = (await page.locator('.tip').innerText()).split('\n').at(-1);
    places.push({ ...items.find((item) => item.arch === arch), at: await page.locator('.tip').evaluate((tip) => ['left', 'top'].map((side) => parseFloat(getComputedStyle(tip)[side]))) });
  }
  await page.keyboard.press('Escape');
  const alone = places.filter((p) => places.every((o) => o === p || Math.hypot(o.at[0] - p.at[0], o.at[1] - p.at[1]) > 14));
  assert.ok(alone.length > 0);
  for (const { at, generation } of alone) { // left and above of its middle there is nothing of the front's line
    const shade = await page.locator('.scatter canvas.base').evaluate((c, [x, y]) => { const ratio = c.width / c.clientWidth; return [...c.getContext('2d').getImageData(Math.round((x - 2) * ratio), Math.round((y - 2) * ratio), 1, 1).data]; }, at);
    const wanted = ramp[Math.round(((ramp.length - 1) * (generation - least)) / (most - least))];
    assert.ok(wanted.every((v, k) => Math.abs(v - shade[k]) < 12), `${shade} and not ${wanted}, of generation ${generation} of ${most}`);
  }
  await colour.selectOption({ label: 'source' });
  await legend.waitFor({ state: 'detached' });
  assert.equal(await picture(), plain);
  const at = async () => Number(/generation (\d+) of/.exec(await page.locator('.replay .numbers').innerText())[1]);
  assert.equal(await at(), most);
  await page.getByRole('button', { name: 'Replay', exact: true }).click();
  await page.getByRole('button', { name: 'Hold', exact: true }).waitFor();
  const seen = [await stack.waitFor('its beginning', async () => { const v = await at(); return v < most && v + 1; }) - 1];
  while (seen.length < 4) seen.push(await stack.waitFor('the next generation', async () => { const v = await at(); return v !== seen.at(-1) && v + 1; }) - 1);
  assert.ok(seen.every((v, i) => i === 0 || v > seen[i - 1]), `generations as they came: ${seen}`);
  await page.getByRole('button', { name: 'Hold', exact: true }).click();
  const held = await at(), known = all.filter((n) => n.generation <= held).length;
  await card('Candidates').getByText(`${outOf(known, all.length)};`).waitFor();
  await page.waitForTimeout(500);
  assert.equal(await at(), held, 'it stands still');
  await page.getByLabel('Up to generation').fill(`${most - 2}`);
  await page.getByRole('button', { name: 'Replay', exact: true }).click();
  await card('Candidates').getByText(`${outOf(all.length, all.length)};`).waitFor();
  await page.getByRole('button', { name: 'Replay', exact: true }).waitFor(); // it has ended by itself
});

test('what breaks a limit of the search is drawn hollow, what keeps it is filled, among few and very many, and where dots of the screen are smaller', async () => {
  const drawnBy = async (name, constraints) => { // one seed draws the same networks, whatever the limit of their accuracy
    const { search: made } = await stack.post('/searches', { name, supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], constraints, strategy: 'random', accuracy: 'evaluated', baseline: null, evaluations: 24, seed: 7, measure_front: 0 });
    await searched(made.id);
    return made;
  };
  const free = await drawnBy('none breaks it', []), up = (a, b) => a - b;
  const known = (await stack.get(`/searches/${free.id}/candidates?page_size=1000`)).columns.metrics.top1.value.sort(up), front = (await stack.get(`/searches/${free.id}/front`)).items.map((item) => item.metrics.top1.value).sort(up);
  const made = await drawnBy('half break it', [{ metric: 'top1', min: Math.min(known[Math.floor(known.length / 2)], front.at(-2)) }]); // two of the front keep it
  const { columns: c, total } = await stack.get(`/searches/${made.id}/candidates?page_size=1000`), { items } = await stack.get(`/searches/${made.id}/front`);
  const way = `searches/${made.id}?x=macs&y=top1`;
  await open(way);
  await page.getByRole('button', { name: `CSV of ${total} candidates` }).waitFor();
  const canvas = page.locator('.scatter canvas.over'), tip = page.locator('.tip'), places = [];
  await canvas.focus();
  for (let i = 0; i < items.length; i++) {
    await page.keyboard.press('ArrowRight');
    const arch = (await tip.innerText()).split('\n').at(-1), { metrics } = items.find((item) => item.arch === arch);
    places.push({ x: metrics.macs.value, y: metrics.top1.value, at: await tip.evaluate((e) => ['left', 'top'].map((side) => parseFloat(getComputedStyle(e)[side]))) });
  }
  await page.keyboard.press('Escape');
  const [p, q] = [places[0], places.at(-1)];
  assert.ok(p.x < q.x && p.y < q.y, 'a front of two points or more');
  const place = (macs, top1) => [p.at[0] + ((macs - p.x) / (q.x - p.x)) * (q.at[0] - p.at[0]), p.at[1] + ((top1 - p.y) / (q.y - p.y)) * (q.at[1] - p.at[1])];
  const marks = c.arch.map((_, i) => ({ feasible: c.feasible[i], front: c.on_front[i], at: place(c.metrics.macs.value[i], c.metrics.top1.value[i]) }));
  const alone = marks.filter((m) => !m.front && marks.every((o) => o === m || Math.hypot(o.at[0] - m.at[0], o.at[1] - m.at[1]) > 12));
  const shown = async () => page.locator('.scatter canvas.base').evaluate((c, [marks, shade]) => marks.map(([x, y]) => {
    const ratio = c.width / c.clientWidth, inked = (dx, dy) => { const d = c.getContext('2d').getImageData(Math.round((x + dx) * ratio), Math.round((y + dy) * ratio), 1, 1).data; return d[3] > 100 && shade.every((v, k) => Math.abs(v - d[k]) < 40); };
    let around = 0;
    for (let dx = -6; dx <= 6; dx++) for (let dy = -6; dy <= 6; dy++) if (Math.hypot(dx, dy) > 2) around += Number(inked(dx, dy));
    return { middle: inked(0, 0), any: c.getContext('2d').getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data[3] > 100, around };
  }), [alone.map((m) => m.at), await shade('evaluated')]);
  for (const feasible of [true, false]) assert.ok(alone.some((m) => m.feasible === feasible));
  const holds = async (how) => {
    const drawn = await shown(), told = `${how}: ${JSON.stringify(alone.map((m, i) => [m.feasible, drawn[i]]))}`;
    assert.ok(drawn.some((d) => d.middle), told);
    alone.forEach((m, i) => assert.ok((m.feasible ? drawn[i].any : !drawn[i].middle) && drawn[i].around > 4, told)); // a line may lie over one that is filled
  };
  await holds('few');
  await page.locator('.scatter .legend').getByText('breaks a limit', { exact: true }).waitFor();
  const extra = 5000, corner = { macs: Math.max(...c.metrics.macs.value), top1: Math.min(...c.metrics.top1.value) }, beyond = place(corner.macs, corner.top1);
  const column = (values, of) => [...values, ...Array.from({ length: extra }, (_, i) => of(i))], like = (values) => column(values, () => values[0]);
  const many = { total: total + extra, cursor: 'all', next: null, columns: {
    ...Object.fromEntries(Object.entries(c).filter(([name]) => name !== 'metrics').map(([name, values]) => [name, name.endsWith('id') ? column(values, (i) => `${name} ${i}`) : name === 'on_front' ? column(values, () => false) : like(values)])),
    metrics: Object.fromEntries(Object.entries(c.metrics).map(([name, m]) => [name, { ...Object.fromEntries(Object.entries(m).map(([part, values]) => [part, like(values)])), value: corner[name] === undefined ? like(m.value) : column(m.value, () => corner[name]) }])),
  } };
  const route = /\/candidates\?/, cdp = await page.context().newCDPSession(page), { width, height } = page.viewportSize();
  for (let i = alone.length; i--;) if (Math.hypot(alone[i].at[0] - beyond[0], alone[i].at[1] - beyond[1]) < 16) alone.splice(i, 1);
  await page.route(route, (to) => to.fulfill({ json: many }));
  for (const scale of [1, 1.5]) {
    await cdp.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: scale, mobile: false });
    await openAnew(way);
    await page.getByRole('button', { name: `CSV of ${total + extra} candidates` }).waitFor();
    assert.equal(await page.evaluate(() => devicePixelRatio), scale);
    await holds(`many, ${scale} dots to a pixel`);
    await shot(`search-many-${scale}`);
  }
  await cdp.send('Emulation.clearDeviceMetricsOverride');
  await cdp.detach();
  await page.unroute(route);
  await page.setViewportSize({ width, height });
});

test('of a network of the front the interval is drawn across and upwards, as far as it goes', async () => {
  const front = await stack.get(`/searches/${search}/front`), { tab, strokes } = await strokedTab(), key = Object.keys(front.items[0].metrics).find((name) => name.startsWith('latency_us'));
  const by = (name) => (a, b) => a.metrics[name].value - b.metrics[name].value, items = [...front.items].sort(by(key));
  assert.ok(items.length > 2 && items[0].metrics[key].value < items.at(-1).metrics[key].value && items[0].metrics.top1.value !== items.at(-1).metrics.top1.value);
  // Both ends are where other networks stand, so that the chart itself says where they are to be.
  for (const item of front.items) for (const m of Object.values(item.metrics)) Object.assign(m, { low: null, high: null });
  const one = items[1], [low, high] = [items[0], items.at(-1)], [worst, best] = [...items].sort(by('top1')).filter((_, i, all) => i === 0 || i === all.length - 1);
  Object.assign(one.metrics[key], { low: low.metrics[key].value, high: high.metrics[key].value });
  Object.assign(one.metrics.top1, { low: worst.metrics.top1.value, high: best.metrics.top1.value });
  try {
    await tab.route(/\/front(\?|$)/, (route) => route.fulfill({ json: front }));
    await tab.goto(`${stack.url}/#/searches/${search}?x=${key}&y=top1`);
    await tab.locator('.scatter canvas.over').focus();
    await tab.keyboard.press('ArrowRight');
    await tab.locator('.tip').waitFor();
    const near = (a, b) => a.every((v, i) => Math.abs(v - b[i]) < 0.01);
    const drawn = await strokes(':not(.parallel canvas)'), along = ([x, y], [u, v]) => x === u || y === v;
    const staircase = drawn.map((s) => s.lines.flat()).filter((points) => points.every((p, i) => i === 0 || along(p, points[i - 1]))).sort((a, b) => b.length - a.length)[0];
    assert.equal(staircase.length, 2 * items.length, 'the front is a line of stairs');
    const xs = staircase.map(([x]) => x), ys = staircase.map(([, y]) => y), [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const crosses = drawn.filter(({ alpha, lines }) => Math.abs(alpha - 0.55) < 0.01 && lines.length === 2 && lines.every((line) => line.length === 2));
    assert.ok(crosses.some(({ lines: [across, up] }) => across[0][1] === across[1][1] && up[0][0] === up[1][0] && near([across[0][0], across[1][0]], [left, right]) && near([up[0][1], up[1][1]].sort((a, b) => a - b), [top, bottom])), JSON.stringify([crosses, staircase]));
    assert.equal(await tab.locator('main .problem').count(), 0);
  } finally {
    await tab.close();
  }
});
