import { useEffect, useRef, useState } from 'preact/hooks';
import { get, post, type Job } from '../api';
import { percent, significant } from '../format';
import { Act, Card, Empty, Facts, Failed, Page, ProgressLine, State, Table, Waiting } from '../parts';
import { useLoaded } from '../state';
import { Subject, useNames } from './jobs';

type Log = { text: string; offset: number; next_offset: number; end: boolean };

/** The log as it grows; only the new part is read. The latest 200,000 characters are kept. */
function useLog(id: string, live: boolean) {
  const [text, setText] = useState('');
  const offset = useRef(0);
  useEffect(() => {
    let alive = true;
    let timer = 0;
    const read = () => {
      get<Log>(`/jobs/${encodeURIComponent(id)}/log?offset=${offset.current}&limit=65536`).then((log) => {
        if (!alive) return;
        const grown = log.next_offset > offset.current;
        offset.current = log.next_offset;
        if (log.text) setText((before) => (before + log.text).slice(-200000));
        if (grown || (live && !log.end)) timer = window.setTimeout(read, grown ? 50 : 1500);
      }, () => { if (alive && live) timer = window.setTimeout(read, 5000); });
    };
    read();
    return () => {
      alive = false;
      clearTimeout(timer);
    };
  }, [id, live]);
  return text;
}

/** Members of results in words; others by their own name. */
const words: Record<string, string> = {
  steps: 'Steps', epochs: 'Epochs', images: 'Images seen', seconds: 'Seconds', top1_largest: 'Top-1 of the largest subnet', top1_smallest: 'Top-1 of the smallest subnet', checkpoint: 'Checkpoint',
  n: 'Networks', evaluations: 'Evaluations', front_size: 'Points on the front', hypervolume: 'Hypervolume at the end of the search', hypervolume_random: 'Hypervolume of the baseline', hypervolume_stage: 'Hypervolumes by values that are',
  latency_ratio: 'Slowest over fastest on the front', kendall_tau: 'Rank agreement (tau)', degenerate: 'Front too narrow or too small', bytes: 'Bytes', hash: 'Hash', measured: 'Measured', needed: 'Needed', failed: 'Failed',
  n_train: 'Training images', n_validation: 'Validation images', n_test: 'Test images', n_classes: 'Classes',
};
const inWords = (key: string) => words[key] ?? key.replaceAll('_', ' ').replace(/^./, (c) => c.toUpperCase());

/** A member of a job's result, as people read it. */
function told(key: string, v: unknown): string {
  if (v === null) return '–';
  if (key.startsWith('top1') && typeof v === 'number') return percent(v);
  if (typeof v === 'number' && !Number.isInteger(v)) return significant(v, 5);
  if (typeof v === 'boolean') return v ? 'yes' : 'no';
  return typeof v === 'object' ? JSON.stringify(v) : String(v);
}

export function JobPage({ id }: { id: string }) {
  const { data, error } = useLoaded(() => get<Job>(`/jobs/${encodeURIComponent(id)}`), id, ['job'], (d) => d['id'] === id);
  const active = data ? ['running', 'queued', 'paused', 'canceling'].includes(data.state) : true;
  const log = useLog(id, active);
  const names = useNames();
  const [sought, setSought] = useState('');
  const lines = sought ? log.split('\n').filter((l) => l.toLowerCase().includes(sought.toLowerCase())) : [];
  if (!data) return <Page title="Job">{error ? <Failed error={error} /> : <Waiting />}</Page>;
  return (
    <Page title={data.id} lead={<>{data.kind} <State of={data.state} /> <Subject job={data} names={names.data} /></>} actions={
      active ? <Act do={() => post(`/jobs/${data.id}/cancel`)} confirm="Stop this job? It can be resumed." done="The job stops at its next step.">Stop</Act>
        : data.state !== 'done' ? <Act class="primary" do={() => post(`/jobs/${data.id}/retry`)} done="The job is queued again.">Try again</Act> : null
    }>
      {data.error && <Failed error={data.error.message + (data.error.pointer ? ` (${data.error.pointer})` : '')} />}
      {active && <Card><ProgressLine job={data} /></Card>}
      <div class="grid">
        {data.attempts && data.attempts.length > 0 && (
          <Card title="Attempts">
            <Table label="Attempts" rows={data.attempts} rowKey={(a) => String(a.attempt)} columns={[
              { title: '#', number: true, cell: (a) => a.attempt }, { title: 'Started', cell: (a) => new Date(a.started_at).toLocaleString() }, { title: 'Ended', cell: (a) => (a.ended_at ? new Date(a.ended_at).toLocaleString() : '–') }, { title: 'Why', cell: (a) => a.reason ?? '–' },
            ]} />
          </Card>
        )}
        {data.result && <Card title="Result"><Facts rows={Object.entries(data.result).map(([k, v]) => [inWords(k), told(k, v)])} /></Card>}
        <Card title="Log" class="wide" note={log ? <label>Find <input type="search" value={sought} onInput={(e) => setSought(e.currentTarget.value)} /></label> : undefined}>
          {!log ? <Empty>The log is empty.</Empty> : sought && lines.length === 0 ? <Empty>No line of the log has these words.</Empty> : <pre class="log" tabIndex={0}>{sought ? lines.join('\n') : log}</pre>}
          {sought && lines.length > 0 && <p class="note" role="status">{lines.length} {lines.length === 1 ? 'line' : 'lines'}</p>}
        </Card>
      </div>
    </Page>
  );
}
