import { get, list, type Device, type Job, type Search, type Supernet, type System } from '../api';
import { ago, percent, short } from '../format';
import { Card, Empty, Facts, Failed, Page, ProgressLine, State, Table } from '../parts';
import { href } from '../router';
import { useLoaded, useTick } from '../state';

const kinds: Record<string, string> = { dataset: 'Checking a data set', train: 'Training', evaluate: 'Evaluating subnets', search: 'Searching', export: 'Exporting', table: 'Measuring a latency table' };
export const subjectPage = (job: Job): string[] | null =>
  job.subject?.startsWith('se_') ? ['searches', job.subject] : job.subject?.startsWith('sn_') ? ['supernets', job.subject] : null;

/** All jobs; their progress moves by the stream. */
export function useJobs(query = '') {
  return useLoaded(() => list<Job>(`/jobs${query}`), `jobs${query}`, ['job']);
}

function Running() {
  const { data, error } = useJobs();
  const now = (data ?? []).filter((j) => ['running', 'queued', 'paused', 'canceling'].includes(j.state));
  return (
    <Card title="Now" note={`${now.length} ${now.length === 1 ? 'job' : 'jobs'}`}>
      <Failed error={error} />
      {data && now.length === 0 && <Empty>Nothing is running. Start with <code>espalier supernet train</code>, or <a href={href(['searches', 'new'])}>submit a search</a>.</Empty>}
      {now.map((job) => (
        <div class="running" key={job.id}>
          <div class="running-head">
            <a href={href(subjectPage(job) ?? ['jobs', job.id])}>{kinds[job.kind] ?? job.kind}</a>
            <State of={job.state} />
          </div>
          <ProgressLine job={job} />
        </div>
      ))}
    </Card>
  );
}

/** What is free, what is used, and for what; too little free is told by the check. */
function diskOf(s: System) {
  const used = s.disk.kinds.filter((k) => k.bytes > 0).sort((a, b) => b.bytes - a.bytes).map((k) => `${k.kind} ${short(k.bytes, 'B')}`);
  const check = s.checks.find((c) => c.name === 'disk');
  return (
    <>
      {short(s.disk_free_bytes, 'B')} free{s.disk.bytes != null && `, ${short(s.disk.bytes, 'B')} used: ${used.join(', ')}`}
      {check && !check.ok && <p class="problem" role="alert">The disk is too full: nothing new is begun. <code>espalier prune --dry-run</code> shows what can go.</p>}
    </>
  );
}

export function Overview() {
  useTick(20000);
  const system = useLoaded(() => get<System>('/system'), 'system', ['job', 'device']);
  const searches = useLoaded(() => list<Search>('/searches'), 'searches', ['search', 'front', 'generation']);
  const supernets = useLoaded(() => list<Supernet>('/supernets'), 'supernets', ['supernet']);
  const devices = useLoaded(() => list<Device>('/devices'), 'devices', ['device']);
  const newest = <T extends { created_at: string }>(rows: T[] | null) => [...(rows ?? [])].sort((a, b) => b.created_at.localeCompare(a.created_at)).slice(0, 5);
  return (
    <Page title="Overview" actions={<a class="button primary" href={href(['searches', 'new'])}>New search</a>}>
      <div class="grid">
        <Running />
        <Card title="Searches" note={<a href={href(['searches'])}>all</a>}>
          {searches.data?.length === 0 ? <Empty>No search yet.</Empty> : (
            <Table label="Latest searches" rows={newest(searches.data)} rowKey={(s) => s.id} link={(s) => ['searches', s.id]} columns={[
              { title: 'Name', cell: (s) => s.name }, { title: 'State', cell: (s) => <State of={s.state} /> }, { title: 'Front', number: true, cell: (s) => s.front_size ?? '–' },
              { title: 'Evaluations', number: true, cell: (s) => short(s.evaluations_done) },
            ]} />
          )}
        </Card>
        <Card title="Supernets" note={<a href={href(['supernets'])}>all</a>}>
          {supernets.data?.length === 0 ? <Empty>No supernet yet: <code>espalier supernet train NAME --space … --dataset …</code></Empty> : (
            <Table label="Latest supernets" rows={newest(supernets.data)} rowKey={(s) => s.id} link={(s) => ['supernets', s.id]} columns={[
              { title: 'Name', cell: (s) => s.name }, { title: 'State', cell: (s) => <State of={s.state} /> }, { title: 'Largest', number: true, cell: (s) => percent(s.top1_largest) }, { title: 'Smallest', number: true, cell: (s) => percent(s.top1_smallest) },
            ]} />
          )}
        </Card>
        <Card title="Boards" note={<a href={href(['devices'])}>all</a>}>
          {devices.data?.length === 0 ? <Empty>No board yet. <a href={href(['devices'], { add: '1' })}>Add one</a>.</Empty> : (
            <Table label="Boards" rows={devices.data ?? []} rowKey={(d) => d.id} link={(d) => ['devices', d.id]} columns={[
              { title: 'Name', cell: (d) => d.name }, { title: 'Connection', cell: (d) => <State of={d.online ? 'online' : 'offline'} /> }, { title: 'Health', cell: (d) => <State of={d.health} /> }, { title: 'Queue', number: true, cell: (d) => d.queue },
            ]} />
          )}
        </Card>
        <Card title="Daemon" class="wide">
          <Failed error={system.error} />
          {system.data && (
            <Facts rows={[
              ['Processor', `${system.data.cpu_model}, ${system.data.cores} cores`], ['Data', system.data.data_dir], ['Disk', diskOf(system.data)],
              ['Up since', ago(system.data.started_at)],
            ]} />
          )}
        </Card>
      </div>
    </Page>
  );
}
