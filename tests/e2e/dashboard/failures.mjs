// What the daemon refuses, has not or cannot tell for now: each page says what happened and what to do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { context, faults, open, openAnew, page, search, searched, settled, shot, slowSearch, stack } from './world.mjs';

const problem = () => page.locator('main .problem').first();

test('an address of what there is no more says so and leads to what there is', async () => {
  for (const [hash, words, way] of [['searches/se_gone', /^There is no search/, 'All searches'], ['supernets/sn_gone', /^There is no supernet/, 'All supernets'], ['devices/dev_gone', /^There is no device/, 'All devices'], ['jobs/job_gone', /^There is no job/, 'All jobs'], ['models/mo_gone', /^There is no model/, 'All models'],
    ['archs/gone', /^There is no space/, 'All searches'], ['archs/tiny?arch=r28', /^(?!There is no space)./, 'All searches'], ['searches/compare?of=se_gone,se_lost', /^There is no search se_gone any more/, 'Choose others'], ['nowhere', null, 'Go to the overview']]) {
    await open(hash);
    if (words) await page.locator('main .problem').filter({ hasText: words }).first().waitFor();
    await page.locator('main').getByRole('link', { name: way }).waitFor();
  }
  assert.deepEqual(await faults(), []);
  await shot('gone');
});

const refusal = (status, detail, headers = {}) => (route) => route.fulfill({ status, contentType: 'application/problem+json', headers, body: JSON.stringify({ title: 'Refused', status, code: 'unavailable', detail }) });
const busy = refusal(503, 'the daemon has too much to do: ask again later', { 'Retry-After': '1' });

test('where the daemon cannot answer for now, each page says so, and shows all of it as soon as it can', async () => {
  const api = /\/api\/v1\/(?!events|session)/;
  const [board] = (await stack.get('/devices')).items, [supernet] = (await stack.get('/supernets')).items, [job] = (await stack.get('/jobs')).items;
  const pages = ['', 'searches', `searches/${search}`, `searches/compare?of=${search},se_other`, 'searches/new', 'supernets', `supernets/${supernet.id}`, 'devices', `devices/${board.id}`, 'jobs', `jobs/${job.id}`, 'models', 'data', 'archs/tiny', 'about'];
  await page.goto('about:blank');
  await page.route(api, busy);
  for (const hash of pages) {
    const before = await page.evaluate(() => document.querySelector('main h1')?.innerText);
    await open(hash);
    await page.waitForFunction((before) => ![undefined, before].includes(document.querySelector('main h1')?.innerText), before); // no word of the page before
    await problem().waitFor({ timeout: 5000 }).catch(() => assert.fail(`#/${hash} does not say that it could not read`));
    assert.match(await problem().innerText(), /^The daemon has too much to do: ask again later; asked again in 5 s\.$/, hash);
  }
  await shot('busy');
  await open(`devices/${board.id}`);
  await problem().waitFor();
  await page.unrouteAll({ behavior: 'wait' });
  await page.getByRole('heading', { level: 1, name: board.name }).waitFor({ timeout: 10000 }); // without a touch
  await settled();
  assert.equal(await page.locator('main .problem').count(), 0);
});

