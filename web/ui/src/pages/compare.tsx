// Two to six searches side by side: their fronts in one chart, what they are and differ in, how their hypervolumes grew below one common point.
import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { api, ApiError, everyProfile, get, list, type CandidatePage, type Front, type Profile, type Search, type Supernet } from '../api';
import { areaOf, bestIn, commonMetrics, differing, picked, settingsOf, wayOf, worstOf, type Compared } from '../comparison';
import { named, type Body } from '../draft';
import { keyOf } from '../front';
import { comparing, metricName, metricValue, percent, short } from '../format';
import { Fronts, shadeOf, Swatch } from '../fronts';
import { Lines, type Curve } from '../lines';
import { AxisChoice, Card, Empty, Failed, Page, Reading, State, Waiting } from '../parts';
import { href, route } from '../router';
import { aboutThese, useLoaded, type Loaded } from '../state';
import { shortBoards } from '../titles';

/** `measured`: networks that its strategy had measured, by each of its latencies. */
type Column = Compared & { body: Body | null; measured: [string, number][] };
type Growth = { series: { evaluations: number[]; hypervolume: (number | null)[] }[] };

const pathOf = (id: string) => api`/searches/${id}`;
/** What there is not is no failure: a search that is gone, a strategy or a metric that has no candidates yet. That too much was asked at once says nothing of that. */
const orNull = (error: unknown): null => {
  if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) return null;
  throw error;
};

/** null: there is no such search. */
async function read(id: string): Promise<Column | null> {
  const search = await get<Search>(pathOf(id)).catch(orNull);
  if (!search) return null;
  const [front, body] = await Promise.all([get<Front>(`${pathOf(id)}/front`).catch(orNull), get<Body>(`${pathOf(id)}/request`).catch(orNull)]);
  const boards = search.objectives.map(keyOf).filter((key) => key.startsWith('latency_us:pf_'));
  const measured = await Promise.all(boards.map(async (key): Promise<[string, number]> => [key, (await get<CandidatePage>(api`/searches/${id}/candidates?page_size=1&where=${`${key}=measured,strategy=${search.strategy}`}`).catch(orNull))?.total ?? 0]));
  return { search, items: front?.items ?? [], body, measured };
}

/** How the hypervolume of each grew below one point, by the values that its candidates have now. */
function Growths({ all, x, y, point, note }: { all: Column[]; x: string; y: string; point: [number, number]; note: string }) {
  const ids = all.map((c) => c.search.id), asked = api`objectives=${y},${x}&reference=${point[1]},${point[0]}`;
  const read = useLoaded(() => Promise.all(all.map(({ search }) => get<Growth>(`${pathOf(search.id)}/hypervolume?${asked}` + api`&where=${`strategy=${search.strategy}`}`).catch(orNull))), `${ids} ${asked}`, ['front', 'search'], (d) => ids.includes(`${d['search'] ?? d['id']}`));
  const curves: Curve[] = useMemo(() => (read.data ?? []).flatMap((growth, i) => {
    const [own] = growth?.series ?? [];
    return own ? [{ name: all[i]!.search.name, x: own.evaluations, y: own.hypervolume, ...shadeOf(i) }] : [];
  }), [read.data]);
  return (
    <Card title="Hypervolume" class="wide" note={note}>
      <Reading of={read}>{() => (curves.length > 0 ? <Lines title="Hypervolumes over evaluations" curves={curves} xTitle="evaluations" compare={(values) => { const say = comparing(values); return values.map((v) => (v === null ? '–' : say(v))); }} /> : <Empty>None of them has candidates with both metrics yet.</Empty>)}</Reading>
    </Card>
  );
}

function Side({ all, rows, note }: { all: Column[]; rows: [string, ComponentChildren[]][]; note: string }) {
  return (
    <Card title="What they are, and differ in" class="wide" note={note}>
      <div class="table-wrap" tabIndex={0} role="region" aria-label="The searches side by side">
        <table class="sides">
          <thead><tr><th scope="col">Search</th>{all.map(({ search }, i) => <th key={search.id} scope="col"><Swatch {...shadeOf(i)} /><a href={href(['searches', search.id])}>{search.name}</a></th>)}</tr></thead>
          <tbody>{rows.map(([name, values]) => <tr key={name}><th scope="row">{name}</th>{values.map((v, i) => <td key={i}>{v}</td>)}</tr>)}</tbody>
        </table>
      </div>
    </Card>
  );
}

