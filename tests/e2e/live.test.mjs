// What the dashboard makes of the stream of events and of addresses, beside a daemon and a browser that are played.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { requireFromUi, ui } from './browser.mjs';

const sources = [], posted = [], heard = [];
const play = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
play('window', globalThis);
play('location', { hash: '#/supernets/bars%2/%C3%A4?q=%2' });
play('addEventListener', () => undefined);
play('setInterval', () => 0);
play('navigator', { locks: { request: (_, lead) => void lead() } });
play('fetch', async () => new Response('{"by":"loopback"}'));
play('BroadcastChannel', class {
  addEventListener() {}
  postMessage(message) { posted.push(message); }
});
play('EventSource', class {
  static CLOSED = 2;
  readyState = 0;
  listeners = {};
  constructor(url) {
    this.url = url;
    sources.push(this);
  }
  addEventListener(topic, listener) { this.listeners[topic] = listener; }
  close() {}
  open() {
    this.readyState = 1;
    this.onopen();
  }
  breaks() {
    this.readyState = 0;
    this.onerror();
  }
  /** An event as the browser tells it: of one without an id, lastEventId is that of the one before. */
  tell(topic, data, lastEventId) { this.listeners[topic]({ data: JSON.stringify(data), lastEventId: String(lastEventId) }); }
});

const out = mkdtempSync(join(tmpdir(), 'espalier-live-'));
await requireFromUi('esbuild').build({ absWorkingDir: ui, entryPoints: ['src/live.ts', 'src/router.ts', 'src/api.ts'], bundle: true, splitting: true, format: 'esm', outdir: out, outExtension: { '.js': '.mjs' } });
const { begin, connection, listen } = await import(pathToFileURL(join(out, 'live.mjs')).href);
const { session } = await import(pathToFileURL(join(out, 'api.mjs')).href);
const { route } = await import(pathToFileURL(join(out, 'router.mjs')).href);
rmSync(out, { recursive: true });
listen(['job', 'progress'], (topic, data) => heard.push([topic, data.id ?? data.job].filter(Boolean).join(' ')));
const since = (list) => list.splice(0);

test('a page reads everything once more when it has begun to listen: it alone, and once', async () => {
  await begin();
  const [stream] = sources;
  assert.deepEqual([stream.url, connection.value, since(heard)], ['/api/v1/events', 'connecting', []]);
  stream.open();
  assert.deepEqual([connection.value, since(heard)], ['live', ['resync']]);
  assert.equal(posted.some((message) => message.topic), false, 'other tabs have heard of all');
  stream.tell('progress', { job: 'job_1', progress: {} }, 7); // the row that the stream began with
  stream.tell('progress', { job: 'job_2', progress: {} }, 7);
  stream.tell('job', { id: 'job_1' }, 8);
  assert.deepEqual(since(heard), ['progress job_1', 'progress job_2', 'job job_1']);
});

test('a daemon that has begun anew with nothing is heard from its first event on', () => {
  const [stream] = sources;
  stream.breaks();
  stream.open();
  stream.tell('resync', {}, 0);
  assert.deepEqual([connection.value, since(heard)], ['live', ['resync', 'resync']]);
  stream.tell('job', { id: 'job_3' }, 1);
  stream.tell('job', { id: 'job_4' }, 8);
  assert.deepEqual(since(heard), ['job job_3', 'job job_4']);
});

test('who we are is asked when the daemon is there, if it could not be when the page began, and then no more', async () => {
  const [stream] = sources, { fetch } = globalThis, asked = [];
  play('fetch', (path) => { asked.push(path); return fetch(path); });
  for (const known of [true, false, true]) {
    if (!known) session.value = null;
    stream.breaks();
    stream.open();
    for (let i = 0; i < 200 && !session.value; i++) await new Promise((done) => setTimeout(done, 5));
    assert.equal(session.value?.by, 'loopback');
    assert.deepEqual(asked.splice(0), known ? [] : ['/api/v1/session']);
  }
  play('fetch', fetch);
  since(heard);
});

test('an address that was cut within an escape shows what it names as it is', () => {
  assert.deepEqual([route.value.parts, route.value.query.get('q')], [['supernets', 'bars%2', 'ä'], '%2']);
});
