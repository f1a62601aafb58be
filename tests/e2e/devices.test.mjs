// What a person does with boards: their tokens, their quarantine, adding one. Simulated boards, no supernet.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Stack } from './stack.mjs';

const ui = join(dirname(fileURLToPath(import.meta.url)), '../../web/ui');
const requireFromUi = createRequire(join(ui, 'package.json'));
const { chromium } = requireFromUi('playwright-core');
const axe = readFileSync(requireFromUi.resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.SHOTS;

const stack = new Stack();
const errors = [];
let browser, page, board;

before(async () => {
  await stack.startDaemon();
  const { token } = await stack.post('/tokens', { kind: 'enrolment' });
  stack.startSimulated(token, 'sim-one');
  board = await stack.waitFor('the board', async () => (await stack.get('/devices')).items[0]);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'] });
  page = await (await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' })).newPage();
  page.on('pageerror', (e) => errors.push(String(e)));
});
after(async () => {
  await browser?.close();
  await stack.stop();
});

const open = async (hash) => {
  await page.goto('about:blank');
  await page.goto(`${stack.url}/#/${hash}`);
};
const faults = async () => {
  await page.evaluate(axe);
  return (await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')}`);
};
/** Without faults in light and dark, no wider than a phone; pictures of all of it where they are asked for. */
async function fits(name) {
  for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 360], ['dark', 360]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: 800 });
    if (width === 1280) assert.deepEqual(await faults(), [], `${name} ${scheme}`);
    else assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, name);
    if (shots) await page.screenshot({ path: join(shots, `${name}-${scheme}-${width}.png`), fullPage: true });
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: 'light' });
}
/** Answers of the daemon about devices, changed on their way. */
async function seen(change) {
  await page.route(/\/api\/v1\/devices(\/[^/]*)?(\?.*)?$/, async (route) => {
    if (route.request().method() !== 'GET') return route.continue();
    const response = await route.fetch(), doc = await response.json();
    return route.fulfill({ response, json: doc.items ? { ...doc, items: doc.items.map(change) } : change(doc) });
  });
}

test('a board in quarantine by its own health says why and when it is tried again, and a person releases it', async () => {
  await seen((d) => ({ ...d, health: 'quarantined', retest_at: new Date(Date.now() + 600e3).toISOString() }));
  await page.route(/\/devices\/[^/]*\/history$/, async (route) => {
    const response = await route.fetch(), doc = await response.json();
    const at = (s) => new Date(Date.now() - s * 1000).toISOString();
    return route.fulfill({ response, json: { ...doc, transitions: [{ at: at(60), from: 'quarantined', to: 'quarantined', event: 'retest_failed' }, { at: at(660), from: 'good', to: 'quarantined', event: 'crash' }, ...doc.transitions] } });
  });
  await open(`devices/${board.id}`);
  const note = page.locator('.noisy', { hasText: 'In quarantine' });
  await note.getByText('since 11 min').waitFor();
  assert.match(await note.innerText(), /crashed or were lost\. Nothing is measured here\. Its reference network is measured again in (10:00|9:\d\d) min/);
  await fits('quarantine');
  const [sent] = await Promise.all([page.waitForRequest((r) => r.method() === 'PATCH'), note.getByRole('button', { name: 'Release' }).click()]);
  assert.deepEqual(sent.postDataJSON(), { state: 'active' });
  await page.getByText('The board starts again, on probation.').waitFor();
  await page.unrouteAll({ behavior: 'wait' });
});

test('a token is revoked and rotated only once more asked, and a revoked board is let in again', async () => {
  await open(`devices/${board.id}`);
  const token = page.locator('.facts div', { hasText: 'Token from' });
  const asked = [];
  const answer = (yes) => page.once('dialog', (dialog) => { asked.push(dialog.message()); return yes ? dialog.accept() : dialog.dismiss(); });
  for (const name of ['Revoke', 'Rotate']) {
    answer(false);
    await token.getByRole('button', { name }).click();
  }
  assert.ok(asked.length === 2 && asked.every((text) => text.includes(board.name)), asked.join());
  const now = await stack.get(`/devices/${board.id}`);
  assert.ok(now.token_created_at && !now.rotating, 'nothing was done');
  answer(true);
  await token.getByRole('button', { name: 'Revoke' }).click();
  await token.getByRole('button', { name: 'Allow' }).waitFor();
  assert.equal(await token.getByRole('button').count(), 1);
  assert.equal((await stack.get(`/devices/${board.id}`)).token_created_at, null);
  await fits('revoked');
  await token.getByRole('button', { name: 'Allow' }).click();
  await token.getByText('allowed to come back').waitFor();
  assert.equal((await stack.get(`/devices/${board.id}`)).allowed, true);
});

test('no script failed', () => assert.deepEqual(errors, []));
