import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { api, patch, post, simulated, type Calibration, type CalibrationPoint, type Device, type DeviceHistory, type Measurement, type Profile, type Space, type Table as LatencyTable, type TableEntry } from '../api';
import { ago, duration, largest, latency, percent, short, significant, sumOf } from '../format';
import { onCalibration } from '../jobs';
import { Act, Card, Empty, Facts, Failed, Listed, Page, Reading, Remove, Select, State, Table, Unread, Waiting, type Option } from '../parts';
import { Residuals } from '../residuals';
import { go, href, route, setQuery } from '../router';
import { aboutThese, useGet, useList, useTick, type Loaded } from '../state';
import { History, useHistory } from './device-history';

/** Chooses one of some spaces, to do something with; nothing while there is none. */
function InSpace({ of, children }: { of: Option[]; children: (space: string) => ComponentChildren }) {
  const [chosen, setChosen] = useState('');
  const space = (of.find(([name]) => name === chosen) ?? of[0])?.[0];
  return space ? <div class="row submit"><label>Space <Select value={space} set={setChosen} of={of} /></label>{children(space)}</div> : null;
}

const BuildTable = ({ profile }: { profile: string }) => (
  <Reading of={useList<Space>('/spaces', ['space'])}>
    {(spaces) => (
      <InSpace of={spaces.map((s) => [s.name, `${s.name} (${s.table_entries} entries)`])}>
        {(space) => [['brief', 'Measure briefly'], ['full', 'Measure fully']].map(([method, name]) => <Act key={method} do={() => post('/tables', { profile, space, method })} done="The table is being measured.">{name}</Act>)}
      </InSpace>
    )}
  </Reading>
);

const spanOf = ({ low_us, high_us }: { low_us: number | null; high_us: number | null }, most: number) => (low_us == null ? '–' : `${latency(low_us, most)} to ${latency(high_us, most)}`);

function Entries({ table }: { table: LatencyTable }) {
  const entries = useList<TableEntry>(api`/tables/${table.id}/entries`, ['table'], (d) => d['id'] === table.id);
  const most = largest((entries.data ?? []).map((e) => e.high_us ?? e.median_us));
  return <Reading of={entries}>{(data) => (
    <Table label="Entries of the table" rows={data} rowKey={(e) => e.signature} columns={[
      { title: 'Unit', cell: (e) => e.signature }, { title: 'State', cell: (e) => <State of={e.state} /> }, { title: 'Median', number: true, cell: (e) => latency(e.median_us, most) },
      { title: '95 % interval', number: true, cell: (e) => spanOf(e, most) }, { title: 'Samples', number: true, cell: (e) => e.n ?? '–' },
      { title: 'Spread', number: true, cell: (e) => percent(e.spread, 1) }, { title: 'Measured', cell: (e) => ago(e.measured_at) },
    ]} />
  )}</Reading>;
}

/** How good a table's entries are, and how long the rest will take. */
const entryWords = (t: LatencyTable) => [
  t.failed && `${t.failed} failed`, t.noisy && `${t.noisy} noisy`, t.changed && `${t.changed} changed with age`,
  t.spread != null && `spread ${percent(t.spread, 1)}, at worst ${percent(t.spread_worst, 1)}`, t.oldest_at && `oldest ${ago(t.oldest_at)}`, t.eta_s != null && `${duration(t.eta_s)} left`,
].map((word) => (word ? `, ${word}` : ''));

/** The one whose entries are shown is in the address. */
function Tables({ profile, mine }: { profile: string; mine: LatencyTable[] }) {
  const open = route.value.query.get('table');
  return (
    <>
      {mine.length === 0 && <Empty>No latency table yet. <span class="submit">Measure the one of a space:</span></Empty>}
      {mine.map((t) => (
        <details key={t.id} open={open === t.id} onToggle={({ currentTarget: { open: on } }) => (on || open === t.id) && setQuery({ table: on ? t.id : '' })}>
          <summary>{t.space}, {t.method.split('/')[0]} <State of={t.state} /> <progress max={Math.max(1, t.needed)} value={t.measured} /> {t.measured} of {t.needed}{entryWords(t)}</summary>
          {open === t.id && <Entries table={t} />}
        </details>
      ))}
      <BuildTable profile={profile} />
    </>
  );
}

