// A browser that is not on the daemon's own machine: by a name that is none of loopback's, over plain HTTP, as in a LAN.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { axe, launch, shots } from './browser.mjs';
import { Stack } from './stack.mjs';

const stack = new Stack();
const errors = [];
let browser, context, page, url, tokens;

before(async () => {
  await stack.startDaemon(0, ['--allow-host', 'espalier.lan']);
  url = stack.url.replace('127.0.0.1', 'espalier.lan');
  tokens = Object.fromEntries(['read', 'submit', 'admin'].map((scope) => [scope, stack.cli('token', 'add', '--scope', scope, '--label', `${scope}s`)]));
  browser = await launch('--host-resolver-rules=MAP espalier.lan 127.0.0.1');
  context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
  page = await context.newPage();
  page.on('pageerror', (e) => errors.push(String(e)));
});
after(async () => {
  await browser?.close();
  await stack.stop();
});

const signIn = async (token) => {
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
};

test('a stranger sees the way in and nothing else; a wrong token says so', async () => {
  await page.goto(url);
  await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  assert.equal(await page.evaluate(() => window.isSecureContext), false, 'the page is used as in a LAN, without a secure context');
  assert.equal(await page.getByRole('navigation').count(), 0);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    assert.deepEqual(violations.map((v) => v.id), [], colorScheme);
    if (shots) await page.screenshot({ path: join(shots, `sign-in-${colorScheme}.png`) });
  }
  await page.setViewportSize({ width: 360, height: 700 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), 'it fits a phone');
  await page.setViewportSize({ width: 1200, height: 800 });
  await page.getByText('--url unix:PATH').waitFor(); // the daemon may want a token on its own machine, too
  await signIn('esp_a_wrong');
  await page.getByRole('alert').filter({ hasText: 'unknown or was revoked' }).waitFor();
});

test('a token signs in: the page is live, and no script can read what the browser holds', async () => {
  await signIn(tokens.admin);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByText('admins (admin)').waitFor();
  assert.equal(await page.evaluate(() => document.cookie), '');
  assert.equal(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]).includes('esp_')), false);
  const [cookie, ...others] = await context.cookies(url);
  assert.deepEqual([others.length, cookie.httpOnly, cookie.sameSite, cookie.path], [0, true, 'Strict', '/']);
  assert.ok(!cookie.value.startsWith('esp_a_'), 'the cookie holds the token itself');
  if (shots) await page.screenshot({ path: join(shots, 'signed-in.png') });
  await page.setViewportSize({ width: 360, height: 700 });
  const foot = await page.locator('.side-foot > .live, .side-foot > label').evaluateAll((parts) => parts.map((part) => { const { top, height } = part.getBoundingClientRect(); return [top + height / 2, height]; }));
  assert.ok(Math.abs(foot[0][0] - foot[1][0]) < 4 && foot.every(([, height]) => height < 44), `dot and word, word and box stand in one line: ${foot}`);
  if (shots) await page.screenshot({ path: join(shots, 'signed-in-360.png') });
  await page.setViewportSize({ width: 1200, height: 800 });
});

test('another tab of the browser notices who signs in and out, without being loaded anew', async () => {
  const other = await context.newPage();
  other.on('pageerror', (e) => errors.push(String(e)));
  await other.goto(url);
  await other.evaluate(() => { window.loadedOnce = true; });
  await other.getByText('admins (admin)').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await other.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  await signIn(tokens.submit);
  await other.getByText('submits (submit)').waitFor();
  await other.getByText('Live', { exact: true }).waitFor();
  await other.goto(`${url}/#/data`);
  await other.getByRole('heading', { level: 1, name: /Data/ }).waitFor();
  assert.equal(await other.evaluate(() => window.loadedOnce), true);
  await other.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  await signIn(tokens.admin);
  await other.getByText('admins (admin)').waitFor();
  await other.close();
});

test('what a page shows to be copied is copied without a secure context, and where a browser forbids it the text is selected', async () => {
  await page.goto(`${url}/#/devices`);
  await page.getByRole('button', { name: 'Add a board' }).first().click();
  await page.getByRole('button', { name: 'Make the command' }).click();
  const box = page.locator('.add-board .code');
  const command = await box.locator('code').innerText();
  assert.deepEqual(await page.evaluate(() => [isSecureContext, typeof navigator.clipboard]), [false, 'undefined']);
  const pasted = () => page.evaluate(() => { // as a person pastes it
    const area = document.body.appendChild(document.createElement('textarea'));
    area.className = 'pasted';
    area.focus();
  }).then(() => page.keyboard.press('Control+V')).then(() => page.evaluate(() => { const area = document.querySelector('.pasted'); area.remove(); return area.value; }));
  await box.getByRole('button', { name: 'Copy' }).click();
  await box.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await pasted(), command);
  await page.evaluate(() => { document.execCommand = () => false; });
  await box.getByRole('button', { name: 'Copy' }).click();
  await page.getByText('The text is selected: copy it with Ctrl+C.').waitFor();
  assert.equal(await page.evaluate(() => getSelection().toString().trim()), command);
  await page.reload();
});

test('an event reaches the page through its session, which a reload and a restart of the daemon outlive', async () => {
  await page.reload();
  await page.goto(`${url}/#/data`);
  await page.getByText('Live', { exact: true }).waitFor();
  stack.addData();
  await page.getByText('bars').first().waitFor({ timeout: 10000 });
  await page.getByRole('button', { name: 'Remove…' }).first().waitFor();
  const { port } = new URL(url);
  stack.daemon.kill('SIGKILL');
  await page.getByText('Connection lost, trying again…').waitFor({ timeout: 20000 });
  await stack.startDaemon(port, ['--allow-host', 'espalier.lan']);
  await page.getByText('Live', { exact: true }).waitFor({ timeout: 20000 });
  assert.equal(await page.getByRole('heading', { name: 'Sign in' }).count(), 0);
});

