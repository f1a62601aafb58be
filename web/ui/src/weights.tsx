// Whose weights score, export and fine-tune a network, and on which images.
import { useState } from 'preact/hooks';
import { api, type Checkpoint, type Dataset, type Search, type Supernet } from './api';
import { Failed, Select } from './parts';
import { href, route, setQuery } from './router';
import { useGet, useList } from './state';

/** As requests name them: the newest checkpoint and the supernet's own images where they say nothing. */
export type Weights = { supernet: string; checkpoint?: string | undefined; dataset?: string | undefined };

/** A front belongs to the checkpoint and the images that its search scored by, also when the supernet was trained on since. */
export const weightsOf = ({ supernet, checkpoint, dataset }: Search): Weights | null => (supernet ? { supernet, checkpoint: checkpoint ?? undefined, dataset: dataset ?? undefined } : null);

/** Trained last for one network: its others are not worth anything. */
export const isAlone = (s: Supernet) => s.train['regime'] === 'single';

/** Data sets that can be scored by; not read where they are not wanted. */
export function useReadyDatasets(wanted: boolean) {
  const { data, error } = useList<Dataset>(wanted && '/datasets', ['dataset']);
  return { ready: data?.filter((d) => d.state === 'ready'), error };
}

/** The images for weights that were imported without any, and the field that chooses them. */
export function useImages(missing: boolean) {
  const { ready, error } = useReadyDatasets(missing);
  const [at, setAt] = useState('');
  const dataset = (ready?.find((d) => d.id === at) ?? ready?.[0])?.id;
  const none = <span class="note">Imported without a data set: <a href={href(['data'])}>add one</a> to score by it.</span>;
  const choice = missing && <><Failed error={error} />{ready && (dataset ? <label>On the images of <Select value={dataset} set={setAt} of={ready.map((d) => [d.id, d.name])} /></label> : none)}</>;
  return { dataset, choice };
}

/** What a network of the space can have its weights from, the address says which: that its search scored by, the newest of each supernet, what was trained for it alone. */
export function useWeights(space: string, arch: string, largest: string, of: string) {
  const read = useList<Supernet>('/supernets', ['supernet']), all = read.data ?? [];
  const { data: search, error } = useGet<Search>(of && api`/searches/${of}`);
  const its = search && weightsOf(search);
  const steps = useList<Checkpoint>(its?.checkpoint && api`/supernets/${its.supernet}/checkpoints`).data;
  const supernets = all.filter((s) => s.space === space && s.checkpoint);
  const options: { key: string; title: string; weights: Weights }[] = of && !search && !error ? [] : [
    ...(its ? [{ key: '', title: `${search.supernet_name}, ${its.checkpoint ? `step ${steps?.find((c) => c.id === its.checkpoint)?.step ?? '…'}: ` : ''}what its search scored by`, weights: its }] : []),
    ...supernets.filter((s) => !isAlone(s) || (s.train['arch'] ?? largest) === arch).map((s) => ({ key: s.id, title: `${s.name}, step ${s.step}: ${isAlone(s) ? 'trained for this network alone' : 'its newest'}`, weights: { supernet: s.id } })),
  ];
  const { key, weights } = options.find((o) => o.key === route.value.query.get('weights')) ?? options[0] ?? {};
  const { dataset, choice } = useImages(weights !== undefined && !weights.dataset && all.find((s) => s.id === weights.supernet)?.dataset === null);
  const by = <><label>By the weights of <Select value={key ?? ''} set={(weights) => setQuery({ weights })} of={options.map((o) => [o.key, o.title])} /></label>{choice}</>;
  return { supernets, weights: weights && { ...weights, dataset: weights.dataset ?? dataset }, by, error: read.error ?? error };
}
