// One search: the live scatter with the front, hypervolume beside it, the table below, the network of the chosen point at the side.
import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { api, everyProfile, post, type Calibration, type Front, type Pin, type Profile, type Search } from '../api';
import { ArchView } from '../arch-view';
import { BoardFronts } from '../board-fronts';
import { useCandidates } from '../candidates';
import { entryOfFront, frontShown, metricsOf, shownFirst, toldBy, type Entry, type Told } from '../entries';
import { Best, CandidateTable, CompareWith, GenesAndMetrics, Limits, naming, Replay } from '../explore';
import { genesOf, parseRanges, printRanges, within, withRange, type Range } from '../filter';
import { exportCandidates } from '../export';
import { directionOf as directionIn, frontOf, keyOf } from '../front';
import { FrontTable, Interval } from '../front-table';
import { Extend, Report } from '../further';
import { comparing, counted, metricName, metricValue, percent, short, significant, sumOf, tickLabels } from '../format';
import { isActive, useJob } from '../jobs';
import { Lines, type Curve } from '../lines';
import { Act, AxisChoice, Card, Empty, Facts, Failed, Page, ProgressLine, Reading, Remove, Select, State, Unread } from '../parts';
import { go, href, route, setQuery } from '../router';
import { kindHue, mostStamped, Scatter, type Axis, type Point } from '../scatter';
import { aboutThese, useGet, useList, useSettled } from '../state';
import { shortBoards } from '../titles';
import { weightsOf, type Weights } from '../weights';

/** A network at its place in the scatter; whether it is inside, on the front and with which interval follows its entry. */
class PointOf implements Point {
  key: string;
  feasible: boolean;
  constructor(private e: Entry, private keyX: string, private keyY: string, readonly x: number, readonly y: number, readonly told: Told, readonly baseline: boolean, readonly hue: number | null) {
    this.key = e.key;
    this.feasible = e.feasible;
  }
  get outside() { return !this.e.inside; }
  get front() { return this.e.front; }
  get across() { return this.e.metric(this.keyX); }
  get up() { return this.e.metric(this.keyY); }
}

/** The place among the colours of the board that has measured a network, the last where several have; beyond them: none has. */
function hueOfBoard(e: Entry, boards: string[]): number {
  const by = boards.flatMap((b, i) => (e.metric(`latency_us:${b}`)?.source === 'measured' ? i : []));
  return by.length === 0 ? -1 : kindHue(by.length > 1 ? boards.length : by[0]!, boards.length + Number(boards.length > 1));
}

/** What the search itself demands of a metric. */
function limitsOn(search: Search, key: string): Range {
  const bounds = (search.constraints ?? []).filter((c) => keyOf(c) === key);
  return { low: bounds.find((c) => c.min !== undefined)?.min ?? null, high: bounds.find((c) => c.max !== undefined)?.max ?? null };
}
const limitWords = (title: string, key: string, { low, high }: Range) => (low === null && high === null ? '' : ` The search demands ${title}${low === null ? '' : ` of at least ${metricValue(key, low)}`}${high === null ? '' : `${low === null ? ' of' : ' and'} at most ${metricValue(key, high)}`}.`);

