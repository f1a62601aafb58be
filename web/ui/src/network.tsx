// A network unit by unit, as one drawing and table: the silhouette (width: channels in, inside and out; height: resolution), what each unit is,
// and bars of what it costs, latency for each board.
import type { Arch, ArchUnit, Cost } from './api';
import { rem } from './canvas';
import { energy, latency, largest, short } from './format';

export type OnBoard = { profile: string; name: string; arch: Arch };
type Bar = { key: string; title: string; total: string; shade: string; most: number; of: (unit: ArchUnit, at: number) => number | null | undefined; text: (v: number) => string };

const bytes = (v: number) => short(v, 'B');
/** What a network costs wherever it runs, and how that is said. */
export const costs = ({ macs, params, peak_activation_bytes, model_bytes, traffic_bytes, energy_uj }: Cost) => [
  ['MACs', macs, short], ['Parameters', params, short], ['Peak activation memory', peak_activation_bytes, bytes], ['Model', model_bytes, bytes], ['Memory traffic', traffic_bytes, bytes], ['Energy, estimated', energy_uj, energy],
] as [string, number, (v: number) => string][];
export const costFacts = (cost: Cost): [string, string][] => costs(cost).map(([name, v, say]) => [name, say(v)]);

/** Units in rows of one stage each; those without one are stem and head. */
export function stagesOf(units: ArchUnit[]): { name: string; units: ArchUnit[] }[] {
  const groups: { name: string; units: ArchUnit[] }[] = [];
  let head = false;
  for (const unit of units) {
    if (unit.stage >= 0) head = true;
    const name = unit.stage >= 0 ? `Stage ${unit.stage + 1}` : head ? 'Head' : 'Stem';
    const last = groups[groups.length - 1];
    if (last?.name === name) last.units.push(unit);
    else groups.push({ name, units: [unit] });
  }
  return groups;
}

/** "5×5, expand 4, SE": what a person reads first. */
export function unitWords(unit: ArchUnit): string {
  if (unit.kind === 'head_tail') return 'pooling, linear';
  const words = [unit.stage < 0 || unit.kind === 'conv' ? `convolution ${unit.kernel}×${unit.kernel}` : `${unit.kernel}×${unit.kernel}`];
  if (unit.expand_ratio > 0) words.push(`expand ${+unit.expand_ratio.toPrecision(3)}`);
  if (unit.se) words.push('SE');
  if (unit.stride > 1) words.push(`stride ${unit.stride}`);
  return words.join(', ');
}

const heightOf = (unit: ArchUnit, tallest: number) => Math.round(30 + 46 * Math.sqrt(unit.h_out / tallest));

/** Channels in at the top, inside in the middle, out at the bottom. */
function Silhouette({ unit, widest, height }: { unit: ArchUnit; widest: number; height: number }) {
  const half = (channels: number) => 43 * Math.sqrt(channels / widest);
  const [a, m, b] = [half(unit.c_in), half(unit.mid_channels || unit.c_out), half(unit.c_out)];
  const turn = height * 0.24;
  const right = [[a, 0], [m, turn], [m, height - turn], [b, height]];
  const outline = [...right, ...[...right].reverse().map(([x, y]) => [-x!, y!])];
  return (
    <svg viewBox={`-50 0 100 ${height}`} preserveAspectRatio="none" style={{ height: rem(height) }} aria-hidden="true">
      {unit.residual && <path d={`M -${(a + 0.1).toFixed(2)} 0 C -60 ${turn} -60 ${height - turn} -${(b + 0.1).toFixed(2)} ${height}`} />}
      <polygon points={outline.map(([x, y]) => `${x!.toFixed(2)},${y!.toFixed(2)}`).join(' ')} class={unit.stage < 0 ? 'fixed' : unit.se ? 'se' : ''} />
    </svg>
  );
}

function barsOf(arch: Arch, boards: OnBoard[]): Bar[] {
  const counted: [string, string, keyof ArchUnit & ('macs' | 'peak_activation_bytes' | 'params'), string, (v: number) => string, string][] = [
    ['macs', 'MACs', 'macs', 'curve-2', short, `${short(arch.cost.macs)} in all`],
    ['memory', 'Peak memory', 'peak_activation_bytes', 'curve-5', bytes, `${bytes(arch.cost.peak_activation_bytes)} at most`],
    ['params', 'Parameters', 'params', 'curve-4', short, `${short(arch.cost.params)} in all`],
  ];
  return [
    ...boards.map((b): Bar => {
      const most = largest(b.arch.units.map((u) => u.latency_us));
      return { key: b.profile, title: b.name, total: b.arch.latency ? `${latency(b.arch.latency.us)} in all${b.arch.latency.calibrated ? ', calibrated; the bars are not' : ''}` : 'incomplete table', shade: 'curve-3', most, of: (_u, at) => b.arch.units[at]?.latency_us, text: (v) => latency(v, most) };
    }),
    ...counted.map(([key, title, member, shade, text, total]): Bar => ({ key, title, total, shade, text, most: Math.max(...arch.units.map((u) => u[member])), of: (u) => u[member] })),
  ];
}

export function NetworkTable({ arch, boards }: { arch: Arch; boards: OnBoard[] }) {
  const widest = Math.max(...arch.units.map((u) => Math.max(u.mid_channels, u.c_in, u.c_out)));
  const tallest = Math.max(...arch.units.map((u) => u.h_out));
  const bars = barsOf(arch, boards);
  let at = -1;
  return (
    <div class="table-wrap network-wrap" tabIndex={0} role="region" aria-label="The network, unit by unit">
      <table class="network">
        <thead>
          <tr>
            <th scope="col">Stage</th><th scope="col" class="drawn">Drawn</th><th scope="col">Unit</th>
            {bars.map((b) => <th key={b.key} scope="col">{b.title}<small>{b.total}</small></th>)}
          </tr>
        </thead>
        {stagesOf(arch.units).map((stage) => (
          <tbody key={`${stage.name}${at}`}>
            {stage.units.map((unit, i) => {
              at++;
              const place = at, height = heightOf(unit, tallest);
              return (
                <tr key={place}>
                  {i === 0 && <th scope="rowgroup" rowSpan={stage.units.length}>{stage.name}<small>{stage.units[stage.units.length - 1]!.h_out}×{stage.units[stage.units.length - 1]!.w_out}</small></th>}
                  <td class="drawn" style={{ height: rem(height) }}><Silhouette unit={unit} widest={widest} height={height} />{unit.stage >= 0 && <b aria-hidden="true">{unit.kernel}×{unit.kernel}{unit.se ? ' SE' : ''}</b>}</td>
                  <td class="unit-words" title={unit.signature}>{unitWords(unit)}<small>{unit.c_in} → {unit.mid_channels ? `${unit.mid_channels} → ` : ''}{unit.c_out} ch{unit.residual ? ', residual' : ''}</small></td>
                  {bars.map((b) => {
                    const v = b.of(unit, place);
                    return <td key={b.key} class="bar-cell">{v == null ? '–' : b.text(v)}<i style={{ width: `${v && b.most ? Math.max(1, (100 * v) / b.most) : 0}%`, background: `var(--${b.shade})` }} /></td>;
                  })}
                </tr>
              );
            })}
          </tbody>
        ))}
      </table>
    </div>
  );
}
