import { list, type Supernet } from '../api';
import { ago, percent, short } from '../format';
import { Card, Empty, Failed, Find, found, Page, State, Table } from '../parts';
import { useLoaded, useTick } from '../state';

export function Supernets() {
  useTick(30000);
  const { data, error } = useLoaded(() => list<Supernet>('/supernets'), 'supernets', ['supernet']);
  return (
    <Page title="Supernets" lead="One set of shared weights per space and data set; every subnet is a slice of it.">
      <Failed error={error} />
      {data?.length === 0 && <Empty>No supernet yet: <code>espalier supernet train NAME --space fashion_small --dataset NAME</code></Empty>}
      {data && data.length > 0 && (
        <Card>
          <Find of={data} />
          <Table label="Supernets" rows={found(data)} rowKey={(s) => s.id} link={(s) => ['supernets', s.id]} columns={[
            { title: 'Name', cell: (s) => s.name }, { title: 'State', cell: (s) => <State of={s.state} /> }, { title: 'Space', cell: (s) => s.space }, { title: 'Data set', cell: (s) => s.dataset_name ?? '–' },
            { title: 'Steps', number: true, cell: (s) => short(s.step) }, { title: 'Largest', number: true, cell: (s) => percent(s.top1_largest) }, { title: 'Smallest', number: true, cell: (s) => percent(s.top1_smallest) },
            { title: 'Created', cell: (s) => ago(s.created_at) },
          ]} />
        </Card>
      )}
    </Page>
  );
}
