// How the search page does with 100,000 candidates: the time to the first points and to all, the answer to input, frames while the pointer moves, the exact picture after it rests.
// A real search's networks are told again and again with other numbers, page by page as the daemon would; everything else is the daemon's.
// usage: node many-candidates.mjs URL SEARCH [N]     exit code 1 when a budget of the dashboard is not kept; DIST=FOLDER: that bundle in place of the daemon's own; SLACK=2: budgets of a busy machine
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from '../browser.mjs';

const [url, search, count = '100000'] = process.argv.slice(2);
const n = Number(count);
const slack = Number(process.env.SLACK ?? 1);
const real = (await (await fetch(`${url}/api/v1/searches/${search}/candidates?page_size=1000`)).json()).columns;

const pageAt = (from, size) => {
  const rows = Array.from({ length: Math.max(0, Math.min(size, n - from)) }, (_, i) => from + i);
  const pick = (column) => rows.map((i) => column[i % column.length]);
  const factor = (i) => 0.8 + 0.4 * (((i * 2654435761) >>> 0) / 2 ** 32);
  const metrics = Object.fromEntries(Object.entries(real.metrics).map(([key, m]) => {
    const scaled = (column) => rows.map((i) => (column[i % column.length] == null ? null : column[i % column.length] * factor(i + key.length)));
    return [key, { value: scaled(m.value), low: scaled(m.low), high: scaled(m.high), source: pick(m.source) }];
  }));
  const more = from + rows.length < n;
  return { columns: { id: rows, arch_id: rows.map((i) => `a${i}`), arch: pick(real.arch), strategy: rows.map(() => 'nsga2'), generation: rows.map((i) => Math.floor(i / 1000)), feasible: rows.map(() => true), on_front: rows.map(() => false), metrics },
    total: n, cursor: String(from + rows.length), next: more ? String(from + rows.length) : null };
};
// Made beforehand: what this program computes is no part of what is measured.
const answers = new Map();
const answer = (from, size) => {
  const key = `${from} ${size}`;
  if (!answers.has(key)) answers.set(key, JSON.stringify(pageAt(from, size)));
  return answers.get(key);
};
answer(0, 1000);
for (let from = 1000; from < n; from += 5000) answer(from, 5000);

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
const dist = process.env.DIST;
if (dist) {
  const types = { js: 'text/javascript', css: 'text/css', html: 'text/html', svg: 'image/svg+xml' };
  await page.route((u) => u.origin === url && !u.pathname.startsWith('/api'), (route) => {
    const name = new URL(route.request().url()).pathname.slice(1);
    const file = readdirSync(dist).includes(name) ? name : 'index.html';
    return route.fulfill({ body: readFileSync(join(dist, file)), contentType: types[file.split('.').pop()] });
  });
}
await page.route(/\/candidates\?/, (route) => {
  const query = new URL(route.request().url()).searchParams;
  return route.fulfill({ body: answer(Number(query.get('after') ?? 0), Number(query.get('page_size'))), contentType: 'application/json' });
});

