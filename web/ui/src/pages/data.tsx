import { api, type Dataset, type Space } from '../api';
import { power, short } from '../format';
import { Card, Listed, Page, Reading, Remove, State, Table, useAdmin } from '../parts';
import { href } from '../router';
import { useList } from '../state';

export function Data() {
  const datasets = useList<Dataset>('/datasets', ['dataset']);
  const spaces = useList<Space>('/spaces', ['space']), admin = useAdmin();
  return (
    <Page title="Data & spaces">
      <Card title="Data sets" note={<code>espalier dataset add NAME PATH</code>}>
        <Listed of={datasets} empty={<>No data set yet: <code>espalier dataset add NAME PATH</code></>}>{(all) => (
          <Table label="Data sets" rows={all} rowKey={(d) => d.id} columns={[
            { title: 'Name', cell: (d) => d.name }, { title: 'State', cell: (d) => <><State of={d.state} /> {d.error?.message}</> }, { title: 'Images', cell: (d) => (d.height ? `${d.width}×${d.height}×${d.channels}` : '–') },
            { title: 'Classes', number: true, cell: (d) => d.n_classes ?? '–' }, { title: 'Train', number: true, cell: (d) => short(d.n_train) }, { title: 'Validation', number: true, cell: (d) => short(d.n_validation) },
            { title: 'Test', number: true, cell: (d) => short(d.n_test) }, { title: 'Format', cell: (d) => d.format ?? '–' }, { title: 'Path', cell: (d) => d.path },
            ...(admin ? [{ title: 'Do', cell: (d: Dataset) => <Remove class="link" kind="data set" name={d.name} path={`/datasets/${d.id}`} then={datasets.reload} /> }] : []),
          ]} />
        )}</Listed>
      </Card>
      <Card title="Search spaces" note={<code>espalier space add FILE</code>}>
        <Reading of={spaces}>{(all) => (
          <Table label="Search spaces" rows={all} rowKey={(s) => s.name} columns={[
            { title: 'Name', cell: (s) => <>{s.name} {s.builtin && <small class="note">built in</small>}</> }, { title: 'Distinct subnets', number: true, cell: (s) => power(s.cardinality) },
            { title: 'MACs', number: true, cell: (s) => `${short(s.smallest.cost.macs)} to ${short(s.largest.cost.macs)}` }, { title: 'Networks', cell: (s) => <><a href={href(['archs', s.name], { arch: s.smallest.arch })}>smallest</a>, <a href={href(['archs', s.name], { arch: s.largest.arch })}>largest</a></> }, { title: 'Parameters', number: true, cell: (s) => `${short(s.smallest.cost.params)} to ${short(s.largest.cost.params)}` },
            { title: 'Stages', number: true, cell: (s) => s.n_stages }, { title: 'Table entries', number: true, cell: (s) => s.table_entries },
            { title: 'Resolutions', cell: (s) => (s.resolutions.length > 3 ? `${s.resolutions[0]} to ${s.resolutions[s.resolutions.length - 1]}` : s.resolutions.join(', ')) },
            ...(admin ? [{ title: 'Do', cell: (s: Space) => !s.builtin && <Remove class="link" kind="space" name={s.name} path={api`/spaces/${s.name}`} then={spaces.reload} /> }] : []),
          ]} />
        )}</Reading>
      </Card>
    </Page>
  );
}