export function Compare() {
  const { query } = route.value, ids = picked(query.get('of'));
  const loaded: Loaded<(Column | null)[]> = useLoaded(() => Promise.all(ids.map(read)), `compare ${ids}`, ['front', 'search'], aboutThese(() => loaded.data?.map((c) => c?.search ?? null) ?? [null]));
  const names = useLoaded(async () => Object.fromEntries((await Promise.all([list<Profile>(everyProfile), list<Supernet>('/supernets'), list<Search>('/searches')])).flat().map((row) => [row.id, row.name])), 'names to compare by');
  const all = useMemo(() => (loaded.data ?? []).filter((c) => c !== null), [loaded.data]);
  const metrics = useMemo(() => commonMetrics(all), [all]);
  const shared = metrics.filter((m) => m.shared), usual = shared.length > 1 ? shared : metrics;
  const y = query.get('y') ?? usual[0]?.key ?? 'top1', x = query.get('x') ?? usual.find((m) => m.key !== y)?.key ?? 'macs';
  const [log, logY] = [query.get('log') === '1', query.get('logy') === '1'];
  const [dx, dy] = [wayOf(all, x), wayOf(all, y)];
  const series = useMemo(() => all.map(({ search, items }) => { const { spots, of } = bestIn(items, x, y, dx, dy); return { id: search.id, name: search.name, best: spots, of }; }), [all, x, y, dx, dy]);
  const [worstX, worstY] = useMemo(() => [worstOf(all, x, dx), worstOf(all, y, dy)], [all, x, y, dx, dy]);
  const boards = { ...names.data, ...Object.fromEntries(all.flatMap((c) => c.search.models ?? []).map((m) => [m.id, m.name])) };
  const places = [...new Set(metrics.flatMap(({ key }) => key.split(':')[1] ?? []))], briefly = shortBoards(places.map((id) => boards[id] ?? id));
  const nameOf = (key: string) => metricName(key, Object.fromEntries(places.map((id, i) => [id, briefly[i]!])));

  const actions = <a class="button" href={href(['searches'], { of: ids.join() })}>Choose others</a>;
  if (ids.length < 2) return <Page title="Comparison" actions={actions}><Empty>Tick two searches or more in the <a href={href(['searches'])}>list of searches</a> to see them side by side.</Empty></Page>;
  if (!loaded.data) return <Page title="Comparison" actions={actions}>{loaded.error ? <Failed error={loaded.error} /> : <Waiting />}</Page>;

  const point: [number, number] | null = worstX === null || worstY === null ? null : [worstX, worstY];
  const areas = point && series.map((s) => areaOf(s.best, point, dx, dy)), largest = Math.max(...(areas ?? [])), say = comparing(areas ?? []);
  const note = point ? `of ${nameOf(y)} and ${nameOf(x)}, below ${metricValue(y, worstY)} and ${metricValue(x, worstX)} for all of them` : '';
  const settings = differing(all.map((c) => c.body && settingsOf(named(c.body, boards))));
  const rows: [string, ComponentChildren[]][] = [
    ['State', all.map((c) => <State of={c.search.state} />)], ['Space', all.map((c) => c.search.space)], ['Evaluations done', all.map((c) => short(c.search.evaluations_done))], ['Networks measured', all.map((c) => c.measured.map(([key, n]) => n + (c.measured.length > 1 ? nameOf(key).replace(/.* on /, ' on ') : '')).join(', ') || '–')], ['On the front', all.map((c) => c.items.length)],
    ['Hypervolume of the front', all.map((_, i) => (areas ? `${say(areas[i]!)}${largest > 0 ? ` (${percent(areas[i]! / largest, 1)})` : ''}` : '–'))],
    ...settings.map(({ name, values }): [string, ComponentChildren[]] => [name[0]!.toUpperCase() + name.slice(1), values]),
  ];
  return (
    <Page title="Comparison" lead={`${all.length} searches side by side.`} actions={actions}>
      <Failed error={loaded.error} />
      {loaded.data.map((c, i) => !c && <p class="problem" key={ids[i]}>There is no search <code>{ids[i]}</code> any more.</p>)}
      <div class="grid">
        <Card title="Fronts" class="wide" note="squares are measured, diamonds evaluated, circles predicted; a click opens the network">
          <AxisChoice x={x} y={y} log={log} logY={logY} of={[...new Set([...metrics.map((m) => m.key), x, y])].map((key) => [key, nameOf(key) + (shared.some((m) => m.key === key) ? '' : ' (not of all)')])} />
          <Fronts series={series} x={{ key: x, title: nameOf(x), log }} y={{ key: y, title: nameOf(y), log: logY }} pick={(id, arch) => { location.hash = href(['searches', id], { arch }); }} />
        </Card>
        <Side all={all} rows={rows} note={point ? `hypervolume ${note}` : ''} />
        {point && <Growths all={all} x={x} y={y} point={point} note={`${note}, by the values that its candidates have now`} />}
      </div>
    </Page>
  );
}
