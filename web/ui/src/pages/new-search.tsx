// The form that submits a search. It explains each choice and shows at once what is searched, what keeps the limits, how long it takes, and the same search
// as JSON and as a command. The daemon checks; each of its errors is shown at its field.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, ApiError, everyProfile, post, type Checkpoint, type Evaluation, type Model, type Profile, type Search, type Space, type Strategy, type Supernet } from '../api';
import { accuraciesOf, beyondCommand, bodyOf, commandOf, costsOf, draftOf, emptyDraft, judgedBy, keepersOf, limitedKeys, limitOf, named, paceOf, shareBelow, timesOf, unitOf, type Body, type Draft, type Quantile } from '../draft';
import { duration, metricName, metricValue, percent, power, significant } from '../format';
import { Begin, Card, Check, Code, Empty, Facts, Failed, For, Page, Select, type Option } from '../parts';
import { go, href, route, setQuery } from '../router';
import { follow, useGet, useList } from '../state';
import { choicesOf, keptOf, sizeOf, withKept, type Choice, type Definition } from '../subspace';
import { useTrial } from '../trial';
import { isAlone, useReadyDatasets } from '../weights';

type Problem = { pointer: string; detail: string };
type Sample = { quantiles: Record<string, Quantile>; missing_entries?: number };
type Fields = { draft: Draft; set: (part: Partial<Draft>) => void; problem: (...starts: string[]) => string | null };

const stored = 'espalier-search-draft';
const costKeys = ['macs', 'params', 'peak_activation_bytes', 'model_bytes', 'energy_uj'];

/** What was typed before the page was left, in this tab; from: the search that it began as. */
function kept(from: string): Draft | null {
  try {
    const draft = JSON.parse(sessionStorage.getItem(stored + from) ?? 'null') as Draft | null;
    return draft && { ...emptyDraft, ...draft };
  } catch {
    return null;
  }
}

/** The draft that the page begins with: what was typed, on the supernet and the checkpoint that the address names until something is changed. */
function begun(from: string): Draft {
  const draft = kept(from) ?? emptyDraft, { query } = route.value;
  const supernet = query.get('supernet'), checkpoint = query.get('checkpoint');
  if (!supernet) return draft;
  return { ...draft, supernet, others: { ...without(draft.others, 'checkpoint', 'dataset'), ...(checkpoint ? { checkpoint } : {}) } };
}

/** Costs of 1,000 random subnets, with latencies on each of the sources. */
function useSamples(space: string | undefined, sources: string[]): Record<string, Sample | null> {
  const [samples, setSamples] = useState<Record<string, Sample | null>>({});
  const key = `${space} ${sources.join()}`;
  useEffect(() => {
    if (!space) return undefined;
    const asked = (sources.length ? sources : ['']).map((source) => [source, `${space} ${source}`] as const).filter(([, name]) => !samples[name]).map(([source, name]) => {
      const own = follow(async (wanted) => {
        const sample = await post<Sample>(api`/spaces/${space}/sample`, { n: 1000, ...(source ? { profile: source } : {}) });
        if (wanted()) setSamples((before) => ({ ...before, [name]: sample }));
        own.end(); // it stays as it is
      }, () => undefined);
      return own;
    });
    return () => { for (const own of asked) own.end(); };
  }, [key]);
  return samples;
}

/** A field with its explanation and what the daemon says against it. */
function Field({ name, title, help, problem, children }: { name: string; title: string; help?: ComponentChildren; problem?: string | null; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={name}>{title}</label>
      {children}
      {help && <small class="note" id={`${name}-help`}>{help}</small>}
      {problem && <span class="field-problem" role="alert">{problem}</span>}
    </div>
  );
}

/** One that takes one of some values. */
function Pick({ of, value, set, ...field }: { name: string; title: string; help?: ComponentChildren; problem: string | null; value: string; set: (value: string) => void; of: Option[] }) {
  return <Field {...field}><Select id={field.name} value={value} aria-describedby={field.help ? `${field.name}-help` : undefined} set={set} of={of} /></Field>;
}

