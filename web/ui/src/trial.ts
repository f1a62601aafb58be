// What the daemon says of a search before it is submitted: the form as it stands, asked without keeping anything.
import { useEffect, useState } from 'preact/hooks';
import { ApiError, post } from './api';
import type { Body } from './draft';

const pauseMs = 500; // after the last key

type Trial = { error?: ApiError; share?: number };

/** error: why the body would be refused; share: of random subnets, those that keep all of its limits. What is not there is not known yet. ready: there is something to ask about.
 * What is no word on the body (no connection, too narrow a token) is left for the submission to tell. */
export function useTrial(body: Body, ready: boolean): Trial {
  const [trial, setTrial] = useState<Trial & { of?: string }>({});
  const text = JSON.stringify(body);
  useEffect(() => {
    if (!ready) return undefined;
    let alive = true;
    const tell = (told: Trial) => { if (alive) setTrial({ of: text, ...told }); };
    const timer = setTimeout(() => {
      post<{ limits_share: number }>('/searches?dry_run=true', JSON.parse(text)).then((a) => tell({ share: a.limits_share }), (error: unknown) => tell(error instanceof ApiError && error.fields.length > 0 ? { error } : {}));
    }, pauseMs);
    return () => {
      alive = false;
      clearTimeout(timer);
    };
  }, [text, ready]);
  return trial.of === text ? trial : {};
}
