// A value that lives outside of components, as the address or the theme. Who shows one uses it, and is drawn anew when it changes.
import { useLayoutEffect, useState } from 'preact/hooks';

export type Signal<T> = { value: T; listen: (heard: () => void) => () => void };

export function signal<T>(value: T): Signal<T> {
  const listeners = new Set<() => void>();
  return {
    get value() { return value; },
    set value(next) {
      if (next === value) return;
      value = next;
      for (const heard of [...listeners]) heard();
    },
    listen: (heard) => {
      listeners.add(heard);
      return () => void listeners.delete(heard);
    },
  };
}

/** Its value, as it changes. */
export function useSignal<T>(of: Signal<T>): T {
  const [, draw] = useState<T>(of.value);
  useLayoutEffect(() => {
    const heard = () => draw(() => of.value); // the same value again draws nothing
    heard(); // it may have changed meanwhile
    return of.listen(heard);
  }, []);
  return of.value;
}
