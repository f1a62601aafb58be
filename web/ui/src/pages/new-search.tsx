// The form that submits a search. The daemon checks; each of its errors is shown at its field.
import { useEffect, useState } from 'preact/hooks';
import { ApiError, list, post, type Profile, type Search, type Supernet } from '../api';
import { inMs, metricValue } from '../format';
import { Card, Empty, Failed, Page } from '../parts';
import { go } from '../router';
import { useLoaded } from '../state';

type Quantiles = Record<string, { min: number; p5: number; median: number; p95: number; max: number }>;
type Sample = { quantiles: Quantiles; missing_entries?: number };

/** Latency of random subnets on the profile: where a sensible limit lies. */
function useLatencies(space: string | undefined, profile: string) {
  const [sample, setSample] = useState<Sample | null>(null);
  useEffect(() => {
    setSample(null);
    if (!space || !profile) return undefined;
    let alive = true;
    post<Sample>(`/spaces/${encodeURIComponent(space)}/sample`, { n: 1000, profile }).then((s) => { if (alive) setSample(s); }, () => undefined);
    return () => { alive = false; };
  }, [space, profile]);
  return sample;
}

type Limit = { metric: string; profile?: string; max: number };
type Problem = { pointer: string; detail: string };

/** The daemon's errors at this page's fields: a limit by its metric, and for one that nothing meets what can be reached, in the page's units. */
function problemsOf(error: ApiError, limits: Limit[]): Problem[] {
  return error.fields.map(({ pointer, detail }) => {
    const limit = limits[Number(/^\/constraints\/(\d+)/.exec(pointer)?.[1] ?? NaN)];
    if (!limit) return { pointer, detail };
    const least = error.body['attainable'];
    return { pointer: `/${limit.metric}`, detail: typeof least === 'number' ? `No subnet meets this limit: the least that can be reached is ${metricValue(limit.metric, least)}.` : detail };
  });
}

