// What the daemon says of a search before it is submitted: the form as it stands, asked without keeping anything.
import { useEffect, useState } from 'preact/hooks';
import { ApiError, post } from './api';
import type { Body } from './draft';

export type Trial = { error: ApiError | null; notes: string[] };
const nothing: Trial = { error: null, notes: [] };
const pauseMs = 500; // after the last key

/** ready: there is something to ask about. What is no word on the body (no connection, too narrow a token) is left for the submission to tell. */
export function useTrial(body: Body, ready: boolean): Trial {
  const [trial, setTrial] = useState<{ of: string; told: Trial }>({ of: '', told: nothing });
  const text = JSON.stringify(body);
  useEffect(() => {
    if (!ready) return undefined;
    let alive = true;
    const tell = (told: Trial) => { if (alive) setTrial({ of: text, told }); };
    const timer = setTimeout(() => {
      post<{ notes?: string[] }>('/searches?dry_run=true', JSON.parse(text)).then(
        (kept) => tell({ error: null, notes: kept.notes ?? [] }),
        (error: unknown) => tell(error instanceof ApiError && error.fields.length > 0 ? { error, notes: [] } : nothing),
      );
    }, pauseMs);
    return () => {
      alive = false;
      clearTimeout(timer);
    };
  }, [text, ready]);
  return trial.of === text ? trial.told : nothing;
}
