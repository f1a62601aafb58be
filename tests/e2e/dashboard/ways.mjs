// Other ways to the same pages: two fingers, a slow network, two tabs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comes, context, open, page, reads, search, slowNetwork, slowSearch, stack, stands, written } from './world.mjs';

const go = (tab, hash) => open(hash, tab);

test('two tabs follow one search, which is paused in one, goes on from the other and is stopped', async () => {
  const { search, job } = await slowSearch('in two tabs');
  const [other, third] = [await context.newPage(), await context.newPage()];
  try {
    await go(page, `searches/${search.id}`);
    await go(other, 'searches/in%20two%20tabs'); // by its name
    await go(third, 'searches/compare?of=in%20two%20tabs,front%20of%20bars');
    const counted = (tab) => tab.getByRole('button', { name: /^CSV of \d+ candidates/ });
    await Promise.all([page, other].map((tab) => counted(tab).waitFor({ timeout: 60000 })));
    const states = (state) => Promise.all([page, other].map((tab) => tab.locator('.page-head .state', { hasText: state }).waitFor({ timeout: 30000 })));
    await page.getByRole('button', { name: 'Pause' }).click();
    await states('paused');
    await third.locator('.sides .state', { hasText: 'paused' }).first().waitFor({ timeout: 10000 });
    await stands(job.id);
    const held = (await stack.get(`/searches/${search.id}/candidates?page_size=1`)).total;
    await Promise.all([page, other].map((tab) => tab.getByRole('button', { name: `CSV of ${held} candidates` }).waitFor({ timeout: 10000 })));
    await other.getByRole('button', { name: 'Resume' }).click();
    await states('running');
    await stack.waitFor('more candidates', async () => (await stack.get(`/searches/${search.id}/candidates?page_size=1`)).total > held);
    for (const tab of [page, other]) await comes(tab.locator('.progress-line .numbers', { hasText: /^[1-9]/ }));
    page.once('dialog', (dialog) => dialog.accept());
    await page.getByRole('button', { name: 'Stop' }).click();
    await states('cancelled');
    // Tried again behind another, it has nothing done: the bar of its first attempt is gone.
    const before = await slowSearch('in the way');
    await stack.waitFor('the other search', async () => (await stack.get(`/searches/${before.search.id}`)).state === 'running');
    await page.getByRole('button', { name: 'Resume' }).click();
    await states('queued');
    for (const tab of [page, other]) await tab.locator('.progress-line', { hasText: 'queued' }).getByText('0 %', { exact: true }).waitFor({ timeout: 5000 });
    for (const { id } of [search, before.search]) await stack.post(`/searches/${id}/cancel`, {});
  } finally {
    await other.close();
    await third.close();
  }
});

test('on a slow network the page says that it reads, stays usable and loses no change', async () => {
  const page = await context.newPage();
  try {
    await slowNetwork(page, 400, 60e3);
    await go(page, `searches/${search}`);
    await page.getByText('Reading…').waitFor({ timeout: 15000 });
    await page.getByRole('button', { name: /^CSV of/ }).waitFor({ timeout: 20000 });
    await page.getByLabel('Across logarithmic').check(); // answers at once, without asking
    assert.match(await page.evaluate(() => location.hash), /log=1/);
    await page.getByRole('link', { name: 'Jobs' }).click();
    await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();
    const { items: [point] } = await stack.get(`/searches/${search}/front`);
    const made = [];
    for (let i = 0; i < 3; i++) made.push((await stack.post('/evaluations', { supernet: 'bars', archs: [point.arch] })).job.id);
    for (const id of made) await stack.waitFor('an evaluation', async () => (await stack.get(`/jobs/${id}`)).state === 'done');
    for (const id of made) await page.locator('tr', { has: page.locator(`a[href="#/jobs/${id}"]`) }).locator('.state', { hasText: 'done' }).waitFor({ timeout: 10000 });
  } finally {
    await page.close();
  }
});

test('on a slow network the page of a board follows it, and the form of a search takes what is typed meanwhile', async () => {
  const page = await context.newPage();
  const [board] = (await stack.get('/devices')).items;
  try {
    await slowNetwork(page, 200, 60e3);
    await go(page, `devices/${board.id}`);
    await reads(page);
    await page.getByRole('button', { name: 'Pause' }).click({ timeout: 20000 });
    await page.getByText('No more measurements go to this board').waitFor();
    await page.getByRole('button', { name: 'Activate' }).click();
    await page.getByRole('button', { name: 'Drain' }).waitFor();
    assert.equal((await stack.get(`/devices/${board.id}`)).state, 'active');
    const [profile] = (await stack.get('/profiles')).items;
    await go(page, 'searches/new');
    const name = page.getByLabel('Name', { exact: true });
    await name.fill('typed early'); // before it is known what there is
    const limit = page.getByLabel('MACs at most (millions)');
    await limit.fill('0.000001');
    await page.getByText('As it is, it would be refused:').waitFor({ timeout: 20000 });
    for (const text of ['0.2', '0.3', '0.4']) await limit.fill(text); // each is asked about: the last answer counts
    await page.getByText('As it is, it would be refused:').waitFor({ state: 'detached' });
    await page.getByText(/About .* of them keep this limit/).waitFor();
    assert.equal(await name.inputValue(), 'typed early');
    const body = JSON.parse(await page.locator('.code code').nth(1).innerText());
    assert.deepEqual([body.name, body.supernet, body.constraints], ['typed early', 'bars', [{ metric: 'macs', max: 400000 }]]);
    assert.deepEqual(body.objectives.map((o) => [o.metric, o.profile]), [['top1', undefined], ['latency_us', profile.name]], 'the board is chosen, though it was not known when the name was typed');
    await page.evaluate(() => sessionStorage.clear());
  } finally {
    await page.close();
  }
});

test('two fingers zoom the scatter about where they are', async () => {
  await go(page, `searches/${search}?x=macs`);
  const canvas = page.locator('.scatter canvas.over');
  await canvas.scrollIntoViewIfNeeded();
  await page.locator('.zoom .note', { hasText: 'pinch' }).waitFor();
  await page.getByRole('button', { name: /^CSV of \d+ candidates/ }).waitFor(); // all have been read
  const box = await canvas.boundingBox(), [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const cdp = await context.newCDPSession(page);
  const touch = (type, apart) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: apart === null ? [] : [{ x: x - apart, y, id: 1 }, { x: x + apart, y, id: 2 }] });
  const pinch = async (from, to) => {
    await touch('touchStart', from);
    for (let i = 1; i <= 8; i++) await touch('touchMove', from + ((to - from) * i) / 8);
    await touch('touchEnd', null);
  };
  await pinch(40, 120);
  await page.waitForURL(/z=/);
  const span = () => { const [a, b] = new URLSearchParams(page.url().split('?')[1]).get('z').split('~').map(Number); return b - a; };
  await written();
  const near = span();
  await pinch(40, 80);
  await page.waitForFunction((before) => { const [a, b] = new URLSearchParams(location.hash.split('?')[1]).get('z').split('~').map(Number); return b - a < before * 0.7; }, near);
  await pinch(150, 15);
  await page.waitForURL((url) => !/z=/.test(url.href)); // the whole again
  assert.equal(await page.evaluate(() => visualViewport.scale), 1, 'the page itself is not zoomed');
});
