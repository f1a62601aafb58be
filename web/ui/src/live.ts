// One stream of events for all tabs of a browser: the tab that holds a lock reads it and passes it on. Browsers allow six connections to
// a host on HTTP/1.1, so a stream a tab would starve the seventh.
import { signal } from '@preact/signals';
import { locked, whoAmI, type Progress } from './api';

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

type Handler = (topic: string, data: Record<string, unknown>) => void;
type Message = { topic: string; data: Record<string, unknown> } | { state: Connection } | { ask: true } | { session: true };

const topics = ['job', 'progress', 'metric', 'supernet', 'dataset', 'search', 'device', 'table', 'export', 'candidates', 'generation', 'front', 'measurement', 'resync'];
const handlers = new Set<Handler>();
const channel = new BroadcastChannel('espalier-events');

function deliver(message: Message) {
  if ('state' in message) connection.value = message.state;
  else if ('topic' in message) {
    const { topic, data } = message;
    if (topic === 'progress') keepProgress(data['job'], data['progress']);
    if (topic === 'job') keepProgress(data['id'], data['progress']);
    if (topic === 'resync') progress.value = {};
    for (const handler of [...handlers]) handler(topic, data);
  }
}

let reconnect = () => undefined as void; // of the tab that reads the stream

function lead() {
  const share = (message: Message) => {
    deliver(message);
    channel.postMessage(message);
  };
  let last = '';
  let stream: EventSource | null = null;
  const connect = () => {
    stream?.close();
    const source = stream = new EventSource(`/api/v1/events${last ? `?after=${encodeURIComponent(last)}` : ''}`);
    source.onopen = () => {
      const wasLost = connection.value === 'reconnecting';
      share({ state: 'live' });
      if (wasLost) share({ topic: 'resync', data: {} }); // what could not be read meanwhile is read now
    };
    source.onerror = () => {
      share({ state: 'reconnecting' });
      // A browser tries again by itself unless the daemon answered with an error, as it may while it starts, or when our session has ended.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => void whoAmI().then((known) => (known ? stream === source && connect() : channel.postMessage({ session: true } satisfies Message))), 2000);
    };
    for (const topic of topics)
      source.addEventListener(topic, (event) => {
        const message = event as MessageEvent<string>;
        if (message.lastEventId) last = message.lastEventId;
        try {
          share({ topic, data: JSON.parse(message.data) as Record<string, unknown> });
        } catch {
          // Not JSON: nothing that a page could use.
        }
      });
  };
  connect();
  reconnect = () => (locked.value ? stream?.close() : connect());
  channel.addEventListener('message', (event: MessageEvent<Message>) => {
    if ('ask' in event.data) channel.postMessage({ state: connection.value });
  });
}

let started = false;
function start() {
  if (started) return;
  started = true;
  channel.addEventListener('message', (event: MessageEvent<Message>) => deliver(event.data));
  channel.postMessage({ ask: true });
  // Held until the tab closes: then the next tab in line leads.
  if (navigator.locks) void navigator.locks.request('espalier-events', () => { lead(); return new Promise<never>(() => undefined); });
  else lead();
}

/** Another tab of this browser has signed in or out: so have we. Nobody: the page is locked, and its stream ends; else all is read anew, as who we are now. */
async function meet() {
  if (await whoAmI()) start();
  reconnect();
  deliver({ topic: 'resync', data: {} });
}
channel.addEventListener('message', (event: MessageEvent<Message>) => { if ('session' in event.data) void meet(); });

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
