// Pages that are loaded anew in the middle of things: what was set survives, what goes on is followed on, and nothing is there twice.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { card, comes, open, page, settled, slowSearch, stack, stands } from './world.mjs';

const inHead = (state) => page.locator('.page-head .state', { hasText: state });
/** Each once. */
const once = (list) => assert.equal(new Set(list).size, list.length, list.join());

test('jobs, data, models and devices that are reloaded in the middle of things show where these stand, and follow them on', async () => {
  const { search, job } = await slowSearch('held up'); // behind which the others wait
  const dataset = await stack.post('/datasets', { name: 'in the middle', path: `${stack.dir}/bars`, validation: 1000 });
  const model = await stack.post('/models', { name: 'in the middle', kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
  const [board] = (await stack.get('/devices')).items;
  const row = (text) => page.locator('tbody tr', { hasText: text });
  const places = [['jobs', () => page.locator('tr', { has: page.locator(`a[href="#/jobs/${job.id}"]`) }), 'running', 'cancelled'], ['data', () => row('in the middle'), 'checking', 'ready'], ['models', () => row('in the middle'), 'importing', 'failed'], ['devices', () => page.locator('a.device', { hasText: board.name }), 'online', 'paused']];
  const shows = (what, state) => what().locator('.state', { hasText: state }).first().waitFor({ timeout: 20000 });
  for (const [hash, what, state] of places) {
    await open(hash);
    await shows(what, state);
    await page.reload();
    await shows(what, state);
    if (hash === 'jobs') await comes(what().getByText(/^\d+ %$/)); // where it stands, not only that it does
  }
  const patch = (state) => fetch(`${stack.url}/api/v1/devices/${board.id}`, { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ state }) });
  for (const [hash, what, , state] of places.reverse()) {
    await open(hash);
    await page.reload();
    await page.getByText('Live', { exact: true }).waitFor();
    if (hash === 'devices') assert.equal((await patch('paused')).status, 200);
    if (hash === 'models') { // one that is begun elsewhere is there at once, and stopped there
      const later = await stack.post('/models', { name: 'begun later', kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
      await row('begun later').locator('.state', { hasText: 'importing' }).waitFor({ timeout: 10000 });
      await stack.post(`/jobs/${later.job.id}/cancel`, {});
      await row('begun later').locator('.state', { hasText: 'cancelled' }).waitFor({ timeout: 10000 });
      await fetch(`${stack.url}/api/v1/models/${later.model.id}`, { method: 'DELETE' });
      await row('begun later').waitFor({ state: 'detached', timeout: 10000 });
    }
    if (hash === 'models') await stack.post(`/searches/${search.id}/cancel`, {});
    await shows(what, state);
  }
  assert.equal((await patch('active')).status, 200);
  assert.ok((await stack.get(`/jobs/${dataset.job.id}`)).state === 'done');
  await fetch(`${stack.url}/api/v1/models/${model.model.id}`, { method: 'DELETE' });
});

test('a supernet that is reloaded in the middle of its training keeps how it was looked at, shows all that there is once, and follows it on', async () => {
  const { supernet, job } = await stack.post('/supernets', { name: 'reloaded', space: 'tiny', dataset: 'bars', train: { epochs: 500, batch: 32, checkpoint_steps: 20, validation_images: 50, recalibration_images: 50 } });
  const path = `/supernets/${supernet.id}`, slider = page.getByLabel('Smooth the curves of each step'), done = page.locator('.progress-line .numbers');
  const known = async () => (await stack.get(`${path}/checkpoints?page_size=1000`)).items.map((c) => c.id);
  const rows = card('Checkpoints').locator('tbody tr'), shown = () => rows.locator('td:last-child').allInnerTexts();
  const follows = async (at) => { // without a touch
    await comes(rows.nth(at.length));
    const now = await shown();
    once(now);
    assert.deepEqual(now.slice(-at.length), at, 'what was there stays');
  };
  await open(`supernets/${supernet.id}`);
  await comes(rows.nth(2));
  await slider.fill('0.5');
  await page.waitForURL(/smooth=0\.5/);
  const before = await shown();
  await page.reload();
  await settled();
  assert.equal(await slider.inputValue(), '0.5');
  assert.deepEqual((await shown()).slice(-before.length), before);
  assert.match(await done.innerText(), /^\d+ %$/);
  await comes(page.locator('.lines').nth(4));
  await follows(await shown());

  await stack.post(`${path}/pause`, {});
  await comes(inHead('paused'));
  await stands(job.id);
  await page.reload();
  await inHead('paused').waitFor();
  await settled();
  const held = await known(), { step, epoch, top1_largest: largest } = await stack.get(path);
  assert.deepEqual(await shown(), held);
  const facts = await card('Newest checkpoint').innerText();
  for (const text of [`Largest subnet\n${(100 * largest).toFixed(2)} %`, `Steps\n${step}`, `Epochs\n${+epoch.toFixed(2)}`]) assert.ok(facts.includes(text), `${text}: ${facts}`);
  const [{ value }] = (await stack.get(`${path}/metrics?series=top1/largest`)).series;
  assert.ok((await card('Top-1 on the validation split').locator('.curve-legend').innerText()).includes(`largest ${(100 * value.at(-1)).toFixed(1)} %`));

  await stack.post(`${path}/resume`, {});
  await comes(inHead('training'));
  await page.reload();
  await follows(held);
  await stack.post(`/jobs/${(await stack.get(path)).job}/cancel`, {});
  await comes(inHead('cancelled'));
  await page.reload();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  await settled();
  assert.deepEqual(await shown(), await known());
  assert.equal((await fetch(`${stack.url}/api/v1${path}`, { method: 'DELETE' })).status, 204);
});

test('a job that is reloaded while its log grows shows the log once from its beginning, and seeks what was sought', async () => {
  const { search, job } = await slowSearch('its log grows');
  const path = join(stack.dir, 'daemon/jobs', job.id, 'log');
  await stack.waitFor('its log, which its process has from its beginning', () => existsSync(path));
  let n = 0;
  const grow = () => appendFileSync(path, Array.from({ length: 50 }, () => `line ${n} of ${n++ % 2 ? 'odd' : 'even'} ones\n`).join(''));
  const log = page.locator('pre.log'), find = page.getByLabel('Find'), numbers = page.locator('.progress-line .numbers');
  /** The log on the page, when it has all lines; of what was sought those alone. */
  const shows = async (words = '') => {
    await log.getByText(`line ${n - 1 - Number(words === 'even')} of`).waitFor({ timeout: 10000 });
    const { text } = await stack.get(`/jobs/${job.id}/log?offset=0&limit=262144`);
    assert.equal((await log.innerText()).trim(), text.trim().split('\n').filter((line) => line.includes(words)).join('\n'));
  };
  grow();
  await open(`jobs/${job.id}`);
  await shows();
  grow();
  await page.reload();
  grow();
  await shows();
  await find.fill('even');
  await page.getByText('75 lines', { exact: true }).waitFor();
  await page.waitForURL(/q=even/);
  grow();
  await page.reload();
  await page.getByText('100 lines', { exact: true }).waitFor();
  assert.equal(await find.inputValue(), 'even');
  await shows('even');
  const at = await numbers.innerText();
  grow();
  await shows('even');
  await find.fill('');
  await page.waitForURL((url) => !url.href.includes('q='));
  grow();
  await shows();
  await comes(numbers.filter({ hasNotText: at })); // the search goes on, too
  await stack.post(`/searches/${search.id}/cancel`, {});
  await comes(inHead('cancelled'));
  grow(); // of which nobody hears any more
  await page.reload();
  await shows();
});

test('a board that is reloaded while it measures keeps which table is open, shows each entry once, and follows them on', async () => {
  const [{ id: profile, device }] = (await stack.get('/profiles')).items;
  const { table, job } = await stack.post('/tables', { profile, space: 'ofa_mbv3', method: 'brief' });
  const place = page.locator('details', { hasText: 'ofa_mbv3' }), entries = place.getByRole('region', { name: 'Entries of the table' }).locator('tbody tr');
  const measured = entries.filter({ has: page.locator('.state', { hasText: 'accepted' }) }), units = () => measured.locator('td:first-child').allInnerTexts();
  const counted = async () => Number((await place.locator('summary').innerText()).match(/(\d+) of \d+/)[1]);
  /** Until more is measured than that, which comes without a touch. */
  const beyond = async (n) => {
    await stack.waitFor('more entries on the page', async () => (await counted()) > n);
    await stack.waitFor('their rows', async () => (await measured.count()) > n, 20);
    once(await entries.locator('td:first-child').allInnerTexts());
  };
  await open(`devices/${device}`);
  await place.locator('summary').click();
  await page.waitForURL(new RegExp(`table=${table.id}`));
  await beyond(3);
  const before = await units();
  await page.reload();
  await measured.first().waitFor();
  const now = await units();
  assert.ok(before.every((unit) => now.includes(unit)), `${before} are not all in ${now}`);
  await beyond(now.length);
  assert.match(await place.locator('summary').innerText(), /measuring/);
  await place.locator('summary').click();
  await page.waitForURL((url) => !url.href.includes('table='));
  await page.reload();
  await settled();
  assert.equal(await entries.count(), 0, 'one that was closed stays so');
  await stack.post(`/jobs/${job.id}/cancel`, {});
  await stack.waitFor('its end', async () => (await stack.get(`/jobs/${job.id}`)).state === 'canceled');
  await stack.waitFor('what the daemon tells of it', async () => { // what was under way may come in still
    const { measured: n, needed, state } = await stack.get(`/tables/${table.id}`), shown = await place.locator('summary').innerText();
    return state === 'incomplete' && shown.includes(state) && shown.includes(`${n} of ${needed}`);
  });
  assert.equal((await fetch(`${stack.url}/api/v1/tables/${table.id}`, { method: 'DELETE' })).status, 204);
});
