// What a board has done: what it measures now, its reference network over time, what failed, how its health went.
import { api, type DeviceHistory, type Profile } from '../api';
import { ago, latency, percent, significant } from '../format';
import { Lines, type Curve } from '../lines';
import { Card, Empty, Facts, State, Table } from '../parts';
import { href } from '../router';
import { useGet } from '../state';

/** What the axis of time counts in: minutes of a young history, days of an old one. */
function unitOf(history: DeviceHistory): { name: string; ms: number } {
  const oldest = history.references.at(-1);
  const span = oldest ? Date.now() - Date.parse(oldest.at) : 0;
  return span < 7.2e6 ? { name: 'minutes', ms: 6e4 } : span < 1.728e8 ? { name: 'hours', ms: 3.6e6 } : { name: 'days', ms: 8.64e7 };
}

/** The reference network's time in ms, a curve for each profile that has more than one visit. */
function curvesOf(history: DeviceHistory, ms: number): Curve[] {
  const now = Date.now();
  const visits = [...history.references].reverse();
  return [...new Set(visits.map((r) => r.profile))]
    .map((profile) => visits.filter((r) => r.profile === profile))
    .filter((rows) => rows.length > 1)
    .map((rows) => ({ name: rows[0]!.profile, x: rows.map((r) => (Date.parse(r.at) - now) / ms), y: rows.map((r) => r.us / 1000) }));
}

function Reference({ history }: { history: DeviceHistory }) {
  const unit = unitOf(history);
  const curves = curvesOf(history, unit.ms);
  if (!curves.length) return <Empty>The reference network has not been measured twice yet.</Empty>;
  return <Lines title="The reference network over time" curves={curves} xTitle={`${unit.name} (0: now)`} format={(v) => latency(1000 * v)} height={180} />;
}

/** The history of a board; of all profiles, those that are its own tell of news. */
export function useHistory(device: string, profiles: Profile[]) {
  const concerns = (d: Record<string, unknown>, topic: string) => topic === 'table' || (topic === 'device' ? d['id'] === device : profiles.some((p) => p.device === device && p.id === d['profile']));
  return useGet<DeviceHistory>(api`/devices/${device}/history`, ['device', 'measurement', 'table'], concerns);
}

export function History({ data }: { data: DeviceHistory | null }) {
  if (!data) return null;
  const { environment, holder } = data;
  return (
    <>
      <Card title="Now" note={environment ? `sensors ${ago(environment.at)}` : ''}>
        <Facts rows={[
          ['Measures', holder ? <>{holder.what ?? holder.kind}, {holder.method.split('/')[0]}, since {ago(holder.since)}{holder.job && <>, for <a href={href(['jobs', holder.job])}>its job</a></>}</> : 'nothing'],
          ['Temperature', environment?.temperature_c == null ? '–' : `${significant(environment.temperature_c, 3)} °C`],
          ['Frequency', environment?.frequency_khz == null ? '–' : `${significant(environment.frequency_khz / 1e6, 3)} GHz`],
          ...data.tables.map((t): [string, string] => [`Table of ${t.space}, ${t.profile}`, `${percent(t.needed ? t.measured / t.needed : 0, 0)} of ${t.needed} entries${t.failed ? `, ${t.failed} failed` : ''}`]),
        ]} />
      </Card>
      <Card title="Reference network" note="drift of the board itself, in ms"><Reference history={data} /></Card>
      <Card title="Failures" class="wide">
        {data.failures.length === 0 ? <Empty>None.</Empty> : (
          <Table label="Failures" rows={data.failures} rowKey={(f) => `${f.measurement} ${f.attempt} ${f.at}`} columns={[
            { title: 'When', cell: (f) => ago(f.at) }, { title: 'Kind', cell: (f) => f.kind }, { title: 'What', cell: (f) => <span class="genotype">{f.what ?? f.measurement}</span> }, { title: 'Attempt', number: true, cell: (f) => f.attempt }, { title: 'Said', cell: (f) => f.message || '–' },
          ]} />
        )}
        {data.revisions.some((v) => !v.current) && (
          <>
            <h3>Environments</h3>
            <p class="note">A change of processor, kernel, governor or build begins another one: its tables and its noise floor are measured anew.</p>
            <Table label="Environments" rows={data.revisions} rowKey={(v) => v.revision} columns={[
              { title: 'Since', cell: (v) => ago(v.at) }, { title: 'Profile', cell: (v) => v.profile }, { title: 'State', cell: (v) => <State of={v.current ? 'active' : 'past'} /> },
              { title: 'Reference network', number: true, cell: (v) => latency(v.reference_us) }, { title: 'Noise', number: true, cell: (v) => percent(v.noise, 1) },
            ]} />
          </>
        )}
        {data.transitions.length > 0 && (
          <>
            <h3>Health</h3>
            <Table label="Changes of health" rows={data.transitions} rowKey={(t) => `${t.at} ${t.event}`} columns={[
              { title: 'When', cell: (t) => ago(t.at) }, { title: 'From', cell: (t) => <State of={t.from} /> }, { title: 'To', cell: (t) => <State of={t.to} /> }, { title: 'Because of', cell: (t) => t.event.replace(/_/g, ' ') },
            ]} />
          </>
        )}
      </Card>
    </>
  );
}
