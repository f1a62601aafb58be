// A subnet drawn stage by stage: a block's height is its output resolution, its width the channels inside; kernel size, expand ratio, SE and cost on it.
import { sized } from './canvas';
import { archPath, type Arch, type ArchUnit } from './api';
import { largest, latency, short, percent } from './format';
import { costFacts, stagesOf } from './network';
import { Facts, Failed, Table, Waiting } from './parts';
import { useGet } from './state';

/** What a unit is, in two short lines. */
function words(unit: ArchUnit, last: boolean): [string, string] {
  if (unit.stage >= 0) return [`${unit.kernel}×${unit.kernel}`, unit.kind === 'conv' ? 'conv' : `e${unit.expand_ratio}${unit.se ? ' SE' : ''}`];
  if (last) return ['linear', `${unit.c_out}`];
  return [unit.kernel > 1 ? `conv ${unit.kernel}×${unit.kernel}` : 'conv 1×1', `${unit.c_out}`];
}

function Block({ unit, last, widest, tallest, slowest }: { unit: ArchUnit; last: boolean; widest: number; tallest: number; slowest: number }) {
  const width = 46 + 86 * Math.sqrt((unit.mid_channels || unit.c_out) / widest);
  const height = 30 + 54 * Math.sqrt(unit.h_out / tallest);
  const share = slowest > 0 && unit.latency_us ? unit.latency_us / slowest : 0;
  const [name, detail] = words(unit, last);
  const title = `${unit.signature}: ${short(unit.macs)} MACs, ${short(unit.params)} parameters${unit.latency_us ? `, ${latency(unit.latency_us)}` : ''}`;
  return (
    <div class={`unit ${unit.residual ? 'residual' : ''} ${unit.stage >= 0 ? '' : 'fixed'}`} style={sized(width, height)} title={title}>
      <b>{name}</b>
      <span>{detail}</span>
      {share > 0 && <i class="heat" style={{ width: `${100 * share}%` }} />}
    </div>
  );
}

export function Drawing({ arch }: { arch: Arch }) {
  const widest = Math.max(...arch.units.map((u) => u.mid_channels || u.c_out));
  const tallest = Math.max(...arch.units.map((u) => u.h_out));
  const slowest = Math.max(0, ...arch.units.map((u) => u.latency_us ?? 0));
  return (
    <ol class="drawing" aria-label="The network, stage by stage">
      {stagesOf(arch.units).map((stage, i) => {
        const out = stage.units[stage.units.length - 1]!;
        return (
          <li key={`${stage.name}${i}`}>
            <div class="stage-name">{stage.name}<span>{out.h_out}×{out.w_out} · {out.c_out} ch</span></div>
            <div class="stage-units">{stage.units.map((u, j) => <Block key={j} unit={u} last={u === arch.units[arch.units.length - 1]} widest={widest} tallest={tallest} slowest={slowest} />)}</div>
          </li>
        );
      })}
    </ol>
  );
}

export function ArchView({ space, arch, profile }: { space: string; arch: string; profile?: string | undefined }) {
  const { data, error } = useGet<Arch>(archPath(space, arch, profile));
  if (!data) return error ? <Failed error={error} /> : <Waiting />;
  const total = data.units.reduce((sum, u) => sum + (u.latency_us ?? 0), 0);
  const most = largest(data.units.map((u) => u.latency_us));
  return (
    <div>
      <code class="genotype">{data.arch}</code>
      <Drawing arch={data} />
      <Facts rows={[...costFacts(data.cost), ...(data.latency ? [[data.latency.state === 'interpolated' ? 'Latency, interpolated' : 'Latency, predicted', `${latency(data.latency.us)}${data.latency.calibrated ? '' : ', not calibrated'}`] as [string, string]] : [])]} />
      <details>
        <summary>Unit by unit{data.latency?.calibrated && ', not calibrated'}</summary>
        <Table label="Units of the network" rows={data.units} rowKey={(u) => `${data.units.indexOf(u)}`} columns={[
          { title: 'Unit', cell: (u) => u.signature }, { title: 'MACs', number: true, cell: (u) => short(u.macs) }, { title: 'Parameters', number: true, cell: (u) => short(u.params) },
          { title: 'Latency', number: true, cell: (u) => latency(u.latency_us, most) }, { title: 'Share', number: true, cell: (u) => (total > 0 ? percent((u.latency_us ?? 0) / total, 1) : '–') },
        ]} />
      </details>
    </div>
  );
}