type NumberProps = Fields & { name: keyof Draft & string; title: string; min: number; max?: number; help: string; pointer: string; empty?: string };
function Count({ draft, set, problem, name, title, min, max, help, pointer, empty }: NumberProps) {
  return (
    <Field name={name} title={title} help={help} problem={problem(pointer)}>
      <input id={name} type="number" min={min} max={max} required={empty === undefined} placeholder={empty} value={draft[name] as string} aria-describedby={`${name}-help`} onInput={(e) => set({ [name]: e.currentTarget.value })} />
    </Field>
  );
}

const without = <T extends object>(all: T, ...keys: string[]) => Object.fromEntries(Object.entries(all).filter(([k]) => !keys.includes(k)));
const toggled = (all: string[], one: string, on: boolean) => (on ? [...all, one] : all.filter((k) => k !== one));

function Limit({ draft, set, problem, name, title, quantile }: Fields & { name: string; title: string; quantile: Quantile | undefined }) {
  const { factor, name: unit } = unitOf(name);
  const typed = draft.limits[name] ?? '';
  const say = (v: number) => (name.startsWith('latency') ? `${significant(v / factor, 3)} ${unit}` : metricValue(key, v));
  const { key, side } = limitOf(name);
  const below = quantile && typed !== '' ? shareBelow(quantile, Number(typed) * factor) : null;
  const share = below === null || side === 'max' ? below : 1 - below;
  const help = quantile ? `Random subnets: ${say(quantile.min)} to ${say(quantile.max)}, half of them below ${say(quantile.median)}.${share === null ? '' : share === 0 ? ' None of them keeps this limit.' : ` About ${percent(share, share < 0.1 ? 1 : 0)} of them keep this limit.`}` : key === 'top1' ? 'On the validation images; not known before the search.' : null;
  return (
    <Field name={`limit-${name}`} title={`${title} at ${side === 'min' ? 'least' : 'most'} (${unit})`} help={help} problem={problem(`/${name}`)}>
      <input id={`limit-${name}`} type="number" min="0" step="any" placeholder="none" value={typed} onInput={(e) => set({ limits: { ...draft.limits, [name]: e.currentTarget.value } })} />
    </Field>
  );
}

function Options({ strategy, draft, set, problem }: Fields & { strategy: Strategy }) {
  if (strategy.options.length === 0) return null;
  return (
    <details open={Object.values(draft.options).some((v) => v !== '')}>
      <summary>Options of {strategy.name}</summary>
      {strategy.options.map((o) => (
        <Field key={o.name} name={`option-${o.name}`} title={o.name.replaceAll('_', ' ')} help={`${o.help}. ${o.min} to ${o.max}, ${o.default} if not given.`} problem={problem(`/strategy_options/${o.name}`)}>
          <input id={`option-${o.name}`} type="number" min={o.min} max={o.max} step={o.kind === 'int' ? 1 : 'any'} placeholder={`${o.default}`} value={draft.options[o.name] ?? ''} onInput={(e) => set({ options: { ...draft.options, [o.name]: e.currentTarget.value } })} />
        </Field>
      ))}
    </details>
  );
}

const geneTitle = (gene: string) => gene[0]!.toUpperCase() + gene.slice(1).replace('_', ' ');

const pointerOf = ({ stage, gene }: Choice) => `/subspace/${stage ? `stages/${stage}/` : ''}${gene}`;

/** Boxes for the values of one gene. */
function Values({ draft, set, problem, choice }: Fields & { choice: Choice }) {
  const { stage, gene, values } = choice, kept = keptOf(draft.subspace, choice), wrong = problem(pointerOf(choice));
  return (
    <fieldset class="values">
      <legend>{stage ? `${geneTitle(gene)} of ${stage}` : geneTitle(gene)}</legend>
      {values.map((v) => <Check key={v} on={kept.includes(v)} set={(on) => set({ subspace: withKept(draft.subspace, choice, values.filter((u) => (u === v ? on : kept.includes(u)))) })}>{v}</Check>)}
      {wrong && <span class="field-problem" role="alert">{wrong}</span>}
    </fieldset>
  );
}

