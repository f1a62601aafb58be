// One network of a space: drawn unit by unit with its costs on each board, predicted beside measured with the raw samples, accuracies, where it came from, downloads and what to do next.
import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { api, archPath, everyProfile, frontItems, get, list, post, type Arch, type Evaluation, type Export, type Measurement, type Model, type Pin, type Profile, type Samples as Sampled, type Space, type Supernet, type Table as LatencyTable } from '../api';
import { mostCompared, picked } from '../comparison';
import { ago, latency, percent, short } from '../format';
import { Samples } from '../histogram';
import { onCalibration } from '../jobs';
import { LineageOf } from '../lineage';
import { costFacts, NetworkTable, type OnBoard } from '../network';
import { Several } from '../networks';
import { Act, Card, Check, Empty, Facts, Failed, For, Listed, Page, Select, State, Table, Unread, Waiting, type Option } from '../parts';
import { go, href, route, setQuery } from '../router';
import { useGet, useList, useLoaded } from '../state';
import { isAlone, useWeights, type Weights } from '../weights';

/** past: nothing of it is left but what it has measured. */
type Source = { id: string; name: string; board: boolean; past: boolean };

/** What can tell latencies of this space: profiles with a table of it, then those without, then imported models; and profiles that could. */
function useSources(space: string) {
  return useLoaded(async () => {
    const [profiles, tables, models] = await Promise.all([list<Profile>(everyProfile), list<LatencyTable>('/tables'), list<Model>('/models?kind=latency')]);
    const has = (p: Profile) => !p.removed && tables.some((t) => t.profile === p.id && t.space === space && t.measured > 0);
    const ranked = profiles.map((p) => ({ ...p, has: has(p), past: !p.offered && !has(p) })).sort((a, b) => Number(b.has) - Number(a.has) || Number(b.default) - Number(a.default));
    const boards = ranked.map(({ id, name, has, past }) => ({ id, name, board: !past, past, has }));
    return [...boards.filter((b) => !b.past), ...models.filter((m) => m.space === space && m.state === 'ready').map((m) => ({ id: m.id, name: m.name, board: false, past: false, has: true })), ...boards.filter((b) => b.past)];
  }, `sources ${space}`, ['table', 'device']);
}

/** Which boards are shown: those of the address, else the first two that can tell. */
function chosenOf(sources: (Source & { has?: boolean })[], named: string | null): Source[] {
  if (named !== null) return sources.filter((s) => named.split(',').includes(s.id));
  return sources.filter((s) => s.has).slice(0, 2);
}

function Boards({ sources, chosen }: { sources: Source[]; chosen: Source[] }) {
  const offered = sources.filter((s) => !s.past || chosen.includes(s));
  if (offered.length === 0) return <span>No board yet: latencies come with <a href={href(['devices'], { add: '1' })}>a board</a> and its table.</span>;
  const toggle = (id: string, on: boolean) => setQuery({ boards: sources.filter((s) => (s.id === id ? on : chosen.includes(s))).map((s) => s.id).join(',') || 'none' });
  return (
    <>
      <span>Latency on</span>
      {offered.map((s) => <Check key={s.id} on={chosen.includes(s)} set={(on) => toggle(s.id, on)}>{s.name}</Check>)}
    </>
  );
}

const within = (measured: Measurement, arch: Arch) => {
  const p = arch.latency;
  return p && measured.median_us !== null ? (measured.median_us >= p.low_us && measured.median_us <= p.high_us ? 'within' : 'outside of') : null;
};

