// A search as it is being put together: the body of its request and back, the command that is the same, and what is known of it before it begins.
import { percent, short } from './format';
import { keyOf } from './front';
import type { Subspace } from './subspace';

export type Draft = {
  name: string; supernet: string; space: string; accuracy: 'predicted' | 'evaluated' | 'model'; predictor: string;
  objectives: string[]; raised: string[]; // in their order, metric keys such as "top1", "loss", "macs" or "latency_us:pf_…"; of the costs among them, those to be made large
  limits: Record<string, string>; // by the key, with " min" or " max" behind it where the bound is not on the usual side; as typed, in people's units
  strategy: string; options: Record<string, string>; baseline: string; // '': none
   evaluations: string; seconds: string; rounds: string; population: string; seed: string; patience: string; initial: string;
  front: string; measurements: string; method: 'full' | 'brief'; warm: string[]; subspace: Subspace; // {}: the whole space
  others: Record<string, unknown>; // members of the body that the form has no field for
};
export type Body = {
  name: string; supernet?: string; space?: string; objectives: { metric: string; direction: string; profile?: string }[]; constraints?: { metric: string; profile?: string; max?: number; min?: number }[];
  accuracy?: string | { predictor: string }; strategy: string; strategy_options?: Record<string, number>; baseline?: string | null; evaluations?: number; time_budget_s?: number; rounds?: number; population: number; seed: number; patience?: number;
  initial_evaluations?: number; measure_front?: number; measurements?: number; method?: string; subspace?: Subspace | null; warm_start?: { searches?: string[]; archs?: string[] }; [other: string]: unknown;
};

export const emptyDraft: Draft = {
  name: '', supernet: '', space: '', accuracy: 'predicted', predictor: '', objectives: ['top1'], raised: [], limits: {}, strategy: 'nsga2', options: {}, baseline: 'random', evaluations: '4000', seconds: '', rounds: '1', population: '64', seed: '1', patience: '',
  initial: '64', front: '24', measurements: '', method: 'full', warm: [], subspace: {}, others: {},
};

/** Which figures of accuracy the objectives have: "top1", "loss", "top1,loss" or none. */
const isAccuracy = (key: string) => key === 'top1' || key === 'loss';
export const accuraciesOf = (objectives: string[]): string => (['top1', 'loss'].filter((k) => objectives.includes(k))).join();
export const costsOf = (objectives: string[]): string[] => objectives.filter((k) => !isAccuracy(k));
/** The objectives with those figures of accuracy in front. */
export const judgedBy = (objectives: string[], accuracies: string): string[] => [...accuracies.split(',').filter(Boolean), ...costsOf(objectives)];
/** Those that are sent: a loss is known only where each candidate is evaluated, else top-1 stands for it. */
const sentObjectives = (d: Draft): string[] => [...new Set(d.objectives.map((k) => (k === 'loss' && d.accuracy !== 'evaluated' ? 'top1' : k)))];

type Bounded = { metric: string; profile?: string; max?: number; min?: number };
const usualSide = (key: string) => (key === 'top1' ? ('min' as const) : ('max' as const));

/** What a limit is of, and whether it is a least or a most. */
export function limitOf(name: string): { key: string; side: 'min' | 'max' } {
  const [key = '', side] = name.split(' ');
  return { key, side: (side as 'min' | 'max' | undefined) ?? usualSide(key) };
}
const limitName = (c: Bounded) => {
  const [key, side] = [keyOf(c), c.max === undefined ? 'min' : 'max'];
  return side === usualSide(key) ? key : `${key} ${side}`;
};

/** What one typed unit of a limit is in the API's. */
export const unitOf = (name: string, { key } = limitOf(name)): { factor: number; name: string } =>
  key.startsWith('latency_us') ? { factor: 1000, name: 'ms' } : key === 'top1' ? { factor: 0.01, name: '%' } : key.endsWith('_bytes') ? { factor: 1000, name: 'kB' } : key.startsWith('energy_uj') ? { factor: 1, name: 'µJ' } : key === 'loss' ? { factor: 1, name: 'nats' } : key === 'params' ? { factor: 1000, name: 'thousands' } : { factor: 1e6, name: 'millions' };