/** "0.988 × sum − 0.3556 µs" */
const correction = (c: Calibration) => `${significant(c.a, 3)} × ${sumOf(c.rung)} ${c.c < 0 ? '−' : '+'} ${latency(Math.abs(c.c))}`;

/** The newest calibration's quality as a picture. */
function Quality({ calibration, space }: { calibration: Calibration; space: string }) {
  const { data } = useGet<Calibration & { points?: CalibrationPoint[] }>(calibration.id && api`/calibrations/${calibration.id}`);
  return data?.points?.length ? <Residuals points={data.points} interval={calibration.interval} of={space} /> : null;
}

/** Asks for a calibration by itself, of a space whose latency table is there. */
const Calibrate = ({ profile, spaces }: { profile: string; spaces: string[] }) => (
  <InSpace of={spaces.map((name) => [name, name])}>
    {(space) => <Act do={() => post('/calibrations', { profile, space })} confirm={`Measure ten more networks of ${space} here, and fit predictions to all that were measured?`} done="The calibration is queued; see Jobs.">Calibrate</Act>}
  </InSpace>
);

/** `all`: the newest first; `spaces`: their names by their fingerprints. */
function CalibrationTable({ all, spaces }: { all: Calibration[]; spaces: Record<string, string> }) {
  const newest = all[0]!, spaceOf = (c: Calibration) => spaces[c.space_fingerprint ?? ''] ?? '';
  return (
    <>
    {newest.id && <Quality calibration={newest} space={spaceOf(newest)} />}
    <Table label="Calibrations" rows={all} rowKey={(c) => c.id ?? String(c.version)} columns={[
      { title: 'Space', cell: spaceOf }, { title: 'Version', number: true, cell: (c) => c.version }, { title: 'Networks', number: true, cell: (c) => (c.n_known ? `${c.n} (${c.n_known} known before)` : c.n) },
      { title: 'Correction', number: true, cell: correction },
      { title: 'Mean error', number: true, cell: (c) => (c.before && c.after ? `${percent(c.before.mape, 1)} → ${percent(c.after.mape, 1)}` : '–') },
      { title: 'In ±5, ±10 %', number: true, cell: (c) => (c.after ? `${percent(c.after.within_5, 0)}, ${percent(c.after.within_10, 0)}` : '–') },
      { title: 'Rank (tau)', number: true, cell: (c) => c.after?.kendall_tau.toFixed(3) ?? '–' },
      { title: '90 % interval, holds', number: true, cell: (c) => (c.interval !== undefined ? `±${percent(c.interval, 1)}, ${percent(c.after?.coverage, 0)}` : '–') }, { title: 'Fitted', cell: (c) => ago(c.created_at) },
    ]} />
    </>
  );
}

function Calibrations({ profile, spaces }: { profile: string; spaces: Record<string, string> }) {
  const read = useList<Calibration>(api`/calibrations?profile=${profile}`, ['search', 'front', 'job'], onCalibration);
  const empty = <>None yet: a search measures whole networks and fits one, and so does <code>espalier latency calibrate {profile} SPACE</code>.</>;
  return <Listed of={read} empty={empty}>{(all) => <CalibrationTable all={all} spaces={spaces} />}</Listed>;
}

function MeasurementTable({ items }: { items: Measurement[] }) {
  if (!items.length) return <Empty>No whole network has been measured here.</Empty>;
  const most = largest(items.map((m) => m.high_us ?? m.median_us));
  return (
    <Table label="Measurements of whole networks" rows={items} rowKey={(m) => m.id} columns={[
      { title: 'Network', cell: (m) => <span class="genotype">{m.arch ?? m.signature ?? m.id}</span> }, { title: 'State', cell: (m) => <State of={m.state} /> }, { title: 'Median', number: true, cell: (m) => latency(m.median_us, most) },
      { title: '95 % interval', number: true, cell: (m) => spanOf(m, most) }, { title: 'Samples', number: true, cell: (m) => m.n ?? '–' }, ...(items.some((m) => m.energy_uj != null) ? [{ title: 'Energy', number: true, cell: (m: Measurement) => (m.energy_uj == null ? '–' : `${significant(m.energy_uj / 1000, 3)} mJ`) }] : []), { title: 'Method', cell: (m) => m.method }, ...(items.some((m) => m.flags.length > 0) ? [{ title: 'Flags', cell: (m: Measurement) => m.flags.join(', ') || '–' }] : []), { title: 'When', cell: (m) => ago(m.created_at) },
    ]} />
  );
}