/** What a board has measured, as searches count it: the mean of the newest of each take by the newest's method on the board as it was then, between their ends. `measured`: the newest first. */
function measuredOf(measured: Measurement[]): (Measurement & { takes: number }) | undefined {
  const accepted = measured.filter((m) => m.state === 'accepted' && m.median_us !== null), [last] = accepted;
  if (!last) return measured[0] && { ...measured[0], takes: 1 };
  const takes = [...new Map(accepted.filter((m) => m.method === last.method && m.profile_revision === last.profile_revision).reverse().map((m) => [m.take ?? 1, m])).values()];
  const mean = takes.reduce((sum, m) => sum + m.median_us!, 0) / takes.length;
  return { ...last, takes: takes.length, median_us: mean, low_us: Math.min(...takes.map((m) => m.low_us ?? mean)), high_us: Math.max(...takes.map((m) => m.high_us ?? mean)), n: takes.reduce((sum, m) => sum + (m.n ?? 0), 0), flags: [...new Set(takes.flatMap((m) => m.flags))] };
}

function Latencies({ shown, sources, measured, space, arch, reload }: { shown: OnBoard[]; sources: Source[]; measured: Measurement[]; space: string; arch: string; reload: () => void }) {
  const boards = sources.filter((s) => s.board);
  const rows = sources.filter((s) => shown.some((b) => b.profile === s.id) || measured.some((m) => m.profile === s.id)).map((s) => ({
    ...s, predicted: shown.find((b) => b.profile === s.id)?.arch, last: measuredOf(measured.filter((m) => m.profile === s.id)),
  }));
  const [at, setAt] = useState('');
  const target = at || boards[0]?.id || '';
  return (
    <>
      {rows.length === 0 ? <Empty>No board is chosen, and none has measured this network.</Empty> : (
        <Table label="Latency, predicted and measured" rows={rows} rowKey={(r) => r.id} columns={[
          { title: 'Board', cell: (r) => r.name },
          { title: 'Predicted', number: true, cell: (r) => (r.predicted?.latency ? <>{latency(r.predicted.latency.us)} <small class="note">[{latency(r.predicted.latency.low_us)}, {latency(r.predicted.latency.high_us)}]{r.predicted.latency.calibrated ? '' : ', not calibrated'}</small></> : '–') },
          { title: 'Measured', number: true, cell: (r) => (r.last?.median_us != null ? <>{latency(r.last.median_us)} <small class="note">[{latency(r.last.low_us)}, {latency(r.last.high_us)}]</small></> : r.last ? <State of={r.last.state} /> : 'not yet') },
          { title: 'Measured to predicted', number: true, cell: (r) => (r.last?.median_us != null && r.predicted?.latency ? `${r.last.median_us >= r.predicted.latency.us ? '+' : '−'}${percent(Math.abs(r.last.median_us / r.predicted.latency.us - 1), 1)}, ${within(r.last, r.predicted) ?? ''} its interval` : '–') },
          { title: 'How', cell: (r) => (r.last ? `${r.last.method}${r.last.takes > 1 ? `, ${r.last.takes} takes` : ''}${r.last.n ? `, ${r.last.n} samples` : ''}${r.last.flags.length ? `, ${r.last.flags.join(', ')}` : ''}` : '–') }, { title: 'When', cell: (r) => ago(r.last?.created_at) },
        ]} />
      )}
      {boards.length > 0 && (
        <div class="row submit">
          <label>Measure on <Select value={target} set={setAt} of={boards.map((b) => [b.id, b.name])} /></label>
          {(['full', 'brief'] as const).map((method) => <Act key={method} do={() => post('/measurements', { profile: target, space, archs: [arch], method }).then(reload)} done="The measurement is queued; what was measured before is not repeated.">{method === 'full' ? 'Measure fully' : 'Measure briefly'}</Act>)}
        </div>
      )}
    </>
  );
}

