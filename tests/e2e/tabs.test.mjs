// Tabs of one browser share one stream of events: with locks, and without, as over plain HTTP from another machine.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch, requireFromUi, ui } from './browser.mjs';
import { Stack } from './stack.mjs';

const stack = new Stack();
const truth = []; // every event of the daemon's journal as one stream of our own tells it
const errors = [];
let browser, probe, token, origins, made = 0;

/** A page that does nothing but note what the stream of events brings it. */
const probeSource = `
  import { begin, listen } from './live';
  window.heard = [];
  listen(['job', 'dataset'], (topic, data) => window.heard.push(topic + ' ' + JSON.stringify(data)));
  void begin().then(() => (window.began = true));
`;
/** Before all scripts of a page: counts the streams that it has open. */
const countStreams = () => {
  const Source = window.EventSource;
  window.streams = new Set();
  window.EventSource = class extends Source {
    constructor(url) {
      super(url);
      window.streams.add(this);
    }
    close() {
      window.streams.delete(this);
      super.close();
    }
  };
};

async function readTruth() {
  const { body } = await fetch(`${stack.url}/api/v1/events?topics=job,dataset`);
  let text = '';
  for await (const bytes of body.pipeThrough(new TextDecoderStream())) {
    const parts = (text + bytes).split('\n\n');
    text = parts.pop();
    for (const part of parts) {
      const field = (name) => part.match(new RegExp(`^${name}: (.*)$`, 'm'))?.[1];
      if (field('event')) truth.push(`${field('event')} ${JSON.stringify(JSON.parse(field('data')))}`);
    }
  }
}

before(async () => {
  await stack.startDaemon(0, ['--allow-host', 'espalier.lan']);
  token = stack.cli('token', 'add', '--scope', 'admin', '--label', 'tabs');
  stack.addData();
  void readTruth().catch(() => undefined); // it ends with the daemon
  const { outputFiles } = await requireFromUi('esbuild').build({ stdin: { contents: probeSource, resolveDir: join(ui, 'src') }, bundle: true, write: false, format: 'iife' });
  probe = outputFiles[0].text;
  origins = { 'with locks': stack.url, 'without locks': stack.url.replace('127.0.0.1', 'espalier.lan') };
  browser = await launch('--host-resolver-rules=MAP espalier.lan 127.0.0.1');
});
after(async () => {
  await browser?.close();
  await stack.stop();
});

