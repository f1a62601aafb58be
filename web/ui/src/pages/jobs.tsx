// What runs, waits and has ended: a list that is read page by page, narrowed by state and kind.
import { useState } from 'preact/hooks';
import { get, post, type Job } from '../api';
import { ago, duration, percent } from '../format';
import { activeJobs, isActive, jobKinds, jobTopics, kindName, onJobsOrRemoved, subjectPage } from '../jobs';
import { progress } from '../live';
import { Act, Begin, Card, Choose, Empty, Failed, leftOf, Page, progressOf, State, Table, Waiting, waitsFor } from '../parts';
import { href, route } from '../router';
import { useSignal } from '../signal';
import { useList, useLoaded, useTick } from '../state';

export function Subject({ job }: { job: Job }) {
  const page = subjectPage(job), name = job.subject_name;
  return page && name ? <a href={href(page)}>{name}</a> : <>{name ?? '–'}</>; // no way to what was removed
}

/** Where a job stands, in a few words; a long error has its page. place: its place among those that wait for their turn, from 1; 0: none. */
function Standing({ job, place }: { job: Job; place: number }) {
  const text = job.error?.message ?? waitsFor(job) ?? (job.state === 'done' ? '–' : job.state === 'queued' && place ? `number ${place} in the queue` : progressOf(job)?.phase ?? '–');
  return <span class="clip" title={text}>{text}</span>;
}

function Actions({ job }: { job: Job }) {
  if (isActive(job)) return <Act class="quiet" off={job.state === 'canceling'} do={() => post(`/jobs/${job.id}/cancel`)} confirm="Stop this job? It can be resumed." done="The job stops at its next step.">Stop</Act>;
  return job.state === 'done' ? null : <Act class="quiet" do={() => post(`/jobs/${job.id}/retry`)} done="The job is queued again.">Try again</Act>;
}

const states = { active: 'running and waiting', running: 'running', queued: 'queued', paused: 'paused', done: 'done', failed: 'failed', canceled: 'cancelled' };
const pageSize = 50, most = 1000;

/** The newest jobs of a state and kind ('': all), as many as were asked for, and whether there are older ones. */
async function read(state: string, kind: string, n: number): Promise<{ items: Job[]; more: boolean }> {
  if (state === 'active') return { items: (await activeJobs()).filter((j) => !kind || j.kind === kind), more: false };
  const query = new URLSearchParams({ page_size: `${n}`, ...(state ? { state } : {}), ...(kind ? { kind } : {}) });
  const { items, next } = await get<{ items: Job[]; next: string | null }>(`/jobs?${query}`);
  return { items, more: next !== null };
}

export function Jobs() {
  useTick(30000);
  useSignal(progress);
  const [n, setN] = useState(pageSize);
  const wanted = (name: string, all: Record<string, string>) => { const value = route.value.query.get(name) ?? ''; return Object.hasOwn(all, value) ? value : ''; };
  const [state, kind] = [wanted('state', states), wanted('kind', jobKinds)];
  const { data, error } = useLoaded(() => read(state, kind, n), `jobs ${state} ${kind} ${n}`, jobTopics, onJobsOrRemoved);
  const waiting = useList<Job>('/jobs?state=queued', ['job']);
  const queue = (waiting.data ?? []).filter((j) => j.kind !== 'table').sort((a, b) => b.priority - a.priority || a.id.localeCompare(b.id)).map((j) => j.id);
  return (
    <Page title="Jobs" lead="Everything that runs is a job: it can be stopped, and goes on from its checkpoint.">
      <Failed error={error} />
      {!data && !error && <Waiting />}
      {data?.items.length === 0 && !state && !kind && <Empty>No job yet. <Begin /></Empty>}
      {data && (data.items.length > 0 || state || kind) && (
        <Card>
          <div class="toolbar"><Choose name="state" title="State" all={states} /><Choose name="kind" title="Kind" all={jobKinds} /></div>
          {data.items.length === 0 ? <Empty>No job is like this.</Empty> : (
            <Table label="Jobs" rows={data.items} rowKey={(j) => j.id} link={(j) => ['jobs', j.id]} columns={[
              { title: 'Job', cell: (j) => <span title={j.id}>{kindName(j.kind)}</span> }, { title: 'State', cell: (j) => <State of={j.state} /> }, { title: 'Of', cell: (j) => <Subject job={j} /> },
              { title: 'Progress', number: true, cell: (j) => (j.state === 'done' ? '100 %' : percent(progressOf(j)?.fraction, 0)) }, { title: 'Phase', cell: (j) => <Standing job={j} place={queue.indexOf(j.id) + 1} /> },
              { title: 'Left', number: true, cell: (j) => (j.state === 'running' ? duration(leftOf(j)) : '–') }, { title: 'Attempt', number: true, cell: (j) => j.attempt }, { title: 'Created', cell: (j) => ago(j.created_at) }, { title: 'Do', cell: (j) => <Actions job={j} /> },
            ]} />
          )}
          {data.more && <p class="note">The newest {data.items.length} are shown. {n < most ? <button type="button" class="link" onClick={() => setN(Math.min(most, n * 2))}>Show older ones</button> : 'The command line lists them all.'}</p>}
        </Card>
      )}
    </Page>
  );
}