function Histograms({ measured, names }: { measured: Measurement[]; names: Map<string, string> }) {
  const accepted = measured.filter((m) => m.state === 'accepted'), wanted = accepted.slice(0, 6);
  const title = (m: Measurement) => `${names.get(m.profile) ?? m.profile}, ${m.method}${(m.take ?? 1) > 1 ? `, take ${m.take}` : ''}, ${new Date(m.created_at).toLocaleString()}`;
  const key = wanted.map((m) => m.id).join();
  const { data, error } = useLoaded(() => Promise.all(wanted.map((m) => get<Sampled>(`/measurements/${m.id}`))), `samples ${key}`);
  if (wanted.length === 0) return <Empty>Each measurement of the whole network shows its samples here.</Empty>;
  if (!data) return error ? <Failed error={error} /> : <Waiting />;
  return (
    <>
    {accepted.length > wanted.length && <p class="note">The first {wanted.length} of {accepted.length} measurements that were accepted.</p>}
    <div class="pair">
      {data.map((m) => (m.samples_us?.length ? <Samples key={m.id} samples={m.samples_us} median={m.median_us} low={m.low_us} high={m.high_us} title={title(m)} /> : <p class="note" key={m.id}>{title(m)}: its samples were removed to keep the database small.</p>))}
    </div>
    </>
  );
}

/** What is done by weights: these, by this field; none: there are none yet. */
type By = { arch: Arch; supernets: Supernet[]; weights: Weights | undefined; by: ComponentChildren };

function Accuracy({ arch, supernets, weights, by }: By) {
  const read = useList<Evaluation>(api`/evaluations?arch_id=${arch.arch_id}`, ['job'], (d) => d['state'] === 'done');
  const name = (id: string) => supernets.find((s) => s.id === id)?.name ?? id;
  return (
    <>
      <Listed of={read} empty="No supernet has scored this network.">{(all) => (
        <Table label="Accuracy" rows={all} rowKey={(e) => String(e.id)} columns={[
          { title: 'Supernet', cell: (e) => <a href={href(['supernets', e.supernet])}>{name(e.supernet)}</a> }, { title: 'Images', cell: (e) => `${e.split}, ${short(e.images)}` },
          { title: 'Top-1', number: true, cell: (e) => percent(e.top1) }, { title: 'Without recalibration', number: true, cell: (e) => percent(e.top1_raw) }, { title: 'When', cell: (e) => ago(e.created_at) },
        ]} />
      )}</Listed>
      {weights && (
        <div class="row submit">
          {by}
          <Act do={() => post('/evaluations', { ...weights, archs: [arch.arch] }).then(read.reload)} done="The evaluation is queued.">Evaluate</Act>
        </div>
      )}
    </>
  );
}

/** Trains this network alone, from the weights that it inherits. */
function FineTune({ arch, supernets, weights, by }: By) {
  const [form, setForm] = useState({ name: null as string | null, epochs: '3', rate: '0.01' });
  if (!weights) return <Empty>No supernet of this space has weights for it yet.</Empty>;
  const { supernet, checkpoint, dataset } = weights, name = form.name ?? `${supernets.find((s) => s.id === supernet)?.name ?? ''} ${arch.arch_id.slice(0, 6)}`;
  const set = (part: Partial<typeof form>) => setForm({ ...form, ...part });
  const start = () => post<{ supernet: Supernet }>('/supernets', { name, init_from: { supernet, checkpoint }, dataset, train: { regime: 'single', arch: arch.arch, epochs: Number(form.epochs), learning_rate: Number(form.rate) } }).then((a) => go(['supernets', a.supernet.id]));
  return (
    <div class="row">
      {by}
      <label>Name <input value={name} required maxLength={63} onInput={(e) => set({ name: e.currentTarget.value })} /></label>
      <label>Epochs <input class="bound" type="number" min="0.1" step="any" value={form.epochs} onInput={(e) => set({ epochs: e.currentTarget.value })} /></label>
      <label>Learning rate <input class="bound" type="number" min="0" step="any" value={form.rate} onInput={(e) => set({ rate: e.currentTarget.value })} /></label>
      <Act do={start} done="It trains alone now.">Fine-tune</Act>
    </div>
  );
}

type Choice = { arch: string; name: string };