/** Which values of the space's genes are kept. It stays open once something was left out: the box that brings it back is in it. */
function PartOfSpace(props: Fields & { space: Definition | undefined }) {
  const { draft, set, problem, space } = props, { subspace } = draft;
  const [narrowed, opened] = [Object.keys(subspace).length > 0, useRef([false, false])];
  opened.current = [opened.current[0] || narrowed, opened.current[1] || subspace.stages !== undefined];
  const all = useMemo(() => (space ? choicesOf(space) : []), [space]);
  if (all.length === 0 && !narrowed) return null;
  const rows = (wanted: boolean) => all.filter((c) => (c.stage !== '') === wanted).map((choice) => <Values key={`${choice.stage} ${choice.gene}`} {...props} choice={choice} />);
  return (
    <details open={opened.current[0]}>
      <summary>A part of the space</summary>
      <p class="note">Values that are kept, in every stage that has a choice there. {narrowed && <button type="button" class="link" onClick={() => set({ subspace: {} })}>Keep all</button>}</p>
      {rows(false)}
      <details open={opened.current[1]}>
        <summary>Each stage for itself</summary>
        {rows(true)}
      </details>
      {!all.some((c) => problem(pointerOf(c))) && problem('/subspace') && <span class="field-problem" role="alert">{problem('/subspace')}</span>}
    </details>
  );
}

const rare = ['checkpoint', 'dataset', 'calibration_nets'];

/** What is mostly left to the daemon: which checkpoint and images score the subnets, how many networks calibrate. */
function Rare({ draft, set, problem, net }: Fields & { net: Supernet }) {
  const checkpoints = useList<Checkpoint>(api`/supernets/${net.id}/checkpoints`);
  const { ready = [] } = useReadyDatasets(true);
  const put = (member: string, value: unknown) => set({ others: { ...without(draft.others, member), ...(value === '' ? {} : { [member]: value }) } });
  const of = (member: string) => `${draft.others[member] ?? ''}`;
  const kept = (checkpoints.data ?? []).filter((c) => c.kept);
  return (
    <details open={!net.dataset || rare.some((member) => draft.others[member] !== undefined || problem(`/${member}`))}>
      <summary>Checkpoint, data set, calibration</summary>
      <Pick name="checkpoint" title="Checkpoint" problem={problem('/checkpoint')} value={of('checkpoint')} set={(v) => put('checkpoint', v)} of={[['', 'the newest'], ...kept.map((c) => [c.id, `step ${c.step}, largest ${percent(c.top1_largest)}`] as const)]} />
      <Pick name="dataset" title="Data set" help="Whose validation images score the subnets." problem={problem('/dataset')} value={of('dataset')} set={(v) => put('dataset', v)} of={[['', net.dataset ? `the supernet's, ${net.dataset_name}` : 'none yet: the supernet was imported without one'], ...ready.filter((d) => d.id !== net.dataset).map((d) => [d.id, d.name] as const)]} />
      <Field name="calibration" title="Calibration networks" help="Whole networks that are measured on each board before the search, to correct sums of its table." problem={problem('/calibration_nets')}>
        <input id="calibration" type="number" min={0} max={1000} placeholder="12" value={of('calibration_nets')} aria-describedby="calibration-help" onInput={(e) => put('calibration_nets', e.currentTarget.value === '' ? '' : Number(e.currentTarget.value))} />
      </Field>
    </details>
  );
}

