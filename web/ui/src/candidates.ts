// The candidates of a search, read by cursor: first all, then what is new or has changed.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, get, type CandidatePage } from './api';
import { Candidates, type Entry } from './entries';
import { follow } from './state';

type Store = { all: Candidates; total: number; whole: boolean; cursor: string; shown: number };
const emptyStore = (): Store => ({ all: new Candidates(), total: 0, whole: false, cursor: '', shown: 0 });

/** All candidates of the search; `total`: how many there are; `whole`: they have all been read once. Only what is new or has changed. The first points are shown before the last are read: then whenever there are twice as many. */
export function useCandidates(id: string, concerns: (d: Record<string, unknown>) => boolean) {
  const store = useRef(emptyStore()), latest = useRef(concerns);
  latest.current = concerns;
  const [version, setVersion] = useState(0);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const s = store.current = emptyStore();
    return follow(async (wanted) => {
      let unseen = false;
      const show = () => {
        unseen = false;
        s.shown = s.all.map.size;
        if (wanted()) setVersion((n) => n + 1);
      };
      try {
        for (let more = true; more && wanted();) {
          const page = await get<CandidatePage>(api`/searches/${id}/candidates?page_size=${s.cursor ? 5000 : 1000}` + (s.cursor && api`&after=${s.cursor}`));
          s.all.add(page);
          s.total = Math.max(page.total, s.all.map.size);
          s.cursor = page.cursor;
          more = !!page.next;
          unseen ||= page.columns.id.length > 0;
          if (unseen && s.all.map.size >= 2 * s.shown) show();
          if (!more && !s.whole) unseen = s.whole = true;
        }
      } finally {
        if (unseen) show();
      }
    }, setError, ['candidates', 'front'], (data) => latest.current(data)).end;
  }, [id]);
  return { candidates: store.current.all.map as Map<string, Entry>, metrics: store.current.all.metrics(), total: store.current.total, whole: store.current.whole, version, error };
}
