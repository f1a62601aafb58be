// One search's front as each of its boards sees it, side by side: the same networks, one scale of what is wanted, each board's own latencies.
import type { FrontItem, Source } from './api';
import { toldBy } from './entries';
import { frontOf, type Direction } from './front';
import { metricValue, tickLabels } from './format';
import { Grid } from './grid';
import { extent, ticks, toPixel, type Scale } from './scale';

/** A network in a chart: squares are measured, diamonds evaluated, circles predicted. */
export function NetworkMark({ at: [x, y], source, title, ...rest }: { at: [number, number]; source: Source; title: string; class?: string; onClick: () => void }) {
  const words = <title>{title}</title>;
  if (source === 'measured') return <rect {...rest} x={x - 3.5} y={y - 3.5} width="7" height="7">{words}</rect>;
  if (source === 'evaluated') return <polygon {...rest} points={`${x},${y - 5} ${x + 5},${y} ${x},${y + 5} ${x - 5},${y}`}>{words}</polygon>;
  return <circle {...rest} cx={x} cy={y} r="3.8">{words}</circle>;
}

type Board = { key: string; name: string; direction: Direction };
type Props = { items: FrontItem[]; boards: Board[]; y: string; yTitle: string; direction: Direction; selected: string | undefined; onPick: (id: string) => void };
const [width, height, left, bottom] = [330, 220, 52, 34];

function Panel({ items, board, sy, props }: { items: FrontItem[]; board: Board; sy: Scale; props: Props }) {
  const { key } = board;
  const on = items.filter((i) => i.metrics[key] && i.metrics[props.y]);
  const [xs, ys] = [on.map((i) => i.metrics[key]!.value), on.map((i) => i.metrics[props.y]!.value)];
  const [min, max] = extent(xs, false);
  const sx: Scale = { min, max, log: false, from: left, to: width - 10 };
  const best = frontOf(xs, ys, board.direction, props.direction);
  const [xt, yt] = [ticks(min, max, 4), ticks(sy.min, sy.max, 4)];
  const [xl, yl] = [tickLabels(key, xt), tickLabels(props.y, yt)];
  const path = best.map((i, at) => `${at === 0 ? 'M' : 'H'}${toPixel(sx, xs[i]!).toFixed(1)}${at === 0 ? ` ${toPixel(sy, ys[i]!).toFixed(1)}` : `V${toPixel(sy, ys[i]!).toFixed(1)}`}`).join('');
  const last = best[best.length - 1], first = best[0];
  return (
    <figure class="board-front">
      <figcaption>{board.name}</figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={first === undefined || last === undefined ? `No network with a latency on ${board.name}` : `${best.length} of ${on.length} networks of the front are best on ${board.name}: from ${metricValue(props.y, ys[first])} at ${metricValue(key, xs[first])} to ${metricValue(props.y, ys[last])} at ${metricValue(key, xs[last])}`}>
        <Grid x={{ s: sx, at: xt, text: xl.text }} y={{ s: sy, at: yt, text: yl.text }} title={`Latency (${xl.unit})`} below={16} height={height} />
        <path d={path} />
        {on.map((item, i) => {
          const at = [toPixel(sx, xs[i]!), toPixel(sy, ys[i]!)] as [number, number];
          const kind = `${best.includes(i) ? 'top' : ''} ${item.arch_id === props.selected ? 'chosen' : ''}`;
          const pick = () => props.onPick(item.arch_id);
          return <NetworkMark key={item.arch_id} at={at} source={toldBy(item.metrics[key], item.metrics[props.y]).source} title={item.arch} class={kind} onClick={pick} />;
        })}
      </svg>
      <p class="note">{best.length} of {on.length} are best here{first === undefined || last === undefined ? '' : `: ${metricValue(key, xs[first])} to ${metricValue(key, xs[last])}`}</p>
    </figure>
  );
}

export function BoardFronts(props: Props) {
  const [min, max] = extent(props.items.flatMap((i) => i.metrics[props.y]?.value ?? []), false);
  const sy: Scale = { min, max, log: false, from: height - bottom, to: 8 };
  return (
    <>
      <p class="note">{props.yTitle} over the latency on each board. A network that is chosen is marked on all of them; squares are measured, diamonds evaluated, circles predicted, pale ones are beaten on that board.</p>
      <div class="board-fronts">{props.boards.map((b) => <Panel key={b.key} items={props.items} board={b} sy={sy} props={props} />)}</div>
    </>
  );
}