export function NewSearch() {
  const supernets = useLoaded(() => list<Supernet>('/supernets'), 'supernets', ['supernet']);
  const profiles = useLoaded(() => list<Profile>('/profiles'), 'profiles', ['device']);
  const strategies = useLoaded(() => list<{ name: string; help: string }>('/strategies'), 'strategies');
  const [supernet, setSupernet] = useState('');
  const [profile, setProfile] = useState('');
  const [problems, setProblems] = useState<Problem[]>([]);
  const [failure, setFailure] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const chosenNet = supernets.data?.find((s) => s.id === supernet) ?? supernets.data?.[0];
  const offered = (profiles.data ?? []).filter((p) => p.offered).sort((a, b) => Number(b.default) - Number(a.default));
  const chosenProfile = profile || offered[0]?.id || '';
  const sample = useLatencies(chosenNet?.space, chosenProfile);
  const latency = sample?.quantiles['latency_us'];

  const problem = (...starts: string[]) => {
    const found = problems.find((p) => starts.some((s) => p.pointer === s || p.pointer.startsWith(`${s}/`)));
    return found ? <span class="field-problem" role="alert">{found.detail}</span> : null;
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const number = (name: string) => Number(form.get(name));
    const constraints: Limit[] = [];
    if (form.get('max_latency')) constraints.push({ metric: 'latency_us', profile: chosenProfile, max: 1000 * number('max_latency') });
    if (form.get('max_macs')) constraints.push({ metric: 'macs', max: 1e6 * number('max_macs') });
    if (form.get('max_memory')) constraints.push({ metric: 'peak_activation_bytes', max: 1000 * number('max_memory') });
    const on = (id: unknown) => ({ metric: 'latency_us', profile: id, direction: 'minimise' });
    const costs = chosenProfile ? [on(chosenProfile), ...form.getAll('also').map(on)] : [{ metric: 'macs', direction: 'minimise' }];
    setBusy(true);
    setProblems([]);
    setFailure(null);
    post<{ search: Search }>('/searches', {
      name: form.get('name'), supernet: chosenNet?.id, objectives: [{ metric: 'top1', direction: 'maximise' }, ...costs], constraints, strategy: form.get('strategy'),
      baseline: form.get('baseline') ? 'random' : null, ...(form.get('seconds') ? { time_budget_s: number('seconds') } : { evaluations: number('evaluations') }), rounds: number('rounds'), population: number('population'), seed: number('seed'), accuracy: form.get('accuracy'), method: form.get('method'),
    }).then((answer) => go(['searches', answer.search.id]), (error: unknown) => {
      const found = error instanceof ApiError ? problemsOf(error, constraints) : [];
      setProblems(found);
      setFailure(found.map((p) => p.detail).join(' ') || (error instanceof Error ? error.message : 'The search was not accepted.'));
    }).finally(() => setBusy(false));
  };

  return (
    <Page title="New search" lead="The most accurate networks of a supernet that a board runs fast enough.">
      <Failed error={supernets.error ?? profiles.error} />
      {supernets.data?.length === 0 && <Empty>A search needs a trained supernet first: <code>espalier supernet train NAME --space fashion_small --dataset NAME</code></Empty>}
      <form class="form" onSubmit={submit}>
        <Card title="What">
          <label class="field"><span>Name</span><input name="name" required maxLength={63} defaultValue={`search ${new Date().toISOString().slice(0, 16).replace('T', ' ')}`} />{problem('/name')}</label>
          <label class="field"><span>Supernet</span>
            <select value={chosenNet?.id} onChange={(e) => setSupernet(e.currentTarget.value)}>{(supernets.data ?? []).map((s) => <option key={s.id} value={s.id}>{s.name} ({s.space})</option>)}</select>{problem('/supernet')}</label>
          <label class="field"><span>Board and runtime</span>
            <select value={chosenProfile} onChange={(e) => setProfile(e.currentTarget.value)}>
              {offered.map((p) => <option key={p.id} value={p.id}>{p.name}</option>)}
              {profiles.data && offered.length === 0 && <option value="">no board: minimise MACs</option>}
            </select>{problem('/objectives')}</label>
          {offered.filter((p) => p.id !== chosenProfile).map((p) => <label key={p.id} class="check"><input type="checkbox" name="also" value={p.id} /> fast on {p.name} too</label>)}
          {sample?.missing_entries ? <p class="note">{sample.missing_entries} entries of this board's latency table are missing{latency ? ' and interpolated' : ''}: <code>espalier latency build</code></p> : null}
        </Card>
        <Card title="Limits">
          {chosenProfile && (
            <label class="field"><span>Latency at most (ms)</span><input name="max_latency" type="number" min="0" step="any" placeholder={latency ? `median of random subnets: ${inMs(latency.median)}` : 'none'} />
              {latency && <small class="note">Random subnets: {inMs(latency.min)} to {inMs(latency.max)}, half of them below {inMs(latency.median)}.</small>}{problem('/latency_us')}</label>
          )}
          <label class="field"><span>MACs at most (millions)</span><input name="max_macs" type="number" min="0" step="any" placeholder="none" />{problem('/macs')}</label>
          <label class="field"><span>Peak activation memory at most (kB)</span><input name="max_memory" type="number" min="0" step="any" placeholder="none" />{problem('/peak_activation_bytes')}</label>
        </Card>
        <Card title="How">
          <label class="field"><span>Strategy</span><select name="strategy">{(strategies.data ?? [{ name: 'nsga2', help: '' }]).map((s) => <option key={s.name} value={s.name} selected={s.name === 'nsga2'} title={s.help}>{s.name}</option>)}</select>{problem('/strategy')}</label>
          <label class="check"><input type="checkbox" name="baseline" defaultChecked /> random search beside it, at equal budget</label>
          <label class="field"><span>Accuracy</span><select name="accuracy"><option value="predicted">predicted, the front evaluated</option><option value="evaluated">every candidate evaluated (slow)</option></select>{problem('/accuracy')}</label>
          <label class="field"><span>Measuring the front on the board</span><select name="method"><option value="full">fully: 1 to 4 s a network</option><option value="brief">briefly: wider intervals</option></select>{problem('/method')}</label>
          <div class="row">
            <label class="field"><span>Evaluations</span><input name="evaluations" type="number" required min="1" max="1000000" defaultValue="4000" />{problem('/evaluations')}</label>
            <label class="field"><span>or seconds</span><input name="seconds" type="number" min="1" max="10000000" step="any" placeholder="by number" />{problem('/time_budget_s')}</label>
            <label class="field"><span>Population</span><input name="population" type="number" required min="4" max="10000" defaultValue="64" />{problem('/population')}</label>
            <label class="field"><span>Seed</span><input name="seed" type="number" required min="0" defaultValue="1" />{problem('/seed')}</label>
            <label class="field"><span>Rounds</span><input name="rounds" type="number" required min="1" max="5" defaultValue="1" title="Between two rounds the front is measured, and everything predicted anew" />{problem('/rounds')}</label>
          </div>
        </Card>
        <div>
          <Failed error={failure} />
          <button class="primary" type="submit" disabled={busy || !chosenNet}>{busy ? 'Submitting…' : 'Submit the search'}</button>
        </div>
      </form>
    </Page>
  );
}
