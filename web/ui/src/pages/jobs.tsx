import { list, type Dataset, type Job, type Search, type Supernet, type Table as LatencyTable } from '../api';
import { ago, duration, percent } from '../format';
import { Card, Empty, Failed, Page, progressOf, State, Table, waitsFor } from '../parts';
import { href } from '../router';
import { useLoaded, useTick } from '../state';
import { subjectPage, useJobs } from './overview';

/** Names of what jobs work on, by id; a latency table has that of its space. */
export function useNames() {
  return useLoaded(async () => {
    const lists = await Promise.all([list<Supernet>('/supernets'), list<Search>('/searches'), list<Dataset>('/datasets')]);
    const tables = await list<LatencyTable>('/tables');
    return new Map([...lists.flat().map((row) => [row.id, row.name] as const), ...tables.map((t) => [t.id, t.space] as const)]);
  }, 'names', ['supernet', 'search', 'dataset', 'table']);
}

export function Subject({ job, names }: { job: Job; names: Map<string, string> | null }) {
  const page = subjectPage(job);
  const name = names?.get(job.subject) ?? (page ? job.subject : '–');
  return page ? <a href={href(page)}>{name}</a> : <>{name}</>;
}

/** Where a job stands, in a few words; a long error has its page. */
function Standing({ job }: { job: Job }) {
  const text = job.error?.message ?? waitsFor(job) ?? (job.state === 'done' ? '–' : progressOf(job)?.phase ?? '–');
  return <span class="clip" title={text}>{text}</span>;
}

export function Jobs() {
  useTick(30000);
  const { data, error } = useJobs();
  const names = useNames();
  return (
    <Page title="Jobs" lead="Everything that runs is a job: it can be stopped, and goes on from its checkpoint.">
      <Failed error={error} />
      {data?.length === 0 && <Empty>No job yet.</Empty>}
      {data && data.length > 0 && (
        <Card>
          <Table label="Jobs" rows={[...data].sort((a, b) => b.created_at.localeCompare(a.created_at))} rowKey={(j) => j.id} link={(j) => ['jobs', j.id]} columns={[
            { title: 'Job', cell: (j) => j.kind }, { title: 'Of', cell: (j) => <Subject job={j} names={names.data} /> }, { title: 'State', cell: (j) => <State of={j.state} /> },
            { title: 'Progress', number: true, cell: (j) => (j.state === 'done' ? '100 %' : percent(progressOf(j)?.fraction, 0)) }, { title: 'Phase', cell: (j) => <Standing job={j} /> },
            { title: 'Left', number: true, cell: (j) => (j.state === 'running' ? duration(progressOf(j)?.eta_s) : '–') }, { title: 'Attempt', number: true, cell: (j) => j.attempt }, { title: 'Created', cell: (j) => ago(j.created_at) }, { title: 'Id', cell: (j) => <span class="genotype">{j.id}</span> },
          ]} />
        </Card>
      )}
    </Page>
  );
}
