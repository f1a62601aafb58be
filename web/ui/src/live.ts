// One stream of events for all tabs of a browser: the tab that leads reads it and passes it on. Browsers allow six connections to
// a host on HTTP/1.1, so a stream a tab would starve the seventh.
import { session, whoAmI, type Progress } from './api';
import { elect } from './leader';
import { signal } from './signal';

export type Connection = 'live' | 'reconnecting' | 'connecting';
export const connection = signal<Connection>('connecting');

/** The newest progress of each job as the stream told it: bars move without asking the daemon. */
export const progress = signal<Record<string, Progress>>({});
let fresh: Record<string, Progress> = {};
let flush = 0;

/** Many reports make one change of the page, four times a second at most. */
function keepProgress(job: unknown, value: unknown) {
  if (typeof job !== 'string' || !value || typeof value !== 'object') return;
  fresh[job] = value as Progress;
  flush ||= window.setTimeout(() => {
    flush = 0;
    progress.value = { ...progress.value, ...fresh };
    fresh = {};
  }, 250);
}

/** A job that waits for its turn has no pace; how far an earlier attempt had got stands in the job itself. */
function forgetProgress({ id, state }: Record<string, unknown>) {
  if (typeof id !== 'string' || state !== 'queued') return;
  delete fresh[id];
  const { [id]: before, ...others } = progress.value;
  if (before) progress.value = others;
}

type Handler = (topic: string, data: Record<string, unknown>) => void;
/** id: the row of the daemon's journal of events, where the event is in it. last: that of the newest event that the leader has read. */
type Message = { topic: string; data: Record<string, unknown>; id?: number } | { state: Connection; last?: number } | { ask: true } | { session: true };

const topics = ['job', 'progress', 'metric', 'space', 'supernet', 'dataset', 'model', 'search', 'device', 'table', 'export', 'candidates', 'generation', 'front', 'measurement', 'resync'];
const handlers = new Set<Handler>();
const channel = new BroadcastChannel('espalier-events');
let last = 0; // row of the newest event that this tab has heard: who comes to lead reads on from there
let stream: EventSource | null = null; // of the tab that leads
let leads = false, started = false;
let followed = false; // another tab has read for this one: what nobody read since is missing here

function deliver(message: Message) {
  if ('state' in message) {
    connection.value = message.state;
    last = Math.max(last, message.last ?? 0);
    if (message.state === 'live' && !session.value) void whoAmI(); // it could not be asked when the page began
  } else if ('topic' in message) {
    const { topic, data, id } = message;
    if (id && id <= last && topic !== 'resync') return; // heard already, of a tab that led before
    last = topic === 'resync' ? id ?? last : id || last; // a daemon that has begun anew counts from there, from 0 where it has nothing
    if (topic === 'progress') keepProgress(data['job'], data['progress']);
    if (topic === 'job') forgetProgress(data);
    if (topic === 'job') keepProgress(data['id'], data['progress']);
    if (topic === 'resync') progress.value = {};
    for (const handler of [...handlers]) handler(topic, data);
  }
}

function share(message: Message) {
  deliver(message);
  channel.postMessage(message);
}

function connect() {
  stream?.close();
  const source = stream = new EventSource(`/api/v1/events${last ? `?after=${last}` : ''}`);
  let newest = 0;
  source.onopen = () => {
    const missed = connection.value === 'reconnecting' || (followed && !last); // with a row to read on from the daemon tells it all
    const first = connection.value === 'connecting' && !last;
    followed = false;
    share({ state: 'live' });
    if (missed) share({ topic: 'resync', data: {} }); // what could not be read meanwhile is read now
    else if (first) deliver({ topic: 'resync', data: {} }); // what this page has read already may have changed before anybody listened
  };
  source.onerror = () => {
    share({ state: 'reconnecting' });
    // A browser tries again by itself unless the daemon answered with an error, as it may while it starts, or when our session has ended.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => void whoAmI().then((known) => (known ? stream === source && connect() : channel.postMessage({ session: true } satisfies Message))), 2000);
  };
  for (const topic of topics)
    source.addEventListener(topic, (event) => {
      const { data, lastEventId } = event as MessageEvent<string>;
      const id = Number(lastEventId) === newest && topic !== 'resync' ? 0 : Number(lastEventId); // an event in no journal, as of progress, has that of the one before
      newest = Number(lastEventId);
      try {
        share({ topic, data: JSON.parse(data) as Record<string, unknown>, id });
      } catch {
        // Not JSON: nothing that a page could use.
      }
    });
}

function disconnect() {
  stream?.close();
  stream = null;
}

function lead() {
  leads = true;
  connect();
}

function follow() {
  leads = false;
  disconnect();
  channel.postMessage({ ask: true } satisfies Message);
}

function start() {
  if (started) return;
  started = true;
  const ask = () => channel.postMessage({ ask: true } satisfies Message);
  ask();
  setInterval(() => { if (!leads && connection.value !== 'live') ask(); }, 2000); // of two leaders the one that gave way may have been heard last
  addEventListener('pageshow', (event) => { if (event.persisted) deliver({ topic: 'resync', data: {} }); }); // out of the browser's cache of pages, where nothing was heard
  elect('espalier-events', lead, follow);
}

/** Another tab of this browser has signed in or out: so have we. Nobody: the page is locked, and its stream ends; else all is read anew, as who we are now. */
async function meet() {
  const known = await whoAmI();
  if (known && !started) start();
  else if (leads) (known ? connect : disconnect)();
  if (known) deliver({ topic: 'resync', data: {} });
}

channel.addEventListener('message', ({ data: message }: MessageEvent<Message>) => {
  if ('session' in message) void meet();
  else if (!started || ('state' in message && leads)) return; // a leader knows its own stream: that of one that gives way to it says nothing
  else if (!('ask' in message)) {
    followed ||= !leads;
    deliver(message);
  } else if (leads) channel.postMessage({ state: connection.value, last } satisfies Message);
});

/** Begins the page anew after signing in or out, and tells the other tabs. */
export function sessionChanged() {
  channel.postMessage({ session: true } satisfies Message);
  location.reload();
}

/** Asks who we are, and begins to read events if we are somebody. */
export const begin = () => whoAmI().then((known) => { if (known) start(); });

/** Calls handler for events of the topics until the returned function is called. 'resync' always comes: read everything again. */
export function listen(wanted: string[], handler: Handler): () => void {
  const filtered: Handler = (topic, data) => {
    if (topic === 'resync' || wanted.includes(topic)) handler(topic, data);
  };
  handlers.add(filtered);
  return () => void handlers.delete(filtered);
}
