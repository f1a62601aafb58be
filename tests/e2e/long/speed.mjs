// How soon a page is there, and how soon an event is on it: first paint, first and largest content of every page from an empty cache,
// and the time from a job's end, a job's beginning and new candidates until the page shows them. Prints figures and fails on none.
// usage: ESPALIER_BUILD=BUILD-FOLDER node tests/e2e/long/speed.mjs [VISITS] [EVENTS]     (5 and 20; 0: none)
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from '../browser.mjs';
import { Stack } from '../stack.mjs';

const [visits, events] = [Number(process.argv[2] ?? 5), Number(process.argv[3] ?? 20)];
const stack = new Stack();
const viewport = { width: 1360, height: 900 };
const at = (values, q) => [...values].sort((a, b) => a - b)[Math.round(q * (values.length - 1))];
const both = (values) => `median ${at(values, 0.5).toFixed(0)} ms, worst ${at(values, 1).toFixed(0)} ms of ${values.length}`;

/** A supernet, a simulated board with a table and a search of them: enough for every page to have something on it. */
async function furnish() {
  stack.addData();
  const { supernet, job } = await stack.post('/supernets', { name: 'bars', space: 'tiny', dataset: 'bars', train: { epochs: 1, batch: 32, learning_rate: 0.02 } });
  stack.startSimulated((await stack.post('/tokens', { kind: 'enrolment' })).token, 'board');
  const profile = await stack.waitFor('the board', async () => (await stack.get('/profiles')).items[0]);
  const state = (path) => async () => ['done', 'ready'].includes((await stack.get(path)).state);
  await stack.waitFor('the supernet', state(`/jobs/${job.id}`), 90);
  await stack.post('/tables', { profile: profile.id, space: 'tiny', method: 'brief' });
  await stack.waitFor('the table', async () => (await stack.get('/tables')).items[0]?.state === 'ready', 90);
  const { search } = await stack.post('/searches', { name: 'front', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'latency_us', profile: profile.id, direction: 'minimise' }], evaluations: 1000, population: 24, measure_front: 0, calibration_nets: 0, method: 'brief' });
  await stack.waitFor('the search', state(`/searches/${search.id}`), 120);
  const arch = (await stack.get(`/searches/${search.id}/front`)).items[0].arch;
  return ['', 'searches', 'searches/new', `searches/${search.id}`, 'supernets', `supernets/${supernet.id}`, 'devices', `devices/${profile.device}`, 'jobs', `jobs/${job.id}`, 'models', 'data', `archs/tiny?arch=${encodeURIComponent(arch)}&search=${search.id}`];
}

/** Paints of one visit in a window of its own, whose cache is empty; ms since the address was asked for. */
async function visit(browser, hash) {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  await page.addInitScript(() => new PerformanceObserver((list) => { window.largest = list.getEntries().at(-1).startTime; }).observe({ type: 'largest-contentful-paint', buffered: true }));
  await page.goto(`${stack.url}/#/${hash}`);
  await page.locator('main h1').waitFor();
  await sleep(800);
  const found = await page.evaluate(() => [...['first-paint', 'first-contentful-paint'].map((name) => performance.getEntriesByName(name)[0]?.startTime), window.largest]);
  await context.close();
  return found;
}

async function paints(browser, hashes) {
  for (const hash of hashes) {
    const seen = [];
    for (let i = 0; i < visits; i++) seen.push(await visit(browser, hash));
    const column = (k) => seen.map((s) => s[k]).filter((v) => v !== undefined);
    const name = hash.replace(/([a-z]+)_[0-9a-z]+/, 'ONE').replace(/\?.*/, '') || 'overview';
    console.log(`${name.padEnd(16)} first paint ${at(column(0), 0.5).toFixed(0)}, first content ${at(column(1), 0.5).toFixed(0)}, largest ${at(column(2), 0.5).toFixed(0)} ms (medians of ${visits}; slowest largest ${at(column(2), 1).toFixed(0)})`);
  }
}

