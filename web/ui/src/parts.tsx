// Small parts that every page uses.
import type { ComponentChildren } from 'preact';
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, type Job, type Progress } from './api';
import { copied } from './clipboard';
import { duration, percent, short } from './format';
import { progress } from './live';
import { href, route, setQuery } from './router';

/** A page, which the browser's tab names too. */
export function Page(props: { title: string; lead?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren }) {
  useEffect(() => { document.title = `${props.title} · Espalier`; }, [props.title]);
  return (
    <main id="main" tabIndex={-1}>
      <header class="page-head">
        <div>
          <h1>{props.title}</h1>
          {props.lead && <p class="lead">{props.lead}</p>}
        </div>
        {props.actions && <div class="actions">{props.actions}</div>}
      </header>
      {props.children}
    </main>
  );
}

export function Card(props: { title?: string; note?: ComponentChildren; class?: string; children: ComponentChildren }) {
  return (
    <section class={`card ${props.class ?? ''}`}>
      {props.title && (
        <div class="card-head">
          <h2>{props.title}</h2>
          {props.note && <span class="note">{props.note}</span>}
        </div>
      )}
      {props.children}
    </section>
  );
}

const tones: Record<string, string> = {
  incomplete: 'warn',
  done: 'good', ready: 'good', good: 'good', accepted: 'good', online: 'good', active: 'good', running: 'busy', training: 'busy', checking: 'busy', leased: 'busy', measuring: 'busy',
  probation: 'busy', draining: 'warn', maintenance: 'warn', paused: 'warn', canceling: 'warn', suspect: 'warn', canceled: 'mute', queued: 'mute', offline: 'mute', failed: 'bad', quarantined: 'bad',
};
export const State = ({ of }: { of: string | null | undefined }) => <span class={`state ${tones[of ?? ''] ?? 'mute'}`}>{of === 'canceled' ? 'cancelled' : of === 'canceling' ? 'stopping' : of ?? 'unknown'}</span>;

export function Bar({ progress }: { progress: Progress | null | undefined }) {
  const fraction = progress?.fraction ?? 0;
  return <progress class="bar" max={1} value={fraction} aria-label={`${Math.round(100 * fraction)} % done`} />;
}

/** What is known of the job's progress: by the stream, else as it was read. */
export const progressOf = (job: Job): Progress | null => progress.value[job.id] ?? job.progress ?? null;

/** What keeps a job from going on. */
export const waitsFor = ({ waits_for: w }: Job): string | undefined =>
  w ? (w.disk ? `waits for room on the disk: ${short(w.disk.free_bytes, 'B')} free` : `waits for ${w.device}, which measures`) : undefined;

export function ProgressLine({ job }: { job: Job }) {
  const p = progressOf(job);
  const words = [
    waitsFor(job) ?? p?.phase ?? job.state,
    p?.done != null && p.total ? `${short(p.done)} of ${short(p.total)} ${p.unit ?? ''}` : '',
    p?.images_per_s ? `${short(p.images_per_s)} images/s` : '',
    p?.loss != null ? `loss ${p.loss.toFixed(3)}` : '',
    p?.eta_s != null ? `${duration(p.eta_s)} left` : '',
  ].filter(Boolean);
  return (
    <div class="progress-line">
      <Bar progress={p} />
      <span class="numbers">{percent(p?.fraction ?? 0, 0)}</span>
      <span class="note">{words.join(' · ')}</span>
    </div>
  );
}

/** Finds rows of a list by words of their name; what is sought is in the address. Short lists are seen whole. */
export const Find = ({ of }: { of: unknown[] }) => (of.length < 8 && !route.value.query.get('q') ? null : (
  <div class="toolbar"><label>Find <input type="search" value={route.value.query.get('q') ?? ''} onInput={(e) => setQuery({ q: e.currentTarget.value })} /></label></div>
));
export function found<T extends { name: string }>(rows: T[]): T[] {
  const words = (route.value.query.get('q') ?? '').toLowerCase().split(/\s+/);
  return rows.filter((row) => words.every((word) => row.name.toLowerCase().includes(word)));
}

export const Empty = ({ children }: { children: ComponentChildren }) => <div class="empty">{children}</div>;
export const Failed = ({ error }: { error: string | null }) => (error ? <p class="problem" role="alert">{error}</p> : null);
export const Waiting = () => <p class="note" role="status">Reading…</p>;
export function Code({ children }: { children: string }) {
  const [done, setDone] = useState<string | null>(null);
  const shown = useRef<HTMLElement>(null);
  const copy = async () => {
    const ok = await copied(children, shown.current!);
    setDone(ok ? 'Copied' : 'Selected');
    if (!ok) say('This browser lets no page copy here. The text is selected: copy it with Ctrl+C.', true);
    setTimeout(() => setDone(null), 1500);
  };
  return (
    <div class="code">
      <code ref={shown}>{children.split(/(?<=\s)(--[\w-]+)/).map((part, i) => (i % 2 ? <span class="option" key={i}>{part}</span> : part))}</code>
      <button type="button" class="quiet" onClick={() => void copy()}>{done ?? 'Copy'}</button>
    </div>
  );
}

export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export type Column<T> = { title: string; number?: boolean; cell: (row: T) => ComponentChildren };
export function Table<T>(props: { label: string; rows: T[]; columns: Column<T>[]; rowKey: (row: T) => string; link?: (row: T) => string[]; selected?: string | undefined; onPick?: (row: T) => void }) {
  return (
    <div class="table-wrap" tabIndex={0} role="region" aria-label={props.label}>
      <table>
        <thead>
          <tr>{props.columns.map((c) => <th key={c.title} scope="col" class={c.number ? 'number' : ''}>{c.title}</th>)}</tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr key={props.rowKey(row)} class={props.selected === props.rowKey(row) ? 'selected' : ''} onClick={props.onPick ? () => props.onPick?.(row) : undefined}>
              {props.columns.map((c, i) => (
                <td key={c.title} class={c.number ? 'number' : ''}>
                  {i === 0 && props.link ? <a href={href(props.link(row))}>{c.cell(row)}</a> : c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// ---- short messages ---------------------------------------------------------------------------

const toasts = signal<{ id: number; text: string; bad: boolean }[]>([]);
let nextToast = 1;
export function say(text: string, bad = false) {
  const id = nextToast++;
  toasts.value = [...toasts.value.slice(-3), { id, text, bad }];
  setTimeout(() => { toasts.value = toasts.value.filter((t) => t.id !== id); }, bad ? 10000 : 5000);
}
export const Toasts = () => (
  <div class="toasts" role="status" aria-live="polite">
    {toasts.value.map((t) => <div key={t.id} class={`toast ${t.bad ? 'bad' : ''}`}>{t.text}</div>)}
  </div>
);

/** A button that does something at the daemon: off while it does, and says what went wrong. */
export function Act(props: { do: () => Promise<unknown>; done?: string; confirm?: string; class?: string; off?: boolean; children: ComponentChildren }) {
  const [busy, setBusy] = useState(false);
  const click = () => {
    if (props.confirm && !window.confirm(props.confirm)) return;
    setBusy(true);
    props.do()
      .then(() => props.done && say(props.done))
      .catch((error: unknown) => say(error instanceof ApiError ? error.message : 'Something went wrong in this page.', true))
      .finally(() => setBusy(false));
  };
  return <button type="button" class={props.class ?? ''} disabled={busy || props.off} onClick={click}>{props.children}</button>;
}