function Compare({ space, arch, others, vs, sources, search }: { space: string; arch: Arch; others: Choice[]; vs: string[]; sources: Source[]; search: string }) {
  const [typed, setTyped] = useState('');
  const more = vs.length > 0 && vs.length < mostCompared - 1, add = (text: string) => setQuery({ vs: [...vs, text].join() });
  const choices = (of: Choice[]): Option[] => [['', 'choose…'], ...of.map((o) => [o.arch, o.name] as const)];
  return (
    <>
      <div class="row">
        <label>With <Select value={others.some((o) => o.arch === vs[0]) ? vs[0]! : ''} set={(first) => setQuery({ vs: [first, ...vs.slice(1)].filter(Boolean).join() })} of={choices(others)} /></label>
        {more && <label>And <Select value="" set={add} of={choices(others.filter((o) => !vs.includes(o.arch)))} /></label>}
        <label class="grow">or its text <input value={typed} placeholder={arch.arch} onInput={(e) => setTyped(e.currentTarget.value)} /></label>
        <button type="button" disabled={!typed} onClick={() => setQuery({ vs: typed })}>Compare</button>
        {more && <button type="button" disabled={!typed} onClick={() => add(typed)}>Add</button>}
      </div>
      {vs.length > 0 && <Several space={space} archs={[arch.arch, ...vs]} sources={sources} search={search} />}
    </>
  );
}

/** Its files: the JSON at once, an ONNX file by a job. */
function Downloads({ arch, space, supernets, weights, by }: By & { space: string }) {
  const { data, error, reload } = useList<Export>('/exports', ['export']);
  const mine = (data ?? []).filter((e) => e.arch_id === arch.arch_id);
  const json = useMemo(() => URL.createObjectURL(new Blob([JSON.stringify({ space, ...arch }, null, 1)], { type: 'application/json' })), [arch]);
  return (
    <>
      <Failed error={error} />
      <ul class="files">
        <li><a href={json} download={`${arch.arch_id.slice(0, 12)}.json`}>JSON</a> <small class="note">graph, shapes and costs of each unit</small></li>
        {mine.map((e) => <li key={e.id}>{e.state === 'ready' || e.state === 'done' ? <a href={`/api/v1/exports/${e.id}/file`} download={`${arch.arch_id.slice(0, 12)}.${({ logits: 'safetensors', c: 'h' } as Record<string, string>)[e.format] ?? e.format}`}>{e.format.toUpperCase()}</a> : <>{e.format.toUpperCase()} <State of={e.state} /></>} <small class="note">{supernets.find((s) => s.id === e.supernet)?.name ?? ''} {short(e.bytes, 'B')}, {ago(e.created_at)}</small></li>)}
      </ul>
      {weights && (
        <div class="row submit">
          {by}
          {['onnx', 'c'].map((format) => <Act key={format} do={() => post('/exports', { ...weights, arch: arch.arch, format }).then(reload)} done="The file is being written; it shows here when it is ready.">Export as {format.toUpperCase()}</Act>)}
        </div>
      )}
    </>
  );
}

/** Networks to compare with: the ends of the space, those of the search's front, those that are kept. */
function useOthers(space: Space | null, search: string, supernets: Supernet[], arch: string): Choice[] {
  const { data } = useLoaded(async () => {
    const front = await frontItems(search);
    const pins = (await Promise.all(supernets.map((s) => list<Pin>(`/supernets/${s.id}/pins`)))).flat();
    return [...front.map((f) => ({ arch: f.arch, name: `front: top-1 ${percent(f.metrics['top1']?.value, 1)}, ${short(f.metrics['macs']?.value)} MACs` })), ...pins.map((p) => ({ arch: p.arch, name: `kept: top-1 ${percent(p.top1, 1)}, ${p.arch_id.slice(0, 6)}` }))];
  }, `others ${search} ${supernets.map((s) => s.id).join()}`);
  const ends = space ? [{ arch: space.largest.arch, name: 'the largest of the space' }, { arch: space.smallest.arch, name: 'the smallest of the space' }] : [];
  return [...ends, ...(data ?? [])].filter((o, i, all) => o.arch !== arch && all.findIndex((p) => p.arch === o.arch) === i);
}

