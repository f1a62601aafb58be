// Logs of jobs, and imports of models.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { card, comes, faults, open, page, search, shot, stack } from './world.mjs';

test('the log of a job is searched', async () => {
  const jobs = (await stack.get('/jobs')).items;
  const logs = await Promise.all(jobs.map(async (j) => ({ id: j.id, text: (await stack.get(`/jobs/${j.id}/log?offset=0&limit=65536`)).text })));
  const longest = logs.sort((a, b) => b.text.length - a.text.length)[0];
  const word = longest.text.match(/[a-z]{5,}/)[0];
  await open(`jobs/${longest.id}`);
  await page.locator('pre.log').waitFor();
  await page.getByLabel('Find').fill(word.toUpperCase());
  const expected = longest.text.split('\n').filter((l) => l.toLowerCase().includes(word)).length;
  await page.getByText(expected === 1 ? '1 line' : `${expected} lines`, { exact: true }).waitFor();
  await page.getByLabel('Find').fill('no such words at all');
  await page.getByText('No line of the log has these words.').waitFor();
  await page.getByLabel('Find').fill('');
  await page.waitForURL((url) => !url.href.includes('q='));
  // Of a long one the newest part is shown, and everything is searched.
  appendFileSync(join(stack.dir, 'daemon/jobs', longest.id, 'log'), `${Array.from({ length: 9000 }, (_, i) => `step ${i} of a long way, and words to fill the line`).join('\n')}\n`);
  await page.reload();
  await page.getByText(/^The latest 200 kB of 4\d\d kB are shown/).waitFor();
  assert.ok(!(await page.locator('pre.log').innerText()).includes('step 7 of'));
  await page.route('**/log?offset=0*', async (route) => { // typed on while the beginning is being read
    await new Promise((done) => setTimeout(done, 1000));
    await route.continue();
  });
  await page.getByLabel('Find').pressSequentially('STEP 7 OF', { delay: 20 });
  assert.equal(await page.getByLabel('Find').inputValue(), 'STEP 7 OF');
  assert.ok(await page.getByLabel('Find').evaluate((field) => field === document.activeElement));
  await page.getByText('1 line', { exact: true }).waitFor();
  assert.equal(await page.locator('pre.log').innerText(), 'step 7 of a long way, and words to fill the line');
  await page.getByLabel('Find').fill('a long way');
  await page.getByText('9000 lines, of which the latest are shown').waitFor();
  await page.unrouteAll({ behavior: 'wait' });
});

test('the whole log of a job is saved as a text file, whatever of it is shown', async () => {
  const { id } = (await stack.get('/jobs')).items.find((j) => j.subject === search), path = join(stack.dir, 'daemon/jobs', id, 'log');
  appendFileSync(path, `${Array.from({ length: 30000 }, (_, i) => `Zeile ${i} über etwas, das länger ist als ein Stück: ≤ 1 MiB`).join('\n')}\n`);
  const whole = readFileSync(path);
  assert.ok(whole.length > 1.5 * 1024 * 1024, 'more than one piece');
  await open(`jobs/${id}?q=${encodeURIComponent('Zeile 7 über')}`);
  await page.reload(); // of a job that has ended it is not read again
  await page.getByText('1 line', { exact: true }).waitFor();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download the log' }).click()]);
  assert.equal(file.suggestedFilename(), `${id}.log`);
  assert.ok(readFileSync(await file.path()).equals(whole));
  assert.deepEqual(await faults(), []);
  await shot('job-log');
});

test('the page of a job says what it did and on what, and its result in words', async () => {
  const { id } = (await stack.get('/jobs')).items.find((j) => j.subject === search);
  await open(`jobs/${id}`);
  await page.getByRole('heading', { level: 1, name: 'Search front of bars', exact: true }).waitFor();
  await page.locator('.lead').getByText(id).waitFor();
  const result = await card('Result').innerText();
  assert.match(result, /Points on the front\s+\d+/);
  assert.ok(!/[[\]{}]/.test(result), result);
});

