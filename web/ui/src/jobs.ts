// Jobs as all pages speak of them.
import { list, type Job } from './api';

/** What a job of a kind does. */
export const jobKinds: Record<string, string> = {
  dataset: 'Checking a data set', train: 'Training', evaluate: 'Evaluating subnets', estimate: 'Comparing inherited with stand-alone accuracy', search: 'Searching', export: 'Exporting',
  table: 'Measuring a latency table', import: 'Importing a checkpoint', model: 'Reading a model', results: 'Taking over results', calibrate: 'Calibrating a board',
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
  job.subject?.startsWith('se_') ? ['searches', job.subject] : job.subject?.startsWith('sn_') ? ['supernets', job.subject] : null;
