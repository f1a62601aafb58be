// Data of a page: read when it opens, read again when an event concerns it. A read that fails keeps what was there.
import { useEffect, useRef, useState } from 'preact/hooks';
import { pauseAfter, reads, type Reads } from './again';
import { ApiError, get, list, wordsOf } from './api';
import { listen } from './live';

export type Loaded<T> = { data: T | null; error: string | null; reload: () => void };
export type Concerns = (data: Record<string, unknown>, topic: string) => boolean;

/** Reads at once, and soon after each event of `topics` that `concerns` accepts, until its end; and again in as many seconds as `read` asks for. What could not be read is
 * asked for again after a growing pause, in which events of a daemon that cannot answer for now change nothing. `tell`: why it could not be read, or null when it was. */
export function follow(read: (wanted: () => boolean) => Promise<number | void>, tell: (error: string | null) => void, topics: string[] = [], concerns: Concerns = () => true): Reads {
  let pause = 0, timer = 0, busy = false;
  const own = reads(async (wanted) => {
    clearTimeout(timer);
    let next: number | void = undefined;
    try {
      next = await read(wanted);
      pause = 0;
      busy = false;
      if (wanted()) tell(null);
    } catch (error) {
      const { status, after } = error instanceof ApiError ? error : new ApiError(400, '');
      busy = !status || status === 429 || status >= 500;
      if (busy) own.rest(); // what happened while it failed waits, too
      if (busy || status === 404) next = pause = pauseAfter(pause, after); // what is not there may come
      if (wanted()) tell(wordsOf(error) + (busy ? `; asked again in ${next} s.` : ''));
    }
    if (next && wanted()) timer = window.setTimeout(own.soon, 1000 * next);
  });
  const stop = listen(topics, (topic, data) => {
    if (topic === 'resync') pause = 0; // it is there again
    else if (busy || !concerns(data, topic)) return;
    own.soon();
  });
  own.now();
  return {
    ...own,
    end: () => {
      stop();
      clearTimeout(timer);
      own.end();
    },
  };
}

/** What `read` reads; another key stands for another thing. */
export function useLoaded<T>(read: () => Promise<T>, key: string, topics?: string[], concerns?: Concerns): Loaded<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: string | null }>({ key, data: null, error: null });
  const latest = useRef({ read, concerns });
  latest.current = { read, concerns };
  const followed = useRef<Reads | null>(null);

  useEffect(() => {
    const own = followed.current = follow(async (wanted) => {
      const data = await latest.current.read();
      if (wanted()) setState({ key, data, error: null });
    }, (error) => { if (error) setState((before) => ({ key, data: before.key === key ? before.data : null, error })); }, topics, (data, topic) => latest.current.concerns?.(data, topic) ?? true);
    return own.end;
  }, [key]);

  const { data, error } = state.key === key ? state : { data: null, error: null };
  return { data, error, reload: () => followed.current?.now() };
}

type Path = string | 0 | null | undefined | false;
/** What the daemon has at a path; null without one. */
export const useGet = <T>(path: Path, topics?: string[], concerns?: Concerns) => useLoaded<T | null>(async () => (path ? get<T>(path) : null), path || '', topics, concerns) as Loaded<T>;
/** A whole list; null without a path. */
export const useList = <T>(path: Path, topics?: string[], concerns?: Concerns) => useLoaded<T[] | null>(async () => (path ? list<T>(path) : null), path || '', topics, concerns) as Loaded<T[]>;

/** What tells of the things that a page shows: by their ids, for its address may have names. All does until they have been read. */
export const aboutThese = (of: () => ({ id: string } | null)[]) => (d: Record<string, unknown>): boolean => of().some((known) => !known || [d['id'], d['search'], d['supernet']].includes(known.id));

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
