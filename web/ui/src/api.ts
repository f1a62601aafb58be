// The HTTP API as the dashboard uses it: types of the answers and small typed calls. See docs/API.md.
import { signal } from './signal';

export type Job = {
  id: string; kind: string; state: string; held: boolean; subject: string; subject_name: string | null; priority: number; attempt: number;
  waits_for?: { device?: string; device_name?: string; why?: string; disk?: { free_bytes: number; floor_bytes: number } } | null;
  progress?: Progress | null; result: Record<string, unknown> | null;
  error: { code: string; message: string; pointer?: string } | null;
  attempts?: { attempt: number; started_at: string; ended_at: string | null; reason: string | null }[];
  created_at: string; started_at: string | null; ended_at: string | null;
};
export type Progress = {
  phase?: string; done?: number; total?: number; unit?: string; fraction?: number; eta_s?: number | null;
  images_per_s?: number; loss?: number; learning_rate?: number; epoch?: number; message?: string;
};
export type Dataset = {
  id: string; name: string; path: string; format: string | null; state: string; error: { message: string } | null;
  channels: number | null; height: number | null; width: number | null; n_classes: number | null;
  n_train: number | null; n_validation: number | null; n_test: number | null; created_at: string;
};
export type Cost = { macs: number; params: number; peak_activation_bytes: number; peak_simple_bytes: number; model_bytes: number; traffic_bytes: number; energy_uj: number };
export type Space = {
  name: string; fingerprint: string; builtin: boolean; cardinality: number; resolutions: number[]; n_stages: number; n_blocks: number;
  table_entries: number; input_channels: number; n_classes: number;
  largest: { arch: string; cost: Cost }; smallest: { arch: string; cost: Cost };
};
export type Supernet = {
  id: string; name: string; space: string; dataset: string | null; dataset_name: string | null; state: string; step: number | null; epoch: number | null; images: number | null;
  top1_largest: number | null; top1_smallest: number | null; checkpoint: string | null; job: string | null; created_at: string;
  train: Record<string, unknown>;
};
export type Checkpoint = { id: string; step: number; epoch: number; bytes: number; top1_largest: number | null; top1_smallest: number | null; created_at: string; kept: boolean };
export type Series = { name: string; step: number[]; epoch: number[]; value: number[] };
export type Objective = { metric: string; direction: 'maximise' | 'minimise'; profile?: string };
export type Constraint = { metric: string; profile?: string; max?: number; min?: number };
/** Of accuracy, out of fold; the baseline is a line through the logarithm of MACs, which searches of older versions do not have. */
export type Predictor = { model: string; n: number; folds: number; kendall_tau: number | null; mae: number | null; rmse: number | null; baseline_kendall_tau?: number | null; baseline_rmse?: number | null; accepted: boolean };
/** What inherited weights are worth; top-1 by each way. */
export type Estimation = {
  job: string; created_at: string; n: number; kendall_tau: { inherited_scratch: number; inherited_fine_tuned: number; fine_tuned_scratch: number };
  networks: { arch: string; arch_id: string; inherited: number; scratch: number; fine_tuned: number }[];
};
export type Quality = { mape: number; within_5: number; within_10: number; kendall_tau: number; coverage: number | null; n: number };
export type Calibration = {
  id?: string; profile_id: string; space_fingerprint?: string; version: number; kind: string; rung?: string; a: number; c: number; n: number; n_known?: number; residual_sd: number; interval?: number;
  before: Quality | null; after: Quality | null; created_at?: string; search?: string | null;
};
export type CalibrationPoint = { arch: string; predicted_us: number; low_us: number; high_us: number; measured_us: number };
export type Search = {
  id: string; name: string; supernet: string | null; supernet_name?: string | null; models?: { id: string; name: string; kind: string }[]; checkpoint: string | null; dataset: string | null; space: string; state: string; stage: string | null; objectives: Objective[]; constraints: Constraint[];
  strategy: string; strategy_options?: Record<string, number>; accuracy?: unknown; population: number; seed: number; baseline: string | null; evaluations_done: number; evaluations: number | null; time_budget_s?: number | null; rounds?: number; front_size: number | null; hypervolume: number | null;
  reference_point: Record<string, number> | null; predictor: Predictor | null; calibrations: Calibration[] | null; job: string | null;
  result: Record<string, unknown> | null; notes?: string[]; created_at: string;
};
/** interpolated: predicted, though the table has no entry for some of a network's units. */
export type Source = 'counted' | 'predicted' | 'interpolated' | 'evaluated' | 'measured';
export type Metric = { value: number; low: number | null; high: number | null; source: Source };
export type FrontItem = {
  arch_id: string; arch: string; feasible: boolean; metrics: Record<string, Metric>; predicted?: Record<string, Metric>;
  strategy: string; generation: number; pinned?: boolean; test_top1?: number | null;
};
export type Pin = { id: number; arch: string; arch_id: string; top1: number | null; test_top1: number | null; created_at: string };
export type Front = {
  stage: string | null; version: number; hypervolume: number | null; reference_point: Record<string, number> | null;
  calibration_version: number | null; no_board: boolean; refused?: boolean; items: FrontItem[];
};
export type MetricColumns = { value: (number | null)[]; low: (number | null)[]; high: (number | null)[]; source: (Source | null)[] };
export type LineageParent = { arch_id: string; relation: 'parent' | 'closest'; distance: number; changes: { gene: string; from: string | null; to: string | null }[] };
export type LineageItem = { arch_id: string; arch: string; strategy: string; generation: number; feasible: boolean; on_front: boolean; metrics: Record<string, Metric>; origin: string | null; parents: LineageParent[] };
export type Lineage = { strategy: string; items: LineageItem[]; more: boolean };
export type CandidatePage = {
  columns: { id: number[]; arch_id: string[]; arch: string[]; strategy: string[]; generation: number[]; feasible: boolean[]; on_front: boolean[]; origin?: (string | null)[]; first_parent?: (string | null)[]; second_parent?: (string | null)[]; metrics: Record<string, MetricColumns> };
  total: number; cursor: string; next: string | null;
};
export type Profile = { id: string; name: string; device: string; runtime: string; precision: string; threads: number; cores: string; governor: string; offered: boolean; default: boolean; removed: boolean; noise: number | null; noise_doubt: string | null; calibration: Calibration | null };
/** Where all profiles are, those of removed boards too: what they have measured goes by their names still. */
export const everyProfile = '/profiles?removed=true';
export type Device = {
  id: string; name: string; state: string; health: string; online: boolean; last_seen_at: string | null; noise: number | null; noise_note: string | null; worker_version: string | null;
  fingerprint: Record<string, unknown> | null; profiles: Profile[]; lease: { id: string } | null; queue: number; local: boolean; waits_for: { job?: string; device?: string; seconds?: number } | null; created_at: string; note?: string | null;
  doubt: { kind: string; why: string; at: string; results: number } | null; retest_at: string | null; refused: { at: string; why: string } | null; allowed: boolean; rotating: boolean; token_created_at: string | null;
};
/** No hardware stands behind its latencies. */
export const simulated = (d: Device) => d.fingerprint?.['simulated'] !== undefined;
export type Table = {
  id: string; profile: string; space: string; space_fingerprint: string; method: string; needed: number; measured: number; failed: number; state: string; created_at?: string;
  spread: number | null; spread_worst: number | null; noisy: number; changed: number; oldest_at: string | null; eta_s: number | null;
};
export type TableEntry = { signature: string; state: string; median_us: number | null; low_us: number | null; high_us: number | null; n: number | null; spread: number | null; measured_at: string | null };
export type DeviceHistory = {
  environment: { at: string; temperature_c: number | null; frequency_khz: number | null } | null;
  holder: { since: string; measurement: string; profile: string; kind: string; what: string | null; method: string; job: string | null } | null;
  tables: { id: string; profile: string; space: string; method: string; needed: number; measured: number; failed: number }[];
  revisions: { at: string; profile: string; revision: string; current: boolean; reference_us: number | null; noise: number | null }[];
  references: { at: string; profile: string; us: number; drift: number | null }[];
  failures: { at: string; kind: string; measurement: string; attempt: number; what: string | null; message: string | null }[];
  transitions: { at: string; from: string; to: string; event: string }[];
};
export type Measurement = {
  id: string; profile: string; kind: string; arch?: string | null; signature?: string | null; method: string; take?: number; profile_revision?: string; state: string; attempt: number;
  median_us: number | null; low_us: number | null; high_us: number | null; n: number | null; energy_uj: number | null; flags: string[]; error: { message: string } | string | null; created_at: string;
};
export type Samples = Measurement & { samples_us: number[] };
export type Evaluation = { id: number; supernet: string; created_at: string; arch: string; arch_id: string; split: string; top1: number | null; top1_raw: number | null; images: number; recalibration_images: number };
export type Model = { id: string; name: string; kind: 'latency' | 'accuracy'; space: string; source: string; state: string; summary: Record<string, unknown> | null; created_at: string };
export type Strategy = { name: string; help: string; when: string; options: { name: string; kind: 'int' | 'real'; default: number; min: number; max: number; help: string }[] };
export type Token = { id: string; kind: string; token?: string; command?: string; notices?: string[]; expires_at: string; uses_left: number; label?: string | null; device: string | null };
export type Export = { id: string; supernet: string; arch: string; arch_id: string; format: string; state: string; bytes: number | null; created_at: string };
export type Version = { version: string; api: string; sqlite: string; runtime_revision: string };
export type System = {
  job_memory_bytes: number; job_file_bytes: number; disk_floor_bytes: number; retention: { kind: string; rows: number; rule: string }[];
  cores: number; memory_bytes: number; data_dir: string; disk_free_bytes: number; disk: { bytes: number | null; kinds: { kind: string; bytes: number }[] }; database_bytes: number; started_at: string; jobs_running: number;
  cpu_model: string; workers_online: number; checks: { name: string; ok: boolean; detail: string }[];
};
export type ArchUnit = {
  signature: string; kind: string; stage: number; block: number; macs: number; params: number; c_in: number; c_out: number; h_out: number; w_out: number; peak_activation_bytes: number;
  mid_channels: number; kernel: number; expand_ratio: number; stride: number; act: string; se: boolean; residual: boolean; latency_us?: number | null;
};
export type Arch = {
  arch: string; arch_id: string; graph_id: string; cost: Cost; units: ArchUnit[];
  latency?: { us: number; low_us: number; high_us: number; state: string; calibrated: boolean; missing: string[]; calibration: { version: number; n: number; rung: string } | null } | null;
};

