// What the tests of the dashboard share: a daemon with data, a browser, one page that walks on from test to test, and ways to look at it.
import { join } from 'node:path';
import { after, afterEach, before } from 'node:test';
import { axe, faultsOf, launch, resize, shadeOf, shots } from '../browser.mjs';
import { Stack } from '../stack.mjs';

export { axe, shots };
export const stack = new Stack();
export let browser, context, page;
/** What went to other hosts, what the pages' own policy has kept from happening, what scripts failed of, when the daemon was asked. */
export const foreign = [], violations = [], errors = [], asked = [];
/** The search of the first way through the pages, once it was submitted. */
export let search;
export const keepSearch = (id) => { search = id; };
const reading = new Set();

before(async () => {
  await stack.startDaemon();
  stack.addData();
  browser = await launch();
  context = await browser.newContext({ viewport: { width: 1360, height: 900 } });
  await context.exposeBinding('noteViolation', ({ page }, what) => violations.push(`${page.url()}: ${what}`));
  await context.addInitScript(() => addEventListener('securitypolicyviolation', (e) => window.noteViolation(`${e.effectiveDirective} of ${e.blockedURI}`)));
  context.on('request', (r) => { if (!r.url().startsWith(`${stack.url}/`) && !/^(data|blob|about):/.test(r.url())) foreign.push(`${r.url()} by ${r.isNavigationRequest() ? 'a link' : r.frame().url()}`); });
  page = await context.newPage();
  page.on('request', (r) => { if (r.url().startsWith(`${stack.url}/api/`)) asked.push(Date.now()); });
  page.on('pageerror', (e) => errors.push(String(e)));
  context.on('request', (r) => { if (/\/api\/v1\/(?!events)/.test(r.url())) reading.add(r); });
  for (const end of ['requestfinished', 'requestfailed']) context.on(end, (r) => reading.delete(r));
});
// A test that fails half way leaves no answer that is played, and no search that runs for hours.
afterEach(async () => {
  await page?.unrouteAll({ behavior: 'ignoreErrors' });
  for (const id of slowOnes.splice(0)) await stack.post(`/searches/${id}/cancel`, {}).catch(() => undefined); // it may be gone, or over
});
after(async () => {
  await browser?.close();
  await stack.stop();
});

/** Goes there, until the page has noticed: that only the part behind # is another one is told to it by an event, before which it is still the page it was. */
export async function open(hash, tab = page) {
  const before = tab.url();
  await tab.evaluate(() => { window.noticed = false; addEventListener('hashchange', () => { window.noticed = true; }, { once: true }); });
  await tab.goto(`${stack.url}/#/${hash}`);
  if (tab.url() !== before) await tab.waitForFunction(() => window.noticed !== false); // of a page that was loaded nothing is to be noticed
}
/** The page opened anew, also where it is the one that is open: what it had read is read again. */
export async function openAnew(hash) {
  await page.goto('about:blank');
  await open(hash);
}

export const shot = async (name) => {
  if (!shots) return;
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
};

export const nameOf = (hash) => hash.replace(/\?arch.*/, '-network').replace(/\?vs.*/, '-compared').replace(/\?/, '-').replace(/\/[a-z]+_[^-]*/, '-one').replace('/', '-') || 'overview';

/** Until the page, and every other tab that is open, has read what it shows; reads that are never told to have ended are waited for ten seconds. */
export async function settled() {
  await page.locator('main h1').waitFor();
  for (let still = 0, since = Date.now(); still < 3 && Date.now() - since < 10000; still++) {
    await page.getByText('Reading…').first().waitFor({ state: 'detached' });
    await page.waitForTimeout(50);
    for (const request of reading) if (request.frame().page().isClosed()) reading.delete(request);
    if (reading.size > 0) still = -1;
  }
  reading.clear();
}

/** Until the address has what the page shows: frames and timers of a page come in their order, however busy it is, and those that write it are due before this one. */
export const written = () => page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => setTimeout(done, 250)); }));

/** Until the page says that it reads; looked at in each frame, for it may be over soon. */
export const reads = (tab) => tab.waitForFunction(() => document.body.innerText.includes('Reading…'), undefined, { timeout: 15000 });

/** Until the search or training that was paused has stored what it had and ended its process, which it does at a boundary; what it is is told at once. */
export const stands = (job) => stack.waitFor('the pause', async () => (await stack.get(`/jobs/${job}`)).state === 'paused', 60);

export const faults = () => faultsOf(page);
export const shade = (name) => shadeOf(page, name);
export const resized = (width, height) => resize(page, width, height);

/** Tries for as long as the daemon's work moves on; two minutes without any movement are too many, and ten with it. */
async function whileItMoves(tries) {
  for (let last = '', begun = Date.now(), since = begun; ;) {
    try {
      return await tries();
    } catch (error) {
      const [jobs, tables] = [await stack.get('/jobs'), await stack.get('/tables')];
      const now = JSON.stringify([jobs.items.map((j) => [j.id, j.state, j.attempt, j.progress]), tables.items.map((t) => t.measured)]);
      if ((now === last && Date.now() - since > 120000) || Date.now() - begun > 600000) throw error;
      if (now !== last) since = Date.now();
      last = now;
    }
  }
}
/** Until something is on the page. */
export const comes = (what) => whileItMoves(() => what.first().waitFor({ timeout: 3000 }));
/** Until a search is done. */
export const searched = (id) => whileItMoves(() => stack.waitFor('the end of a search', async () => (await stack.get(`/searches/${id}`)).state === 'done', 3));

