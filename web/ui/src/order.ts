// The order of a table's rows: by a column's name, with - in front from its largest. In the address.

export type Value = number | string | null | undefined;

/** The order in which a click on the head of `name` puts the rows. */
export const turned = (sort: string, name: string): string => (sort === name ? `-${name}` : name);

/** Rows by what `by` reads of each: numbers by their size, words as people order them. Those without a value are last, equal ones stay as they stood. */
export function sorted<T>(rows: T[], by: (row: T) => Value, down: boolean): T[] {
  const compare = (a: NonNullable<Value>, b: NonNullable<Value>) => (typeof a === 'number' && typeof b === 'number' ? a - b : `${a}`.localeCompare(`${b}`, 'en', { numeric: true }));
  const sign = down ? -1 : 1;
  return rows.map((row) => [by(row), row] as const)
    .sort(([a], [b]) => (a == null || b == null ? Number(a == null) - Number(b == null) : sign * compare(a, b)))
    .map(([, row]) => row);
}
