// Networks beside each other, two to six with a column each; and what ticks them in tables.
import type { ComponentChildren } from 'preact';
import { api, archPath, frontItems, get, list, type Arch, type Evaluation, type FrontItem } from './api';
import { differing, mostCompared, picked } from './comparison';
import { latency, percent } from './format';
import { namedGenes } from './genes';
import { onCalibration } from './jobs';
import { costs } from './network';
import { Reading, Table, Ticked } from './parts';
import { href, route, setQuery } from './router';
import { useLoaded } from './state';

type Source = { id: string; name: string };
type Row = { name: string; cells: ComponentChildren[] };

/** A network by itself and on each board, and its top-1: as the search's front has it, else as it was scored last. */
async function told(space: string, text: string, sources: Source[], front: FrontItem[]) {
  const [arch, ...on] = await Promise.all(['', ...sources.map((s) => s.id)].map((id) => get<Arch>(archPath(space, text, id)))) as [Arch, ...Arch[]]; // what it costs is not by a board's prices
  const known = front.find((i) => i.arch_id === arch.arch_id)?.metrics['top1'];
  const latest = known ? undefined : (await list<Evaluation>(api`/evaluations?arch_id=${arch.arch_id}&split=validation`)).find((e) => e.top1 !== null);
  return { arch, on, top1: known ? `${percent(known.value)}, ${known.source}` : latest ? `${percent(latest.top1)}, evaluated` : '–' };
}

/** Values of one cost, each but the first with how many times that of the first it is: below it where columns are many. */
const beside = (values: (number | undefined)[], say: (v: number) => string): ComponentChildren[] => values.map((v, i) => v === undefined ? '–' : <>{say(v)}{i > 0 && !!values[0] && <small class="note">{values.length > 3 ? <br /> : ' '}{(v / values[0]).toFixed(2)}×</small>}</>);

/** Networks, the first of which is this one: a column each. What is not as in this one stands out. */
export function Several({ space, archs, sources, search }: { space: string; archs: string[]; sources: Source[]; search: string }) {
  const read = useLoaded(async () => {
    const front = await frontItems(search);
    return Promise.all(archs.map((text) => told(space, text, sources, front)));
  }, `several ${archs.join()} ${sources.map((s) => s.id).join()} ${search}`, ['table', 'front', 'job'], onCalibration);
  return (
    <Reading of={read}>{(all) => {
      const texts = all.map((n) => n.arch.arch), without = (i: number) => texts.filter((_, j) => j !== i);
      const table = (label: string, head: string, rows: Row[]) => (
        <Table label={label} rows={rows} rowKey={(r) => r.name} columns={[{ title: head, cell: (r) => r.name }, ...all.map(({ arch }, i) => ({ title: i ? `Network ${arch.arch_id.slice(0, 8)}` : 'This network', number: true, cell: (r: Row) => r.cells[i] }))]} />
      );
      const differ = differing(texts.map((text) => Object.fromEntries(namedGenes(text)))).sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
      const each = all.map((n) => costs(n.arch.cost));
      return (
        <>
          {table('Costs of each', 'Cost', [
            { name: 'Top-1', cells: all.map((n) => n.top1) }, ...sources.map((s, i) => ({ name: `Latency on ${s.name}`, cells: beside(all.map((n) => n.on[i]?.latency?.us), latency) })),
            ...each[0]!.map(([name, , say], row) => ({ name, cells: beside(each.map((c) => c[row]![1]), say) })),
            { name: 'Page', cells: all.map((_, i) => (i === 0 ? '' : (
              <><a href={href(['archs', space], { ...Object.fromEntries(route.value.query), arch: texts[i]!, vs: without(i).join() })}>Open</a> <button type="button" class="link" onClick={() => setQuery({ vs: without(i).slice(1).join() })}>Leave out</button></>
            ))) },
          ])}
          <h3>Choices that differ</h3>
          {differ.length === 0 ? <p class="note">None: it is the same network.</p> : table('Choices that differ', 'Choice', differ.map(({ name, values }) => ({ name, cells: values.map((v) => (v === values[0] ? <code>{v}</code> : <code class="differs">{v}</code>)) })))}
        </>
      );
    }}</Reading>
  );
}

/** The way to compare the networks that are ticked. */
export function TickedNetworks({ space, search }: { space: string; search: string }) {
  const on = picked(route.value.query.get('of'));
  return <Ticked on={on} of="networks" to={() => href(['archs', space], { arch: on[0]!, vs: on.slice(1).join(), search })} />;
}

/** A network in a table: a box that ticks it to be compared, and what opens it. */
export function NetworkCell({ arch, tabIndex, open }: { arch: string; tabIndex: 0 | -1; open: () => void }) {
  const on = picked(route.value.query.get('of')), ticked = on.includes(arch);
  return (
    <span class="ticked">
      <input type="checkbox" aria-label={`Compare ${arch}`} tabIndex={tabIndex} checked={ticked} disabled={!ticked && on.length >= mostCompared} onClick={(e) => e.stopPropagation()} onChange={() => setQuery({ of: (ticked ? on.filter((o) => o !== arch) : [...on, arch]).join() })} />
      <button type="button" class="link genotype" tabIndex={tabIndex} title={arch} onClick={open}>{arch}</button>
    </span>
  );
}
