// Data of a page: read when it opens, read again when an event concerns it. A read that fails keeps what was there.
import { useEffect, useRef, useState } from 'preact/hooks';
import { reads, type Reads } from './again';
import { wordsOf, type ApiError } from './api';
import { listen } from './live';

export type Loaded<T> = { data: T | null; error: string | null; reload: () => void };
type Concerns = (data: Record<string, unknown>, topic: string) => boolean;

/** Reads at once, and soon after each event of `topics` that `concerns` accepts, until its end. */
export function follow(read: (wanted: () => boolean) => Promise<void>, topics: string[], concerns: Concerns): Reads {
  const own = reads(read);
  const stop = listen(topics, (topic, data) => { if (topic === 'resync' || concerns(data, topic)) own.soon(); });
  own.now();
  return { ...own, end: () => { stop(); own.end(); } };
}

const pause = 5; // seconds until what the daemon could not answer is asked for again

/** What `read` reads; another key stands for another thing. What the daemon cannot answer for now is asked for again. */
export function useLoaded<T>(read: () => Promise<T>, key: string, topics: string[] = [], concerns: Concerns = () => true): Loaded<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: string | null }>({ key, data: null, error: null });
  const latest = useRef({ read, concerns });
  latest.current = { read, concerns };
  const followed = useRef<Reads | null>(null);

  useEffect(() => {
    let timer = 0;
    const own = followed.current = follow(async (wanted) => {
      clearTimeout(timer);
      try {
        const data = await latest.current.read();
        if (wanted()) setState({ key, data, error: null });
      } catch (error) {
        const { status } = error as Partial<ApiError>, passing = status === 0 || Number(status) >= 500;
        const message = wordsOf(error) + (passing ? `; asked again every ${pause} s.` : '');
        if (!wanted()) return;
        if (passing) timer = window.setTimeout(own.soon, 1000 * pause);
        setState((before) => ({ key, data: before.key === key ? before.data : null, error: message }));
      }
    }, topics, (data, topic) => latest.current.concerns(data, topic));
    return () => { clearTimeout(timer); own.end(); };
  }, [key]);

  return { data: state.key === key ? state.data : null, error: state.error, reload: () => followed.current?.now() };
}

/** A value that many networks depend on: at once while they are few, else when it has rested for 120 ms. */
export function useSettled<T>(value: T, many: boolean): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    if (!many || value === settled) return undefined;
    const timer = setTimeout(() => setSettled(value), 120);
    return () => clearTimeout(timer);
  }, [value, many]);
  return many ? settled : value;
}

/** True now and then: lets relative times move on. */
export function useTick(ms: number) {
  const [, set] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => set((n) => n + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
}
