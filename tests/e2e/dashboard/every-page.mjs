// What holds for every page: accessibility, sizes, names that are HTML, a daemon that is killed, nothing from elsewhere.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { context, errors, faults, foreign, nameOf, open, openAnew, page, search, settled, shot, stack, violations } from './world.mjs';

/** What does not fit its page: a page that scrolls sideways, charts that leave their card empty, text too small to read. */
const misfits = () => page.evaluate(() => {
  const found = [], root = document.documentElement;
  const wide = root.scrollWidth - root.clientWidth;
  if (wide > 0) {
    const beyond = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > root.clientWidth && !e.closest('.table-wrap, .parallel'));
    found.push(`${wide} pixels too wide: ${beyond.slice(0, 8).map((e) => `${e.tagName}.${e.className?.baseVal ?? e.className}`).join(' ') || 'hidden text in what scrolls'}`);
  }
  if (innerWidth > 3000 && document.querySelector('main').getBoundingClientRect().width < 0.8 * innerWidth) found.push('a fifth of the screen is empty');
  for (const canvas of document.querySelectorAll('canvas.over')) {
    const [has, room] = [canvas.getBoundingClientRect().width, canvas.parentElement.clientWidth];
    if (has < room - 2 || (has > room + 2 && !canvas.closest('.parallel'))) found.push(`a chart of ${has} pixels in ${room}`);
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const [text, element] = [texts.currentNode.textContent.trim(), texts.currentNode.parentElement];
    if (!text || !element.checkVisibility() || element.closest('option, script, .sr-only')) continue;
    const drawn = element.closest('svg')?.getScreenCTM().a ?? 1;
    const size = parseFloat(getComputedStyle(element).fontSize) * drawn;
    if (size < 11.95 && found.length < 5) found.push(`"${text.slice(0, 30)}" in ${size.toFixed(1)} pixels`);
  }
  return found;
});

/** The address of each page, with what there is by then: without a model, not that of one. */
async function everyPage() {
  const first = async (list) => (await stack.get(`/${list}`)).items[0].id;
  const { items: [model] } = await stack.get('/models');
  const { items } = await stack.get(`/searches/${search}/front`), [point] = items;
  const other = (await stack.get('/searches')).items.find((s) => s.id !== search);
  return ['', 'searches', `searches/compare?of=${search},${other.id}`, 'searches/new', `searches/${search}`, `searches/${search}?arch=${point.arch_id}`, 'supernets', `supernets/${await first('supernets')}`, 'devices', 'devices?add=1', `devices/${await first('devices')}`, 'jobs', `jobs/${await first('jobs')}`, 'models', ...(model ? [`models/${model.id}`] : []), 'data', 'archs/tiny', `archs/tiny?arch=${encodeURIComponent(point.arch)}&search=${search}`, `archs/tiny?vs=${encodeURIComponent(items.slice(0, 5).map((i) => i.arch).join())}`, 'archs/ofa_mbv3', 'about'];
}

/** The cells of a CSV text by RFC 4180, in quotes or not. */
const cellsOf = (text) => [...text.matchAll(/(?:^|,|\r\n)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g)].map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare);
/** Whether a spreadsheet would take it for a formula. */
const isFormula = (cell) => /^[=+@\t\r]/.test(cell) || (/^-/.test(cell) && Number.isNaN(Number(cell)));

test('no page is kept from anything by its own policy, and none asks another host: each as it is loaded afresh', async () => {
  for (const hash of await everyPage()) {
    await openAnew(hash);
    await settled();
    assert.deepEqual([violations, foreign], [[], []], hash);
  }
  // Were it otherwise, it would be known: the policy is there, and so is who listens.
  const before = [violations.length, foreign.length];
  await page.evaluate(() => {
    document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }));
    document.body.append(Object.assign(document.createElement('img'), { src: 'http://127.0.0.2:9/elsewhere.png' }));
  });
  await stack.waitFor('both violations', () => violations.length === before[0] + 2, 10);
  assert.match(violations.join('\n'), /about: script-src-elem of inline\n.*about: img-src of http:\/\/127\.0\.0\.2:9\/elsewhere\.png/);
  assert.equal(await page.evaluate(() => window.ran), undefined);
  violations.length = before[0];
  foreign.length = before[1];
  await page.goto('about:blank'); // what was put into the page is no part of it
});

