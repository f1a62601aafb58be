import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, simulated, type Device, type DeviceHistory, type Profile } from '../api';
import { ago, latency, percent, significant } from '../format';
import { Empty, Failed, Find, For, found, Page, Spark, State } from '../parts';
import { href, route, setQuery } from '../router';
import { useGet, useList, useTick } from '../state';
import { AddBoard } from './add-board';

/** Whether what ref stands on has been on the screen: what is far down a long page asks for nothing. */
function useSeen() {
  const ref = useRef<HTMLAnchorElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting)) setSeen(true); });
    if (!seen) watch.observe(ref.current!);
    return () => watch.disconnect();
  }, [seen]);
  return { ref, seen };
}

/** How the reference network's time went over visits, the oldest first, each as high as it is long among them. */
const Visits = ({ us }: { us: number[] }) => <Spark x={us.map((_, i) => i)} y={us} label={`${us.length} visits, from ${latency(Math.min(...us))} to ${latency(Math.max(...us))}, the last ${latency(us.at(-1))}`} />;

/** What tells whether a board's figures are to be relied on, of its history and its profiles; what is not known is left out. */
function figures(history: DeviceHistory | null, profiles: Profile[]): [string, ComponentChildren][] {
  const { environment: sensors = null, references = [], tables = [] } = history ?? {}, drift = references.find((r) => r.drift != null)?.drift;
  const visits = references.filter((r) => r.profile === references[0]!.profile).map((r) => r.us).reverse();
  const covered = tables.map((t) => (t.needed ? t.measured / t.needed : 0));
  const newest = profiles.flatMap((p) => p.calibration ?? []).sort((a, b) => (b.created_at ?? '').localeCompare(a.created_at ?? ''))[0];
  const warm = [sensors?.temperature_c == null ? '' : `${significant(sensors.temperature_c, 3)} °C`, sensors?.frequency_khz == null ? '' : `${significant(sensors.frequency_khz / 1e6, 3)} GHz`].filter(Boolean);
  const rows: [string, ComponentChildren][] = [
    ['Sensors', warm.join(', ')], ['Drift', drift != null && `${drift < 0 ? '−' : '+'}${percent(Math.abs(drift), 1)}`], ['Reference', visits.length > 2 && <Visits us={visits} />],
    [covered.length > 1 ? 'Least table' : 'Table', covered.length > 0 && percent(Math.min(...covered), 0)], ['Prediction error', newest?.after && percent(newest.after.mape, 1)],
  ];
  return rows.filter(([, value]) => value);
}

function DeviceCard({ device, profiles }: { device: Device; profiles: Profile[] }) {
  const f = device.fingerprint ?? {};
  const { ref, seen } = useSeen();
  const history = useGet<DeviceHistory>(seen && api`/devices/${device.id}/history`, ['device', 'table'], (d, topic) => topic === 'table' || d['id'] === device.id);
  const holder = history.data?.holder;
  const measures = device.lease ? holder?.what ?? 'measuring now' : ago(device.last_seen_at);
  return (
    <a class="device card" href={href(['devices', device.id])} ref={ref}>
      <div class="card-head"><h2>{device.name}</h2><State of={device.state === 'active' ? (device.online ? 'online' : 'offline') : device.state} /></div>
      <p class="note">{simulated(device) ? 'Simulated board, no hardware' : `${String(f['cpu_model'] ?? 'unknown processor')}, ${String(f['cores'] ?? '?')} cores`}{device.local ? ', same machine as the daemon' : ''}</p>
      <dl class="facts small">
        <div><dt>Health</dt><dd><State of={device.health} /></dd></div>
        <div><dt>Noise</dt><dd>{percent(device.noise, (device.noise ?? 0) > 1 ? 0 : 1)}</dd></div>
        <div><dt>Waiting</dt><dd>{device.queue}</dd></div>
        {figures(history.data, profiles).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
        <div><dt>{device.lease ? 'Measures' : 'Seen'}</dt><dd class="one-line" title={measures}>{measures}</dd></div>
      </dl>
      {device.noise_note && <p class="note noisy"><b>Noisy:</b> {device.noise_note}</p>}
    </a>
  );
}

export function Devices() {
  useTick(10000);
  const open = route.value.query.has('add');
  const setOpen = (on: boolean) => setQuery({ add: on ? '1' : '' });
  const { data, error, reload } = useList<Device>('/devices', ['device', 'measurement']);
  const profiles = useList<Profile>('/profiles', ['device', 'front']);
  return (
    <Page title="Devices" lead="Boards that measure: each is a latency worker with profiles of its own." actions={<button type="button" class="primary admin" onClick={() => setOpen(true)} disabled={!data || open}>Add a board</button>}>
      <Failed error={error} />
      {open && data && <For scope="admin"><AddBoard onArrived={reload} onClose={() => setOpen(false)} /></For>}
      {data?.length === 0 && !open && <Empty>No board yet. <span class="admin"><button type="button" class="link" onClick={() => setOpen(true)}>Add a board</button>: this machine can be the first.</span></Empty>}
      {data && <Find of={data} />}
      <div class="cards">{found(data ?? []).map((d) => <DeviceCard key={d.id} device={d} profiles={(profiles.data ?? []).filter((p) => p.device === d.id)} />)}</div>
    </Page>
  );
}
