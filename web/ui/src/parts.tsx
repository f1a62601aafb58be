// Small parts that every page uses.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { remove, session, wordsOf, type ApiError, type Job, type Progress } from './api';
import { copied } from './clipboard';
import { mostCompared } from './comparison';
import { duration, percent, short } from './format';
import { progress } from './live';
import { sorted, turned, type Value } from './order';
import { href, route, setQuery } from './router';
import { signal, useSignal } from './signal';
import type { Loaded } from './state';

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
export const stateName = (of: string | null | undefined) => (of === 'canceled' ? 'cancelled' : of === 'canceling' ? 'stopping' : of ?? 'unknown');
export const State = ({ of }: { of: string | null | undefined }) => <span class={`state ${tones[of ?? ''] ?? 'mute'}`}>{stateName(of)}</span>;

/** What is known of the job's progress: by the stream, which who shows it has to follow, else as it was read. */
export const progressOf = (job: Job): Progress | null => progress.value[job.id] ?? job.progress ?? null;

/** What keeps a job from going on. */
export const waitsFor = ({ waits_for: w }: Job): string | undefined =>
  w ? (w.disk ? `waits for room on the disk: ${short(w.disk.free_bytes, 'B')} free` : `waits for ${w.device_name ?? w.device}, which ${w.why ? `is ${w.why === 'maintenance' ? 'in ' : ''}${w.why}` : 'measures'}`) : undefined;

/** Seconds until the job is done; not known while it waits for a board that takes no work. */
export const leftOf = (job: Job) => (job.waits_for?.why ? null : progressOf(job)?.eta_s);

export function ProgressLine({ job }: { job: Job }) {
  useSignal(progress);
  const p = progressOf(job), left = leftOf(job), fraction = p?.fraction ?? (job.state === 'queued' ? 0 : undefined); // what is not known is not 0
  const words = [
    waitsFor(job) ?? p?.phase ?? job.state,
    p?.done != null && p.total ? `${short(p.done)} of ${short(p.total)} ${p.unit ?? ''}` : '',
    p?.images_per_s ? `${short(p.images_per_s)} images/s` : '',
    p?.loss != null ? `loss ${p.loss.toFixed(3)}` : '',
    left != null ? `${duration(left)} left` : '',
  ].filter(Boolean);
  return (
    <div class="progress-line">
      <progress class="bar" max={1} value={fraction} aria-label="Done" />
      <span class="numbers">{percent(fraction, 0)}</span>
      <span class="note">{words.join(' · ')}</span>
    </div>
  );
}

/** Finds rows of a list, or lines of a log, by words of theirs; what is sought is in the address. */
export const FindField = () => <label>Find <input type="search" value={route.value.query.get('q') ?? ''} onInput={(e) => setQuery({ q: e.currentTarget.value })} /></label>;
/** By words of their name. Short lists are seen whole. */
export const Find = ({ of }: { of: unknown[] }) => (of.length < 8 && !route.value.query.get('q') ? null : <div class="toolbar"><FindField /></div>);
export function found<T extends { name: string }>(rows: T[], textOf = (row: T) => row.name): T[] {
  const words = (route.value.query.get('q') ?? '').toLowerCase().split(/\s+/);
  return rows.filter((row) => { const text = textOf(row).toLowerCase(); return words.every((word) => text.includes(word)); });
}

/** The metrics of a chart and their scales; in the address. */
export function AxisChoice({ x, y, log, logY, of }: { x: string; y: string; log: boolean; logY: boolean; of: Option[] }) {
  return (
    <div class="toolbar">
      {([['Across', 'x', x, 'log', log], ['Up', 'y', y, 'logy', logY]] as const).map(([title, name, key, logName, on]) => (
        <span key={name} class="row-of">
          <label>{title} <Select value={key} set={(key) => setQuery({ [name]: key, z: '' })} of={of} /></label>
          <Check on={on} set={(on) => setQuery({ [logName]: on ? '1' : '' })}><span class="sr-only">{title} logarithmic</span><span aria-hidden="true">log</span></Check>
        </span>
      ))}
    </div>
  );
}

/** Narrows a list to one of several kinds, or to none of them; in the address. */
export function Choose({ name, title, all }: { name: string; title: string; all: Record<string, string> }) {
  return (
    <label>{title}{' '}
      <Select value={route.value.query.get(name) ?? ''} set={(value) => setQuery({ [name]: value })} of={[['', 'all'], ...Object.entries(all)]} />
    </label>
  );
}

