import { ago, percent } from '../format';
import { Empty, Failed, Page, State, Table } from '../parts';
import { useTick } from '../state';
import { useJobs } from './overview';

export function Jobs() {
  useTick(30000);
  const { data, error } = useJobs();
  return (
    <Page title="Jobs" lead="Everything that runs is a job: it can be stopped, and goes on from its checkpoint.">
      <Failed error={error} />
      {data?.length === 0 && <Empty>No job yet.</Empty>}
      {data && data.length > 0 && (
        <Table label="Jobs" rows={[...data].sort((a, b) => b.created_at.localeCompare(a.created_at))} rowKey={(j) => j.id} link={(j) => ['jobs', j.id]} columns={[
          { title: 'Job', cell: (j) => j.id }, { title: 'Kind', cell: (j) => j.kind }, { title: 'State', cell: (j) => <State of={j.state} /> },
          { title: 'Progress', number: true, cell: (j) => (j.state === 'done' ? '100 %' : percent(j.progress?.fraction, 0)) }, { title: 'Phase', cell: (j) => j.error?.message ?? j.progress?.phase ?? '–' },
          { title: 'Attempt', number: true, cell: (j) => j.attempt }, { title: 'Created', cell: (j) => ago(j.created_at) },
        ]} />
      )}
    </Page>
  );
}