test('a session is offered what its scope reaches, and told what more would take', async () => {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  assert.deepEqual(await context.cookies(url), []);
  await signIn(tokens.read);
  await page.getByText('reads (read)').waitFor();
  await page.goto(`${url}/#/data`);
  await page.getByText('bars').first().waitFor();
  assert.equal(await page.getByRole('button', { name: 'Remove…' }).count(), 0, 'only administrators remove');
  assert.equal(await page.getByRole('columnheader', { name: 'Do' }).count(), 0, 'a column with nothing in it');
  const { job } = await stack.post('/models', { name: 'no table', kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
  await stack.waitFor('its end', async () => (await stack.get(`/jobs/${job.id}`)).state === 'failed');
  await page.goto(`${url}/#/jobs/${job.id}`);
  await page.getByRole('button', { name: 'Download the log' }).waitFor(); // which is reading
  assert.equal(await page.getByRole('button', { name: 'Try again' }).count(), 0, 'what it may not do is offered');
  await page.goto(`${url}/#/jobs`);
  await page.getByRole('columnheader', { name: 'Created' }).waitFor();
  assert.equal(await page.getByRole('columnheader', { name: 'Do' }).count(), 0, 'a column with nothing in it');
  await page.goto(`${url}/#/`);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  assert.equal(await page.getByRole('link', { name: /New search/ }).count(), 0, 'what it may not do is offered');
  for (const hash of ['searches/new', 'models']) {
    await page.goto(`${url}/#/${hash}`);
    await page.getByText('This takes a token of scope submit: sign out, and in with one.').waitFor();
    assert.equal(await page.locator('main form').count(), 0, hash);
  }
  stack.startSimulated((await stack.post('/tokens', { kind: 'enrolment' })).token, 'board');
  const seen = async () => {
    await page.getByText('Reading…').first().waitFor({ state: 'detached' });
    return (await page.locator('main :is(button, select, input)').filter({ visible: true }).evaluateAll((found) => found.map((e) => e.closest('label')?.firstChild.textContent.trim() || e.textContent))).sort();
  };
  /** What a board's page has, of one that is in quarantine and claimed by another machine. */
  const offered = async () => {
    await page.route(/\/api\/v1\/devices\/[^/]*$/, async (route) => route.fulfill({ json: { ...await stack.get(`/devices/${route.request().url().split('/').at(-1)}`), health: 'quarantined', refused: { at: new Date().toISOString(), why: 'another machine' } } }));
    await page.goto('about:blank');
    await page.goto(`${url}/#/devices`);
    await page.locator('a.device').first().click();
    await page.getByRole('heading', { name: 'Latency tables' }).waitFor();
    await page.getByRole('heading', { name: 'Reference network' }).waitFor();
    await page.locator('main select').first().waitFor({ state: 'attached' });
    await page.getByText('In quarantine').waitFor();
    const found = await seen(), text = await page.locator('main').innerText();
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    assert.equal(/If the board is well:|let it in:/.test(text), found.includes('Release'), 'words that lead to nothing');
    return found;
  };
  assert.deepEqual(await offered(), []);
  const { largest: { arch } } = await stack.get('/spaces/tiny');
  await page.goto(`${url}/#/archs/tiny?arch=${encodeURIComponent(arch)}`);
  await page.locator('section.card', { hasText: 'Fine-tune' }).getByText('This takes a token of scope submit').waitFor();
  await page.goto(`${url}/#/devices?add=1`);
  await page.getByText('This takes a token of scope admin: sign out, and in with one.').waitFor();
  assert.deepEqual(await seen(), []);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(tokens.submit);
  await page.getByText('submits (submit)').waitFor();
  await page.getByText('This takes a token of scope admin: sign out, and in with one.').waitFor();
  assert.deepEqual(await offered(), ['Measure briefly', 'Measure fully', 'Space'], 'not what needs an administrator');
  await page.goto(`${url}/#/searches/new`);
  await page.getByLabel('Name', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(tokens.admin);
  await page.getByText('admins (admin)').waitFor();
  const all = await offered();
  for (const name of ['Allow', 'Drain', 'Measure briefly', 'Release', 'Remove…', 'Revoke', 'Rotate']) assert.ok(all.includes(name), `${name} of ${all}`);
  await page.getByRole('button', { name: 'Sign out' }).click();
});

test('what the scope does not reach is refused with a sentence that names what is needed', async () => {
  await signIn(tokens.read);
  await page.getByText('reads (read)').waitFor();
  const answer = await page.evaluate(() => fetch('/api/v1/tokens', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"kind": "enrolment"}' }).then(async (r) => [r.status, (await r.json()).detail]));
  assert.deepEqual(answer, [403, 'this needs a token of scope "admin"; this one\'s is "read"']);
});

test('a token that is revoked locks the page that is open, within a heartbeat and without a touch', { timeout: 60000 }, async () => {
  const { items } = await stack.get('/tokens');
  stack.cli('token', 'rm', items.find((t) => t.label === 'reads').id);
  await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor({ timeout: 40000 });
  await sleep(300);
  assert.equal(await page.getByRole('heading', { level: 1, name: 'Sign in' }).count(), 1);
  assert.deepEqual(errors, []);
});
