import { useEffect, useState } from 'preact/hooks';
import { ApiError, get, list, post, simulated, type Device, type Token } from '../api';
import { ago, percent } from '../format';
import { listen } from '../live';
import { Card, Code, Empty, Failed, Page, State } from '../parts';
import { href, route, setQuery } from '../router';
import { useLoaded, useTick } from '../state';

/** What a board dials, as this page was reached; over loopback the daemon knows better. */
const address = () => (/^(localhost|127\.|\[::1\])/.test(location.host) ? {} : { address: location.origin });

/** One command for the board; green when a board has registered with its token. */
function AddBoard({ onArrived, onClose }: { onArrived: () => void; onClose: () => void }) {
  const [token, setToken] = useState<Token | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [arrived, setArrived] = useState<Device | null>(null);
  useEffect(() => {
    post<Token>('/tokens', { kind: 'enrolment', ...address() }).then(setToken, (e: unknown) => setError(e instanceof ApiError ? e.message : 'No token could be made.'));
  }, []);
  useEffect(() => {
    if (!token) return;
    const look = async () => {
      const { device } = await get<Token>(`/tokens/${token.id}`);
      if (!device) return;
      setArrived(await get<Device>(`/devices/${device}`));
      onArrived();
      clearInterval(timer);
      stop();
    };
    const ask = () => void look().catch(() => undefined);
    const stop = listen(['device'], ask);
    const timer = setInterval(ask, 3000);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, [token]);
  return (
    <Card title="Add a board" class={`add-board ${arrived ? 'arrived' : ''}`} note={<button type="button" class="quiet" onClick={onClose} aria-label="Close">✕</button>}>
      <Failed error={error} />
      {arrived ? (
        <p class="arrived-text" role="status"><b>{arrived.name}</b> has registered. <a href={href(['devices', arrived.id])}>Measure its latency table</a></p>
      ) : token ? (
        <>
          <p>Run this on the board. It dials out to the daemon; nothing on the board has to be open.</p>
          <Code>{token.command ?? ''}</Code>
          {(token.notices ?? []).map((notice) => <p class="note" key={notice}>{notice}.</p>)}
          <p class="note" role="status">Waiting for the board… The token works once and expires {new Date(token.expires_at).toLocaleTimeString()}.</p>
        </>
      ) : null}
    </Card>
  );
}

function DeviceCard({ device }: { device: Device }) {
  const f = device.fingerprint ?? {};
  return (
    <a class="device card" href={href(['devices', device.id])}>
      <div class="card-head"><h2>{device.name}</h2><State of={device.state === 'active' ? (device.online ? 'online' : 'offline') : device.state} /></div>
      <p class="note">{simulated(device) ? 'Simulated board, no hardware' : `${String(f['cpu_model'] ?? 'unknown processor')}, ${String(f['cores'] ?? '?')} cores`}{device.local ? ', same machine as the daemon' : ''}</p>
      <dl class="facts small">
        <div><dt>Health</dt><dd><State of={device.health} /></dd></div>
        <div><dt>Noise</dt><dd>{percent(device.noise, (device.noise ?? 0) > 1 ? 0 : 1)}</dd></div>
        <div><dt>Waiting</dt><dd>{device.queue}</dd></div>
        <div><dt>Seen</dt><dd>{device.lease ? 'measuring now' : ago(device.last_seen_at)}</dd></div>
      </dl>
      {device.noise_note && <p class="note noisy"><b>Noisy:</b> {device.noise_note}</p>}
    </a>
  );
}

export function Devices() {
  useTick(10000);
  const open = route.value.query.has('add');
  const setOpen = (on: boolean) => setQuery({ add: on ? '1' : '' });
  const { data, error, reload } = useLoaded(() => list<Device>('/devices'), 'devices', ['device', 'measurement']);
  return (
    <Page title="Devices" lead="Boards that measure: each is a latency worker with profiles of its own." actions={<button type="button" class="primary" onClick={() => setOpen(true)} disabled={!data || open}>Add a board</button>}>
      <Failed error={error} />
      {open && data && <AddBoard onArrived={reload} onClose={() => setOpen(false)} />}
      {data?.length === 0 && !open && <Empty>No board yet. <button type="button" class="link" onClick={() => setOpen(true)}>Add a board</button>: this machine can be the first.</Empty>}
      <div class="cards">{(data ?? []).map((d) => <DeviceCard key={d.id} device={d} />)}</div>
    </Page>
  );
}
