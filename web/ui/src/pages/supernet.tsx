import { useMemo } from 'preact/hooks';
import { api, get, post, type Checkpoint, type Estimation, type Job, type Series, type Space, type Supernet } from '../api';
import { seriesCsv, saveAs } from '../export';
import { ago, percent, short, significant } from '../format';
import { commandAbout } from '../draft';
import { isActive, useJob } from '../jobs';
import { Lines, type Curve } from '../lines';
import type { Mark } from '../marks';
import { Act, Card, Check, Empty, Facts, Failed, Listed, Page, ProgressLine, Remove, Select, State, Table, Unread } from '../parts';
import { Rank } from '../rank';
import { go, href, route, setQuery } from '../router';
import { aboutThese, useGet, useList } from '../state';
import { smoothed } from '../stats';
import { isAlone, useImages } from '../weights';

type Over = 'step' | 'epoch';
type Metrics = { series: Series[]; phases: ({ name: string } & Record<Over, number>)[] };
/** Of a curve: the name of its series, what it is called here, whether it is dashed. */
type Wanted = [series: string, title: string, dashed?: boolean];

const accuracy: Wanted[] = [
  ['top1/largest', 'largest'], ['top1/random', 'random'], ['top1/smallest', 'smallest'],
  ['top1/largest/raw', 'largest, raw', true], ['top1/random/raw', 'random, raw', true], ['top1/smallest/raw', 'smallest, raw', true],
];
const losses: Wanted[] = [['loss', 'labels'], ['loss/distillation', 'distillation', true], ['distillation_gap', 'gap to the teacher', true]];
const speed: Wanted[] = [['images_per_s', 'images/s']], rate: Wanted[] = [['learning_rate', 'learning rate']], norm: Wanted[] = [['gradient_norm', 'gradient norm']];

function curvesOf(series: Series[], wanted: Wanted[], over: Over): Curve[] {
  return wanted.flatMap(([name, title, dashed = false]) => {
    const found = series.find((s) => s.name === name);
    return found && found.step.length > 0 ? [{ name: title, x: found[over], y: found.value, dashed }] : [];
  });
}

/** Where the phases of a training begin; nothing where it has but one. */
const marksOf = (phases: Metrics['phases'], over: Over): Mark[] => (phases.length > 1 ? phases.map((p) => ({ name: p.name.replace('_', ' '), at: p[over] })) : []);

/** The weight in the address; 0 without one. */
const smoothingOf = (text: string | null): number => { const v = Number(text ?? 0); return v > 0 && v < 1 ? v : 0; };

/** How the address has all curves drawn. */
type View = { over: Over; log: boolean; weight: number };
const viewOf = (query: URLSearchParams): View => ({ over: query.get('x') === 'epoch' ? 'epoch' : 'step', log: query.get('logy') === '1', weight: smoothingOf(query.get('smooth')) });

/** The axes of all curves, and every point of them as a file. */
function CurveTools({ view: { over, log }, name, path }: { view: View; name: string; path: string }) {
  const save = async () => saveAs(new Blob(seriesCsv((await get<Metrics>(`${path}/metrics?max_points=100000`)).series), { type: 'text/csv' }), `${name}.csv`);
  return (
    <div class="wide toolbar">
      <label>Across <Select value={over} set={(x) => setQuery({ x: x === 'epoch' ? x : '' })} of={[['step', 'step'], ['epoch', 'epoch']]} /></label>
      <Check on={log} set={(on) => setQuery({ logy: on ? '1' : '' })}>Up logarithmic</Check>
      <Act reads do={save}>Save as CSV</Act>
    </div>
  );
}

/** Some curves of the training in one chart; `steady`: they are not smoothed. */
function Curves({ title, wanted, of, view: { over, log, weight }, steady = false, none = 'Nothing yet.', ...more }: { title: string; wanted: Wanted[]; of: Metrics | null; view: View; steady?: boolean; none?: string; format: (v: number) => string; percent?: boolean; height?: number }) {
  const curves = useMemo(() => {
    const found = curvesOf(of?.series ?? [], wanted, over);
    return weight && !steady ? found.map((c) => ({ ...c, y: smoothed(c.y, weight), raw: c.y })) : found;
  }, [of, over, weight]);
  const marks = useMemo(() => marksOf(of?.phases ?? [], over), [of, over]);
  return curves.length > 0 ? <Lines title={title} curves={curves} xTitle={over} log={log} marks={marks} {...more} /> : <Empty>{none}</Empty>;
}

