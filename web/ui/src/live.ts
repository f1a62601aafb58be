// One stream of events for all tabs of a browser: the tab that holds a lock reads it and passes it on. Browsers allow six connections to
// a host on HTTP/1.1, so a stream a tab would starve the seventh.
import { signal } from '@preact/signals';

export type Connection = 'live' | 'reconnecting' | 'connecting';
export const connection = signal<Connection>('connecting');

type Handler = (topic: string, data: Record<string, unknown>) => void;
type Message = { topic: string; data: Record<string, unknown> } | { state: Connection } | { ask: true };

const topics = ['job', 'progress', 'metric', 'supernet', 'dataset', 'search', 'device', 'table', 'export', 'candidates', 'generation', 'front', 'measurement', 'resync'];
const handlers = new Set<Handler>();
const channel = new BroadcastChannel('espalier-events');

function deliver(message: Message) {
  if ('state' in message) connection.value = message.state;
  else if ('topic' in message) for (const handler of [...handlers]) handler(message.topic, message.data);
}

function lead() {
  const share = (message: Message) => {
    deliver(message);
    channel.postMessage(message);
  };
  const source = new EventSource('/api/v1/events');
  source.onopen = () => share({ state: 'live' });
  source.onerror = () => share({ state: 'reconnecting' });
  for (const topic of topics)
    source.addEventListener(topic, (event) => {
      let data: Record<string, unknown> = {};
      try {
        data = JSON.parse((event as MessageEvent<string>).data) as Record<string, unknown>;
      } catch {
        return;
      }
      share({ topic, data });
    });
  channel.addEventListener('message', (event: MessageEvent<Message>) => {
    if ('ask' in event.data) channel.postMessage({ state: connection.value });
  });
}

export function start() {
  channel.addEventListener('message', (event: MessageEvent<Message>) => deliver(event.data));
  channel.postMessage({ ask: true });
  // Held until the tab closes: then the next tab in line leads.
  if (navigator.locks) void navigator.locks.request('espalier-events', () => { lead(); return new Promise<never>(() => undefined); });
  else lead();
}

/** Calls handler for events of the topics until the returned function is called. 'resync' always comes: read everything again. */
export function listen(wanted: string[], handler: Handler): () => void {
  const filtered: Handler = (topic, data) => {
    if (topic === 'resync' || wanted.includes(topic)) handler(topic, data);
  };
  handlers.add(filtered);
  return () => void handlers.delete(filtered);
}