const metricOf = (key: string) => {
  const [metric = '', profile] = key.split(':');
  return profile ? { metric, profile } : { metric };
};
const exact = (v: number) => +v.toPrecision(12);

/** The names of the limits that are set, in the order of the body's constraints. */
export const limitedKeys = (d: Draft): string[] => Object.keys(d.limits).filter((k) => d.limits[k] !== '' && Number.isFinite(Number(d.limits[k])));

/** The body of POST /searches; members that are as by default are left out, but for those that people ask about. */
export function bodyOf(d: Draft): Body {
  const options = Object.fromEntries(Object.entries(d.options).filter(([, v]) => v !== '').map(([k, v]) => [k, Number(v)]));
  const constraints = limitedKeys(d).map((name) => { const { key, side } = limitOf(name); return { ...metricOf(key), [side]: exact(Number(d.limits[name]) * unitOf(name).factor) }; });
  const warm = { ...(d.warm.length ? { searches: d.warm } : {}), ...(d.others['warm_start'] as object | undefined) };
  return {
    name: d.name, ...(d.supernet ? { supernet: d.supernet } : d.space ? { space: d.space } : {}),
    objectives: sentObjectives(d).map((key) => ({ ...metricOf(key), direction: key === 'top1' || d.raised.includes(key) ? 'maximise' : 'minimise' })),
    ...(constraints.length ? { constraints } : {}),
    ...(d.accuracy === 'model' ? { accuracy: { predictor: d.predictor } } : d.accuracy === 'evaluated' ? { accuracy: 'evaluated' } : {}),
    ...(Object.keys(d.subspace).length ? { subspace: d.subspace } : {}),
    strategy: d.strategy, ...(Object.keys(options).length ? { strategy_options: options } : {}), ...(d.baseline === 'random' || (!d.baseline && d.strategy === 'random') ? {} : { baseline: d.baseline || null }),
    ...(d.seconds ? { time_budget_s: Number(d.seconds) } : { evaluations: Number(d.evaluations) }), ...(d.rounds !== '1' && d.rounds ? { rounds: Number(d.rounds) } : {}), population: Number(d.population), seed: Number(d.seed), ...(d.patience ? { patience: Number(d.patience) } : {}),
    ...(d.accuracy === 'predicted' && d.initial !== '64' && d.initial ? { initial_evaluations: Number(d.initial) } : {}), ...(d.front !== '24' && d.front !== '' ? { measure_front: Number(d.front) } : {}),
    ...(d.measurements ? { measurements: Number(d.measurements) } : {}), ...(d.method === 'brief' ? { method: 'brief' } : {}), ...d.others, ...(Object.keys(warm).length ? { warm_start: warm } : {}),
  };
}

/** The draft of a body as the daemon keeps it: nothing of it is lost. */
export function draftOf(body: Body): Draft {
  const { name, supernet, space, objectives, constraints = [], accuracy, strategy, strategy_options = {}, baseline, evaluations, time_budget_s, rounds, population, seed, patience, initial_evaluations, measure_front, measurements, method, subspace, warm_start = {}, ...others } = body;
  const { searches = [], ...begun } = warm_start, model = typeof accuracy === 'object';
  const text = (v: number | undefined, usual: string) => (v === undefined ? usual : `${v}`);
  const usual: Record<string, unknown> = { calibration_nets: 12, calibration_choice: 'useful', known_networks: 128 };
  return {
    ...emptyDraft, name, supernet: supernet ?? '', space: space ?? '', accuracy: model ? 'model' : accuracy === 'evaluated' ? 'evaluated' : 'predicted', predictor: model ? accuracy.predictor : '',
    objectives: objectives.map(keyOf), raised: objectives.filter((o) => !isAccuracy(o.metric) && o.direction === 'maximise').map(keyOf),
    limits: Object.fromEntries(constraints.map((c) => [limitName(c), `${exact((c.max ?? c.min)! / unitOf(keyOf(c)).factor)}`])),
    strategy, options: Object.fromEntries(Object.entries(strategy_options).map(([k, v]) => [k, `${v}`])), baseline: baseline === undefined ? 'random' : baseline ?? '', evaluations: text(evaluations, emptyDraft.evaluations), seconds: text(time_budget_s, ''), rounds: text(rounds, '1'),
    population: text(population, emptyDraft.population), seed: text(seed, emptyDraft.seed), patience: text(patience, ''), initial: text(initial_evaluations, emptyDraft.initial), front: text(measure_front, emptyDraft.front), measurements: text(measurements, ''), method: method === 'brief' ? 'brief' : 'full', warm: searches, subspace: subspace ?? {},
    others: { ...Object.fromEntries(Object.entries(others).filter(([k, v]) => v !== usual[k])), ...(Object.keys(begun).length ? { warm_start: begun } : {}) },
  };
}

