// The pages of supernets, networks, jobs and boards on a slow network, and in two tabs at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comes, context, open, reads, search, slowNetwork, slowSearch, stack } from './world.mjs';

const go = (tab, hash) => open(hash, tab);
const cardOf = (tab, title) => tab.locator('.card', { has: tab.getByRole('heading', { name: title, exact: true }) });

test('on a slow network the pages of a supernet and of a network say that they read, stay usable and follow what happens', async () => {
  const tab = await context.newPage();
  try {
    await slowNetwork(tab, 200, 100e3);
    await go(tab, 'supernets/bars');
    await reads(tab);
    const slider = tab.getByLabel('Smooth the curves of each step'), legend = cardOf(tab, 'Loss').locator('.curve-legend');
    await slider.waitFor({ timeout: 20000 });
    const raw = await legend.innerText(), asked = [];
    tab.on('request', (r) => { if (r.url().includes('/metrics')) asked.push(r.url()); });
    await slider.focus();
    for (let i = 0; i < 5; i++) await tab.keyboard.press('PageUp');
    await tab.waitForURL(/smooth=/);
    assert.notEqual(await legend.innerText(), raw);
    assert.deepEqual(asked, [], 'it answers at once, without asking');
    const { supernet, job } = await stack.post('/supernets', { name: 'seen slowly', space: 'tiny', dataset: 'bars', train: { epochs: 1, batch: 32 } });
    await go(tab, `supernets/${supernet.id}`);
    await tab.getByRole('heading', { level: 1, name: 'seen slowly' }).waitFor({ timeout: 20000 });
    await stack.waitFor('the training', async () => (await stack.get(`/jobs/${job.id}`)).state === 'done');
    await tab.locator('.page-head .state', { hasText: 'ready' }).waitFor({ timeout: 10000 });
    const { top1_largest: top1 } = await stack.get(`/supernets/${supernet.id}`);
    await cardOf(tab, 'Newest checkpoint').getByText(`${(100 * top1).toFixed(2)} %`).first().waitFor({ timeout: 10000 });
    const { items: [point] } = await stack.get(`/searches/${search}/front`);
    await go(tab, `archs/tiny?arch=${encodeURIComponent(point.arch)}&search=${search}`);
    await reads(tab);
    await tab.locator('table.network tbody tr').first().waitFor({ timeout: 20000 });
    const scores = tab.getByRole('region', { name: 'Accuracy' }).locator('tbody tr');
    await scores.first().waitFor({ timeout: 20000 });
    assert.equal(await scores.filter({ hasText: 'seen slowly' }).count(), 0);
    await stack.post('/evaluations', { supernet: supernet.id, archs: [point.arch] });
    await scores.filter({ hasText: 'seen slowly' }).waitFor({ timeout: 20000 });
    assert.equal(await tab.locator('main .problem').count(), 0);
    assert.ok((await fetch(`${stack.url}/api/v1/supernets/${supernet.id}`, { method: 'DELETE' })).ok);
  } finally {
    await tab.close();
  }
});

test('two tabs show one job and one board: what is done in one is seen in the other', async () => {
  const { search: made, job } = await slowSearch('a job of two tabs');
  const [board] = (await stack.get('/devices')).items.filter((d) => d.name === 'test-board');
  const tabs = [await context.newPage(), await context.newPage()], [one, other] = tabs;
  const both = (what) => Promise.all(tabs.map((tab) => what(tab).first().waitFor({ timeout: 30000 })));
  try {
    for (const tab of tabs) await go(tab, `jobs/${job.id}`);
    const state = (name) => both((tab) => tab.locator('.lead .state', { hasText: name }));
    await state('running');
    for (const tab of tabs) await comes(tab.locator('.progress-line .numbers', { hasText: /^[1-9]/ }));
    one.once('dialog', (dialog) => dialog.accept());
    await one.getByRole('button', { name: 'Stop', exact: true }).click();
    await state('cancelled');
    await both((tab) => tab.getByRole('region', { name: 'Attempts' }).locator('tbody tr').first());
    await other.getByRole('button', { name: 'Try again' }).click();
    await state('running');
    await both((tab) => tab.getByRole('region', { name: 'Attempts' }).locator('tbody tr').nth(1));
    await stack.post(`/searches/${made.id}/cancel`, {});
    await state('cancelled');
    for (const tab of tabs) await go(tab, `devices/${board.id}`);
    await one.getByRole('button', { name: 'Pause' }).click();
    await both((tab) => tab.locator('.lead .state', { hasText: 'paused' }));
    assert.equal((await stack.get(`/devices/${board.id}`)).state, 'paused');
    await go(one, 'devices');
    await one.locator('a.device', { hasText: board.name }).locator('.state', { hasText: 'paused' }).waitFor();
    await other.getByRole('button', { name: 'Activate' }).click();
    await one.locator('a.device', { hasText: board.name }).locator('.state', { hasText: 'paused' }).waitFor({ state: 'detached' });
    await other.getByRole('button', { name: 'Drain' }).waitFor();
    assert.equal((await stack.get(`/devices/${board.id}`)).state, 'active');
  } finally {
    for (const tab of tabs) await tab.close();
  }
});