let broken = 0;
const report = (what, figure, unit, keeps) => {
  console.log(`${keeps ? 'ok' : 'NOT KEPT'}: ${what}: ${figure} ${unit}`);
  if (!keeps) broken++;
};
const begun = Date.now();
await page.goto(`${url}/#/searches/${search}?x=macs`);
await page.locator('.scatter canvas.over').waitFor();
const first = Date.now() - begun;
await page.waitForFunction((least) => [...document.querySelectorAll('.card-head .note')].some((e) => Number(/of ([\d,]+);/.exec(e.textContent)?.[1].replaceAll(',', '') ?? 0) >= least), n, { timeout: 60000 }); // those of the front come on top
const all = Date.now() - begun;
report(`${n} candidates: first points (budget 2000)`, first, 'ms', first < 2000 * slack);
report('all of them', all, 'ms', true);
const canvas = page.locator('.scatter canvas.over');
await canvas.scrollIntoViewIfNeeded();
const box = await canvas.boundingBox();
await page.waitForTimeout(1500);
// Frames, and for each movement of the pointer the time until the frame that shows what came of it has ended its script.
await page.evaluate(() => {
  window.frames_ = [];
  window.answers_ = [];
  const tick = (t) => { window.frames_.push(t); requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  addEventListener('pointermove', (e) => requestAnimationFrame(() => setTimeout(() => window.answers_.push(performance.now() - e.timeStamp))), true);
});
const spell = async (what, moves) => {
  await page.evaluate(() => { window.frames_.length = 0; window.answers_.length = 0; });
  await moves();
  const { gaps, answers } = await page.evaluate(() => ({ gaps: window.frames_.slice(1).map((t, i) => t - window.frames_[i]), answers: window.answers_ }));
  const at = (list, q) => Math.round([...list].sort((a, b) => a - b)[Math.floor(q * (list.length - 1))] ?? NaN);
  const rate = (1000 * gaps.length) / gaps.reduce((a, b) => a + b, 0);
  report(`${what}: frames (budget 30)`, rate.toFixed(1), `a second, longest gap ${at(gaps, 1)} ms`, rate >= 30 / slack);
  report(`${what}: answer to the pointer (budget 100)`, at(answers, 0.95), `ms (95 %), median ${at(answers, 0.5)} ms`, at(answers, 0.95) < 100 * slack);
};
const line = box.x + box.width - 16;
const settled = async (what, act) => { // the address keeps what is looked at; the layer is exact once no long task runs any more
  await act();
  const from = Date.now();
  await page.waitForTimeout(130); // when a view has rested
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => requestAnimationFrame(() => setTimeout(done))))));
  report(`${what}: exact picture after rest (budget 1000)`, Date.now() - from, 'ms', Date.now() - from <= 1000 * slack);
};
await page.mouse.move(box.x + 300, box.y + 200);
await page.keyboard.down('Control');
await spell('zoom by the wheel', async () => { for (let i = 0; i < 40; i++) { await page.mouse.wheel(0, -12); await page.mouse.move(box.x + 300 + i, box.y + 200); } });
await settled('zoom by the wheel', () => page.mouse.wheel(0, -12));
await page.keyboard.up('Control');
await page.keyboard.down('Shift');
await page.mouse.down();
await spell('drag of the view', async () => { for (let i = 1; i < 60; i++) await page.mouse.move(box.x + 300 + 3 * i, box.y + 200 + i); });
await settled('drag of the view', () => page.mouse.up());
await page.keyboard.up('Shift');
await canvas.focus();
await page.keyboard.press('0');
await page.waitForTimeout(1500);
await spell('hover', async () => { for (let i = 0; i < 40; i++) await page.mouse.move(box.x + 100 + 10 * i, box.y + 150); });
await spell('drag of a limit', async () => {
  await page.mouse.move(line, box.y + 150);
  await page.mouse.down();
  for (let i = 1; i < 60; i++) await page.mouse.move(line - 5 * i, box.y + 150);
});
await page.locator('.best').waitFor();
const note = page.locator('.card', { hasText: 'click on a head to sort' }).locator('.card-head .note');
const exactAfter = async (what, act) => {
  const before = await note.innerText();
  await act();
  const from = Date.now();
  await page.waitForFunction((text) => ![...document.querySelectorAll('.card-head .note')].some((e) => e.textContent === text), before, { timeout: 20000 });
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
  report(`${what}: exact picture after rest (budget 1000)`, Date.now() - from, 'ms', Date.now() - from <= 1000 * slack);
};
await page.mouse.up();
await page.waitForTimeout(2500);
await exactAfter('drag of a limit', async () => {
  await page.mouse.move(line - 5 * 59, box.y + 150);
  await page.mouse.down();
  await page.mouse.move(line - 5 * 70, box.y + 150);
  await page.mouse.up();
});
await page.waitForTimeout(1500);
await exactAfter('box select', async () => {
  await page.mouse.move(box.x + 150, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 300, box.y + 300);
  await page.mouse.up();
});
await page.getByRole('button', { name: 'Clear limits' }).click();
await page.waitForTimeout(2500);
const parallel = page.locator('.parallel canvas.over');
await parallel.scrollIntoViewIfNeeded();
const axes = await parallel.boundingBox();
const axis = axes.x + axes.width - 46; // the last one: a metric
await spell('brush of an axis', async () => {
  await page.mouse.move(axis, axes.y + 60);
  await page.mouse.down();
  for (let i = 1; i < 40; i++) await page.mouse.move(axis, axes.y + 60 + 3 * i);
});
await exactAfter('brush of an axis', () => page.mouse.up());
await page.waitForTimeout(1000);
await spell('scrolling of the page', async () => {
  for (let i = 0; i < 40; i++) {
    await page.mouse.wheel(0, i < 20 ? -40 : 40);
    await page.mouse.move(axes.x + 200 + i, 400);
  }
});
await browser.close();
process.exitCode = broken ? 1 : 0;