/** As the page counts networks. */
export const outOf = (n, all) => `${n.toLocaleString('en')} of ${all.toLocaleString('en')}`;

/** The field of a limit, and how much of what the daemon tells is one there: it has the unit that stands beside it. */
async function limitOf(label) {
  const field = page.getByLabel(label, { exact: true });
  return { field, one: { '': 1, k: 1e3, M: 1e6 }[(await field.evaluate((e) => e.parentElement.innerText)).match(/≤\s*([kM]?)B?\s*✕$/)[1]] };
}
export async function limitTyped(label, value) {
  const { field, one } = await limitOf(label);
  await field.fill(String(value / one));
  await field.press('Enter');
}
export async function limitShown(label) {
  const { field, one } = await limitOf(label);
  return Number(await field.inputValue()) * one;
}

/** All networks of the search as the daemon tells them, the strategy's values before the baseline's, the front's before both. */
export async function networks() {
  const all = new Map();
  for (let after = ''; ;) {
    const { columns, cursor, next } = await stack.get(`/searches/${search}/candidates?page_size=1000${after}`);
    columns.arch_id.forEach((id, i) => {
      if (all.has(id) && columns.strategy[i] === 'random') return;
      all.set(id, { arch: columns.arch[i], feasible: columns.feasible[i], generation: columns.generation[i], metrics: Object.fromEntries(Object.entries(columns.metrics).map(([key, m]) => [key, m.value[i]])) });
    });
    if (!next) break;
    after = `&after=${encodeURIComponent(cursor)}`;
  }
  for (const item of (await stack.get(`/searches/${search}/front`)).items) all.set(item.arch_id, { ...item, metrics: Object.fromEntries(Object.entries(item.metrics).map(([key, m]) => [key, m.value])) });
  return [...all.values()];
}

/** As over a bad link: milliseconds until an answer begins, bytes a second. */
export async function slowNetwork(tab, latency, downloadThroughput) {
  const cdp = await context.newCDPSession(tab);
  await cdp.send('Network.enable');
  await cdp.send('Network.emulateNetworkConditions', { offline: false, latency, downloadThroughput, uploadThroughput: 20e3 });
}

let slow = 100;
const slowOnes = [];
/** A search whose every candidate is evaluated: long enough to be held up, and ended with its test. What earlier ones have scored is not scored again, so each has a seed of its own. */
export async function slowSearch(name) {
  const made = await stack.post('/searches', { name, supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], accuracy: 'evaluated', evaluations: 10000, population: 16, seed: ++slow, measure_front: 0 });
  slowOnes.push(made.search.id);
  return made;
}

/** The profiles of two boards that have tables of the space: that of the first way through the pages, and a slower one without hardware, which comes when it is asked for first. */
export async function twoBoards() {
  const profiles = async () => (await stack.get('/profiles')).items;
  if ((await profiles()).length < 2) {
    const { token } = await stack.post('/tokens', { kind: 'enrolment' });
    stack.startSimulated(token, 'slow-board');
    await stack.waitFor('the second board', async () => (await profiles()).length === 2, 60);
  }
  for (const { id } of await profiles()) await stack.post('/tables', { profile: id, space: 'tiny', method: 'brief' });
  await stack.waitFor('both tables', async () => (await stack.get('/tables')).items.filter((t) => t.state === 'ready').length === 2, 90);
  return profiles();
}

/** A tab of its own whose canvases note what is stroked: strokes(selector) has the newest picture of each that it fits, those that no page has among them, as it was drawn: colour, opacity, lines. */
export async function strokedTab() {
  const tab = await context.newPage();
  await tab.addInitScript(() => {
    const pictures = window.pictures = new Map(), own = CanvasRenderingContext2D.prototype, noted = (ctx) => pictures.get(ctx.canvas) ?? pictures.set(ctx.canvas, { strokes: [], path: [] }).get(ctx.canvas);
    const also = (name, note) => { const plain = own[name]; own[name] = function (...args) { note(noted(this), this, args); return plain.apply(this, args); }; };
    also('clearRect', (picture) => { picture.strokes = []; });
    also('beginPath', (picture) => { picture.path = []; });
    also('moveTo', (picture, _, at) => picture.path.push([at]));
    also('lineTo', (picture, _, at) => picture.path.at(-1)?.push(at));
    also('stroke', (picture, ctx) => picture.strokes.push({ shade: ctx.strokeStyle, alpha: ctx.globalAlpha, lines: picture.path }));
  });
  return { tab, strokes: (selector) => tab.evaluate((selector) => [...window.pictures].filter(([canvas]) => canvas.matches(selector)).flatMap(([, { strokes }]) => strokes), selector) };
}

export const card = (title) => page.locator('.card', { has: page.getByRole('heading', { name: title, exact: true }) });