/** Values of the strategies at one number of evaluations, each told from the others; beside the baseline how many times its value. */
function volumes(values: (number | null)[], baseline: number): string[] {
  const [say, of] = [comparing(values), values[baseline]];
  return values.map((v, i) => (v === null ? '–' : `${say(v)}${i !== baseline && of ? ` (${significant(v / of, Math.abs(v / of - 1) < 0.001 ? 6 : 4)} × the baseline's)` : ''}`));
}

function Hypervolume({ id, search, nameOf }: { id: string; search: Search; nameOf: (key: string) => string }) {
  const read = useGet<{ series: { strategy: string; evaluations: number[]; hypervolume: (number | null)[] }[] }>(api`/searches/${id}/hypervolume`, ['generation'], (d) => d['search'] === id);
  const curves: Curve[] = (read.data?.series ?? []).map((s) => ({ name: s.strategy, x: s.evaluations, y: s.hypervolume, dashed: s.strategy === search.baseline }));
  const reference = Object.entries(search.reference_point ?? {}).map(([key, v]) => `${nameOf(key)} ${metricValue(key, v)}`).join(', ');
  return (
    <Card title="Hypervolume" note={reference ? `reference point: ${reference}` : undefined}>
      <Reading of={read}>{() => (curves.some((c) => c.y.some((v) => v != null)) ? <Lines title="Hypervolume over evaluations" curves={curves} xTitle="evaluations" compare={(values) => volumes(values, curves.findIndex((c) => c.dashed))} /> : <Empty>{search.objectives.length > 6 ? 'Of more than six objectives there is none.' : 'There is none before the first generation.'}</Empty>)}</Reading>
    </Card>
  );
}

/** A predictor's figure, out of fold, beside that of a line through the logarithm of MACs on the same folds. */
function Against({ own, plain, digits, points }: { own: number | null | undefined; plain: number | null | undefined; digits: number; points?: boolean }) {
  const say = (v: number) => (points ? `${(100 * v).toFixed(digits)} points` : v.toFixed(digits));
  return <>{own == null ? '–' : say(own)}{plain != null && <span class="was"> (by MACs alone {say(plain)})</span>}</>;
}

/** What is known of a board's latencies; `latest`: its newest calibration by the search. */
const calibrated = (latest: Calibration | undefined): [string, ComponentChildren][] => [
  ['Latency calibration', latest ? `version ${latest.version}, ${latest.n} networks${latest.n_known ? ` (${latest.n_known} known before)` : ''}${latest.rung ? `, corrects the ${sumOf(latest.rung)}` : ''}` : 'none by this search; where the board has none, intervals allow for a factor of 1.5 either way'],
  ...(latest ? [
    ['Latency, mean error', latest.before && latest.after ? `${percent(latest.before.mape, 1)} → ${percent(latest.after.mape, 1)}` : '–'],
    ...([['±5 %', 'within_5'], ['±10 %', 'within_10']] as const).map(([bound, share]) => [`Latency within ${bound}`, latest.before && latest.after ? `${percent(latest.before[share], 0)} → ${percent(latest.after[share], 0)}` : '–'] as [string, ComponentChildren]),
    ['Latency, rank agreement (tau)', latest.after ? latest.after.kendall_tau.toFixed(3) : '–'],
    ['Latency, 90 % interval, holds', latest.interval !== undefined ? `±${percent(latest.interval, 1)}, ${percent(latest.after?.coverage, 0)}` : '–'],
  ] as [string, ComponentChildren][] : []),
];

/** Of several boards each is told by itself. `boards`: ids of those that the search is about. */
function Trust({ search, boards, nameOf }: { search: Search; boards: string[]; nameOf: Record<string, string> }) {
  const p = search.predictor;
  const other = search.accuracy === 'evaluated' ? 'none: each candidate is evaluated' : search.models?.find((m) => m.kind === 'accuracy')?.name ?? (isActive(search) ? '' : 'none');
  const latest = new Map((search.calibrations ?? []).map((c) => [c.profile_id, c])), all = [...new Set([...boards, ...latest.keys()])];
  return (
    <Card title="How far to trust the predictions" note={latest.size ? 'before → after calibration' : undefined}>
      <Facts rows={[
        ['Accuracy predictor', p ? `${p.model}, ${p.n} subnets` : other || 'not fitted yet'],
        ...(p || !other ? [['Accuracy, rank agreement (tau)', <Against key="tau" own={p?.kendall_tau} plain={p?.baseline_kendall_tau} digits={3} />],
        ['Accuracy, root mean square error', <Against key="rmse" own={p?.rmse} plain={p?.baseline_rmse} digits={2} points />],
        ['Accuracy, mean error', p?.mae == null ? '–' : `${(100 * p.mae).toFixed(2)} points`]] as [string, ComponentChildren][] : []),
        ...(all.length > 1 ? [] : calibrated(latest.get(all[0] ?? ''))),
      ]} />
      {all.length > 1 && all.map((id) => <section key={id}><h3>{nameOf[id] ?? id}</h3><Facts rows={calibrated(latest.get(id))} /></section>)}
    </Card>
  );
}

/** Keeps a network, or no longer; only what is kept may be scored on the test images. */
function PinButton({ weights, arch, pin, changed }: { weights: Weights; arch: string; pin: Pin | undefined; changed: () => void }) {
  const act = (action: string) => post(api`/supernets/${weights.supernet}/${action}`, { archs: [arch] }).then(changed);
  if (!pin) return <Act do={() => act('pins')} done="The network is kept.">Pin</Act>;
  return (
    <>
      <Act do={() => act('unpin')} done="The network is kept no longer.">Unpin</Act>
      <Act do={() => post('/evaluations', { ...weights, archs: [arch], split: 'test' })} done="The evaluation on the test images is queued.">Score on test images</Act>
    </>
  );
}

// By the address as it is when it happens, and apart from the page: parts of it that are not drawn anew hold these, and would keep all that it showed then.
const pick = (key: string) => setQuery({ arch: key });
const change = (key: string, range: Range | null) => setQuery({ f: printRanges(withRange(parseRanges(route.value.query.get('f')), key, range)) });

/** The largest of a metric, worked out when it is asked for. */
const largestIn = (entries: Entry[]) => {
  const found: Record<string, number> = {};
  return (key: string) => (found[key] ??= entries.reduce((most, { numbers }) => Math.max(most, Math.abs(numbers[key] ?? 0)), 0));
};

export function SearchPage({ id }: { id: string }) {
  const path = api`/searches/${id}`;
  const [asks, setAsks] = useState<'extend' | 'report' | ''>('');
  const concerns = aboutThese(() => [loaded.data]);
  const loaded = useGet<Search>(path, ['search', 'generation', 'front'], concerns);
  const front = useGet<Front>(`${path}/front`, ['front', 'generation', 'job'], (d) => concerns(d) || (d['kind'] === 'evaluate' && d['state'] === 'done'));
  const supernet = loaded.data?.supernet;
  const pins = useList<Pin>(supernet && api`/supernets/${supernet}/pins`, ['job'], (d) => d['kind'] === 'evaluate' && d['state'] === 'done');
  const profileList = useList<Profile>(everyProfile);
  const search = loaded.data;
  const job = useJob(search?.job);
  const { candidates, metrics, total, whole, version, error } = useCandidates(id, concerns);
  const directionOf = (key: string) => directionIn(search?.objectives ?? [], key);
  const { query } = route.value;
  const boards = [...new Set((search?.objectives ?? []).flatMap((o) => o.profile ?? []))];
  const profiles = Object.fromEntries([...(profileList.data ?? []), ...(search?.models ?? [])].map((p) => [p.id, p.name]));
  const known = metrics.join(); // their list is another one with each page
  const keys = useMemo(() => [...new Set([...(search?.objectives ?? []).map(keyOf), ...metrics])], [search, known]);
  const y = query.get('y') ?? keyOf(search?.objectives[0] ?? { metric: 'top1' });
  const x = query.get('x') ?? keyOf(search?.objectives[1] ?? { metric: 'macs' });
  const [log, logY] = [query.get('log') === '1', query.get('logy') === '1'];
  const selected = query.get('arch') ?? undefined;
  const items = front.data?.items ?? [];
  const frontIds = useMemo(() => new Set(items.map((i) => i.arch_id)), [items]);

  const byId = useMemo(() => {
    const all = new Map<string, Entry>();
    for (const c of candidates.values()) if (!all.has(c.key) || c.strategy !== search?.baseline) all.set(c.key, c);
    for (const i of items) all.set(i.arch_id, entryOfFront(i));
    return all;
  }, [version, items, search?.baseline]);
  const numbered = useMemo(() => [...byId.values()], [byId]);
  const filter = query.get('f') ?? '';
  const ranges = useMemo(() => parseRanges(filter), [filter]);
  const crowded = numbered.length > mostStamped; // then charts and table follow when the pointer rests, and what the pointer holds is drawn over them
  const settledFilter = useSettled(filter, crowded);
  const settled = useMemo(() => parseRanges(settledFilter), [settledFilter]);
  const replayed = settled['generation'] !== undefined;
  const entries = useMemo(() => {
    const list = Object.entries(settled);
    for (const e of numbered) {
      e.inside = within(e.numbers, list);
      e.front = frontIds.has(e.key);
    }
    if (replayed) {
      // In a replay, the front is the one of what was known by then.
      const known = numbered.filter((e) => e.inside && e.feasible && e.strategy !== search?.baseline);
      const then = new Set(frontOf(known.map((e) => e.numbers[x] ?? NaN), known.map((e) => e.numbers[y] ?? NaN), directionOf(x), directionOf(y)).map((i) => known[i]!.key));
      for (const e of numbered) e.front = then.has(e.key);
    }
    return [...numbered]; // another list says that they have changed
  }, [numbered, frontIds, settled, search?.baseline, ...(replayed ? [x, y, directionOf(x), directionOf(y)] : ['', '', '', ''])]);
  const shown = useMemo(() => frontShown(items, entries), [items, entries]);
  const shownNote = replayed ? `${shown.length} were the front among what is within every range, by the values they have now` : shown.length < items.length ? `${shown.length} of ${items.length} within every range` : '';
  const inside = useMemo(() => entries.filter((e) => e.inside), [entries]);
  const answering = useMemo(() => { const list = Object.entries(ranges); return filter === '' ? [] : numbered.filter((e) => e.feasible && within(e.numbers, list)); }, [numbered, ranges]);
  const largestOf = useMemo(() => largestIn(numbered), [numbered]);
  const lastGeneration = useMemo(() => numbered.reduce((a, e) => Math.max(a, e.generation), 0), [numbered]);
  const genes = useMemo(() => Object.keys(genesOf(numbered[0]?.arch ?? '')).filter((g) => numbered.some((e) => e.numbers[g] !== numbered[0]?.numbers[g])), [numbered]);
  const hueKey = query.get('by') ?? '';
  const latencyKey = keys.find((k) => k.startsWith('latency_us'));
  const measurers = keys.flatMap((k) => /^latency_us:(pf_.*)/.exec(k)?.[1] ?? []);
  const byBoard = hueKey === 'board';
  const [least, most] = useMemo(() => {
    let span = [Infinity, -Infinity] as [number, number];
    if (hueKey && !byBoard) for (const { numbers } of numbered) span = [Math.min(span[0], numbers[hueKey] ?? Infinity), Math.max(span[1], numbers[hueKey] ?? -Infinity)];
    return span;
  }, [numbered, hueKey]);
  const points = useMemo(() => {
    const result: Point[] = [];
    if (keys.includes(x) && keys.includes(y)) for (const e of numbered) {
      const [v, vx, vy] = [hueKey ? e.numbers[hueKey] : undefined, e.numbers[x], e.numbers[y]];
      if (vx === undefined || vy === undefined) continue;
      const hue = byBoard ? hueOfBoard(e, measurers) : v === undefined ? null : (v - least) / (most - least || 1);
      result.push(new PointOf(e, x, y, vx, vy, toldBy(e.metric(x), e.metric(y)), e.strategy === search?.baseline, hue));
    }
    return result;
  }, [numbered, keys, x, y, hueKey, measurers.join(), search?.baseline]);

  const otherId = query.get('vs') ?? '';
  const other = useGet<Front>(otherId && api`/searches/${otherId}/front`, ['front'], (d) => d['search'] === otherId || !/^se_/.test(otherId)); // whose id a name does not tell
  const against = useMemo(() => (other.data?.items ?? []).flatMap((i) => (i.metrics[x] && i.metrics[y] ? [{ x: i.metrics[x].value, y: i.metrics[y].value }] : [])), [other.data, x, y]);

  // The board is in the page's head; beside every number it is needed only where there are several, and no longer than tells them apart.
  const several = [...new Set([...boards, ...measurers])], briefly = shortBoards(several.map((b) => profiles[b] ?? b));
  const briefNames = { ...profiles, ...Object.fromEntries(several.map((b, i) => [b, briefly[i]!])) };
  const nameOf = (key: string) => { const name = metricName(key, briefNames); return several.length > 1 ? name : name.split(' on ')[0]!; };
  if (!search) return <Unread title="Search" error={loaded.error} of="searches" />;
  const at = api`/searches/${search.id}`; // what is asked for is of what is shown, also where its name is another's by now
  const axis = (key: string, isLog: boolean): Axis => ({ title: nameOf(key), direction: directionOf(key), labels: (values) => tickLabels(key, values, isLog), log: isLog, limits: limitsOn(search, key), say: (v) => metricValue(key, v) });
  const describe = (key: string) => {
    const c = byId.get(key);
    if (!c) return [];
    return [...metricsOf(c).filter(([k]) => k === x || k === y || k === 'top1').map(([k, m]) => `${nameOf(k)}: ${metricValue(k, m.value)} (${m.source})`), c.arch];
  };
  const names = naming(nameOf, (key) => keys.includes(key), largestOf);
  const changeBoth = (rx: Range | null | undefined, ry: Range | null | undefined) => {
    const first = rx === undefined ? ranges : withRange(ranges, x, rx);
    setQuery({ f: printRanges(ry === undefined ? first : withRange(first, y, ry)) });
  };
  const shades = ['generation', ...genes];
  const hue = !hueKey || byBoard || least > most ? undefined : { title: names.title(hueKey), low: names.value(hueKey, least), high: names.value(hueKey, most) };
  const objective = keyOf(search?.objectives[0] ?? { metric: 'top1' }), goals = [...search.objectives, ...(search.constraints ?? [])].map(keyOf);
  const chosen = selected ? byId.get(selected) : undefined;
  const pinned = pins.data?.find((p) => p.arch_id === selected);
  const running = job.data && isActive(job.data), weights = weightsOf(search), imported = search.strategy === 'imported', done = search.state === 'done' && !imported;

  const beside = (
    <>
      <Hypervolume id={search.id} search={search} nameOf={nameOf} />
      {!imported && <Trust search={search} boards={boards} nameOf={profiles} />}
    </>
  );

  // Drawn anew when what they show has changed, not with every movement of the pointer. No element may be named in a function here: what is kept for long, as what a row opens,
  // would keep it with all that the page showed then.
  const reading = whole ? '' : ' read so far';
  const shownHere = { entries, inside, reading, metrics: keys, genes, names, selected }, drawnOf = [entries, numbered, inside, reading, keys, genes, selected, profileList.data];
  const axesOfAll = useMemo(() => <GenesAndMetrics {...shownHere} all={numbered} ranges={settled} axes={query.get('axes')} change={change} />, [...drawnOf, settled, query.get('axes')]);
  const candidateTable = useMemo(() => <CandidateTable {...shownHere} columns={query.get('columns')} sort={query.get('sort') ?? ''} space={search.space} search={id} pick={pick} />, [...drawnOf, query.get('sort'), query.get('columns'), query.get('of')]);

  return (
    <Page title={search.name} lead={<>Space {search.space}, {search.strategy}{search.baseline ? ` with ${search.baseline} beside it` : ''}{boards.length > 0 ? `, on ${boards.map((b) => profiles[b] ?? b).join(', ')}` : ''} <State of={search.state} /></>} actions={
      <>
        {running && search.state !== 'paused' && <Act do={() => post(`${at}/pause`)} done="The search pauses at its next step, until you resume it.">Pause</Act>}
        {running && <Act do={() => post(`${at}/cancel`)} confirm="Stop the search? It can be resumed." done="The search stops.">Stop</Act>}
        {['paused', 'failed', 'canceled'].includes(search.state) && <Act class="primary" do={() => post(`${at}/resume`)} done="The search goes on.">Resume</Act>}
        {!imported && <a class="button" href={href(['searches', 'new'], { from: search.id })}>Search again with changes</a>}
        {done && <button type="button" class="act" aria-expanded={asks === 'extend'} onClick={() => setAsks(asks === 'extend' ? '' : 'extend')}>Extend</button>}
        <button type="button" aria-expanded={asks === 'report'} onClick={() => setAsks(asks === 'report' ? '' : 'report')}>Report</button>
        {candidates.size > 0 && <Act reads do={() => exportCandidates(search.id, search.name, 'csv', profiles)}>CSV of {whole ? '' : 'all '}{short(total)} candidates</Act>}
        {candidates.size > 0 && <Act reads do={() => exportCandidates(search.id, search.name, 'json', profiles)}>JSON</Act>}
        <Remove kind="search" name={search.name} path={at} then={() => go(['searches'])} />
      </>
    }>
      {asks === 'extend' && done && <Extend search={search} close={() => setAsks('')} />}
      {asks === 'report' && <Report search={search} close={() => setAsks('')} />}
      {running && job.data && <Card><ProgressLine job={job.data} /></Card>}
      {!!search.result?.['ending'] && <Card>The search has ended: {search.result['ending'] as string}.</Card>}
      {(search.notes ?? []).map((note) => <Card key={note}>Note: {note}.</Card>)}
      <Failed error={error ?? front.error ?? loaded.error} />
      {job.data?.state === 'failed' && <Failed error={job.data.error?.message ?? 'The search failed.'} />}
      <div class="search-grid">
        <div class="beside">
          <Card title="Pareto front" class="main" note={<span role="status" title={candidates.size === byId.size ? '' : 'The baseline asks for some networks too: each is one candidate of either'}>{whole ? `${points.length === byId.size ? '' : `${counted(points.length)} of `}${counted(byId.size)} networks${candidates.size === byId.size ? '' : ` in ${counted(candidates.size)} candidates`}` : `${counted(candidates.size)} of ${total ? counted(total) : '…'} candidates read…`}{items.length > 0 && `, ${items.length} on the ${front.data?.stage ?? 'present'} front`}</span>}>
            <AxisChoice x={x} y={y} log={log} logY={logY} of={[...new Set([...keys, x, y])].map((k) => [k, keys.includes(k) || !whole ? nameOf(k) : `${nameOf(k)} (unknown here)`])} />
            {points.length === 0 ? <Empty>{whole && candidates.size > 0 ? 'No candidate of this search has both of these metrics.' : search.state === 'failed' ? 'The search failed before its strategy had asked for a candidate.' : 'Candidates appear here as soon as the strategy has asked for the first ones.'}</Empty> : (
              <Scatter name={search.name} points={points} drawn={entries} x={axis(x, log)} y={axis(y, logY)} against={against} rangeX={ranges[x]} rangeY={ranges[y]} pending={filter !== settledFilter} zoom={query.get('z') ?? ''} onZoom={(z) => setQuery({ z })} onRanges={changeBoth} hue={hue} kinds={byBoard ? [...measurers.map((b) => profiles[b] ?? b), ...(measurers.length > 1 ? ['several boards'] : [])] : undefined} selected={selected} onPick={pick} describe={describe}
                summary={`Scatter of ${points.length} candidates: ${nameOf(y)} over ${nameOf(x)}; ${items.length} on the front.${[x, y].map((key) => limitWords(nameOf(key), key, limitsOn(search, key))).join('')}`}>
                <Limits ranges={ranges} keys={[...keys, ...genes]} names={names} change={change}>
                  <Best entries={answering} whole={whole} limited={filter !== ''} objective={objective} direction={directionOf(objective)} names={names} pick={pick} />
                </Limits>
              </Scatter>
            )}
            <div class="toolbar under">
              <label>Colour by <Select value={hueKey} set={(by) => setQuery({ by })} of={[['', 'source'], ...(measurers.length > 0 ? [['board', 'board that measured it'] as const] : []), ...shades.map((k) => [k, names.title(k)] as const)]} /></label>
              <CompareWith search={search} chosen={otherId} found={other.data && against.length} error={other.data ? null : other.error} />
              <Replay last={lastGeneration} range={ranges['generation']} change={change} />
            </div>
          </Card>
          {chosen && <div class="pair">{beside}</div>}
        </div>
        {chosen ? (
          <Card title="Network" class="side-card" note={<button type="button" class="quiet" onClick={() => setQuery({ arch: '' })} aria-label="Close the network">✕</button>}>
            <Facts rows={shownFirst(goals, keys).filter((k) => chosen.metric(k)).map((k) => [nameOf(k), <Interval key={k} name={k} metric={chosen.metric(k)} before={items.find((i) => i.arch_id === chosen.key)?.predicted?.[k]} />])} />
            <ArchView space={search.space} arch={chosen.arch} profile={/:(pf|mo)_/.test(latencyKey ?? '') ? latencyKey?.split(':')[1] : undefined} />
            <div class="row">
              <a class="button" href={href(['archs', search.space], { arch: chosen.arch, search: id })}>Open its page</a>
              {weights && <Act do={() => post('/exports', { ...weights, arch: chosen.arch, format: 'onnx' })} done="The export is queued; see Jobs.">Export as ONNX</Act>}
              {weights && <PinButton weights={weights} arch={chosen.arch} pin={pinned} changed={() => { pins.reload(); front.reload(); }} />}
              {latencyKey?.startsWith('latency_us:pf_') && <Act do={() => post('/measurements', { profile: latencyKey.split(':')[1], space: search.space, archs: [chosen.arch] })} done="The measurement is queued.">Measure on the board</Act>}
            </div>
          </Card>
        ) : <div class="beside">{beside}</div>}
      </div>
      <div class="grid">
        {axesOfAll}
        <FrontTable front={front.data} rows={shown} note={shownNote} goals={goals} keys={keys} x={x} sort={query.get('fsort') ?? ''} nameOf={nameOf} selected={selected} space={search.space} search={id} onPick={pick} />
        {boards.length > 1 && items.length > 0 && (
          <Card title="The front on each board" class="wide" note={shownNote}>
            {shown.length > 0 ? <BoardFronts items={shown} boards={boards.map((b) => ({ key: `latency_us:${b}`, name: profiles[b] ?? b, direction: directionOf(`latency_us:${b}`) }))} y={objective} yTitle={nameOf(objective)} direction={directionOf(objective)} selected={selected} onPick={pick} /> : <Empty>No network of the front keeps these limits. Widen one of them.</Empty>}
          </Card>
        )}
        {candidateTable}
      </div>
    </Page>
  );
}