/** What is ticked in the address, and the way to its comparison. */
export function Ticked({ on, of, to }: { on: string[]; of: string; to: () => string }) {
  return (
    <>
      {on.length < 2 ? <span>Tick two to {mostCompared} to compare them</span> : <a class="button" href={to()}>Compare {on.length} {of}</a>}
      {on.length > 0 && <button type="button" class="quiet" onClick={() => setQuery({ of: '' })}>Tick none</button>}
    </>
  );
}

/** A box to be ticked. */
export const Check = ({ on, set, children }: { on: boolean; set: (on: boolean) => void; children: ComponentChildren }) => <label class="check"><input type="checkbox" checked={on} onChange={(e) => set(e.currentTarget.checked)} /> <span>{children}</span></label>;

/** A value and what it is called. */
export type Option = readonly [string, string];
/** A field that takes one of some values. */
export const Select = ({ value, set, of, ...more }: { value: string; set: (value: string) => void; of: Option[]; id?: string; 'aria-describedby'?: string | undefined; 'aria-label'?: string }) => <select value={value} onChange={(e) => set(e.currentTarget.value)} {...more}>{of.map(([v, title]) => <option key={v} value={v}>{title}</option>)}</select>;

/** A page whose thing is being read, or cannot be: then with the way to the others. */
export const Unread = ({ title, error, of }: { title: string; error: string | null; of: string }) => (
  <Page title={title}>{error ? <><Failed error={error} /><p><a href={href([of])}>All {of}</a></p></> : <Waiting />}</Page>
);

/** What has to be there before a search. */
export const Begin = () => <>Add a data set: <code>espalier dataset add NAME PATH</code>. Then train on it: <code>espalier supernet train NAME --space fashion_small --dataset NAME</code>.</>;

export const Empty = ({ children }: { children: ComponentChildren }) => <div class="empty">{children}</div>;
export const Failed = ({ error }: { error: string | null }) => (error ? <p class="problem" role="alert">{error[0]!.toUpperCase() + error.slice(1)}</p> : null);
export const Waiting = () => <p class="note" role="status">Reading…</p>;
/** What was read, as `children` show it, and why it cannot be read. */
export const Reading = <T,>({ of: { data, error }, children }: { of: Loaded<T>; children: (data: T) => ComponentChildren }) => <><Failed error={error} />{data !== null ? children(data) : !error && <Waiting />}</>;
/** The same of a list; `empty`: what is said where nothing is on it. */
export const Listed = <T,>({ of, empty, children }: { of: Loaded<T[]>; empty: ComponentChildren; children: (rows: T[]) => ComponentChildren }) => <Reading of={of}>{(rows) => (rows.length ? children(rows) : <Empty>{empty}</Empty>)}</Reading>;

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

/** A head that puts the rows in the order of its column, and turns it. */
export function SortHead({ name, title, number, sort, onSort }: { name: string; title: string; number: boolean | undefined; sort: string; onSort: (sort: string) => void }) {
  const [on, down] = [sort.replace(/^-/, '') === name, sort.startsWith('-')];
  return (
    <th scope="col" class={number ? 'number' : ''} aria-sort={on ? (down ? 'descending' : 'ascending') : 'none'}>
      <button type="button" class="link" onClick={() => onSort(turned(sort, name))}>{title}{on ? (down ? ' ↓' : ' ↑') : ''}</button>
    </th>
  );
}

/** `by`: what a click on its head sorts by, in a table that has an order. */
export type Column<T> = { title: string; number?: boolean; cell: (row: T) => ComponentChildren; by?: (row: T) => Value };
/** A box before each row; `most` of them can be ticked. */
type Ticks<T> = { title: string; label: (row: T) => string; on: string[]; most: number; set: (on: string[]) => void };
/** `sort`: title of a column in small letters, with - in front from its largest; heads change it in the address. */
type TableProps<T> = { label: string; rows: T[]; columns: Column<T>[]; rowKey: (row: T) => string; link?: (row: T) => string[]; selected?: string | undefined; onPick?: (row: T) => void; sort?: string; ticks?: Ticks<T> | undefined };

function Tick<T>({ row, id, ticks: { label, on, most, set } }: { row: T; id: string; ticks: Ticks<T> }) {
  const ticked = on.includes(id);
  return <td><input type="checkbox" aria-label={label(row)} checked={ticked} disabled={!ticked && on.length >= most} onChange={() => set(ticked ? on.filter((k) => k !== id) : [...on, id])} /></td>;
}