function Smoothing({ weight }: { weight: number }) {
  return (
    <div class="toolbar replay">
      <label>Smooth the curves of each step <input type="range" min={0} max={0.99} step={0.01} value={weight} onInput={(e) => setQuery({ smooth: Number(e.currentTarget.value) ? e.currentTarget.value : '' })} /></label>
      <span class="numbers">{weight ? `${weight.toFixed(2)}; the raw ones stay, faint` : 'off'}</span>
    </div>
  );
}

/** Scores the largest and the smallest subnet on the validation images; of what was trained for one network alone, that one. */
function EvaluateEnds({ supernet }: { supernet: Supernet }) {
  const { dataset, choice } = useImages(!supernet.dataset), alone = isAlone(supernet);
  const evaluate = async () => {
    const ends = alone ? undefined : await get<Space>(api`/spaces/${supernet.space}`);
    const { job } = await post<{ job: Job }>('/evaluations', { supernet: supernet.id, dataset, archs: ends && [ends.largest.arch, ends.smallest.arch] });
    go(['jobs', job.id]);
  };
  return <span class="row-of submit">{choice}<Act do={evaluate} done={alone ? 'The network that it was trained for is evaluated.' : 'The largest and the smallest subnet are evaluated.'}>{alone ? 'Evaluate its network' : 'Evaluate'}</Act></span>;
}

/** What can be done with a checkpoint; one that training has replaced can only be removed, the newest only be searched. */
function CheckpointActions({ supernet, checkpoint, done }: { supernet: Supernet; checkpoint: Checkpoint; done: () => void }) {
  return (
    <span class="row-of">
      {checkpoint.kept && !isAlone(supernet) ? <a href={href(['searches', 'new'], { supernet: supernet.id, checkpoint: checkpoint.id })}>Search it</a> : null}
      {checkpoint.id !== supernet.checkpoint && <Remove class="link" kind="checkpoint" name={`of step ${checkpoint.step}`} path={`/checkpoints/${checkpoint.id}`} then={done} />}
    </span>
  );
}

