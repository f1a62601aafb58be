// The search page with 100,000 candidates beside a real daemon: budgets kept fifteen times over, for other suites run beside it: what it is to find are views that follow with each movement again. Figures for the budgets themselves: many-candidates.mjs on a quiet machine.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Stack } from '../stack.mjs';

const stack = new Stack();
after(() => stack.stop());

test('a search with 100,000 candidates is looked at without waiting', { timeout: 400000 }, async () => {
  await stack.startDaemon();
  stack.addData();
  await stack.post('/supernets', { name: 'bars', space: 'tiny', dataset: 'bars', train: { epochs: 2, batch: 32, learning_rate: 0.02 } });
  await stack.waitFor('the training', async () => (await stack.get('/supernets/bars')).state === 'ready', 120);
  const { search } = await stack.post('/searches', { name: 'many', supernet: 'bars', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'minimise' }], evaluations: 1000, baseline: null, initial_evaluations: 16 });
  await stack.waitFor('the search', async () => ['done', 'failed'].includes((await stack.get(`/searches/${search.id}`)).state), 120);
  const run = spawnSync(process.execPath, [join(dirname(fileURLToPath(import.meta.url)), 'many-candidates.mjs'), stack.url, search.id], { env: { ...process.env, SLACK: '15' }, encoding: 'utf8', timeout: 240000 });
  console.log(run.stdout.trimEnd().replace(/^/gm, '# '));
  assert.equal(run.status, 0, run.stdout + run.stderr);
});
