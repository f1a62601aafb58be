// Where a network of a search came from: its family drawn beside a table, with what changed from each parent to the child.
import { useState } from 'preact/hooks';
import { api, type Arch, type Lineage, type LineageItem, type LineageParent } from './api';
import { rem } from './canvas';
import { metricName, metricValue } from './format';
import { changeText, familyOf, type FamilyRow } from './family';
import { Empty, Failed, Waiting } from './parts';
import { href } from './router';
import { useGet } from './state';

const how: Record<string, string> = {
  seeded: 'the search began with it', sampled: 'drawn from the space', enumerated: 'its turn among all', mutated: 'its parent, choices drawn anew', crossed: 'choices of two mixed', neighbour: 'its parent, one choice changed',
  predicted: 'found on models; its nearest ancestors that were evaluated', policy: 'drawn from a policy that learnt from all', gradient: 'drawn where gradients led',
};
const few = { steps: 12, networks: 20 }, all = { steps: 256, networks: 256 };
const changesShown = 6, laneWidth = 16;

const idOf = (arch_id: string) => arch_id.slice(0, 6);

function Strands({ row, lanes }: { row: FamilyRow; lanes: number }) {
  const across = (lane: number) => lane + 0.5;
  return (
    <td class="strands" style={{ minWidth: rem(lanes * laneWidth + 8) }}>
      <svg viewBox={`0 0 ${lanes} 1`} preserveAspectRatio="none" aria-hidden="true">
        {row.strands.map((s, i) => {
          const half = (s.top + s.end) / 2;
          return <path key={i} class={s.closest ? 'closest' : ''} d={`M ${across(s.from)} ${s.top} C ${across(s.from)} ${half} ${across(s.to)} ${half} ${across(s.to)} ${s.end}`} />;
        })}
      </svg>
      <i class={row.item.on_front ? 'front' : ''} style={{ left: `${(100 * across(row.lane)) / lanes}%` }} />
    </td>
  );
}

function Changes({ parent }: { parent: LineageParent }) {
  const name = `${parent.relation === 'closest' ? 'closest to' : 'of'} ${idOf(parent.arch_id)}`;
  const list = parent.changes.map(changeText).join(', ');
  return parent.changes.length <= changesShown ? <div><small class="note">{name}</small> {list}</div> : <details><summary><small class="note">{name}</small> {parent.changes.length} choices differ</summary>{list}</details>;
}

function Family({ doc, space, search, names }: { doc: Lineage; space: string; search: string; names: Map<string, string> }) {
  const { rows, lanes } = familyOf(doc.items);
  const keys = [...new Set(doc.items.flatMap((i) => Object.keys(i.metrics)))];
  const costs = keys.filter((k) => k === 'top1' || k.startsWith('latency')).slice(0, 3);
  const shown = costs.length > 1 ? costs : keys.slice(0, 3);
  const value = (item: LineageItem, key: string) => metricValue(key, item.metrics[key]?.value ?? undefined);
  return (
    <div class="table-wrap" tabIndex={0} role="region" aria-label="Lineage">
      <table class="family">
        <thead>
          <tr>
            <th scope="col"><span class="sr-only">Drawn</span></th><th scope="col" class="number">Generation</th><th scope="col">Origin</th>
            {shown.map((k) => <th scope="col" class="number" key={k}>{metricName(k, Object.fromEntries(names))}</th>)}
            <th scope="col">What changed</th><th scope="col">Network</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.item.arch_id}>
              <Strands row={row} lanes={lanes} />
              <td class="number">{row.item.generation}</td>
              <td>{row.item.origin ? <span title={how[row.item.origin]}>{row.item.origin}</span> : 'not known'}</td>
              {shown.map((k) => <td class="number" key={k}>{value(row.item, k)}</td>)}
              <td>{row.item.parents.length === 0 ? <small class="note">{row.item.origin ? how[row.item.origin] : 'nothing earlier is shown'}</small> : row.item.parents.map((p) => <Changes key={p.arch_id} parent={p} />)}</td>
              <td><code>{idOf(row.item.arch_id)}</code> <a class="genotype" href={href(['archs', space], { arch: row.item.arch, search })}>{row.item.arch}</a></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function LineageOf({ space, search, arch, names }: { space: string; search: string; arch: Arch; names: Map<string, string> }) {
  const [wide, setWide] = useState('');
  const most = wide === arch.arch_id ? all : few;
  const { data, error } = useGet<Lineage>(api`/searches/${search}/lineage?arch=${arch.arch}&steps=${most.steps}&networks=${most.networks}`);
  if (!data) return error ? <Failed error={error} /> : <Waiting />;
  const self = data.items[0];
  if (!self) return <Empty>That search did not ask for this network.</Empty>;
  const guessed = data.items.some((i) => i.parents.some((p) => p.relation === 'closest'));
  return (
    <>
      <p class="note" role="status">
        Asked for in generation {self.generation} by {data.strategy}. {data.items.length > 1 && 'Children stand above what they were made of; the darker points were on the front.'} {guessed && 'Dashed: the parents are not known, the network of an earlier generation that is closest stands there.'}
      </p>
      <Family doc={data} space={space} search={search} names={names} />
      {data.more && (most === few ? <p><button type="button" onClick={() => setWide(arch.arch_id)}>Show all that it came from</button></p> : <p class="note">There is more behind than {all.networks} networks: open one of the oldest to go on.</p>)}
    </>
  );
}
