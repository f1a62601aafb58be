// Networks beside each other: two with the ratio of their costs, or up to six with a column each; and what ticks them in tables.
import type { ComponentChildren } from 'preact';
import { api, archPath, get, list, type Arch, type Evaluation, type Front } from './api';
import { differing, mostCompared, picked } from './comparison';
import { latency, percent, short } from './format';
import { differences, namedGenes } from './genes';
import { costFacts } from './network';
import { Failed, Reading, Table } from './parts';
import { href, route, setQuery } from './router';
import { useLoaded } from './state';

type Source = { id: string; name: string };
type Row = { name: string; cells: ComponentChildren[] };

/** This network and another: what each costs, and the choices in which they differ. */
export function Pair({ space, arch, vs, first }: { space: string; arch: Arch; vs: string; first: Source | undefined }) {
  const { data, error } = useLoaded(async () => Promise.all([get<Arch>(archPath(space, vs, first?.id)), get<Arch>(archPath(space, arch.arch, first?.id))]), `vs ${vs} ${arch.arch} ${first?.id}`);
  if (!data) return <Failed error={error} />;
  const [that, mine] = data, differ = differences(arch.arch, that.arch);
  const line = (name: string, a: number | undefined, b: number | undefined, text: (v: number) => string) => ({ name, a: a == null ? '–' : text(a), b: b == null ? '–' : text(b), ratio: a && b ? `${(b / a).toFixed(2)}×` : '–' });
  return (
    <>
      <Failed error={error} />
      <Table label="Costs of both" rows={[
        ...(first ? [line(`Latency on ${first.name}`, mine.latency?.us, that.latency?.us, latency)] : []),
        line('MACs', mine.cost.macs, that.cost.macs, short), line('Parameters', mine.cost.params, that.cost.params, short), line('Peak activation memory', mine.cost.peak_activation_bytes, that.cost.peak_activation_bytes, (v) => short(v, 'B')), line('Model', mine.cost.model_bytes, that.cost.model_bytes, (v) => short(v, 'B')),
      ]} rowKey={(r) => r.name} columns={[{ title: 'Cost', cell: (r) => r.name }, { title: 'This network', number: true, cell: (r) => r.a }, { title: 'The other', number: true, cell: (r) => r.b }, { title: 'Ratio', number: true, cell: (r) => r.ratio }]} />
      <h3>Choices that differ</h3>
      {differ.length === 0 ? <p class="note">None: it is the same network.</p> : (
        <Table label="Choices that differ" rows={differ} rowKey={(d) => d.gene} columns={[{ title: 'Choice', cell: (d) => d.gene }, { title: 'This network', cell: (d) => <code>{d.from}</code> }, { title: 'The other', cell: (d) => <code>{d.to}</code> }]} />
      )}
      <p><a href={href(['archs', space], { ...Object.fromEntries(route.value.query), arch: that.arch, vs: arch.arch })}>Open the other</a></p>
    </>
  );
}

/** A network by itself and on each board, and its top-1: as the search's front has it, else as it was scored last. */
async function told(space: string, text: string, sources: Source[], front: Front | null) {
  const arch = await get<Arch>(archPath(space, text));
  const [on, scored] = await Promise.all([Promise.all(sources.map((s) => get<Arch>(archPath(space, text, s.id)))), list<Evaluation>(api`/evaluations?arch_id=${arch.arch_id}&split=validation`)]);
  const known = front?.items.find((i) => i.arch_id === arch.arch_id)?.metrics['top1'];
  const latest = scored.find((e) => e.top1 !== null);
  return { arch, on, top1: known ? `${percent(known.value)}, ${known.source}` : latest ? `${percent(latest.top1)}, evaluated` : '–' };
}

/** Three networks and more, the first of which is this one: a column each. What is not as in this one stands out. */
export function Several({ space, archs, sources, search }: { space: string; archs: string[]; sources: Source[]; search: string }) {
  const read = useLoaded(async () => {
    const front = search ? await get<Front>(api`/searches/${search}/front`) : null;
    return Promise.all(archs.map((text) => told(space, text, sources, front)));
  }, `several ${archs.join()} ${sources.map((s) => s.id).join()}`, ['table', 'front']);
  return (
    <Reading of={read}>{(all) => {
      const texts = all.map((n) => n.arch.arch), without = (i: number) => texts.filter((_, j) => j !== i);
      const table = (label: string, head: string, rows: Row[]) => (
        <Table label={label} rows={rows} rowKey={(r) => r.name} columns={[{ title: head, cell: (r) => r.name }, ...all.map(({ arch }, i) => ({ title: i ? `Network ${arch.arch_id.slice(0, 8)}` : 'This network', number: true, cell: (r: Row) => r.cells[i] }))]} />
      );
      const differ = differing(texts.map((text) => Object.fromEntries(namedGenes(text)))).sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
      return (
        <>
          {table('Costs of each', 'Cost', [
            { name: 'Top-1', cells: all.map((n) => n.top1) }, ...sources.map((s, i) => ({ name: `Latency on ${s.name}`, cells: all.map((n) => latency(n.on[i]?.latency?.us)) })),
            ...costFacts(all[0]!.arch.cost).map(([name], row) => ({ name, cells: all.map((n) => costFacts(n.arch.cost)[row]![1]) })),
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