/** The daemon's errors at this page's fields: a limit by its metric, and for one that nothing meets what can be reached, in the page's units. */
function problemsOf(error: ApiError, keys: string[]): Problem[] {
  return error.fields.map(({ pointer, detail }) => {
    const name = keys[Number(/^\/constraints\/(\d+)/.exec(pointer)?.[1] ?? NaN)];
    if (!name) return { pointer, detail };
    const { key, side } = limitOf(name), least = error.body['attainable'];
    return { pointer: `/${name}`, detail: typeof least === 'number' ? `No subnet meets this limit: the ${side === 'min' ? 'most' : 'least'} that can be reached is ${metricValue(key, least)}.` : detail };
  });
}

/** What is about to be asked for; `children`: by which it is. */
function Ahead({ draft, body: sent, names, space, left, quantiles, pace, boards, refused, together, children }: { children: ComponentChildren; refused: string; together: number | undefined; draft: Draft; left: number | null; body: Body; names: Record<string, string>; space: Space | undefined; quantiles: Record<string, Quantile>; pace: number | null; boards: number }) {
  const limited = limitedKeys(draft);
  const body = named(sent, names);
  const shares = limited.flatMap((name) => {
    const { key, side } = limitOf(name), q = quantiles[key];
    if (!q) return [];
    const below = shareBelow(q, Number(draft.limits[name]) * unitOf(name).factor);
    return [side === 'max' ? below : 1 - below];
  });
  const beyond = beyondCommand(body);
  const times = timesOf(draft, { evaluationSeconds: pace, boards });
  const total = times.reduce<number | null>((sum, t) => (sum === null || t.seconds === null ? null : sum + t.seconds), 0);
  return (
    <Card title="What this will be" class="side-card">
      <Facts rows={[
        ['Networks in the space', space ? `${left === null ? '' : `${power(left)} of `}${power(space.cardinality)}` : '–'], ['Of which keep the limits', keepersOf(limited, shares, together)],
        ['Asked for', draft.seconds ? 'as many as there is time for' : `${draft.evaluations || '–'}${draft.baseline ? `, and as many ${draft.baseline === 'random' ? 'at random' : `by ${draft.baseline}`}` : ''}`], ['Takes about', refused ? 'nothing: it would be refused' : total === null ? 'not known yet' : duration(Math.max(1, total))],
      ]} />
      {refused && <p class="noisy" role="status"><b>As it is, it would be refused:</b> {refused}</p>}
      <ul class="note times">{times.map((t) => <li key={t.what}>{t.what}: {t.seconds === null ? 'how long is not known, this supernet has scored too few' : t.seconds < 1 ? 'below a second' : duration(t.seconds)}</li>)}</ul>
      {children}
      <h3>As a command</h3>
      <Code>{commandOf(body)}</Code>
      {beyond.length > 0 && <p class="note">The command has no option for {beyond.join(', ')}: send the JSON.</p>}
      <h3>As JSON, for POST /api/v1/searches</h3>
      <Code>{JSON.stringify(body, null, 1)}</Code>
    </Card>
  );
}

