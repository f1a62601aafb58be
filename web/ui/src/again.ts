// Reading again what a page shows: one read at a time, those that are asked for in flocks 600 ms apart, none while the tab is hidden.

/** now: reads at once, or after the read that is under way. soon: within 0.1 to 0.6 s. rest: what was asked for so far, also by a person, is not read. end: nothing is read any more. */
export type Reads = { now: () => void; soon: () => void; rest: () => void; end: () => void };

/** `read` is told how to ask whether it is still wanted; it deals with its own failures. */
export function reads(read: (wanted: () => boolean) => Promise<void>): Reads {
  let [busy, again, ended, begun, timer] = [false, false, false, 0, 0];
  const now = () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    begun = performance.now();
    void read(() => !ended).finally(() => {
      busy = false;
      if (again && !ended) soon();
      again = false;
    });
  };
  const soon = () => {
    timer ||= window.setTimeout(() => {
      timer = 0;
      if (document.hidden) document.addEventListener('visibilitychange', soon, { once: true });
      else now();
    }, Math.max(100, 600 - (performance.now() - begun)));
  };
  const rest = () => {
    clearTimeout(timer);
    timer = 0;
    again = false;
    document.removeEventListener('visibilitychange', soon);
  };
  const end = () => {
    ended = true;
    rest();
  };
  return { now, soon, rest, end };
}

/** Seconds until what could not be read is asked for again: 5, then twice the pause before it, up to 60, and never sooner than the daemon said. */
export const pauseAfter = (before: number, least: number) => Math.max(least, before ? Math.min(60, 2 * before) : 5);