/** Who this page is to the daemon; by: a person on the daemon's own machine, a token, or the session of this browser. */
export type Session = { token: string | null; label: string; scope: 'read' | 'submit' | 'admin'; expires_at: string | null; by: 'loopback' | 'token' | 'session' };

/** Who we are; null until the daemon has said so. */
export const session = signal<Session | null>(null);
/** The daemon wants a token first. */
export const locked = signal(false);

/** What the daemon said went wrong: a sentence, and for each field its own. `after`: in how many seconds it may be asked again; 0 where it says nothing of that. */
export class ApiError extends Error {
  constructor(readonly status: number, message: string, readonly fields: { pointer: string; detail: string }[] = [], readonly body: Record<string, unknown> = {}, readonly after = 0) {
    super(message);
  }
}

/** What went wrong, to be read: in the daemon's words where it has said so. */
export const wordsOf = (error: unknown): string => (error instanceof ApiError ? error.message : 'Something went wrong in this page.');

const unreachable = (): never => { throw new ApiError(0, 'The daemon cannot be reached'); };

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text().catch(unreachable), after = Number(response.headers.get('Retry-After')) || 0;
  let body: unknown = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError(response.status, 'The daemon did not answer in JSON', [], {}, after);
  }
  if (response.ok) return body as T;
  if (response.status === 401 && !response.url.endsWith('/session')) locked.value = true;
  const problem = (body ?? {}) as { detail?: string; title?: string; errors?: { pointer: string; detail: string }[] };
  throw new ApiError(response.status, problem.detail ?? problem.title ?? `The daemon answered with status ${response.status}`, problem.errors ?? [], problem as Record<string, unknown>, after);
}

