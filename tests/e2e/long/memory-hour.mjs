// Whether an hour of live updates leaves memory behind: a search page stays open while its search is extended again and again, with a simulated board and real jobs.
// Each minute the script's heap is read after a forced collection, with nodes, listeners and the daemon's resident memory. The page holds every candidate, so it grows with them;
// what counts is the page beside one that is opened afresh at the end and shows the same.
// usage: ESPALIER_BUILD=BUILD node memory-hour.mjs [MINUTES [SECONDS BETWEEN EXTENSIONS]]     SNAPSHOTS=DIR writes heap snapshots of the page at the start and at the end and of the fresh one; ends by itself; exit code 1 when the old page holds over 15 % (and 1 MB) more than the fresh one, or the daemon grew by more than what SQLite may cache and 20 %
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from '../browser.mjs';
import { Stack } from '../stack.mjs';

const minutes = Number(process.argv[2] ?? 60), pause = Number(process.argv[3] ?? 12);
const [begin, step] = [480, 20]; // evaluations
const CACHES = 59; // MB: pages that the connections keep once they have read them (docs/BENCHMARKS.md)

const stack = new Stack();
const browser = await launch();

/** A page in a profile of its own, whose memory can be read. */
async function watched(url) {
  const page = await (await browser.newContext({ viewport: { width: 1360, height: 900 } })).newPage();
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable');
  const read = async () => {
    for (let i = 0; i < 3; i++) await cdp.send('HeapProfiler.collectGarbage'); // what a finaliser lets go of is collected by the next
    const { metrics } = await cdp.send('Performance.getMetrics');
    const of = (name) => metrics.find((m) => m.name === name).value;
    return { heap: of('JSHeapUsedSize') / 1e6, nodes: of('Nodes'), listeners: of('JSEventListeners') };
  };
  const snapshot = async (name) => {
    if (!process.env.SNAPSHOTS) return;
    const file = openSync(join(process.env.SNAPSHOTS, `${name}.heapsnapshot`), 'w');
    const write = ({ chunk }) => writeSync(file, chunk);
    cdp.on('HeapProfiler.addHeapSnapshotChunk', write);
    await cdp.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
    cdp.off('HeapProfiler.addHeapSnapshotChunk', write);
    closeSync(file);
  };
  await page.goto(url);
  await page.locator('.scatter canvas.over').waitFor({ timeout: 60000 });
  return { page, read, snapshot };
}
const residentMb = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1e3;
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
/** Least squares: growth of y for one of x. */
function slope(xs, ys) {
  const [mx, my] = [xs, ys].map((v) => v.reduce((a, b) => a + b, 0) / v.length);
  return xs.reduce((sum, x, i) => sum + (x - mx) * (ys[i] - my), 0) / xs.reduce((sum, x) => sum + (x - mx) ** 2, 0);
}

async function prepare() {
  await stack.startDaemon();
  stack.addData();
  const { token } = await stack.post('/tokens', { kind: 'enrolment' });
  stack.startSimulated(token, 'board');
  const profile = await stack.waitFor('the board', async () => (await stack.get('/profiles')).items[0], 60);
  await stack.post('/supernets', { name: 'bars', space: 'tiny', dataset: 'bars', train: { epochs: 2, batch: 32, learning_rate: 0.02 } });
  await stack.post('/tables', { profile: profile.id, space: 'tiny', method: 'brief' });
  await stack.waitFor('training and table', async () => (await stack.get('/supernets/bars')).state === 'ready' && (await stack.get('/tables')).items[0].state === 'ready', 300);
  const { search } = await stack.post('/searches', { name: 'an hour', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'latency_us', profile: profile.id, direction: 'minimise' }], evaluations: begin, population: 24, initial_evaluations: 32, measure_front: 4, calibration_nets: 4, method: 'brief' });
  await stack.waitFor('the first evaluations', async () => ['done', 'failed'].includes((await stack.get(`/searches/${search.id}`)).state), 300);
  return search.id;
}

