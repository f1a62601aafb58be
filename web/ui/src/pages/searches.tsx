import type { Search } from '../api';
import { mostCompared, picked } from '../comparison';
import { ago, metricName, short } from '../format';
import { Card, Choose, Empty, FindField, found, Listed, Page, State, stateName, Table, Ticked } from '../parts';
import { href, route, setQuery } from '../router';
import { useList, useTick } from '../state';

/** "Top-1, Latency on 2 boards" */
function objectivesOf(s: Search): string {
  const names = s.objectives.map((o) => metricName(o.metric)), times = (name: string) => names.filter((n) => n === name).length;
  return [...new Set(names)].map((name) => (times(name) > 1 ? `${name} on ${times(name)} boards` : name)).join(', ');
}
const textOf = (s: Search) => [s.name, objectivesOf(s), s.space, s.supernet_name, s.strategy].join(' ');

/** What narrows the list, and what is to be compared. */
function Tools({ all, rows, state, on }: { all: Search[]; rows: Search[]; state: string; on: string[] }) {
  const states = [...new Set([...all.map((s) => s.state), state].filter(Boolean))].sort();
  return (
    <div class="toolbar">
      <FindField />
      <Choose name="state" title="State" all={Object.fromEntries(states.map((s) => [s, stateName(s)]))} />
      <span class="grow" role="status">{rows.length < all.length ? `${rows.length} of ${all.length} searches` : ''}</span>
      <Ticked on={on} of="searches" to={() => href(['searches', 'compare'], { of: on.join() })} />
    </div>
  );
}

export function Searches() {
  useTick(30000);
  const read = useList<Search>('/searches', ['search', 'front', 'generation']);
  const { query } = route.value, state = query.get('state') ?? '', all = read.data ?? [];
  const on = picked(query.get('of')).filter((id) => all.some((s) => s.id === id));
  const rows = found(all, textOf).filter((s) => !state || s.state === state);
  return (
    <Page title="Searches" lead="Each search looks for the Pareto front of one supernet under hard limits." actions={<a class="button primary" href={href(['searches', 'new'])}>New search</a>}>
      <Listed of={read} empty={<>No search yet. <a href={href(['searches', 'new'])}>Submit one</a>, or use <code>espalier search create</code>.</>}>
        {() => <Card>
          {all.length > 1 && <Tools all={all} rows={rows} state={state} on={on} />}
          {rows.length === 0 ? <Empty>No search is like this.</Empty> : (
            <Table label="Searches" rows={rows} rowKey={(s) => s.id} link={(s) => ['searches', s.id]} sort={query.get('sort') ?? ''}
              ticks={all.length > 1 ? { title: 'Compare', label: (s) => `Compare ${s.name}`, on, most: mostCompared, set: (ids) => setQuery({ of: ids.join() }) } : undefined} columns={[
                { title: 'Name', cell: (s) => s.name, by: (s) => s.name }, { title: 'State', cell: (s) => <State of={s.state} />, by: (s) => stateName(s.state) }, { title: 'Objectives', cell: objectivesOf, by: objectivesOf }, { title: 'Space', cell: (s) => s.space, by: (s) => s.space }, { title: 'Strategy', cell: (s) => s.strategy, by: (s) => s.strategy },
                { title: 'Evaluations', number: true, cell: (s) => `${short(s.evaluations_done)} of ${short(s.evaluations)}`, by: (s) => s.evaluations_done }, { title: 'Front', number: true, cell: (s) => s.front_size ?? '–', by: (s) => s.front_size },
                { title: 'Hypervolume', number: true, cell: (s) => short(s.hypervolume), by: (s) => s.hypervolume }, { title: 'Created', cell: (s) => ago(s.created_at), by: (s) => s.created_at },
              ]} />
          )}
        </Card>}
      </Listed>
    </Page>
  );
}