/** In the page: notes when each text that `pick` finds was first there, once the frame that shows it has been drawn. */
const watch = (page, pick) => page.evaluate((source) => {
  const seen = window.seen = {};
  const find = new Function(`return (${source})()`);
  new MutationObserver(() => {
    for (const key of find()) if (!(key in seen)) { seen[key] = 0; requestAnimationFrame(() => setTimeout(() => { seen[key] = Date.now(); })); }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}, String(pick));
const shown = (page, key) => stack.waitFor(`${key} on the page`, () => page.evaluate((k) => window.seen[k], key), 20);

/** Jobs begin and end: from the times that the daemon gives them until the list of jobs shows it. */
async function jobEvents(page) {
  await page.goto(`${stack.url}/#/jobs`);
  await page.getByText('Live', { exact: true }).waitFor();
  await page.locator('tbody tr').first().waitFor();
  await watch(page, () => [...document.querySelectorAll('tbody tr')].flatMap((tr) => { const id = tr.querySelector('a').hash.split('/').pop(); return [id, `${id} ${tr.querySelector('.state').textContent.trim()}`]; }));
  const made = [], ends = [];
  for (let i = 0; i < events; i++) {
    const { job } = await stack.post('/datasets', { name: `speed ${i}`, path: join(stack.dir, 'bars'), validation: 1000 });
    const done = await stack.waitFor('the job', async () => { const now = await stack.get(`/jobs/${job.id}`); return now.state === 'done' && now; });
    made.push(await shown(page, job.id) - Date.parse(job.created_at));
    ends.push(await shown(page, `${job.id} done`) - Date.parse(done.ended_at));
    await sleep(300 + 40 * i); // not always at the same point of a round
  }
  console.log(`a job is made → in the list: ${both(made)}`);
  console.log(`a job ends → its state in the list: ${both(ends)}`);
}

/** Candidates come: from the daemon's event until the page counts them and has drawn them. */
async function candidateEvents(page) {
  const told = [];
  const { search } = await stack.post('/searches', { name: 'grows', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], accuracy: 'evaluated', evaluations: 3000, population: 16, measure_front: 0 });
  const stop = new AbortController();
  const { body } = await fetch(`${stack.url}/api/v1/events?topics=candidates`, { signal: stop.signal });
  void (async () => { for await (const bytes of body.pipeThrough(new TextDecoderStream())) for (const [, total] of bytes.matchAll(/"total":(\d+)/g)) told.push([Number(total), Date.now()]); })().catch(() => undefined);
  await page.goto(`${stack.url}/#/searches/${search.id}`);
  await page.getByRole('button', { name: /^CSV of/ }).waitFor({ timeout: 60000 });
  await watch(page, () => [...document.querySelectorAll('button')].flatMap((b) => b.textContent.match(/^CSV of (\d+) candidates/)?.[1] ?? []));
  told.length = 0;
  await stack.waitFor('candidates', () => told.length >= events + 3, 120);
  await sleep(1500);
  const seen = Object.entries(await page.evaluate(() => window.seen)).map(([n, t]) => [Number(n), t]);
  const waits = told.slice(0, -3).flatMap(([total, when]) => { const times = seen.filter(([n, t]) => n >= total && t > 0).map(([, t]) => t); return times.length > 0 ? [Math.min(...times) - when] : []; });
  console.log(`candidates are told of → drawn: ${both(waits)}`);
  stop.abort();
  await stack.post(`/searches/${search.id}/cancel`, {});
}

let browser;
try {
  await stack.startDaemon();
  const hashes = await furnish();
  browser = await launch();
  await visit(browser, ''); // the browser's own beginning
  if (visits > 0) await paints(browser, hashes);
  const page = await (await browser.newContext({ viewport })).newPage();
  if (events > 0) await jobEvents(page);
  if (events > 0) await candidateEvents(page);
} finally {
  await browser?.close();
  await stack.stop();
}