function Measurements({ profile }: { profile: string }) {
  const [n, setN] = useState(50);
  const read = useGet<{ items: Measurement[]; next: string | null }>(api`/measurements?profile=${profile}&kind=network&page_size=${n}`, ['measurement'], (d) => d['profile'] === profile);
  return <Reading of={read}>{({ items, next }) => (
    <>
      <MeasurementTable items={items} />
      {next && <p class="note">The newest {items.length} are shown. {n < 1000 && <button type="button" class="link" onClick={() => setN(Math.min(1000, n * 4))}>Show older ones</button>}</p>}
    </>
  )}</Reading>;
}

/** Why a board came into quarantine by itself, by the event that sent it there. */
const reasons: Record<string, string> = { crash: 'too many of its measurements crashed or were lost', implausible: 'its results cannot be true' };

/** Of a board that its own health has taken out of service: why, what happens next, and the way back. */
function Quarantine({ board, history, release }: { board: Device; history: DeviceHistory | null; release: () => Promise<unknown> }) {
  const last = history?.transitions.find((t) => t.to === 'quarantined' && t.from !== 'quarantined');
  const left = board.retest_at ? (Date.parse(board.retest_at) - Date.now()) / 1000 : null;
  return (
    <p class="note noisy" role="alert">
      <b>In quarantine{last ? ` since ${ago(last.at).replace(' ago', '')}` : ''}:</b> {board.doubt ? 'its results are not believed' : reasons[last?.event ?? ''] ?? 'its measurements cannot be relied on'}. Nothing is measured here.{' '}
      {left !== null && <>Its reference network is measured again {left > 0 ? `in ${duration(left)}` : 'as soon as it can be'}. </>}
      <span class="admin">If the board is well: <Act do={release} done="The board starts again, on probation.">Release</Act></span>
    </p>
  );
}

/** When the board's token was made, and what can be done about it: a revoked one is no longer there to be changed. */
function Credentials({ board, reload }: { board: Device; reload: () => void }) {
  const act = (what: string) => () => post(`/devices/${board.id}/${what}`, {}).then(reload);
  if (!board.token_created_at) return <>revoked {board.allowed ? 'and allowed to come back' : <Act class="admin" do={act('allow')} done="The next such start is let in.">Allow</Act>}</>;
  return (
    <>
      {ago(board.token_created_at)}{' '}
      <Act class="admin" do={act('rotate')} off={board.rotating} confirm={`Have ${board.name} make itself a new token? The one it has ends then.`} done="The worker makes itself a new token.">{board.rotating ? 'Rotating…' : 'Rotate'}</Act>{' '}
      <Act class="admin" do={act('revoke')} confirm={`Revoke the token of ${board.name}? Its worker ends, what it measures is given back, and it comes back only with a new command.`} done="The token is worth nothing any more.">Revoke</Act>
    </>
  );
}