test('what a model cannot be imported of is said at the form', async () => {
  await open('models');
  await page.getByText('None yet.').waitFor();
  await page.getByLabel('Name').fill('elsewhere');
  await page.getByLabel('Space').selectOption('tiny');
  await page.getByLabel('File or folder').fill('/nowhere');
  await page.getByRole('button', { name: 'Import' }).click();
  await page.locator('.problem').waitFor();
  await page.getByLabel('File or folder').fill(`${stack.dir}/tiny.json`); // no table of latencies: its job says so
  await page.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('heading', { level: 1, name: 'elsewhere' }).waitFor();
  await comes(page.locator('.page-head .state', { hasText: 'failed' }));
  await page.getByRole('link', { name: 'Its job' }).click();
  await comes(page.locator('main > .problem'));
});

test('the page of a job tells each of its attempts and why it ended, how long it still takes, and stops it and tries it again', async () => {
  const wrong = await stack.post('/models', { name: 'of no latencies', kind: 'latency', space: 'tiny', path: `${stack.dir}/tiny.json` });
  const state = page.locator('.lead .state'), attempts = page.getByRole('region', { name: 'Attempts' }).locator('tbody tr'), again = page.getByRole('button', { name: 'Try again' });
  const jobOf = (id) => stack.get(`/jobs/${id}`);
  await open(`jobs/${wrong.job.id}`);
  await comes(state.filter({ hasText: 'failed' }));
  const { error } = await jobOf(wrong.job.id);
  await page.locator('main > .problem').filter({ hasText: error.message.slice(1) }).waitFor();
  for (let n = 1; n <= 2; n++) {
    await comes(attempts.nth(n - 1).filter({ hasText: /[a-z]/ }));
    const told = (await jobOf(wrong.job.id)).attempts;
    assert.equal(told.length, n);
    for (const [i, { attempt, started_at, ended_at, reason }] of told.entries()) {
      const local = (time) => page.evaluate((time) => new Date(time).toLocaleString(), time);
      assert.ok(reason, JSON.stringify(told));
      assert.deepEqual(await attempts.nth(i).locator('td').allInnerTexts(), [`${attempt}`, await local(started_at), await local(ended_at), reason]);
    }
    assert.equal(await page.getByRole('button', { name: 'Stop', exact: true }).count(), 0, 'what has ended is not stopped');
    if (n === 1) {
      await again.click();
      await page.getByText('The job is queued again.').waitFor();
      await stack.waitFor('the second attempt', async () => { const j = await jobOf(wrong.job.id); return j.attempt === 2 && j.state === 'failed'; });
      await state.filter({ hasText: 'failed' }).waitFor();
    }
  }
  assert.ok((await fetch(`${stack.url}/api/v1/models/${wrong.model.id}`, { method: 'DELETE' })).ok);
  const { supernet, job } = await stack.post('/supernets', { name: 'for a while', space: 'tiny', dataset: 'bars', train: { epochs: 2000, batch: 32 } });
  await open(`jobs/${job.id}`);
  const line = page.locator('.progress-line .note');
  await comes(line.getByText(/ · ([\d:]+ (s|min|h)) left$/));
  const seconds = async () => { const [, n = 'not said', unit] = / · ([\d:]+) (s|min|h) left$/.exec(await line.innerText()) ?? []; return n.split(':').reduce((sum, v) => 60 * sum + Number(v), 0) * (unit === 'h' ? 60 : 1); };
  await stack.waitFor('the time that the daemon says is left', async () => { const { progress } = await jobOf(job.id); return progress?.eta_s > 0 && Math.abs((await seconds()) / progress.eta_s - 1) < 0.3; }, 20);
  for (const yes of [false, true]) {
    assert.equal((await jobOf(job.id)).state, 'running');
    page.once('dialog', (dialog) => (yes ? dialog.accept() : dialog.dismiss()));
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
  }
  await comes(state.filter({ hasText: 'cancelled' }));
  assert.equal((await jobOf(job.id)).state, 'canceled');
  await page.locator('.progress-line').waitFor({ state: 'detached' });
  await again.click();
  await comes(state.filter({ hasText: 'running' }));
  await comes(attempts.nth(1));
  page.once('dialog', (dialog) => dialog.accept());
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await comes(state.filter({ hasText: 'cancelled' }));
  assert.deepEqual((await jobOf(job.id)).attempts.map((a) => a.attempt), [1, 2]);
  assert.ok((await fetch(`${stack.url}/api/v1/supernets/${supernet.id}`, { method: 'DELETE' })).ok);
});