/** The body with names in place of ids, which the API takes as well: for people to read. */
export function named(body: Body, names: Record<string, string>): Body {
  const of = (id: string) => names[id] ?? id;
  const swap = <T extends { profile?: string }>(c: T): T => (c.profile ? { ...c, profile: of(c.profile) } : c);
  return {
    ...body, ...(body.supernet ? { supernet: of(body.supernet) } : {}), objectives: body.objectives.map(swap), ...(body.constraints ? { constraints: body.constraints.map(swap) } : {}),
    ...(typeof body.accuracy === 'object' ? { accuracy: { predictor: of(body.accuracy.predictor) } } : {}), ...(body.warm_start?.searches ? { warm_start: { ...body.warm_start, searches: body.warm_start.searches.map(of) } } : {}),
  };
}

/** A word of a shell's command line. */
export const quoted = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A command about a thing of that name, behind -- where it looks like an option. */
export const commandAbout = (command: string, name: string, options = ''): string => (name.startsWith('-') ? `${command}${options && ` ${options}`} -- ${quoted(name)}` : `${command} ${quoted(name)}${options && ` ${options}`}`);

export const cliMetric = (c: { metric: string; profile?: string }) => (c.metric === 'latency_us' ? `latency@${c.profile}` : keyOf(c).replace(':', '@'));

/** A part of the space as options of the command: "kernel_sizes=3,5", "stage2.depths=2". */
export function cliSubspace(subspace: Record<string, unknown>, of = ''): string[] {
  return Object.entries(subspace).flatMap(([name, value]) => (Array.isArray(value) ? `${of}${name}=${value.join()}` : Object.entries(value as object).flatMap(([stage, kept]) => cliSubspace(kept as Record<string, unknown>, `${stage}.`))));
}

/** What the body says that the command has no options for, in words. */
export function beyondCommand(body: Body): string[] {
  return [
    ...body.objectives.flatMap((o) => (o.metric !== 'top1' && o.direction === 'maximise' ? `${cliMetric(o)} made large` : [])),
    ...(body.constraints ?? []).flatMap((c) => (c[usualSide(c.metric)] === undefined ? `a ${c.max === undefined ? 'least' : 'most'} of ${cliMetric(c)}` : [])),
    ...(body.warm_start?.archs ? ['networks to begin with (but from a file)'] : []),
  ];
}

/** The same search by the command line client, but for what is beyond it. */
export function commandOf(body: Body): string {
  const words: string[] = [];
  const add = (option: string, value: unknown) => { if (value !== undefined) words.push(option, String(value)); };
  add('--supernet', body.supernet);
  add('--space', body.space);
  if (typeof body.accuracy === 'object') add('--predictor', body.accuracy.predictor);
  else add('--accuracy', body.accuracy);
  add('--objectives', body.objectives.map(cliMetric).join(','));
  for (const c of body.constraints ?? []) {
    const bound = c[usualSide(c.metric)];
    if (bound !== undefined) add('--limit', `${cliMetric(c)}=${c.metric === 'latency_us' ? exact(bound / 1000) : bound}`);
  }
  add('--strategy', body.strategy);
  for (const [name, value] of Object.entries(body.strategy_options ?? {})) add('--option', `${name}=${value}`);
  if (body.baseline !== undefined) add('--baseline', body.baseline ?? 'none');
  add('--time', body.time_budget_s && `${body.time_budget_s}s`);
  for (const member of ['evaluations', 'rounds', 'population', 'seed', 'patience', 'initial_evaluations', 'measure_front', 'measurements', 'method', 'checkpoint', 'dataset', 'calibration_nets', 'calibration_choice', 'known_networks'])
    add(`--${member.replace('_', '-')}`, body[member]);
  for (const part of cliSubspace(body.subspace ?? {})) add('--subspace', part);
  for (const search of body.warm_start?.searches ?? []) add('--warm-start', search);
  return commandAbout('espalier search create', body.name, words.map(quoted).join(' '));
}