test('pages have no accessibility fault, in light and dark, and fit a phone', async () => {
  const { model, job } = await stack.post('/models', { name: 'of no table', kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
  await stack.waitFor('the end of the import', async () => (await stack.get(`/jobs/${job.id}`)).state === 'failed');
  const hashes = await everyPage();
  for (const hash of hashes) {
    await open(hash);
    if (hash.includes('add')) await page.locator('.add-board form').waitFor();
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      await settled();
      assert.deepEqual(await faults(), [], `${scheme} ${hash}`);
      await shot(`${scheme}-${nameOf(hash)}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  const cdp = await context.newCDPSession(page);
  // A phone, 200 % zoom of a laptop's window, a large screen, and text that a person has set to twice its size.
  const sizes = [['narrow', 360, 740, 16], ['zoomed', 640, 400, 16]];
  if (process.env.ESP_LONG === '1') sizes.push(['4k', 3840, 2160, 16], ['large-text', 1280, 800, 32]);
  for (const [name, width, height, text] of sizes) {
    await page.setViewportSize({ width, height });
    await cdp.send('Page.setFontSizes', { fontSizes: { standard: text, fixed: text - 3 } });
    for (const hash of hashes) {
      await open(hash);
      await settled();
      assert.deepEqual(await misfits(), [], `${name} ${hash}`);
      await shot(`${name}-${nameOf(hash)}`);
    }
  }
  await cdp.send('Page.setFontSizes', { fontSizes: { standard: 16, fixed: 13 } });
  await page.setViewportSize({ width: 1360, height: 900 });
  await fetch(`${stack.url}/api/v1/models/${model.id}`, { method: 'DELETE' });
});

test('names that are HTML, quotes or formulas are text on every page', async () => {
  const evil = ['<img src=x onerror="hit=1">', `'"><svg onload=hit=1>`, '=HYPERLINK("x")&{{hit=1}}'];
  const [board] = (await stack.get('/devices')).items;
  const patch = (path, body) => fetch(`${stack.url}/api/v1${path}`, { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.equal((await patch(`/devices/${board.id}`, { name: evil[0], note: `${evil[1]}\n${evil[2]}` })).status, 200);
  await stack.post('/tokens', { kind: 'api', label: evil[0], scope: 'read' });
  const dataset = await stack.post('/datasets', { name: evil[1], path: join(stack.dir, 'bars'), validation: 1000 });
  await stack.waitFor('the data set', async () => (await stack.get(`/jobs/${dataset.job.id}`)).state === 'done');
  const supernet = await stack.post('/supernets', { name: evil[0], dataset: evil[1], init_from: { supernet: 'bars' }, train: { epochs: 0.1, batch: 32 } });
  const copy = await stack.post(`/searches/${search}/clone`, { name: evil[2], evaluations: 60, rounds: 1, measure_front: 0, calibration_nets: 0, initial_evaluations: 24 });
  await stack.waitFor('the copy of the search', async () => (await stack.get(`/jobs/${copy.job.id}`)).state === 'done', 120);
  await stack.waitFor('the training', async () => (await stack.get(`/jobs/${supernet.job.id}`)).state === 'done', 60);
  const arch = (await stack.get('/spaces/tiny')).smallest.arch;
  for (const hash of ['', 'searches', 'searches/new', `searches/new?from=${copy.search.id}`, `searches/${copy.search.id}`, `searches/compare?of=${search},${copy.search.id}`, 'supernets', `supernets/${supernet.supernet.id}`, 'devices', `devices/${board.id}`, 'jobs', `jobs/${copy.job.id}`, 'models', 'data', `archs/tiny?arch=${encodeURIComponent(arch)}`]) {
    await open(hash);
    await settled();
    assert.deepEqual(await page.evaluate(() => [typeof window.hit, document.querySelectorAll('img[src=x], svg[onload]').length]), ['undefined', 0], hash);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  await open(`devices/${board.id}`);
  await page.getByText(/^Table of tiny, <img/).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), 'a long name fits a phone');
  await page.setViewportSize({ width: 1360, height: 900 });
  await open('searches');
  await page.getByRole('link', { name: evil[2] }).click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /^CSV of / }).click()]);
  const text = readFileSync(await download.path(), 'utf8');
  const { total } = await stack.get(`/searches/${copy.search.id}/candidates?page_size=1`);
  assert.equal(text.split('\r\n').length, total + 2, 'a head, all candidates, and the end of the last line');
  const cells = cellsOf(text);
  assert.equal(cells.length, (total + 1) * cellsOf(text.split('\r\n')[0]).length + 1, 'each line has a cell for each title');
  assert.deepEqual(cells.filter(isFormula), [], 'no cell is a formula');
  assert.deepEqual(cellsOf('a,=b,"=""c"\r\n-1,-2e-3,"+d, e",@f,-g\r\n').filter(isFormula), ['=b', '="c', '+d, e', '@f', '-g']);
  await patch(`/devices/${board.id}`, { name: 'test-board', note: '' });
});

test('every page survives a killed daemon: it says so, and shows again what it showed, also where it was reading meanwhile', async () => {
  const tabs = [];
  /** What a page shows, without what moves on by itself. */
  const shown = (tab) => tab.evaluate(() => JSON.stringify([...document.querySelectorAll('main :is(h1, h2), main > .problem')].map((e) => e.innerText)));
  for (const hash of await everyPage()) {
    const tab = hash === 'jobs' ? page : await context.newPage();
    tab.on('pageerror', (e) => errors.push(`${hash}: ${e}`));
    await tab.goto(`${stack.url}/#/${hash}`);
    await tab.locator('main h1').waitFor();
    await tab.getByText('Reading…').first().waitFor({ state: 'detached' });
    tabs.push({ hash, tab });
  }
  await settled();
  for (const one of tabs) one.before = await shown(one.tab);
  const { port } = new URL(stack.url);
  stack.daemon.kill('SIGKILL');
  for (const { tab } of tabs) {
    await tab.getByText('Connection lost').waitFor({ timeout: 20000 });
    await tab.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))); // it reads anew, and cannot
  }
  for (const { hash, tab } of tabs.filter(({ hash }) => /^(jobs|devices|models|data|searches|supernets)$/.test(hash))) await tab.locator('main .problem', { hasText: 'cannot be reached' }).first().waitFor({ timeout: 10000 }).catch(() => assert.fail(`${hash} does not say that it could not read`));
  await stack.startDaemon(port);
  for (const { hash, tab, before } of tabs) {
    await tab.getByText('Live', { exact: true }).waitFor({ timeout: 30000 });
    const again = () => shown(tab).then((now) => now === before);
    await stack.waitFor(`what #/${hash} showed before (${before})`, again, 20).catch(async (error) => assert.fail(`${error.message}\nnow: ${await shown(tab)}`));
    if (tab !== page) await tab.close();
  }
  await page.getByRole('cell', { name: 'Search', exact: true }).first().waitFor();
  await page.getByLabel('Kind').selectOption('search'); // of all jobs it is not among the newest
  await page.getByRole('cell', { name: 'front of bars', exact: true }).first().waitFor(); // not the id of what it is of
  const hidden = await page.locator('.table-wrap').evaluate((wrap) => wrap.scrollWidth - wrap.clientWidth);
  assert.ok(hidden <= 0, `${hidden} pixels of the jobs are pushed out`);
});

test('nothing was asked of another host, nothing was kept from happening by the policy of pages, and no script failed', () => {
  assert.deepEqual(foreign, []);
  assert.deepEqual(violations, []);
  assert.deepEqual(errors, []);
});
