// What the daemon says of a search before it is submitted: the form as it stands, asked without keeping anything.
import { useEffect, useState } from 'preact/hooks';
import { ApiError, post } from './api';
import type { Body } from './draft';

const pauseMs = 500; // after the last key

/** Why the body would be refused; null: it would not, or that is not known yet. ready: there is something to ask about.
 * What is no word on the body (no connection, too narrow a token) is left for the submission to tell. */
export function useTrial(body: Body, ready: boolean): ApiError | null {
  const [trial, setTrial] = useState<{ of: string; error: ApiError | null }>({ of: '', error: null });
  const text = JSON.stringify(body);
  useEffect(() => {
    if (!ready) return undefined;
    let alive = true;
    const tell = (error: ApiError | null) => { if (alive) setTrial({ of: text, error }); };
    const timer = setTimeout(() => {
      post('/searches?dry_run=true', JSON.parse(text)).then(() => tell(null), (error: unknown) => tell(error instanceof ApiError && error.fields.length > 0 ? error : null));
    }, pauseMs);
    return () => {
      alive = false;
      clearTimeout(timer);
    };
  }, [text, ready]);
  return trial.of === text ? trial.error : null;
}
