// Jobs as all pages speak of them.
import { api, list, type Job } from './api';
import { useGet, type Concerns } from './state';

/** What a job of a kind is, where its state stands beside it. */
export const jobKinds: Record<string, string> = {
  dataset: 'Data set', train: 'Training', evaluate: 'Evaluation', estimate: 'Estimation', search: 'Search', export: 'Export', table: 'Latency table', import: 'Checkpoint import', model: 'Model import', results: 'Foreign results', calibrate: 'Calibration',
};

export const kindName = (kind: string) => jobKinds[kind] ?? kind;

const active = ['running', 'queued', 'paused', 'canceling'];
export const isActive = (job: { state: string }) => active.includes(job.state);

/** What tells of jobs, and that what they work on is gone: then they have no name for it any more. */
export const jobTopics = ['job', 'supernet', 'search', 'dataset', 'table', 'model', 'export'];
export const onJobsOrRemoved: Concerns = (d, topic) => topic === 'job' || d['removed'] === true;

/** "Search fashion": what a job does, and on what. */
export const jobTitle = ({ kind, subject_name: name }: { kind: string; subject_name?: string | null }) => `${kindName(kind)} ${name ?? ''}`.trimEnd();

/** A job as it goes on; nothing where none is named. */
export const useJob = (id: string | null | undefined) => useGet<Job>(id && api`/jobs/${id}`, ['job'], (job) => job['id'] === id);

/** All that run or wait, the newest first; jobs that have ended are not read. */
export async function activeJobs(): Promise<Job[]> {
  const found = (await Promise.all(active.map((state) => list<Job>(`/jobs?state=${state}`)))).flat();
  return [...new Map(found.map((job) => [job.id, job])).values()].sort((a, b) => b.id.localeCompare(a.id)); // one that changed meanwhile may be there twice
}

/** What is said when a job has ended by itself; null: it has not. */
export function endOf(topic: string, job: Record<string, unknown>): { text: string; bad: boolean } | null {
  if (topic !== 'job' || (job['state'] !== 'done' && job['state'] !== 'failed')) return null;
  const bad = job['state'] === 'failed', why = (job['error'] as { message?: string } | null)?.message;
  return { text: `${jobTitle(job as Job)}: ${bad ? `failed${why ? `, ${why}` : ''}` : 'done'}.`.replace(/\.\.$/, '.'), bad };
}

const pages: Record<string, string> = { se: 'searches', sn: 'supernets', mo: 'models' };
/** The page of what a job works on; null: it has none. */
export function subjectPage({ subject }: Job): string[] | null {
  const page = pages[(subject ?? '').slice(0, 2)];
  return page ? [page, subject] : null;
}

/** Of jobs those that have calibrated a board; all that other topics tell. */
export const onCalibration: Concerns = (d, topic) => topic !== 'job' || (d['kind'] === 'calibrate' && d['state'] === 'done');
