// Whose weights score, export and fine-tune a network, and on which images.
import { useState } from 'preact/hooks';
import { get, list, type Checkpoint, type Dataset, type Search, type Supernet } from './api';
import { Select } from './parts';
import { href, route, setQuery } from './router';
import { useLoaded } from './state';

/** As requests name them: the newest checkpoint and the supernet's own images where they say nothing. */
export type Weights = { supernet: string; checkpoint?: string | undefined; dataset?: string | undefined };

/** A front belongs to the checkpoint and the images that its search scored by, also when the supernet was trained on since. */
export const weightsOf = ({ supernet, checkpoint, dataset }: Search): Weights | null => (supernet ? { supernet, checkpoint: checkpoint ?? undefined, dataset: dataset ?? undefined } : null);

/** Trained last for one network: its others are not worth anything. */
export const isAlone = (s: Supernet) => s.train['regime'] === 'single';

/** The images for weights that were imported without any, and the field that chooses them. */
export function useImages(missing: boolean) {
  const { data } = useLoaded(() => (missing ? list<Dataset>('/datasets') : Promise.resolve([])), `images ${missing}`);
  const [at, setAt] = useState('');
  const ready = (data ?? []).filter((d) => d.state === 'ready'), dataset = ready.find((d) => d.id === at)?.id ?? ready[0]?.id;
  const choice = missing && data && (dataset ? <label>On the images of <Select value={dataset} set={setAt} of={ready.map((d) => [d.id, d.name])} /></label> : <span class="note">Imported without a data set: <a href={href(['data'])}>add one</a> to score by it.</span>);
  return { dataset, choice };
}

/** What a network of the space can have its weights from, the address says which: that its search scored by, the newest of each supernet, what was trained for it alone. */
export function useWeights(space: string, arch: string, largest: string, of: string) {
  const all = useLoaded(() => list<Supernet>('/supernets'), 'supernets', ['supernet']).data ?? [];
  const { data: search, error } = useLoaded(() => (of ? get<Search>(`/searches/${encodeURIComponent(of)}`) : Promise.resolve(null)), `scored ${of}`);
  const its = search && weightsOf(search);
  const steps = useLoaded(() => (its?.checkpoint ? list<Checkpoint>(`/supernets/${its.supernet}/checkpoints`) : Promise.resolve([])), `steps ${its?.checkpoint}`).data;
  const supernets = all.filter((s) => s.space === space && s.checkpoint);
  const options: { key: string; title: string; weights: Weights }[] = of && !search && !error ? [] : [
    ...(its ? [{ key: '', title: `${search.supernet_name}, ${its.checkpoint ? `step ${steps?.find((c) => c.id === its.checkpoint)?.step ?? '…'}: ` : ''}what its search scored by`, weights: its }] : []),
    ...supernets.filter((s) => !isAlone(s) || (s.train['arch'] ?? largest) === arch).map((s) => ({ key: s.id, title: `${s.name}, step ${s.step}: ${isAlone(s) ? 'trained for this network alone' : 'its newest'}`, weights: { supernet: s.id } })),
  ];
  const { key, weights } = options.find((o) => o.key === route.value.query.get('weights')) ?? options[0] ?? {};
  const { dataset, choice } = useImages(weights !== undefined && !weights.dataset && all.find((s) => s.id === weights.supernet)?.dataset === null);
  const by = <><label>By the weights of <Select value={key ?? ''} set={(weights) => setQuery({ weights })} of={options.map((o) => [o.key, o.title])} /></label>{choice}</>;
  return { supernets, weights: weights && { ...weights, dataset: weights.dataset ?? dataset }, by };
}