export function DevicePage({ id }: { id: string }) {
  useTick(10000);
  const loaded: Loaded<Device> = useGet<Device>(api`/devices/${id}`, ['device'], aboutThese(() => [loaded.data])), { data, error, reload } = loaded;
  const profiles = useList<Profile>('/profiles', ['device']);
  const tables = useList<LatencyTable>('/tables', ['table']);
  const tablesOf = (p: Profile) => (tables.data ?? []).filter((t) => t.profile === p.id);
  const history = useHistory(data?.id ?? id, profiles.data ?? []);
  if (!data) return <Unread title="Device" error={error} of="devices" />;
  const change = (state: string) => patch(`/devices/${data.id}`, { state }).then(reload);
  const f = data.fingerprint ?? {};
  // In the order of its worker, the default first; what it offers no longer comes last.
  const order = data.profiles.map((p) => p.id);
  const mine = (profiles.data ?? []).filter((p) => p.device === data.id).sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
  return (
    <Page title={data.name} lead={<><State of={data.online ? 'online' : 'offline'} /> <State of={data.health} /> {data.state !== 'active' && <State of={data.state} />}</>} actions={
      <>
        {data.state === 'active' ? (
          <>
            <Act class="admin" do={() => change('draining')} done="The board ends what it has, then pauses.">Drain</Act>
            <Act class="admin" do={() => change('paused')} done="No more measurements go to this board, and what it had is given back.">Pause</Act>
            <Act class="admin" do={() => change('maintenance')} done="The board is under maintenance.">Maintenance</Act>
          </>
        ) : <Act class="primary admin" do={() => change('active')} done="The board measures again.">Activate</Act>}
        <Remove kind="board" name={data.name} path={`/devices/${data.id}`} then={() => go(['devices'])} />
      </>
    }>
      {data.waits_for?.device && <p class="note" role="status">The board waits: <a href={href(['devices', data.waits_for.device])}>another one</a> on the same machine measures.</p>}
      {data.waits_for?.job && <p class="note" role="status">The board waits with its measurement: <a href={href(['jobs', data.waits_for.job])}>a job</a> of this machine must reach a step's end first{data.waits_for.seconds ? `, for ${duration(data.waits_for.seconds)} so far` : ''}.</p>}
      {data.health === 'quarantined' && data.state === 'active' && <Quarantine board={data} history={history.data} release={() => change('active')} />}
      {data.doubt && <p class="note" role="alert"><b>Not believed:</b> {data.doubt.results === 1 ? 'a result' : `${data.doubt.results} results`}, the last {ago(data.doubt.at)}: {data.doubt.why}. Nothing of it counts.</p>}
      {data.refused && <p class="note" role="alert">Refused {ago(data.refused.at)}: {data.refused.why}. {data.allowed ? 'The next such start is let in.' : <span class="admin">If that is this board, let it in: <Act do={() => post(`/devices/${data.id}/allow`, {}).then(reload)} done="The next such start is let in.">Allow</Act></span>}</p>}
      {!data.token_created_at && <p class="note" role="status">Its token was revoked: it comes back with the command of <a href={href(['devices'], { add: '1' })}>Add a board</a>, once it is allowed{data.allowed ? ', as it is now' : ''}.</p>}
      {data.noise_note && <p class="note noisy" role="alert"><b>Noisy:</b> {data.noise_note} <Act do={() => post(`/devices/${data.id}/check`, {}).then(reload)} done="The noise floor will be measured again.">Measure again</Act></p>}
      {simulated(data) && <p class="note" role="status">A simulated board: no hardware stands behind its latencies.</p>}
      <Failed error={error ?? history.error ?? profiles.error ?? tables.error} />
      <div class="grid pairs">
        <Card title="Board" class="wide">
          <Facts rows={[
            ['Processor', String(f['cpu_model'] ?? '–')], ['Cores', String(f['cores'] ?? '–')], ['Memory', short(typeof f['memory_mib'] === 'number' ? f['memory_mib'] * 1048576 : null, 'B')], ['Kernel', String(f['kernel'] ?? '–')],
            ['Noise of the reference network', percent(data.noise, (data.noise ?? 0) > 1 ? 0 : 1)], ['Worker', data.worker_version ?? '–'], ['Waiting', data.queue], ['Seen', data.lease ? 'measuring now' : ago(data.last_seen_at)],
            ['Token from', <Credentials board={data} reload={reload} />],
          ]} />
        </Card>
        <History data={history.data} />
        {mine.map((p) => (
          <Card key={p.id} title={p.name} class="wide" note={`${p.default && mine.length > 1 ? 'default, ' : ''}${p.offered ? '' : 'no longer offered, '}${p.runtime}, ${p.precision}, ${p.threads} ${p.threads === 1 ? 'thread' : 'threads'}${p.cores ? `, cores ${p.cores}` : ''}, governor ${p.governor}, noise ${percent(p.noise, (p.noise ?? 0) > 1 ? 0 : 1)}${p.noise_doubt ? ' (in doubt)' : ''}`}>
            <h3>Latency tables</h3>
            {tables.data ? <Tables profile={p.id} mine={tablesOf(p)} /> : !tables.error && <Waiting />}
            <h3>Calibrations</h3>
            <Calibrations profile={p.id} spaces={Object.fromEntries(tablesOf(p).map((t) => [t.space_fingerprint, t.space]))} />
            <Calibrate profile={p.id} spaces={[...new Set(tablesOf(p).filter((t) => t.state === 'ready').map((t) => t.space))]} />
            <h3>Whole networks</h3>
            <Measurements profile={p.id} />
          </Card>
        ))}
      </div>
    </Page>
  );
}
