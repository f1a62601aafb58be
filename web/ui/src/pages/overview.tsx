import { api, get, type Device, type Front, type FrontItem, type Job, type Search, type Supernet, type System } from '../api';
import { bestIn } from '../comparison';
import { ago, metricName, metricValue, percent, short } from '../format';
import { keyOf } from '../front';
import { activeJobs, isActive, jobTitle, jobTopics, kindName, onJobsOrRemoved, subjectPage } from '../jobs';
import { Begin, Card, Empty, Facts, Failed, Listed, Page, ProgressLine, Spark, State, Table } from '../parts';
import { href } from '../router';
import { useGet, useList, useLoaded, useTick } from '../state';
import { Subject } from './jobs';

/** `first`: there is no supernet yet. */
function Running({ first }: { first: boolean }) {
  const { data, error } = useLoaded(activeJobs, 'active jobs', jobTopics, onJobsOrRemoved);
  const now = data ?? [];
  return (
    <Card title="Now" class="wide" note={`${now.length} ${now.length === 1 ? 'job' : 'jobs'}`}>
      <Failed error={error} />
      {data && now.length === 0 && <Empty>Nothing is running. {first && <Begin />} {first ? 'Then' : 'You can'} <a href={href(['searches', 'new'])}>submit a search</a>.</Empty>}
      {now.map((job) => (
        <div class="running" key={job.id}>
          <div class="running-head">
            <a href={href(subjectPage(job) ?? ['jobs', job.id])}>{jobTitle(job)}</a>
            <State of={job.state} />
          </div>
          <ProgressLine job={job} />
        </div>
      ))}
    </Card>
  );
}

/** What ended last, and how. */
function Lately() {
  const { data } = useLoaded(() => get<{ items: Job[] }>('/jobs?page_size=20').then((page) => page.items.filter((j) => !isActive(j)).slice(0, 6)), 'ended jobs', jobTopics, onJobsOrRemoved);
  if (!data?.length) return null;
  return (
    <Card title="Lately" note={<a href={href(['jobs'])}>all</a>}>
      <Table label="What ended last" rows={data} rowKey={(j) => j.id} link={(j) => ['jobs', j.id]} columns={[
        { title: 'Job', cell: (j) => kindName(j.kind) }, { title: 'State', cell: (j) => <State of={j.state} /> }, { title: 'Of', cell: (j) => <Subject job={j} /> }, { title: 'When', cell: (j) => ago(j.ended_at ?? j.created_at) },
      ]} />
    </Card>
  );
}

/** A search's front in its first two objectives, the first upwards; leads to it. */
function Sketch({ search, items }: { search: Search; items: FrontItem[] }) {
  const [up, across] = search.objectives;
  const spots = up && across ? bestIn(items, keyOf(across), keyOf(up), across.direction, up.direction).spots : [];
  if (spots.length < 2) return null;
  return <a href={href(['searches', search.id])}><Spark x={spots.map((s) => s.x)} y={spots.map((s) => s.y)} label={`Front of ${search.name}, ${spots.length} networks: ${metricName(up!.metric)} over ${metricName(across!.metric)}`} /></a>;
}

/** The ends of a search's front, the best value of each objective; and how it looks. */
function Best({ search }: { search: Search }) {
  const front = useGet<Front>(search.front_size && api`/searches/${search.id}/front`, ['front'], (d) => d['search'] === search.id);
  const items = (front.data?.items ?? []).filter((item) => item.feasible);
  const told = search.objectives.slice(0, 2).flatMap((o) => {
    const key = keyOf(o);
    const values = items.flatMap((item) => item.metrics[key]?.value ?? []);
    return values.length ? [metricValue(key, o.direction === 'maximise' ? Math.max(...values) : Math.min(...values)) + (o.metric === 'top1' || o.metric.startsWith('latency') ? '' : ` ${metricName(o.metric)}`)] : [];
  });
  return <>{told.join(', ') || '–'}<Sketch search={search} items={items} /></>;
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
  const system = useGet<System>('/system', ['job', 'device']);
  const searches = useList<Search>('/searches', ['search', 'front', 'generation']);
  const supernets = useList<Supernet>('/supernets', ['supernet']);
  const devices = useList<Device>('/devices', ['device']);
  const newest = <T extends { created_at: string }>(rows: T[]) => [...rows].sort((a, b) => b.created_at.localeCompare(a.created_at)).slice(0, 5);
  return (
    <Page title="Overview" actions={<a class="button primary" href={href(['searches', 'new'])}>New search</a>}>
      <div class="grid">
        <Running first={supernets.data?.length === 0} />
        <Card title="Searches" note={<a href={href(['searches'])}>all</a>}>
          <Listed of={searches} empty="No search yet.">{(all) => (
            <Table label="Latest searches" rows={newest(all)} rowKey={(s) => s.id} link={(s) => ['searches', s.id]} columns={[
              { title: 'Name', cell: (s) => s.name }, { title: 'State', cell: (s) => <State of={s.state} /> }, { title: 'Front', number: true, cell: (s) => s.front_size ?? '–' },
              { title: 'Best in each', cell: (s) => <Best search={s} /> },
            ]} />
          )}</Listed>
        </Card>
        <Lately />
        <Card title="Supernets" note={<a href={href(['supernets'])}>all</a>}>
          <Listed of={supernets} empty="No supernet yet.">{(all) => (
            <Table label="Latest supernets" rows={newest(all)} rowKey={(s) => s.id} link={(s) => ['supernets', s.id]} columns={[
              { title: 'Name', cell: (s) => s.name }, { title: 'State', cell: (s) => <State of={s.state} /> }, { title: 'Largest', number: true, cell: (s) => percent(s.top1_largest) }, { title: 'Smallest', number: true, cell: (s) => percent(s.top1_smallest) },
            ]} />
          )}</Listed>
        </Card>
        <Card title="Boards" note={<a href={href(['devices'])}>all</a>}>
          <Listed of={devices} empty={<>No board yet. <a href={href(['devices'], { add: '1' })}>Add one</a>.</>}>{(all) => (
            <Table label="Boards" rows={all} rowKey={(d) => d.id} link={(d) => ['devices', d.id]} columns={[
              { title: 'Name', cell: (d) => d.name }, { title: 'Connection', cell: (d) => <State of={d.online ? 'online' : 'offline'} /> }, { title: 'Health', cell: (d) => <State of={d.health} /> }, { title: 'Queue', number: true, cell: (d) => d.queue },
            ]} />
          )}</Listed>
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