export function ArchPage({ space }: { space: string }) {
  const { query } = route.value;
  const [text, search, vs] = [query.get('arch') ?? '', query.get('search') ?? '', picked(query.get('vs')).slice(0, mostCompared - 1)] as const;
  const spaces = useGet<Space>(api`/spaces/${space}`);
  const wanted = text || spaces.data?.largest.arch || '';
  const read = useSources(space), sources = read.data ?? [];
  const chosen = chosenOf(sources, query.get('boards'));
  const key = `${wanted} ${chosen.map((s) => s.id).join()}`;
  const plain = useGet<Arch>(wanted && archPath(space, wanted));
  const onBoards = useLoaded(async () => (wanted ? Promise.all(chosen.map(async (s): Promise<OnBoard> => ({ profile: s.id, name: s.name, arch: await get<Arch>(archPath(space, wanted, s.id)) }))) : []), `boards ${key}`, ['table', 'front', 'job'], onCalibration);
  const graph = plain.data?.graph_id;
  const measurements = useList<Measurement>(graph && api`/measurements?graph_id=${graph}`, ['measurement'], (d) => d['kind'] === 'network');
  const { error: unweighed, ...by } = useWeights(space, plain.data?.arch ?? '', spaces.data?.largest.arch ?? '', search);
  const others = useOthers(spaces.data, search, by.supernets.filter((s) => !isAlone(s)), plain.data?.arch ?? '');
  const arch = plain.data;
  if (!arch) return <Unread title="Network" error={plain.error ?? spaces.error} of="searches" />;
  const measured = measurements.data ?? [];
  const names = new Map(sources.map((s) => [s.id, s.name]));
  const shown = onBoards.data ?? [];
  return (
    <Page title={`Network ${arch.arch_id.slice(0, 8)}`} lead={<>Space {space}{search && <>, of <a href={href(['searches', search], { arch: arch.arch_id })}>its search</a></>}</>}>
      <code class="genotype">{arch.arch}</code>
      <Card>
        <Facts rows={[
          ...costFacts(arch.cost),
          ...shown.map((b): [string, string] => [`Latency on ${b.name}`, b.arch.latency ? `${latency(b.arch.latency.us)}${b.arch.latency.state === 'interpolated' ? ', interpolated' : ''}${b.arch.latency.calibrated ? '' : ', not calibrated'}` : 'table incomplete']),
        ]} />
      </Card>
      <Card title="Unit by unit" note="width of the drawing: channels in, inside, out (by their square root); height: resolution; a line at the side: residual">
        <div class="toolbar">{read.data && <Boards sources={sources} chosen={chosen} />}</div>
        <Failed error={read.error ?? onBoards.error} />
        <NetworkTable arch={arch} boards={shown} />
      </Card>
      <div class="grid">
        <Card title="Latency, predicted and measured" class="wide"><Failed error={measurements.error} /><Latencies shown={shown} sources={sources} measured={measured} space={space} arch={arch.arch} reload={measurements.reload} /></Card>
        <Card title="Raw samples" class="wide" note="shaded: 95 % interval of the median"><Histograms measured={measured} names={names} /></Card>
        <Card title="Accuracy" class="wide"><Failed error={unweighed} /><Accuracy arch={arch} {...by} /></Card>
        <Card title="Compare" class="wide">{spaces.data && (read.data || read.error) && <Compare space={space} arch={arch} others={others} vs={vs} sources={chosen} search={search} />}</Card>
        <Card title="Lineage" class="wide">{search ? <LineageOf space={space} search={search} arch={arch} names={names} /> : <Empty>Opened from a search, this page tells in which generation it was asked for, and what it was made of.</Empty>}</Card>
        <Card title="Fine-tune" note="trains this network alone, from the weights that it inherits"><For scope="submit"><FineTune arch={arch} {...by} /></For></Card>
        <Card title="Downloads"><Downloads arch={arch} space={space} {...by} /></Card>
      </div>
    </Page>
  );
}
