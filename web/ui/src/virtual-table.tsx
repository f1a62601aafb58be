// A table of any length: only the rows in sight are in the page. Click on a head sorts; arrows, Page Up and Page Down, Home and End walk.
// Tab reaches one row alone, the first in sight, and arrows go on from it: row after row would come into sight below it, and Tab would not get out before the last.
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { rem, scrolled } from './canvas';
import { SortHead } from './parts';

/** `text`: its cells stand on the left. */
export type Col<T> = { key: string; title: string; text?: boolean; number: (row: T) => number | undefined; cell: (row: T, tabIndex: 0 | -1) => ComponentChildren };
type Props<T> = { label: string; rows: T[]; columns: Col<T>[]; rowKey: (row: T) => string; selected?: string | undefined; sort: string; onSort: (sort: string) => void; onPick: (row: T) => void };

const rowHeight = 32, shown = 12, spare = 8;
const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: shown - 2, PageUp: 2 - shown, Home: -Infinity, End: Infinity };

/** Apart from the table: what is kept until the next goal would keep all rows that were drawn with it. */
const focusOn = (wrap: { current: HTMLElement | null }, { row, what }: { row: number; what: string }) => () => {
  if (what) wrap.current!.querySelector<HTMLElement>(`[aria-rowindex="${row + 2}"] ${what}`)?.focus();
};

export function VirtualTable<T>(props: Props<T>) {
  const [top, setTop] = useState(0);
  const [goal, setGoal] = useState({ row: 0, what: '' }), wrap = useRef<HTMLDivElement>(null);
  const down = props.sort.startsWith('-');
  const by = props.columns.find((c) => c.key === props.sort.replace(/^-/, ''));
  const rows = useMemo(() => {
    if (!by) return props.rows;
    const sign = down ? -1 : 1;
    const values = Float64Array.from(props.rows, (r) => sign * (by.number(r) ?? sign * Infinity)); // without a number: at the end
    return [...values.keys()].sort((a, b) => (values[a] === values[b] ? a - b : values[a]! - values[b]!)).map((i) => props.rows[i]!);
  }, [props.rows, props.sort, by?.key]);
  const first = Math.max(0, Math.min(Math.floor(top / rowHeight) - spare, rows.length - shown));
  const part = rows.slice(first, first + shown + 2 * spare);
  const inSight = Math.min(rows.length - 1, Math.ceil(top / rowHeight));
  const below = Math.max(0, rows.length - first - part.length);
  /** From what is in a row to the same in another one, which comes into sight before it is focused. */
  const walk = (event: KeyboardEvent & { currentTarget: HTMLElement }) => {
    const from = event.target as Element, step = steps[event.key], at = Number(from.closest('tbody tr')?.ariaRowIndex ?? 0) - 2;
    if (step === undefined || at < 0) return;
    event.preventDefault();
    const row = Math.max(0, Math.min(rows.length - 1, at + step)), box = event.currentTarget;
    if (!part[row - first]) { // the rest of the way its focus scrolls
      box.scrollTop = row * from.closest('tr')!.getBoundingClientRect().height;
      setTop(scrolled(box));
    }
    setGoal({ row, what: from.localName });
  };
  useLayoutEffect(focusOn(wrap, goal), [goal]);
  return (
    <div class="table-wrap virtual" tabIndex={0} role="region" aria-label={props.label} ref={wrap} onScroll={(e) => setTop(scrolled(e.currentTarget))} onKeyDown={walk}>
      <table aria-rowcount={rows.length + 1}>
        <thead>
          <tr>
            {props.columns.map((c) => (
              <SortHead key={c.key} name={c.key} title={c.title} number={!c.text} sort={props.sort} onSort={props.onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <tr aria-hidden="true"><td colSpan={props.columns.length} style={{ height: rem(first * rowHeight) }} /></tr>}
          {part.map((row, i) => (
            <tr key={props.rowKey(row)} aria-rowindex={first + i + 2} class={props.selected === props.rowKey(row) ? 'selected' : ''} onClick={() => props.onPick(row)}>
              {props.columns.map((c) => <td key={c.key} class={c.text ? '' : 'number'}>{c.cell(row, first + i === inSight ? 0 : -1)}</td>)}
            </tr>
          ))}
          {below > 0 && <tr aria-hidden="true"><td colSpan={props.columns.length} style={{ height: rem(below * rowHeight) }} /></tr>}
        </tbody>
      </table>
    </div>
  );
}
