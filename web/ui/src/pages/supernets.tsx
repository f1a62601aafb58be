import type { Supernet } from '../api';
import { ago, percent, short } from '../format';
import { Begin, Card, Find, found, Listed, Page, State, Table } from '../parts';
import { useList, useTick } from '../state';

export function Supernets() {
  useTick(30000);
  const supernets = useList<Supernet>('/supernets', ['supernet']);
  return (
    <Page title="Supernets" lead="One set of shared weights per space and data set; every subnet is a slice of it.">
      <Listed of={supernets} empty={<>No supernet yet. <Begin /></>}>
        {(all) => <Card>
          <Find of={all} />
          <Table label="Supernets" rows={found(all)} rowKey={(s) => s.id} link={(s) => ['supernets', s.id]} columns={[
            { title: 'Name', cell: (s) => s.name }, { title: 'State', cell: (s) => <State of={s.state} /> }, { title: 'Space', cell: (s) => s.space }, { title: 'Data set', cell: (s) => s.dataset_name ?? '–' },
            { title: 'Steps', number: true, cell: (s) => short(s.step) }, { title: 'Largest', number: true, cell: (s) => percent(s.top1_largest) }, { title: 'Smallest', number: true, cell: (s) => percent(s.top1_smallest) },
            { title: 'Created', cell: (s) => ago(s.created_at) },
          ]} />
        </Card>}
      </Listed>
    </Page>
  );
}
