import { ago, percent } from '../format';
import { Card, Empty, Failed, Page, progressOf, State, Table } from '../parts';
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
        <Card>
          <Table label="Jobs" rows={[...data].sort((a, b) => b.created_at.localeCompare(a.created_at))} rowKey={(j) => j.id} link={(j) => ['jobs', j.id]} columns={[
            { title: 'Job', cell: (j) => j.id }, { title: 'Kind', cell: (j) => j.kind }, { title: 'State', cell: (j) => <State of={j.state} /> },
            { title: 'Progress', number: true, cell: (j) => (j.state === 'done' ? '100 %' : percent(progressOf(j)?.fraction, 0)) }, { title: 'Phase', cell: (j) => j.error?.message ?? (j.state === 'done' ? '–' : progressOf(j)?.phase ?? '–') },
            { title: 'Attempt', number: true, cell: (j) => j.attempt }, { title: 'Created', cell: (j) => ago(j.created_at) },
          ]} />
        </Card>
      )}
    </Page>
  );
}