async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  return answer<T>(await fetch(`/api/v1${path}`, {
    method,
    headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  }).catch(unreachable));
}

/** A path of the API; what is put into it is escaped. */
export const api = (text: TemplateStringsArray, ...parts: (string | number)[]) => String.raw({ raw: text }, ...parts.map(encodeURIComponent));

export const get = <T>(path: string) => send<T>('GET', path);
export const post = <T>(path: string, body: unknown = {}) => send<T>('POST', path, body);
export const patch = <T>(path: string, body: unknown) => send<T>('PATCH', path, body);
export const remove = (path: string) => send<unknown>('DELETE', path);

/** What is known of a network, with its latency where a profile is named. */
export const archPath = (space: string, arch: string, profile = '') => api`/archs?space=${space}&arch=${arch}` + (profile && api`&profile=${profile}`);

/** Networks of a search's front; none where there is no search, or no longer. */
export const frontItems = async (search: string): Promise<FrontItem[]> => {
  try {
    return search ? (await get<Front>(api`/searches/${search}/front`)).items : [];
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return [];
    throw error;
  }
};

/** Asks who we are; false: nobody, and the page is locked. A daemon that cannot be reached says neither. */
export async function whoAmI(): Promise<boolean> {
  try {
    session.value = await get<Session>('/session');
    locked.value = false;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) return true;
    locked.value = true;
  }
  return !locked.value;
}

/** A whole list, through all its pages. */
export async function list<T>(path: string): Promise<T[]> {
  const items: T[] = [];
  let after = '';
  for (let page = 0; page < 1000; page++) {
    const joint = path.includes('?') ? '&' : '?';
    const answer = await get<{ items: T[]; next: string | null }>(`${path}${joint}page_size=1000${after}`);
    items.push(...answer.items);
    if (!answer.next) break;
    after = api`&after=${answer.next}`;
  }
  return items;
}