export type Quantile = { min: number; p5: number; p25: number; median: number; p75: number; p95: number; max: number };

/** The share of random subnets that keep a limit, read off the quantiles of a sample. */
export function shareBelow(q: Quantile, max: number): number {
  const steps: [number, number][] = [[q.min, 0], [q.p5, 0.05], [q.p25, 0.25], [q.median, 0.5], [q.p75, 0.75], [q.p95, 0.95], [q.max, 1]];
  if (max < q.min) return 0;
  for (let i = 1; i < steps.length; i++) {
    const [[a, u], [b, v]] = [steps[i - 1]!, steps[i]!];
    if (max < b) return b > a ? u + ((v - u) * (max - a)) / (b - a) : v;
  }
  return 1;
}

/** How many networks keep the limits of these names, in words. `single`: the shares that keep each of them alone, as far as random subnets tell; `together`: that which keeps all
 * of them, where the daemon has counted it. Neither knows of top-1 and loss, which leave fewer. */
export function keepersOf(limited: string[], single: number[], together: number | undefined): string {
  const counted = limited.filter((name) => !isAccuracy(limitOf(name).key)), share = together ?? (single.length ? Math.min(...single) : undefined);
  if (limited.length === 0) return 'all: no limit';
  if (counted.length === 0 || share === undefined) return 'not known before';
  if (share === 0) return 'none of 1000 random ones';
  return `${together === undefined || counted.length < limited.length ? 'at most' : 'about'} ${share < 0.001 ? `one in ${short(1 / share)}` : percent(share, share < 0.1 ? 1 : 0)}`;
}

export type Known = { evaluationSeconds: number | null; boards: number };
export type Part = { what: string; seconds: number | null };

/** Seconds of one measurement, a visit to the reference network and a second look included. */
const measurementSeconds = { full: 4, brief: 0.8 };

/** What the search will take: evaluations at the pace of earlier ones, measurements at their method's. null: not known. */
export function timesOf(d: Draft, known: Known): Part[] {
  const [n, front] = [Number(d.evaluations), Number(d.front)];
  const each = known.evaluationSeconds;
  const scored = d.accuracy === 'evaluated' ? (d.seconds ? 0 : n) * (d.baseline ? 2 : 1) : (d.accuracy === 'predicted' ? Number(d.initial) : 0) + (d.supernet ? front : 0);
  const parts: Part[] = [];
  if (scored > 0) parts.push({ what: `${scored} subnets evaluated by the supernet${each === null ? '' : `, ${each < 1 ? each.toFixed(2) : each.toFixed(1)} s each`}`, seconds: each === null ? null : scored * each });
  if (d.seconds) parts.push({ what: 'searching', seconds: Number(d.seconds) });
  else if (d.accuracy !== 'evaluated') parts.push({ what: `${n * (d.baseline ? 2 : 1)} evaluations on predictions`, seconds: (n * (d.baseline ? 2 : 1)) / 8000 });
  const asked = (Number(d.others['calibration_nets'] ?? 12) + 2 * front) * known.boards;
  const measured = known.boards === 0 ? 0 : d.measurements ? Math.min(asked, Number(d.measurements)) : asked;
  if (measured > 0) parts.push({ what: `up to ${measured} measurements, ${d.method === 'full' ? 'full' : 'brief'}`, seconds: measured * measurementSeconds[d.method] });
  return parts;
}

/** Seconds an evaluation took of late: gaps of more than a minute lie between jobs. */
export function paceOf(times: number[]): number | null {
  const sorted = [...times].sort((a, b) => a - b);
  const gaps = sorted.slice(1).map((t, i) => (t - sorted[i]!) / 1000).filter((g) => g < 60);
  return gaps.length < 8 ? null : gaps.reduce((a, b) => a + b, 0) / gaps.length;
}
