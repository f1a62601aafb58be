// Numbers as people read them. Latencies come in microseconds and are shown in the unit that fits; top-1 comes as a share.

export const dash = '–';
const known = (v: number | null | undefined): v is number => typeof v === 'number' && Number.isFinite(v);

export const percent = (v: number | null | undefined, digits = 2) => (known(v) ? `${(100 * v).toFixed(digits)} %` : dash);
/** A latency in µs below a millisecond, else in ms; `most`: the largest of the column, whose unit all of them share. */
export const latency = (us: number | null | undefined, most = us) => (!known(us) ? dash : Math.abs(most ?? us) >= 1000 ? `${significant(us / 1000)} ms` : `${significant(us)} µs`);
/** Where a number in ms is to be typed beside it. */
export const inMs = (us: number | null | undefined) => (known(us) ? `${significant(us / 1000)} ms` : dash);
export const energy = (uj: number | null | undefined) => (known(uj) ? (uj >= 1000 ? `${significant(uj / 1000, 3)} mJ` : `${significant(uj, 3)} µJ`) : dash);
/** What a calibration of a rung corrects. */
export const sumOf = (rung = ''): string => ({ kinds: 'sum scaled by kind', fleet: 'sum scaled by other profiles', entries: 'sum scaled by entry' })[rung] ?? 'sum';
export const largest = (values: (number | null | undefined)[]) => Math.max(0, ...values.filter(known).map(Math.abs));

export function significant(v: number, digits = 4): string {
  if (v === 0) return '0';
  if (Math.abs(v) < 1e-4) {
    const [head = '', power = ''] = v.toExponential(digits - 2).split('e-');
    return `${head} × 10⁻${[...power].map((d) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(d)]).join('')}`;
  }
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(v))));
  return v.toFixed(Math.min(places, 8));
}

export function short(v: number | null | undefined, unit = ''): string {
  if (!known(v)) return dash;
  if (!unit && Number.isInteger(v) && Math.abs(v) < 10000) return `${v}`;
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];
  let scaled = v;
  let i = 0;
  while (Math.abs(+scaled.toPrecision(i === 0 ? 4 : 3)) >= 1000 && i < prefixes.length - 1) { // as it will be written
    scaled /= 1000;
    i++;
  }
  const text = i === 0 ? `${+scaled.toPrecision(4)}` : scaled.toPrecision(3);
  return `${text}${prefixes[i] || unit ? ' ' : ''}${prefixes[i]}${unit}`;
}

export function duration(seconds: number | null | undefined): string {
  if (!known(seconds) || seconds < 0) return dash;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')} min`;
  return `${Math.floor(s / 3600)}:${String(Math.floor(s / 60) % 60).padStart(2, '0')} h`;
}

export function ago(time: string | null | undefined, now = Date.now()): string {
  if (!time) return dash;
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 45) return 'just now';
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

export const metricName = (key: string, profiles: Record<string, string> = {}): string => {
  const [name = '', profile] = key.split(':');
  const names: Record<string, string> = {
    top1: 'Top-1', loss: 'Validation loss', latency_us: 'Latency', macs: 'MACs', params: 'Parameters', peak_activation_bytes: 'Peak activation memory',
    peak_simple_bytes: 'Peak memory, unfused', model_bytes: 'Model size', traffic_bytes: 'Memory traffic', energy_uj: profile ? 'Energy (µJ)' : 'Energy, estimated (µJ)',
  };
  return (Object.hasOwn(names, name) ? names[name] : name) + (profile ? ` on ${profiles[profile] ?? profile}` : '');
};

export const metricValue = (key: string, v: number | null | undefined, most?: number): string => {
  if (key === 'top1') return percent(v);
  if (key.startsWith('latency_us')) return latency(v, most ?? v);
  if (key.endsWith('_bytes')) return short(v, 'B');
  return short(v);
};

/** Labels for the ticks of an axis: all with as many decimals as tell them apart. */
export function even(values: number[]): string[] {
  const gap = Math.min(...values.slice(1).map((v, i) => Math.abs(v - values[i]!)), Infinity);
  if (!Number.isFinite(gap) || gap === 0) return values.map((v) => `${+v.toPrecision(4)}`);
  let digits = 0;
  while (digits < 9 && values.some((v) => Math.abs(v - +v.toFixed(digits)) > gap * 0.02)) digits++;
  return values.map((v) => v.toFixed(digits));
}

/** "40,700": every digit of a count. */
export const counted = (n: number): string => n.toLocaleString('en');

const prefixOf = (most: number) => (most < 1e5 ? 0 : Math.min(4, Math.floor(Math.log10(most) / 3)));
const prefixes = ['', ' k', ' M', ' G', ' T'];

/** Ticks of a plain number: all with the prefix of the largest, and as many decimals as tell them apart. */
export function plainTicks(values: number[]): string[] {
  const most = largest(values), power = prefixOf(most);
  if (most < 1e-3) return values.map((v) => (v ? v.toExponential(1) : '0'));
  return even(values.map((v) => v / 1000 ** power)).map((text) => text + prefixes[power]);
}

/** Ticks of a logarithmic axis: each by itself where they are far apart. */
export const wideTicks = (values: number[]): string[] => (values.at(-1)! > 8 * values[0]! ? values.map((v) => short(v)) : plainTicks(values));

/** Writes numbers that are compared: all with the prefix of the largest, four digits of that one, and more where the closest two would look alike. */
export function comparing(values: (number | null | undefined)[]): (v: number) => string {
  const sorted = values.filter(known).sort((a, b) => a - b), most = largest(sorted), power = prefixOf(most);
  if (most < 1e-3) return (v) => significant(v, 6);
  const gaps = sorted.slice(1).map((v, i) => v - sorted[i]!).filter((gap) => gap > most * 1e-9);
  const fine = Math.min(most, ...gaps) / 1000 ** power; // two digits of the closest two's difference
  const places = Math.min(9, Math.max(0, 1 - Math.floor(Math.log10(fine)), 3 - Math.floor(Math.log10(most / 1000 ** power))));
  return (v) => (v / 1000 ** power).toFixed(places) + prefixes[power];
}

/** What values of a metric are shown times of and in: percent, or what fits the largest of them. */
export function unitOf(key: string, most: number): [number, string] {
  if (key === 'top1') return [100, '%'];
  const time = key.startsWith('latency_us'), power = Math.min(time ? 1 : 4, Math.max(0, Math.floor(Math.log10(most || 1) / 3)));
  return [1000 ** -power, time ? (power ? 'ms' : 'µs') : `${prefixes[power]!.trim()}${key.endsWith('_bytes') ? 'B' : ''}`];
}

/** Ticks of a metric's axis: plain numbers, and the one unit they share. */
export function tickLabels(key: string, values: number[], log = false): { text: string[]; unit: string } {
  const [factor, unit] = unitOf(key, largest(values)), scaled = values.map((v) => v * factor);
  return { text: log ? scaled.map((v) => `${+v.toPrecision(3)}`) : even(scaled), unit };
}

/** "6.1 × 10¹⁷": how many there are of very many; every digit of fewer. */
export function power(v: number): string {
  if (v < 1e6) return counted(v);
  const [digits, exponent] = v.toExponential(1).split('e+');
  return `${digits} × 10${[...exponent!].map((d) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(d)]).join('')}`;
}