/** What a person does now and then: a view limited and let free, another colour, a network opened and closed. */
async function useIt(page, turn) {
  const set = (query) => page.evaluate((q) => { location.hash = `${location.hash.split('?')[0]}${q}`; }, query);
  await set(turn % 2 ? '?f=macs~0~250000&by=generation' : '?x=macs&log=1&f=depth~2~4');
  await page.waitForTimeout(1500);
  await page.locator('.scatter canvas.over').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await page.waitForTimeout(1500);
  await set('');
  await page.waitForTimeout(2500);
}

async function run() {
  const id = await prepare(), url = `${stack.url}/#/searches/${id}`;
  const old = await watched(url);
  const total = async () => (await stack.get(`/searches/${id}/candidates?page_size=1`)).total;
  const samples = [], until = Date.now() + minutes * 60000;
  let evaluations = begin, extended = 0, going = true;
  const extending = (async () => {
    while (going) {
      const { state } = await stack.get(`/searches/${id}`);
      if (state === 'failed') throw new Error(`the search failed\n${stack.logs()}`);
      if (state === 'done') {
        await stack.post(`/searches/${id}/extend`, { evaluations: (evaluations += step) });
        extended++;
      }
      await sleep(pause * 1000);
    }
  })();
  extending.catch(() => { going = false; });
  for (let minute = 0; Date.now() <= until && going; minute++) {
    await useIt(old.page, minute);
    const s = { minute, ...await old.read(), candidates: await total(), extended, daemon: residentMb(stack.daemon.pid) };
    samples.push(s);
    if (minute === 0) await old.snapshot('start');
    console.log(`minute ${minute}: heap ${s.heap.toFixed(2)} MB, ${s.nodes} nodes, ${s.listeners} listeners, daemon ${s.daemon.toFixed(1)} MB, ${s.candidates} candidates after ${extended} extensions`);
    await sleep(Math.max(0, until - (minutes - minute - 1) * 60000 - Date.now()));
  }
  going = false;
  await extending;
  await stack.waitFor('the last extension', async () => ['done', 'failed'].includes((await stack.get(`/searches/${id}`)).state), 300);
  const n = await total();
  await sleep(5000); // its events have come
  const fresh = await watched(url);
  const shown = async ({ page }) => page.waitForFunction((text) => document.body.textContent.replace(/\s/g, ' ').includes(text), `CSV of ${n} candidates`, { timeout: 30000 }).catch(() => undefined);
  for (const one of [old, fresh]) {
    await shown(one);
    for (let turn = 3; turn >= 0; turn--) await useIt(one.page, turn); // compiled code is no growth
  }
  const [a, b] = [await old.read(), await fresh.read()];
  await old.snapshot('end');
  await fresh.snapshot('fresh');
  const quarter = Math.max(1, Math.floor(samples.length / 4));
  const ends = (key) => [median(samples.slice(0, quarter).map((s) => s[key])), median(samples.slice(-quarter).map((s) => s[key]))];
  for (const key of ['heap', 'nodes', 'listeners', 'daemon']) {
    const [first, last] = ends(key);
    console.log(`${key}: median of the first quarter ${first.toFixed(2)}, of the last ${last.toFixed(2)}; ${(60 * slope(samples.map((s) => s.minute), samples.map((s) => s[key]))).toFixed(2)} an hour`);
  }
  console.log(`heap for each candidate: ${(1e6 * slope(samples.map((s) => s.candidates), samples.map((s) => s.heap))).toFixed(0)} B`);
  console.log(`the old page: heap ${a.heap.toFixed(2)} MB, ${a.nodes} nodes, ${a.listeners} listeners; opened afresh with the same ${n} candidates: ${b.heap.toFixed(2)} MB, ${b.nodes} nodes, ${b.listeners} listeners`);
  const more = (x, y, least) => x - y > Math.max(0.15 * y, least);
  const [daemonFirst, daemonLast] = ends('daemon');
  const grown = [more(a.heap, b.heap, 1) && 'heap', more(a.nodes, b.nodes, 300) && 'nodes', more(a.listeners, b.listeners, 50) && 'listeners', more(daemonLast, daemonFirst * 1.05 + CACHES, 4) && 'the daemon'].filter(Boolean);
  console.log(grown.length ? `GROWN: ${grown.join(', ')}` : 'ok: nothing grew but what is shown');
  process.exitCode = grown.length ? 1 : 0;
}

try {
  await run();
} finally {
  await browser.close();
  await stack.stop();
}
