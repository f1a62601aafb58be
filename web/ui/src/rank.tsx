// What inherited weights are worth: networks scored as they are in the supernet, against the same networks trained alone.
import type { Estimation } from './api';
import { even, percent } from './format';
import { Grid } from './grid';
import { Facts } from './parts';
import { extent, ticks, toPixel, type Scale } from './scale';

const [width, height, left, bottom] = [560, 320, 78, 56];

export function Rank({ report }: { report: Estimation }) {
  const { networks, kendall_tau: tau } = report;
  const [x0, x1] = extent(networks.map((n) => n.inherited), false);
  const [y0, y1] = extent(networks.flatMap((n) => [n.scratch, n.fine_tuned]), false);
  const sx: Scale = { min: x0, max: x1, log: false, from: left, to: width - 10 };
  const sy: Scale = { min: y0, max: y1, log: false, from: height - bottom, to: 8 };
  const [xt, yt] = [ticks(x0, x1, 5), ticks(y0, y1, 5)];
  const [xl, yl] = [xt, yt].map((at) => even(at.map((v) => 100 * v)).map((v) => `${v} %`)) as [string[], string[]];
  const [from, to] = [Math.max(x0, y0), Math.min(x1, y1)];
  const said = (v: number) => v.toFixed(3).replace('-', '−');
  const ranks = `scratch ${said(tau.inherited_scratch)}, fine-tuned ${said(tau.inherited_fine_tuned)}`;
  return (
    <div class="pair">
      <figure class="board-front residuals">
        <figcaption>Top-1 alone over inherited, of {networks.length} networks</figcaption>
        <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`Inherited against stand-alone top-1 of ${networks.length} networks. Rank correlation with inherited: ${ranks}.`}>
          <Grid x={{ s: sx, at: xt, text: xl }} y={{ s: sy, at: yt, text: yl }} title="inherited" below={22} height={height} />
          {from < to && <line class="zero" x1={toPixel(sx, from)} y1={toPixel(sy, from)} x2={toPixel(sx, to)} y2={toPixel(sy, to)} />}
          {networks.map((n) => {
            const words = `${n.arch}: inherited ${percent(n.inherited)}, fine-tuned ${percent(n.fine_tuned)}, from scratch ${percent(n.scratch)}`;
            const [x, y] = [toPixel(sx, n.inherited), toPixel(sy, n.fine_tuned)];
            return <g key={n.arch_id}><circle class="top" cx={x} cy={toPixel(sy, n.scratch)} r="4.2"><title>{words}</title></circle><rect class="top" x={x - 3.8} y={y - 3.8} width="7.6" height="7.6"><title>{words}</title></rect></g>;
          })}
        </svg>
        <p class="note"><i class="mark dot" />trained from scratch <i class="mark square" />fine-tuned from inherited weights. On the line both are equal.</p>
      </figure>
      <Facts rows={[
        ['Inherited and from scratch', `tau ${said(tau.inherited_scratch)}`],
        ['Inherited and fine-tuned', `tau ${said(tau.inherited_fine_tuned)}`],
        ['Fine-tuned and from scratch', `tau ${said(tau.fine_tuned_scratch)}`],
      ]} />
    </div>
  );
}
