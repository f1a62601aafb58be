import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, get, post, type Job } from '../api';
import { saveAs } from '../export';
import { percent, short, significant } from '../format';
import { isActive, jobTitle, jobTopics, onJobsOrRemoved, subjectPage } from '../jobs';
import { LogText, newest, type Piece } from '../log-text';
import { Act, Card, Empty, Facts, Failed, FindField, Page, ProgressLine, State, Table, Unread, Waiting } from '../parts';
import { route } from '../router';
import { follow, useGet } from '../state';
import { Subject } from './jobs';

const shownMost = 200000; // characters of the log: a browser needs long for more

/** The log as it grows, from its last lines on or, where it is searched, from its beginning; then only the new part is read. behind: there is more of it to read at once. */
function useLog(id: string, live: boolean, whole: boolean) {
  const log = useRef(new LogText());
  const [state, setState] = useState({ version: 0, behind: true });
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    if (whole && log.current.begin > 0) {
      log.current = new LogText();
      setState(({ version }) => ({ version: version + 1, behind: true }));
    }
    return follow(async (wanted) => {
      for (;;) {
        const { next } = log.current, place = !whole && next === 0 ? `tail=${shownMost}` : `offset=${next}&limit=262144`;
        const piece = await get<Piece & { end: boolean }>(api`/jobs/${id}/log?` + place);
        if (!wanted()) return 0;
        const more = log.current.take(piece);
        setState((before) => (more || before.behind ? { version: before.version + Number(more), behind: more } : before));
        if (!more) return live && !piece.end ? 1.4 : 0;
      }
    }, setError).end;
  }, [id, live, whole]);
  return { log: log.current, error, ...state };
}

/** All of the log as a file, read for it from its beginning. */
async function saveLog(id: string) {
  const log = new LogText();
  while (log.take(await get<Piece>(api`/jobs/${id}/log?offset=${log.next}&limit=1048576`)));
  saveAs(new Blob([log.text], { type: 'text/plain' }), `${id}.log`);
}

/** The newest part of the log, or of all its lines with some words, which are in the address. */
function LogCard({ id, live }: { id: string; live: boolean }) {
  const sought = route.value.query.get('q') ?? '';
  const { log, error, version, behind } = useLog(id, live, sought !== '');
  const found = useMemo(() => (sought ? log.find(sought) : null), [log, version, sought]);
  const text = found ? found.join('\n') : log.text, shown = useMemo(() => newest(text, shownMost), [text]);
  const rest = text.length - shown.length + (found ? 0 : log.begin);
  const none = !log.text ? 'The log is empty.' : found?.length === 0 ? 'No line of the log has these words.' : null;
  return (
    <Card title="Log" class="wide" note={(log.text || behind) && <span class="row-of"><FindField /><Act reads do={() => saveLog(id)}>Download the log</Act></span>}>
      <Failed error={error} />
      {none ? (behind ? !error && <Waiting /> : <Empty>{none}</Empty>) : <pre class="log" tabIndex={0}>{shown}</pre>}
      {found && found.length > 0 && <p class="note" role="status">{found.length} {found.length === 1 ? 'line' : 'lines'}{rest > 0 ? ', of which the latest are shown' : ''}</p>}
      {!found && rest > 0 && <p class="note">The latest {short(shown.length, 'B')} of {short(log.next, 'B')} are shown; Find looks through all of it.</p>}
    </Card>
  );
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
  if (/(^|_)top1|_share$/.test(key) && typeof v === 'number') return percent(v);
  if (typeof v === 'number' && !Number.isInteger(v)) return significant(v, 5);
  if (typeof v === 'boolean') return v ? 'yes' : 'no';
  if (Array.isArray(v) && v.every((e) => typeof e !== 'object')) return v.join(', ') || '–';
  return typeof v === 'object' ? JSON.stringify(v) : String(v);
}

export function JobPage({ id }: { id: string }) {
  const { data, error } = useGet<Job>(api`/jobs/${id}`, jobTopics, (d, topic) => (topic === 'job' ? d['id'] === id : onJobsOrRemoved(d, topic)));
  const active = data ? isActive(data) : true;
  if (!data) return <Unread title="Job" error={error} of="jobs" />;
  return (
    <Page title={jobTitle(data)} lead={<><span class="genotype">{data.id}</span> <State of={data.state} /> {subjectPage(data) && <Subject job={data} />}</>} actions={
      active ? <Act do={() => post(`/jobs/${data.id}/cancel`)} confirm="Stop this job? It can be resumed." done="The job stops at its next step.">Stop</Act>
        : data.state !== 'done' ? <Act class="primary" do={() => post(`/jobs/${data.id}/retry`)} done="The job is queued again.">Try again</Act> : null
    }>
      <Failed error={error} />
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
        <LogCard id={id} live={active} />
      </div>
    </Page>
  );
}
