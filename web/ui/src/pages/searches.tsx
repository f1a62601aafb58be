import { list, type Search } from '../api';
import { ago, metricName, short } from '../format';
import { Card, Empty, Failed, Find, found, Page, State, Table } from '../parts';
import { href } from '../router';
import { useLoaded, useTick } from '../state';

export function Searches() {
  useTick(30000);
  const { data, error } = useLoaded(() => list<Search>('/searches'), 'searches', ['search', 'front', 'generation']);
  return (
    <Page title="Searches" lead="Each search looks for the Pareto front of one supernet under hard limits." actions={<a class="button primary" href={href(['searches', 'new'])}>New search</a>}>
      <Failed error={error} />
      {data?.length === 0 && <Empty>No search yet. <a href={href(['searches', 'new'])}>Submit one</a>, or use <code>espalier search create</code>.</Empty>}
      {data && data.length > 0 && (
        <Card>
          <Find of={data} />
          <Table label="Searches" rows={found(data)} rowKey={(s) => s.id} link={(s) => ['searches', s.id]} columns={[
            { title: 'Name', cell: (s) => s.name }, { title: 'State', cell: (s) => <State of={s.state} /> }, { title: 'Objectives', cell: (s) => s.objectives.map((o) => metricName(o.metric)).join(', ') }, { title: 'Space', cell: (s) => s.space }, { title: 'Strategy', cell: (s) => s.strategy },
            { title: 'Evaluations', number: true, cell: (s) => `${short(s.evaluations_done)} of ${short(s.evaluations)}` }, { title: 'Front', number: true, cell: (s) => s.front_size ?? '–' },
            { title: 'Hypervolume', number: true, cell: (s) => short(s.hypervolume) }, { title: 'Created', cell: (s) => ago(s.created_at) },
          ]} />
        </Card>
      )}
    </Page>
  );
}
