// Jobs as all pages speak of them.
import { list, type Job } from './api';

/** What a job of a kind is, where its state stands beside it. */
export const jobKinds: Record<string, string> = {
  dataset: 'Data set', train: 'Training', evaluate: 'Evaluation', estimate: 'Estimation', search: 'Search', export: 'Export', table: 'Latency table', import: 'Checkpoint import', model: 'Model import', results: 'Foreign results', calibrate: 'Calibration',
};

const active = ['running', 'queued', 'paused', 'canceling'];
export const isActive = (job: { state: string }) => active.includes(job.state);

/** All that run or wait, the newest first; jobs that have ended are not read. */
export async function activeJobs(): Promise<Job[]> {
  const found = (await Promise.all(active.map((state) => list<Job>(`/jobs?state=${state}`)))).flat();
  return [...new Map(found.map((job) => [job.id, job])).values()].sort((a, b) => b.id.localeCompare(a.id)); // one that changed meanwhile may be there twice
}

/** What is said when a job has ended by itself; null: it has not. */
export function endOf(topic: string, job: Record<string, unknown>): { text: string; bad: boolean } | null {
  if (topic !== 'job' || (job['state'] !== 'done' && job['state'] !== 'failed')) return null;
  const bad = job['state'] === 'failed', why = (job['error'] as { message?: string } | null)?.message;
  return { text: `${jobKinds[String(job['kind'])] ?? 'A job'}: ${bad ? `failed${why ? `, ${why}` : ''}` : 'done'}.`.replace(/\.\.$/, '.'), bad };
}

/** The page of what a job works on; null: it has none. */
export const subjectPage = (job: Job): string[] | null =>
  Object.entries({ se_: 'searches', sn_: 'supernets', mo_: 'models' }).flatMap(([prefix, list]) => (job.subject?.startsWith(prefix) ? [[list, job.subject]] : []))[0] ?? null;
