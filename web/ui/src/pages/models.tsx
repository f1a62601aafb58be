// Predictors and latency tables of other programs: what they know of a space, and a form to import one.
import { useState } from 'preact/hooks';
import { api, post, wordsOf, type Model, type Space } from '../api';
import { quoted } from '../draft';
import { ago, latency, percent, short } from '../format';
import { Card, Code, Facts, Failed, For, Listed, Page, Remove, Select, State, Table, Unread } from '../parts';
import { go, href } from '../router';
import { useGet, useList } from '../state';

type File = { name: string; resolution: number; keys: number; entries: number; missing: number; first_missing: string | null; foreign: number; first_foreign: string | null; smallest_us: number | null; largest_us: number | null };
type Summary = { resolutions?: number[]; entries?: number; missing?: number; foreign?: number; files?: File[]; smallest_top1?: number; largest_top1?: number };

const kinds = { latency: 'latencies of a device', accuracy: 'accuracies' };

/** What a model knows, in a few words. */
function knows(m: Model): string {
  const s = (m.summary ?? {}) as Summary;
  if (m.state !== 'ready') return '–';
  return m.kind === 'latency' ? `${short(s.entries)} units${s.missing ? `, ${s.missing} missing` : ''}` : `top-1 from ${percent(s.smallest_top1, 1)} to ${percent(s.largest_top1, 1)}`;
}

function Import({ spaces }: { spaces: Space[] }) {
  const [form, setForm] = useState({ name: '', kind: 'latency', space: '', path: '' });
  const [error, setError] = useState<string | null>(null);
  const set = (part: Partial<typeof form>) => setForm({ ...form, ...part });
  const space = form.space || spaces[0]?.name || '';
  const submit = (e: Event) => {
    e.preventDefault();
    setError(null);
    post<{ model: Model }>('/models', { ...form, space }).then((a) => go(['models', a.model.id]), (problem: unknown) => setError(wordsOf(problem)));
  };
  return (
    <form class="form" onSubmit={submit}>
      <div class="row">
        <label class="field"><span>Name</span><input required maxLength={63} value={form.name} onInput={(e) => set({ name: e.currentTarget.value })} /></label>
        <label class="field"><span>What it knows</span><Select value={form.kind} set={(kind) => set({ kind })} of={[['latency', 'latencies (YAML)'], ['accuracy', 'accuracies (.pth, safetensors)']]} /></label>
        <label class="field"><span>Space</span><Select value={space} set={(space) => set({ space })} of={spaces.map((s) => [s.name, s.name])} /></label>
      </div>
      <label class="field"><span>File or folder</span><input required value={form.path} placeholder="/data/note10_lat" onInput={(e) => set({ path: e.currentTarget.value })} /><small class="note">Below a data root of the daemon.</small></label>
      <div><Failed error={error} /><button class="primary" type="submit">Import</button></div>
    </form>
  );
}

export function Models() {
  const models = useList<Model>('/models', ['model']);
  const spaces = useList<Space>('/spaces', ['space']);
  return (
    <Page title="Models" lead="Predictors and latency tables of other programs: a search can go by them without a supernet or a board.">
      <Listed of={models} empty={<>None yet. <span class="submit">Import one below, or with <code>espalier latency import</code> and <code>espalier predictor import</code>.</span></>}>
        {(all) => <Card>
          <Table label="Models" rows={all} rowKey={(m) => m.id} link={(m) => ['models', m.id]} columns={[
            { title: 'Name', cell: (m) => m.name }, { title: 'State', cell: (m) => <State of={m.state} /> }, { title: 'Knows', cell: (m) => kinds[m.kind] }, { title: 'Space', cell: (m) => m.space }, { title: 'How much', cell: knows }, { title: 'Imported', cell: (m) => ago(m.created_at) },
          ]} />
        </Card>}
      </Listed>
      <Card title="Import"><For scope="submit"><Import spaces={spaces.data ?? []} /></For></Card>
    </Page>
  );
}

export function ModelPage({ id }: { id: string }) {
  const { data, error } = useGet<Model & { job: string | null }>(api`/models/${id}`, ['model']);
  if (!data) return <Unread title="Model" error={error} of="models" />;
  const s = (data.summary ?? {}) as Summary;
  return (
    <Page title={data.name} lead={<>{kinds[data.kind]}, space {data.space} <State of={data.state} /></>} actions={
      <>
        {data.state === 'ready' && <a class="button primary" href={href(['searches', 'new'])}>Search by it</a>}
        <Remove kind="model" name={data.name} path={`/models/${data.id}`} then={() => go(['models'])} />
      </>
    }>
      <Failed error={error} />
      {data.job && data.state !== 'ready' && <p class={data.state === 'failed' ? 'problem' : ''}><a href={href(['jobs', data.job])}>Its job</a> says {data.state === 'failed' ? 'why it could not be imported' : 'how far it is'}.</p>}
      <Card title="What it knows">
        <Facts rows={[
          ['Resolutions', s.resolutions?.join(', ') ?? '–'], ...(data.kind === 'latency' ? [['Units', short(s.entries)], ['Missing units, interpolated', short(s.missing)], ['Keys of no unit', short(s.foreign)]] : [['Smallest subnet', percent(s.smallest_top1)], ['Largest subnet', percent(s.largest_top1)]]) as [string, string][],
          ['From', <code key="from">{data.source}</code>], ['Imported', ago(data.created_at)],
        ]} />
      </Card>
      {s.files && s.files.length > 0 && (
        <Card title="Files">
          <Table label="Files" rows={s.files} rowKey={(f) => `${f.name} ${f.resolution}`} columns={[
            { title: 'File', cell: (f) => f.name }, { title: 'Resolution', number: true, cell: (f) => f.resolution }, { title: 'Units', number: true, cell: (f) => f.entries }, { title: 'Missing', number: true, cell: (f) => <span title={f.first_missing ?? undefined}>{f.missing}</span> },
            { title: 'Foreign', number: true, cell: (f) => <span title={f.first_foreign ?? undefined}>{f.foreign}</span> }, { title: 'Smallest subnet', number: true, cell: (f) => latency(f.smallest_us) }, { title: 'Largest subnet', number: true, cell: (f) => latency(f.largest_us) },
          ]} />
        </Card>
      )}
      {data.state === 'ready' && <Card title="By the command line"><Code>{`espalier search create NAME --${data.kind === 'latency' ? 'profile' : 'predictor'} ${quoted(data.name)}`}</Code></Card>}
    </Page>
  );
}