test('candidates of a search that has ended, a log, tables and weights that could not be read are there as soon as they can be, without a touch', async () => {
  const [board] = (await stack.get('/devices')).items, { state, space } = await stack.get(`/searches/${search}`);
  assert.equal(state, 'done');
  const table = (await stack.get('/tables')).items.find((t) => t.profile === board.profiles[0].id && t.measured > 0), [entry] = (await stack.get(`/tables/${table.id}/entries`)).items;
  const { items: [point] } = await stack.get(`/searches/${search}/front`);
  const jobs = (await stack.get('/jobs')).items, logs = await Promise.all(jobs.map(async (job) => ({ job, ...(await stack.get(`/jobs/${job.id}/log?limit=1000`)) })));
  const { job, text } = logs.find((log) => log.job.state === 'done' && log.end && log.text.trim()), line = text.trim().split('\n')[0].trim();
  const cardOf = (tab, title) => tab.locator('.card', { has: tab.getByRole('heading', { name: title, exact: true }) });
  const summary = (tab) => tab.locator('details', { hasText: `${table.measured} of ${table.needed}` }).first();
  const reads = [
    { hash: `searches/${search}`, of: /\/candidates\?/, there: (tab) => cardOf(tab, 'Candidates').getByText(/^[\d,]+ of [\d,]+; click on a head to sort$/) },
    { hash: `jobs/${job.id}`, of: /\/log\?/, there: (tab) => tab.locator('pre.log', { hasText: line }) },
    { hash: `devices/${board.id}`, of: /\/tables\?/, there: summary },
    { hash: `devices/${board.id}`, of: /\/tables\/[^/]*\/entries/, first: (tab) => summary(tab).locator('summary').click(), there: (tab) => tab.getByRole('region', { name: 'Entries of the table' }).getByText(entry.signature, { exact: true }) },
    { hash: `archs/${space}?arch=${encodeURIComponent(point.arch)}`, of: /\/supernets\?/, there: (tab) => cardOf(tab, 'Accuracy').getByLabel('By the weights of') },
  ];
  /** In a tab that listens already: what it shows is not read again because it has begun to. */
  const recovers = async ({ hash, of, first, there }, status, words) => {
    const tab = await context.newPage(), what = `${hash} ${of} ${status}`, said = tab.locator('main .problem').first();
    await tab.goto(`${stack.url}/#/about`);
    await tab.getByText('Live', { exact: true }).waitFor();
    await tab.waitForTimeout(1500);
    let refused = 0;
    await tab.route(of, (route) => { refused++; return (status === 503 ? busy : refusal(status, 'it is not there yet'))(route); });
    await tab.goto(`${stack.url}/#/${hash}`);
    await first?.(tab);
    await said.waitFor();
    assert.match(await said.innerText(), words, what);
    assert.equal(await there(tab).count(), 0, what);
    await tab.unrouteAll({ behavior: 'wait' });
    await there(tab).waitFor({ timeout: 5000 + 1000 * Math.min(60, 5 * 2 ** (refused - 1)) }); // the pause after so many refusals, and time to read
    await said.waitFor({ state: 'detached' });
    await tab.close();
  };
  await page.goto('about:blank');
  for (const [status, words] of [[503, /^The daemon has too much to do: ask again later; asked again in (5|10|20) s\.$/], [404, /^It is not there yet$/]]) await Promise.all(reads.map((read) => recovers(read, status, words)));
});

test('the form of a search has what random subnets cost as soon as the daemon can tell', async () => {
  const refused = new Set();
  await page.route(/\/sample$/, (route) => { // each question once
    const question = route.request().postData();
    if (refused.has(question)) return route.continue();
    refused.add(question);
    return busy(route);
  });
  await openAnew('searches/new');
  await page.getByText('Random subnets:').first().waitFor({ timeout: 20000 });
  assert.ok(refused.size > 0);
  await page.unroute(/\/sample$/);
});

test('what is refused when a button is pressed is said in words, and nothing has changed', async () => {
  const [board] = (await stack.get('/devices')).items;
  const why = 'the board is being measured by somebody else';
  await open(`devices/${board.id}`);
  await settled();
  await page.route(/\/api\/v1\/(tables|devices\/[^/]+)$/, (route) => (route.request().method() === 'GET' ? route.continue() : route.fulfill({ status: 409, contentType: 'application/problem+json', body: JSON.stringify({ title: 'Conflict', status: 409, code: 'conflict', detail: why }) })));
  for (const [i, name] of ['Measure briefly', 'Drain'].entries()) {
    await page.getByRole('button', { name }).first().click();
    await page.locator('.toast.bad', { hasText: why }).nth(i).waitFor();
    await page.getByRole('button', { name, disabled: false }).first().waitFor(); // it can be tried again
  }
  await page.unrouteAll({ behavior: 'wait' });
  await page.locator('.lead .state', { hasText: 'online' }).waitFor();
});

