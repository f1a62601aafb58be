// What a search page shows: one range for each metric and gene, kept in the address as "latency_us:pf_1~~2000;depth~4~". And the genes of an arch's text.

export type Range = { low: number | null; high: number | null };
export type Ranges = Record<string, Range>;
/** A candidate's numbers by the name of its metric or gene. */
export type Numbers = Record<string, number>;

const bound = (text: string | undefined): number | null => {
  const v = text ? Number(text) : NaN;
  return Number.isFinite(v) ? v : null;
};

/** Reads what `printRanges` wrote; what it cannot read is left out. */
export function parseRanges(text: string | null): Ranges {
  const ranges: Ranges = {};
  for (const part of (text ?? '').split(';').slice(0, 100)) {
    const [key, low, high] = part.split('~');
    const range = { low: bound(low), high: bound(high) };
    if (key && (range.low !== null || range.high !== null)) ranges[key] = range;
  }
  return ranges;
}

const digits = (v: number | null) => (v === null ? '' : `${+v.toPrecision(12)}`);
export const printRanges = (ranges: Ranges): string => Object.entries(ranges).map(([key, r]) => `${key}~${digits(r.low)}~${digits(r.high)}`).join(';');

/** The ranges with one of them replaced, in its place; without it where it bounds nothing. */
export function withRange(ranges: Ranges, key: string, range: Range | null): Ranges {
  if (range && (range.low !== null || range.high !== null)) return { ...ranges, [key]: range };
  const { [key]: _, ...rest } = ranges;
  return rest;
}

/** Whether every range holds; what lacks the number of one is outside. */
export function within(numbers: Numbers, ranges: [string, Range][]): boolean {
  return ranges.every(([key, { low, high }]) => {
    const v = numbers[key];
    return v !== undefined && (low === null || v >= low) && (high === null || v <= high);
  });
}

/** Genes of an arch's text (docs/SPACES.md): resolution, blocks in all and by stage, mean kernel size and expand ratio, and channels of each stage. */
export function genesOf(arch: string): Numbers {
  const [head = '', ...stages] = arch.split('|').map((s) => s.trim());
  const genes: Numbers = { resolution: Number(head.slice(1)), depth: 0 };
  const [kernels, expands]: [number[], number[]] = [[], []];
  stages.forEach((stage, i) => {
    for (const word of stage.split(/\s+/)) {
      const value = Number(word.slice(1));
      if (word[0] === 'd') {
        genes[`depth ${i + 1}`] = value;
        genes['depth']! += value;
      }
      if (word[0] === 'c') genes[`channels ${i + 1}`] = value;
      if (word[0] !== 'k') continue;
      const [k, e] = word.slice(1).split('e');
      kernels.push(Number(k));
      if (e) expands.push(Number(e));
    }
  });
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  if (kernels.length) genes['kernel'] = mean(kernels);
  if (expands.length) genes['expand'] = mean(expands);
  return genes;
}

/** Index of the row with the best number; -1 where none has one. */
export function bestOf(rows: { numbers: Numbers }[], key: string, direction: 'maximise' | 'minimise'): number {
  const sign = direction === 'maximise' ? 1 : -1;
  let best = -1;
  rows.forEach((row, i) => {
    const v = row.numbers[key];
    if (v !== undefined && (best < 0 || sign * v > sign * rows[best]!.numbers[key]!)) best = i;
  });
  return best;
}