export function SupernetPage({ id }: { id: string }) {
  const path = api`/supernets/${id}`;
  const concerns = aboutThese(() => [supernet.data]);
  const supernet = useGet<Supernet>(path, ['supernet'], concerns);
  const metrics = useGet<Metrics>(`${path}/metrics?max_points=1500`, ['metric'], concerns);
  const checkpoints = useList<Checkpoint>(`${path}/checkpoints`, ['supernet'], concerns);
  const job = useJob(supernet.data?.job);
  const estimations = useList<Estimation>(api`/estimations?supernet=${id}`, ['job'], (d) => d['kind'] === 'estimate' && d['state'] === 'done');
  const view = viewOf(route.value.query), drawn = { of: metrics.data, view };
  const has = (name: string) => metrics.data?.series.some((s) => s.name === name);
  const phases = marksOf(metrics.data?.phases ?? [], 'step');
  const report = estimations.data?.[0];
  const s = supernet.data;
  if (!s) return <Unread title="Supernet" error={supernet.error} of="supernets" />;
  const running = job.data && isActive(job.data), at = api`/supernets/${s.id}`; // what is asked for is of what is shown, also where its name is another's by now
  return (
    <Page title={s.name} lead={<>Space {s.space}, {s.dataset ? `data set ${s.dataset_name}` : 'imported without a data set'}{isAlone(s) && <>, trained for <a href={href(['archs', s.space], { arch: `${s.train['arch'] ?? ''}`, weights: s.id })}>one network</a> alone</>} <State of={s.state} /></>} actions={
      <>
        {s.checkpoint && <EvaluateEnds supernet={s} />}
        {s.checkpoint && !isAlone(s) && <a class="button primary" href={href(['searches', 'new'], { supernet: s.id })}>Search it</a>}
        {s.state === 'training' && <Act do={() => post(`${at}/pause`)} done="Training pauses at its next step, until you resume it.">Pause</Act>}
        {running && <Act do={() => post(`/jobs/${job.data!.id}/cancel`)} confirm="Stop training? It can be resumed from its checkpoint." done="Training stops at the next step.">Stop</Act>}
        {(s.state === 'paused' || (job.data && ['failed', 'canceled'].includes(job.data.state))) && <Act class="primary" do={() => post(`${at}/resume`)} done="Training goes on from its checkpoint.">Resume</Act>}
        <Remove kind="supernet" name={s.name} path={at} then={() => go(['supernets'])} />
      </>
    }>
      {running && job.data && <Card title="Training"><ProgressLine job={job.data} /></Card>}
      <Failed error={metrics.error ?? estimations.error ?? supernet.error} />
      {job.data?.state === 'failed' && <Failed error={job.data.error?.message ?? 'Training failed.'} />}
      <Card title="Newest checkpoint">
        <Facts rows={[['Largest subnet', percent(s.top1_largest)], ['Smallest subnet', percent(s.top1_smallest)], ['Steps', short(s.step)], ['Epochs', s.epoch == null ? '–' : +s.epoch.toFixed(2)], ['Images seen', short(s.images)], ['Created', ago(s.created_at)]]} />
        {phases.length > 0 && <p class="note">Phases: {phases.map((m) => `${m.name} from step ${short(m.at)}`).join(', ')}.</p>}
      </Card>
      <div class="grid">
        {metrics.data && metrics.data.series.length > 0 && <CurveTools view={view} name={s.name} path={path} />}
        <Card title="Top-1 on the validation split" class="wide" note="raw: batch norm statistics not recalibrated">
          <Curves title="Top-1 on the validation split" wanted={accuracy} {...drawn} steady none="The curves begin with the first checkpoint." format={(v) => percent(v, 1)} percent height={300} />
        </Card>
        <Card title="Inherited against stand-alone accuracy" class="wide" note={report && `${report.n} networks, ${ago(report.created_at)}`}>
          {report ? <Rank report={report} /> : estimations.data && <Empty>Not known yet. <code>{commandAbout('espalier supernet estimate', s.name, '-n 12 --wait')}</code> trains some subnets alone and tells whether the supernet ranks them rightly.</Empty>}
        </Card>
        {has('loss') && <div class="wide"><Smoothing weight={view.weight} /></div>}
        <Card title="Loss"><Curves title="Loss" wanted={losses} {...drawn} format={(v) => v.toFixed(3)} /></Card>
        <Card title="Speed"><Curves title="Images a second" wanted={speed} {...drawn} format={(v) => short(v)} /></Card>
        <Card title="Learning rate"><Curves title="Learning rate" wanted={rate} {...drawn} steady format={(v) => significant(v, 3)} /></Card>
        <Card title="Gradient norm"><Curves title="Gradient norm" wanted={norm} {...drawn} format={(v) => significant(v, 3)} /></Card>
        <Card title="Checkpoints" class="wide">
          <Listed of={checkpoints} empty="None yet.">{(all) => (
            <Table label="Checkpoints" rows={all} rowKey={(c) => c.id} columns={[
              { title: 'Step', number: true, cell: (c) => short(c.step) }, { title: 'Epoch', number: true, cell: (c) => +c.epoch.toFixed(2) }, { title: 'Largest', number: true, cell: (c) => percent(c.top1_largest) }, { title: 'Smallest', number: true, cell: (c) => percent(c.top1_smallest) }, { title: 'Written', cell: (c) => ago(c.created_at) },
              { title: 'Do', cell: (c) => <CheckpointActions supernet={s} checkpoint={c} done={checkpoints.reload} /> },
              { title: 'Size', number: true, cell: (c) => short(c.bytes, 'B') }, { title: 'Id', cell: (c) => <span class="genotype">{c.id}</span> },
            ]} />
          )}</Listed>
        </Card>
      </div>
    </Page>
  );
}