test('what others need is not removed, and leads to them; what nobody needs goes once it is confirmed, from the lists of other tabs, too', async () => {
  const remove = page.getByRole('button', { name: 'Remove…' }), answer = (yes) => page.once('dialog', (dialog) => (yes ? dialog.accept() : dialog.dismiss()));
  await open('data');
  answer(true);
  await page.locator('tr', { has: page.getByRole('cell', { name: 'bars', exact: true }) }).getByRole('button', { name: 'Remove…' }).click();
  await page.getByRole('link', { name: 'supernet bars', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'bars', exact: true }).waitFor();
  answer(true);
  await page.locator('.actions').getByRole('button', { name: 'Remove…' }).click();
  await page.locator('.actions').getByRole('link', { name: 'search front of bars', exact: true }).waitFor();
  assert.deepEqual(await faults(), []);
  await shot('needed-by-others');
  await page.getByRole('link', { name: 'search front of bars', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'front of bars', exact: true }).waitFor();
  const { search: made } = await stack.post('/searches', { name: 'to go', supernet: 'bars', objectives: [{ metric: 'params', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], strategy: 'random', baseline: null, evaluations: 16, measure_front: 0 });
  await searched(made.id);
  const other = await context.newPage();
  try {
    await other.goto(`${stack.url}/#/searches`);
    const row = (tab) => tab.locator('tr', { has: tab.locator(`a[href="#/searches/${made.id}"]`) });
    await row(other).waitFor();
    await open('searches/to%20go'); // by its name, which another may have by now
    answer(false);
    await remove.click();
    assert.equal((await stack.get(`/searches/${made.id}`)).name, 'to go');
    answer(true);
    const [asked] = await Promise.all([page.waitForRequest((r) => r.method() === 'DELETE'), remove.click()]);
    assert.ok(asked.url().endsWith(`/api/v1/searches/${made.id}`), asked.url());
    await page.getByText('The search is removed.').waitFor();
    await page.getByRole('heading', { level: 1, name: 'Searches', exact: true }).waitFor();
    await page.locator(`tr a[href="#/searches/${search}"]`).first().waitFor(); // the list is read
    for (const tab of [page, other]) await row(tab).waitFor({ state: 'detached', timeout: 10000 });
  } finally {
    await other.close();
  }
});

test('who goes on to another page while a thing is being removed stays there', async () => {
  const { search: made } = await slowSearch('to go slowly');
  await stack.post(`/searches/${made.id}/cancel`, {});
  await stack.waitFor('its end', async () => (await stack.get(`/searches/${made.id}`)).state === 'canceled');
  let go = () => undefined;
  const held = new Promise((done) => { go = done; }), own = new RegExp(`/searches/${made.id}$`);
  await page.route(own, async (route) => {
    if (route.request().method() === 'DELETE') await held;
    await route.continue();
  });
  await openAnew(`searches/${made.id}`);
  page.once('dialog', (dialog) => dialog.accept());
  await Promise.all([page.waitForRequest((r) => r.method() === 'DELETE'), page.getByRole('button', { name: 'Remove…' }).click()]);
  await open('about');
  await page.getByRole('heading', { level: 1, name: 'About' }).waitFor();
  go();
  await stack.waitFor('its removal', async () => (await fetch(`${stack.url}/api/v1/searches/${made.id}`)).status === 404);
  await page.getByText('The search is removed.').waitFor();
  assert.equal(new URL(page.url()).hash, '#/about');
  await page.unroute(own);
});

test('searches side by side: one that is asked of too often has its front all the same, and one that there is not yet comes', async () => {
  const { search: { id: second } } = await stack.post('/searches', { name: 'asked of often', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], strategy: 'random', accuracy: 'evaluated', baseline: null, evaluations: 16, seed: 5, measure_front: 0 });
  await searched(second);
  const front = new RegExp(`/searches/${second}/front$`), table = page.getByRole('region', { name: 'The searches side by side' });
  let refused = 0;
  await page.route(front, (route) => (refused++ ? route.continue() : refusal(429, 'too many requests: ask again later', { 'Retry-After': '1' })(route)));
  await openAnew(`searches/compare?of=${search},${second},to%20come`);
  await table.waitFor();
  await page.getByText('There is no search to come any more.').waitFor();
  assert.ok(refused > 1, 'it was asked for again');
  const sizes = await Promise.all([search, second].map(async (id) => `${(await stack.get(`/searches/${id}/front`)).items.length}`));
  assert.deepEqual(await table.locator('tr', { has: page.getByRole('rowheader', { name: 'On the front', exact: true }) }).locator('td').allInnerTexts(), sizes);
  await page.unroute(front);
  await page.getByText('Live', { exact: true }).waitFor();
  const { search: made } = await slowSearch('to come');
  await table.getByRole('link', { name: 'to come', exact: true }).waitFor({ timeout: 10000 });
  await stack.post(`/searches/${made.id}/cancel`, {});
  await table.locator('.state', { hasText: 'cancelled' }).waitFor({ timeout: 30000 });
  for (const id of [made.id, second]) assert.ok((await fetch(`${stack.url}/api/v1/searches/${id}`, { method: 'DELETE' })).ok);
});