export function Table<T>(props: TableProps<T>) {
  const { sort, ticks } = props;
  const by = props.columns.find((c) => c.title.toLowerCase() === sort?.replace(/^-/, ''))?.by;
  const rows = by ? sorted(props.rows, by, sort!.startsWith('-')) : props.rows;
  return (
    <div class="table-wrap" tabIndex={0} role="region" aria-label={props.label}>
      <table>
        <thead>
          <tr>
            {ticks && <th scope="col"><span class="sr-only">{ticks.title}</span></th>}
            {props.columns.map((c) => (sort !== undefined && c.by ? <SortHead key={c.title} name={c.title.toLowerCase()} title={c.title} number={c.number} sort={sort} onSort={(to) => setQuery({ sort: to })} /> : <th key={c.title} scope="col" class={c.number ? 'number' : ''}>{c.title}</th>))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={props.rowKey(row)} class={props.selected === props.rowKey(row) ? 'selected' : ''} onClick={props.onPick ? () => props.onPick?.(row) : undefined}>
              {ticks && <Tick row={row} id={props.rowKey(row)} ticks={ticks} />}
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

/** A small line through points in their order, as wide and as high as they reach. */
export function Spark({ x, y, label }: { x: number[]; y: number[]; label: string }) {
  const placed = (values: number[], from: number, to: number) => { const least = Math.min(...values), span = Math.max(...values) - least || 1; return values.map((v) => from + ((to - from) * (v - least)) / span); };
  const [across, up] = [placed(x, 0, 100), placed(y, 18, 2)];
  return <svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label={label}><polyline points={across.map((v, i) => `${v},${up[i]}`).join(' ')} /></svg>;
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
    {useSignal(toasts).map((t) => <div key={t.id} class={`toast ${t.bad ? 'bad' : ''}`}>{t.text}</div>)}
  </div>
);

type User = { kind: string; id: string; name: string };
const UserOf = ({ kind, id, name }: User) => (/^(search|supernet|job|model)$/.test(kind) ? <a href={href([kind + (kind === 'search' ? 'es' : 's'), id])}>{kind} {name}</a> : <>{kind} {name}</>);

/** A button that does something at the daemon, which a session that may only read does not see unless it `reads`: off while it does, and says what went wrong, with the ways to those that need what was to go. */
export function Act(props: { do: () => Promise<unknown>; done?: string; confirm?: string; class?: string; off?: boolean; reads?: boolean; children: ComponentChildren }) {
  const [busy, setBusy] = useState(false), [users, setUsers] = useState<User[]>([]);
  const click = () => {
    if (props.confirm && !window.confirm(props.confirm)) return;
    setBusy(true);
    setUsers([]);
    props.do()
      .then(() => props.done && say(props.done))
      .catch((error: Partial<ApiError>) => { setUsers((error.body?.['users'] ?? []) as User[]); say(wordsOf(error), true); })
      .finally(() => setBusy(false));
  };
  return (
    <>
      <button type="button" class={`${props.class ?? ''} ${props.reads ? '' : 'act'}`} disabled={busy || props.off} onClick={click}>{props.children}</button>
      {users.length > 0 && <span class="note">Needed by {users.map((user, i) => <span key={user.id}>{i > 0 && ', '}<UserOf {...user} /></span>)}</span>}
    </>
  );
}

const here = () => String(route.value.parts);
export const useAdmin = () => useSignal(session)?.scope === 'admin';
/** What takes a session of this scope; another one is told so in its place, as a page where there is a title. Smaller things have the class submit or admin, and are hidden. */
export function For({ scope, title, children }: { scope: 'submit' | 'admin'; title?: string; children: ComponentChildren }) {
  const own = useSignal(session)?.scope;
  if (!own || own === 'admin' || own === scope) return <>{children}</>;
  const word = <Empty>This takes a token of scope {scope}: sign out, and in with one.</Empty>;
  return title ? <Page title={title}>{word}</Page> : word;
}
/** Removes a thing for good, which only administrators may; `then` only where they have stayed for it. */
export const Remove = ({ kind, name, path, then, ...more }: { kind: string; name: string; path: string; then: () => void; class?: string }) =>
  useAdmin() ? <Act do={() => { const at = here(); return remove(path).then(() => at === here() && then()); }} confirm={`Remove the ${kind} ${name}? This cannot be undone.`} done={`The ${kind} is removed.`} {...more}>Remove…</Act> : null;