/** A browser of its own that is signed in, and a way to open tabs of it. */
async function world(origin) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 } });
  await context.addInitScript(countStreams);
  const open = async (path) => {
    const tab = await context.newPage();
    tab.on('pageerror', (e) => errors.push(String(e)));
    await tab.goto(`${origin}/${path}`);
    return tab;
  };
  const way = await open('favicon.svg');
  assert.equal(await way.evaluate((body) => fetch('/api/v1/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }).then((r) => r.ok), JSON.stringify({ token })), true);
  await way.close();
  /** A tab that only notes events. Its document is the daemon's: what a test makes up has no address, and is not let through to loopback. */
  const listener = async () => {
    const tab = await open('favicon.svg');
    await tab.evaluate(probe);
    await tab.waitForFunction(() => window.began); // before that it hears nothing
    return tab;
  };
  return { context, open, listener };
}

/** Waits until one of the tabs reads a stream and the others none, and returns it. */
const leaderOf = (tabs) => stack.waitFor('one stream', async () => {
  const open = await Promise.all(tabs.map((tab) => tab.evaluate(() => [...window.streams].map((s) => s.readyState).join())));
  return open.filter((s) => s === '1').length === 1 && open.filter((s) => s === '').length === tabs.length - 1 && tabs[open.indexOf('1')];
}, 20);

/** Enough of events to tell them apart. */
const brief = (lines) => lines.map((line) => line.replace(/^(\w+) .*?"id":"(\w+)".*?"state":"(\w+)".*$/, '$1 $2 $3'));

/** Makes a data set: events of it and of its job. */
const happens = async () => (await stack.post('/datasets', { name: `tabs ${made++}`, path: join(stack.dir, 'bars'), validation: 1000 })).job.id;
const ended = (id) => stack.waitFor('the job', () => truth.some((line) => line.includes(id) && line.includes('"state":"done"')), 30);

for (const way of ['with locks', 'without locks']) {
  test(`${way}: each tab hears each event once, also when the tab that leads is closed or vanishes`, async () => {
    const { context, listener } = await world(origins[way]);
    let tabs = [];
    for (let i = 0; i < 4; i++) tabs.push(await listener());
    assert.equal(await tabs[0].evaluate(() => navigator.locks !== undefined), way === 'with locks');
    let leader = await leaderOf(tabs);
    await Promise.all(tabs.map((tab) => tab.evaluate(() => window.heard.splice(0))));
    const from = truth.length;
    const same = async (what) => {
      await stack.waitFor(`${what}: all that happened`, async () => (await Promise.all(tabs.map((tab) => tab.evaluate(() => window.heard.length)))).every((n) => n >= truth.length - from), 15).catch(() => undefined);
      for (const tab of tabs) assert.deepEqual(brief(await tab.evaluate(() => window.heard)), brief(truth.slice(from)), `${what}, tab ${tabs.indexOf(tab)}`);
    };
    await ended(await happens());
    await same('at rest');
    // Closed, then gone without a word, each with events that nobody is there to hear.
    for (const how of ['closed', 'gone']) {
      if (how === 'gone') await leader.evaluate(() => addEventListener('pagehide', (event) => event.stopImmediatePropagation(), true));
      tabs = tabs.filter((tab) => tab !== leader);
      const [id] = await Promise.all([happens(), leader.close()]);
      await ended(id);
      leader = await leaderOf(tabs);
      await ended(await happens());
      await same(how);
    }
    await context.close();
  });
}

test('without locks: a leader that was frozen for a while leads again, and no event is lost or heard twice', { skip: process.env.ESP_LONG !== '1' && 'ESP_LONG=1' }, async () => {
  const { context, listener } = await world(origins['without locks']);
  const tabs = [await listener(), await listener()];
  const leader = await leaderOf(tabs), other = tabs.find((tab) => tab !== leader);
  await ended(await happens()); // from here on each knows where it would read on
  await sleep(300);
  await Promise.all(tabs.map((tab) => tab.evaluate(() => window.heard.splice(0))));
  const from = truth.length;
  const held = leader.evaluate(() => { const until = Date.now() + 6000; while (Date.now() < until); }); // busy beyond anybody's patience
  await stack.waitFor('another leader', () => other.evaluate(() => window.streams.size === 1), 10);
  await ended(await happens());
  await held;
  await leaderOf(tabs);
  await ended(await happens());
  await sleep(500);
  for (const tab of tabs) assert.deepEqual(brief(await tab.evaluate(() => window.heard)), brief(truth.slice(from)));
  await context.close();
});

test('who signs out elsewhere ends the stream and tells no page to read again', async () => {
  const { context, listener } = await world(origins['without locks']);
  const tabs = [await listener(), await listener()];
  await leaderOf(tabs);
  await Promise.all(tabs.map((tab) => tab.evaluate(() => window.heard.splice(0))));
  await tabs[0].evaluate(async () => {
    await fetch('/api/v1/session', { method: 'DELETE' });
    new BroadcastChannel('espalier-events').postMessage({ session: true });
  });
  await stack.waitFor('the end of the stream', async () => (await Promise.all(tabs.map((tab) => tab.evaluate(() => window.streams.size)))).every((n) => n === 0), 10);
  await sleep(300);
  for (const tab of tabs) assert.deepEqual(await tab.evaluate(() => window.heard), []);
  await context.close();
});

test('a page that comes back from the cache of pages reads everything again', async () => {
  const { context, listener } = await world(origins['without locks']);
  const tabs = [await listener(), await listener()];
  await leaderOf(tabs);
  for (const tab of tabs) {
    const heard = (persisted) => tab.evaluate((persisted) => {
      window.heard.splice(0);
      dispatchEvent(new PageTransitionEvent('pageshow', { persisted }));
      return window.heard.map((line) => line.split(' ')[0]);
    }, persisted);
    assert.deepEqual([await heard(false), await heard(true)], [[], ['resync']]);
  }
  await context.close();
});

test('seven tabs of the dashboard load without locks, though a browser allows six connections to a host', async () => {
  const { context, open } = await world(origins['without locks']);
  const tabs = await Promise.all(['', 'searches', 'supernets', 'devices', 'jobs', 'models', 'data'].map((page) => open(`#/${page}`)));
  for (const tab of tabs) {
    await tab.locator('main h1').waitFor({ timeout: 15000 });
    await tab.getByText('Live', { exact: true }).waitFor({ timeout: 15000 });
  }
  await leaderOf(tabs);
  const id = await happens();
  await tabs[4].locator('tr', { has: tabs[4].locator(`a[href="#/jobs/${id}"]`) }).locator('.state', { hasText: 'done' }).waitFor({ timeout: 20000 });
  await tabs[6].reload();
  await tabs[6].getByText('tabs 0', { exact: true }).first().waitFor({ timeout: 10000 });
  await context.close();
});

test('no script of a tab failed', () => assert.deepEqual(errors, []));
