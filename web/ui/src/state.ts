// Data of a page: read when it opens, read again when an event concerns it. A read that fails keeps what was there.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api';
import { listen } from './live';

export type Loaded<T> = { data: T | null; error: string | null; reload: () => void };

/** ms to wait with a read after one that began then: events come in flocks, and reads 600 ms apart. */
export const delayAfter = (begun: number) => Math.max(100, 600 - (performance.now() - begun));

/** Reads by `read`; again 0.1 s after an event of `topics` that `concerns` accepts, at most every 600 ms, and not while the tab is hidden. */
export function useLoaded<T>(read: () => Promise<T>, key: string, topics: string[] = [], concerns: (data: Record<string, unknown>, topic: string) => boolean = () => true): Loaded<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: string | null }>({ key, data: null, error: null });
  const latest = useRef({ read, concerns, alive: true, busy: false, again: false, timer: 0, begun: 0 });
  latest.current.read = read;
  latest.current.concerns = concerns;

  const load = () => {
    const now = latest.current;
    if (now.busy) {
      now.again = true;
      return;
    }
    now.busy = true;
    now.begun = performance.now();
    now.read()
      .then((data) => { if (now.alive) setState({ key, data, error: null }); })
      .catch((error: unknown) => {
        const message = error instanceof ApiError ? error.message : 'Something went wrong in this page.';
        if (now.alive) setState((before) => ({ key, data: before.key === key ? before.data : null, error: message }));
      })
      .finally(() => {
        now.busy = false;
        if (now.again && now.alive) {
          now.again = false;
          schedule();
        }
      });
  };
  const schedule = () => {
    const now = latest.current;
    if (now.timer) return;
    now.timer = window.setTimeout(() => {
      now.timer = 0;
      if (document.hidden) document.addEventListener('visibilitychange', schedule, { once: true });
      else load();
    }, delayAfter(now.begun));
  };

  useEffect(() => {
    latest.current = { ...latest.current, alive: true, busy: false, again: false, timer: 0 };
    const now = latest.current;
    load();
    const stop = listen(topics, (topic, data) => { if (topic === 'resync' || now.concerns(data, topic)) schedule(); });
    return () => {
      now.alive = false;
      clearTimeout(now.timer);
      document.removeEventListener('visibilitychange', schedule);
      stop();
    };
  }, [key]);

  return { data: state.key === key ? state.data : null, error: state.error, reload: load };
}

/** True now and then: lets relative times move on. */
export function useTick(ms: number) {
  const [, set] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => set((n) => n + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
}