function Form() {
  const from = route.value.query.get('from') ?? '';
  const source = useGet<Body>(from && api`/searches/${from}/request`);
  const supernets = useList<Supernet>('/supernets', ['supernet']);
  const spaces = useList<Space>('/spaces', ['space']);
  const profiles = useList<Profile>(everyProfile, ['device']);
  const models = useList<Model>('/models', ['model']);
  const strategies = useGet<{ items: Strategy[] }>('/strategies');
  const searches = useList<Search>('/searches', ['search']);
  const [typed, setTyped] = useState<Draft>(() => begun(from));
  const [touched, setTouched] = useState(() => kept(from) !== null);
  const [problems, setProblems] = useState<Problem[]>([]);
  const [failure, setFailure] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => { if (source.data && !kept(from)) { setTyped({ ...draftOf(source.data), name: `${source.data.name} again`.slice(0, 63) }); setTouched(true); } }, [source.data]);

  const trained = (supernets.data ?? []).filter((s) => !isAlone(s));
  const ready = (models.data ?? []).filter((m) => m.state === 'ready');
  const accuracies = ready.filter((m) => m.kind === 'accuracy');
  const offered = (profiles.data ?? []).filter((p) => p.offered).sort((a, b) => Number(b.default) - Number(a.default));
  // What is not chosen yet, or is there no more, is the first that there is.
  const model = accuracies.find((m) => m.id === typed.predictor) ?? accuracies[0];
  const free = typed.accuracy === 'model' && typed.supernet === 'none';
  const net = free ? undefined : trained.find((s) => s.id === typed.supernet) ?? trained[0];
  const spaceName = net?.space ?? (free ? model?.space : undefined);
  const latencies = [...offered.map((p) => ({ key: `latency_us:${p.id}`, name: p.name, board: true })), ...ready.filter((m) => m.kind === 'latency' && m.space === spaceName).map((m) => ({ key: `latency_us:${m.id}`, name: `${m.name} (imported table)`, board: false }))];
  const objectives = touched && (costsOf(typed.objectives).length || from) ? typed.objectives : [...typed.objectives, latencies[0]?.key ?? 'macs'];
  const [judges, costs] = [accuraciesOf(objectives), costsOf(objectives)];
  const read = profiles.data !== null && models.data !== null;
  const fromCosts = useMemo(() => (source.data ? costsOf(draftOf(source.data).objectives) : []), [source.data]);
  const large = (key: string) => (draft.raised.includes(key) ? ', to be made large' : '');
  const limited = ['macs', 'params', 'peak_activation_bytes'];
  /** What the draft has of a kind that the form does not offer by itself, once it is known what it offers. */
  const further = (all: string[], shown: string[]) => (read ? [...new Set(all)].filter((k) => !shown.includes(k)) : []);
  const byLoss = typed.accuracy === 'evaluated' && judges.includes('loss');
  const [cleared, setCleared] = useState(false); // by a person: no other name takes its place, until the page is loaded anew
  const [when] = useState(() => new Date().toISOString().slice(0, 16).replace('T', ' '));
  const draft: Draft = { ...typed, name: typed.name || (cleared ? '' : `search ${when}`), supernet: net?.id ?? '', space: free ? spaceName ?? '' : '', predictor: model?.id ?? '', objectives,
    limits: Object.fromEntries(Object.entries(typed.limits).filter(([k]) => k !== 'loss' || typed.accuracy === 'evaluated')), others: Object.fromEntries(Object.entries(typed.others).filter(([k, v]) => k !== 'dataset' || (net && v !== net.dataset))) };
  const set = (part: Partial<Draft>) => {
    const next = { ...typed, ...(read && { objectives }), ...part }; // what is typed early leaves the board to be chosen
    setTyped(next);
    setTouched(true);
    if (part.name !== undefined) setCleared(part.name === '');
    setProblems([]);
    sessionStorage.setItem(stored + from, JSON.stringify(next));
    if (route.value.query.get('supernet')) setQuery({ supernet: '', checkpoint: '' }); // a reload goes by what was typed
  };
  const whole = useGet<{ definition: Definition }>(spaceName && api`/spaces/${spaceName}`);
  const body = bodyOf(draft);
  const chosen = latencies.filter((l) => costs.includes(l.key));
  const samples = useSamples(spaceName, chosen.map((l) => l.key.split(':')[1]!));
  const sampleOf = (key: string) => samples[`${spaceName} ${key.split(':')[1] ?? chosen[0]?.key.split(':')[1] ?? ''}`];
  const quantiles: Record<string, Quantile> = {};
  for (const key of [...chosen.map((l) => l.key), ...costKeys]) {
    const q = sampleOf(key)?.quantiles[key.split(':')[0]!];
    if (q) quantiles[key] = q;
  }
  const scores = useGet<{ items: Evaluation[] }>(net && api`/evaluations?supernet=${net.id}&page_size=100`);
  const pace = paceOf((scores.data?.items ?? []).map((e) => Date.parse(e.created_at)));
  const names = Object.fromEntries([...(profiles.data ?? []), ...(models.data ?? []), ...trained, ...(searches.data ?? [])].map((row) => [row.id, row.name]));
  const strategy = strategies.data?.items.find((s) => s.name === draft.strategy);
  const before = (searches.data ?? []).filter((s) => s.space === spaceName && s.state === 'done').slice(0, 16);

  const trial = useTrial(body, !busy && touched && Boolean(net || (free && model)));
  const foreseen = trial.error ? problemsOf(trial.error, limitedKeys(draft)) : [];
  const told = problems.length ? problems : foreseen;
  const problem = (...starts: string[]) => told.find((p) => starts.some((s) => p.pointer === s || p.pointer.startsWith(`${s}/`)))?.detail ?? null;
  const fields: Fields = { draft, set, problem };
  const submit = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblems([]);
    setFailure(null);
    post<{ search: Search }>('/searches', body).then((answer) => {
      sessionStorage.removeItem(stored + from);
      go(['searches', answer.search.id]);
    }, (error: unknown) => {
      const found = error instanceof ApiError ? problemsOf(error, limitedKeys(draft)) : [];
      setProblems(found);
      setFailure(found.map((p) => p.detail).join(' ') || (error instanceof Error ? error.message : 'The search was not accepted.'));
    }).finally(() => setBusy(false));
  };

  return (
    <Page title="New search" lead={from && source.data ? <>As <a href={href(['searches', from])}>{source.data.name}</a>, to be changed.</> : 'The most accurate networks of a supernet that a board runs fast enough.'}>
      <Failed error={[supernets, profiles, models, spaces, strategies, source].map((read) => read.error).find(Boolean) ?? null} />
      {supernets.data && trained.length === 0 && accuracies.length === 0 && <Empty>A search needs a trained supernet, or an <a href={href(['models'])}>imported accuracy predictor</a>. <Begin /></Empty>}
      <div class="search-grid">
        <form class="form" id="search" onSubmit={submit}>
          <Card title="What">
            <Field name="name" title="Name" problem={problem('/name')}><input id="name" required maxLength={63} value={draft.name} onInput={(e) => set({ name: e.currentTarget.value })} /></Field>
            <Pick name="accuracy" title="Accuracy" problem={problem('/accuracy')} help={{ predicted: 'Some subnets are evaluated, a predictor learns from them, and the front is evaluated at the end. Thousands of candidates in seconds.', evaluated: 'Each candidate is evaluated on the validation images. Slow: a few hundred candidates, best with linas.', model: 'A predictor of another program tells the accuracy. With a supernet, the front is evaluated at the end.' }[draft.accuracy]} value={draft.accuracy} set={(v) => set({ accuracy: v as Draft['accuracy'] })} of={[['predicted', 'predicted, the front evaluated'], ['evaluated', 'every candidate evaluated (slow)'], ...(accuracies.length > 0 ? [['model', 'by an imported predictor'] as const] : [])]} />
            {draft.accuracy === 'evaluated' && <Pick name="by" title="Judged by" problem={problem('/objectives/0')} help="The loss, the mean cross-entropy on the validation images, tells apart subnets that give the same answers, by how sure they are of them." value={judges} set={(v) => set({ objectives: judgedBy(objectives, v) })} of={[['top1', 'top-1, as great as can be'], ['loss', 'validation loss, as small as can be'], ['top1,loss', 'both'], ...(judges === '' ? [['', 'neither'] as const] : [])]} />}
            {draft.accuracy === 'model' && <Pick name="predictor" title="Imported predictor" problem={problem('/accuracy/predictor')} value={draft.predictor} set={(predictor) => set({ predictor })} of={accuracies.map((m) => [m.id, `${m.name} (${m.space})`])} />}
            <Pick name="supernet" title="Supernet" help="Its weights score the subnets; its space is what is searched." problem={problem('/supernet', '/space')} value={free ? 'none' : net?.id ?? ''} set={(supernet) => set({ supernet, subspace: {}, others: without(typed.others, 'checkpoint', 'dataset') })} of={[...(draft.accuracy === 'model' ? [['none', 'none: the space of the predictor'] as const] : []), ...trained.map((s) => [s.id, `${s.name} (${s.space})`] as const)]} />
            <PartOfSpace {...fields} space={whole.data?.definition} />
            <fieldset>
              <legend>{judges === '' ? 'Make small' : 'Besides accuracy, make small'}</legend>
              {judges === '' && draft.accuracy !== 'evaluated' && <p class="note">Accuracy is no objective. <button type="button" class="link" onClick={() => set({ objectives: judgedBy(objectives, 'top1') })}>Make it one</button></p>}
              {latencies.map((l) => <Check key={l.key} on={costs.includes(l.key)} set={(on) => set({ objectives: toggled(objectives, l.key, on) })}>latency on {l.name}{large(l.key)}{samples[`${spaceName} ${l.key.split(':')[1]}`]?.missing_entries ? <small class="note"> {samples[`${spaceName} ${l.key.split(':')[1]}`]!.missing_entries} entries of its table are missing: <code>espalier latency build</code></small> : null}</Check>)}
              {profiles.data && latencies.length === 0 && <p class="note">No board yet: <a href={href(['devices'], { add: '1' })}>add one</a> for measured latencies, or count MACs.</p>}
              {costKeys.map((key) => <Check key={key} on={costs.includes(key)} set={(on) => set({ objectives: toggled(objectives, key, on) })}>{metricName(key)}{large(key)}</Check>)}
              {further([...costs, ...fromCosts], [...latencies.map((l) => l.key), ...costKeys]).map((key) => <Check key={key} on={costs.includes(key)} set={(on) => set({ objectives: toggled(objectives, key, on) })}>{metricName(key, names)}{large(key)}{key.startsWith('latency_us') ? ', not offered now' : ''}</Check>)}
              {problem('/objectives') && <span class="field-problem" role="alert">{problem('/objectives')}</span>}
            </fieldset>
          </Card>
          <Card title="Limits" note="what breaks one is no result; empty: no limit">
            {chosen.map((l) => <Limit key={l.key} {...fields} name={l.key} title={chosen.length > 1 ? `Latency on ${l.name}` : 'Latency'} quantile={quantiles[l.key]} />)}
            {limited.map((key) => <Limit key={key} {...fields} name={key} title={metricName(key)} quantile={quantiles[key]} />)}
            <Limit {...fields} name="top1" title="Top-1" quantile={undefined} />
            {further(Object.keys(draft.limits), [...chosen.map((l) => l.key), ...limited, 'top1', ...(byLoss ? ['loss'] : [])]).map((name) => <Limit key={name} {...fields} name={name} title={metricName(limitOf(name).key, names)} quantile={quantiles[limitOf(name).key]} />)}
            {byLoss && <Limit {...fields} name="loss" title={metricName('loss')} quantile={undefined} />}
          </Card>
          <Card title="How">
            <Pick name="strategy" title="Strategy" help={strategy && <>{strategy.help}. Take it when {strategy.when}.</>} problem={problem('/strategy')} value={draft.strategy} set={(strategy) => set({ strategy, options: {} })} of={(strategies.data?.items ?? [{ name: 'nsga2' }]).map((s) => [s.name, s.name])} />
            {strategy && <Options {...fields} strategy={strategy} />}
            {(draft.strategy !== 'random' || draft.baseline !== 'random') && <Check on={draft.baseline !== ''} set={(on) => set({ baseline: on ? source.data?.baseline || 'random' : '' })}>{draft.baseline || source.data?.baseline || 'random'} search beside it, at equal budget: shows what the strategy is worth</Check>}
            <div class="row">
              <Count {...fields} name="evaluations" title="Evaluations" min={1} max={1000000} empty={draft.seconds ? 'by time' : undefined} pointer="/evaluations" help="Candidates it may ask for; not asked when seconds are given." />
              <Count {...fields} name="seconds" title="Or seconds" min={1} max={10000000} empty="by number" pointer="/time_budget_s" help="How long it may search; the first tenth tells how many there is time for." />
              <Count {...fields} name="rounds" title="Rounds" min={1} max={5} pointer="/rounds" help="Between two, the front is measured and everything predicted anew." />
              <Count {...fields} name="population" title="Population" min={4} max={10000} pointer="/population" help="Candidates of a generation." />
              <Count {...fields} name="seed" title="Seed" min={0} pointer="/seed" help="The same seed gives the same search." />
              <Count {...fields} name="patience" title="Patience" min={1} empty="none" pointer="/patience" help="Ends after so many without growth." />
              {draft.accuracy === 'predicted' && <Count {...fields} name="initial" title="First evaluations" min={8} pointer="/initial_evaluations" help="Subnets the predictor learns from." />}
            </div>
            {net && <Rare {...fields} net={net} />}
            {Object.keys(without(draft.others, ...rare)).length > 0 && (
              <div class="note">Also taken over:
                <ul>{Object.entries(without(draft.others, ...rare)).map(([member, value]) => <li key={member}>{member.replaceAll('_', ' ')} <code>{JSON.stringify(value)}</code> <button type="button" class="link" onClick={() => set({ others: without(typed.others, member) })}>Leave it out</button>{problem(`/${member}`) && <span class="field-problem" role="alert">{problem(`/${member}`)}</span>}</li>)}</ul>
              </div>
            )}
            {(before.length > 0 || draft.warm.length > 0) && (
              <details open={draft.warm.length > 0}>
                <summary>Begin with fronts of earlier searches</summary>
                {before.map((s) => <Check key={s.id} on={draft.warm.includes(s.id)} set={(on) => set({ warm: toggled(draft.warm, s.id, on) })}>{s.name}, {s.front_size ?? 0} networks</Check>)}
                {draft.warm.filter((id) => !before.some((s) => s.id === id)).map((id) => <Check key={id} on set={() => set({ warm: toggled(draft.warm, id, false) })}>{names[id] ?? id}</Check>)}
              </details>
            )}
          </Card>
          {chosen.some((l) => l.board) && (
            <Card title="On the board">
              <Pick name="method" title="Measuring the front on the board" problem={problem('/method')} help="Networks of the front are measured whole, so that its latencies are no predictions." value={draft.method} set={(v) => set({ method: v as Draft['method'] })} of={[['full', 'fully: 1 to 4 s a network'], ['brief', 'briefly: wider intervals']]} />
              <div class="row">
                <Count {...fields} name="front" title="Networks measured" min={0} max={1000} pointer="/measure_front" help="Of the front, at the end; 0: none." />
                <Count {...fields} name="measurements" title="Measurements in all" min={2} max={10000} empty="any number" pointer="/measurements" help="A budget for all boards together." />
              </div>
            </Card>
          )}
        </form>
        <Ahead draft={draft} body={body} names={names} space={spaces.data?.find((s) => s.name === spaceName)} left={body.subspace && whole.data ? sizeOf(whole.data.definition, draft.subspace) : null} quantiles={quantiles} pace={pace} boards={chosen.filter((l) => l.board).length} refused={foreseen.map((p) => p.detail).join(' ')} together={trial.share}>
          <Failed error={failure} />
          <button class="primary" type="submit" form="search" disabled={busy || !(net || (free && model))}>{busy ? 'Submitting…' : 'Submit the search'}</button>
        </Ahead>
      </div>
    </Page>
  );
}

export const NewSearch = () => <For scope="submit" title="New search"><Form /></For>;
