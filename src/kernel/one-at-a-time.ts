/**
 * Runs that were asked for while one is under way become one more after it, so that what was read first can never
 * overwrite what was read last.
 */
export function oneAtATime<T>(run: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let waiting: Promise<T> | undefined;
  const begin = () => {
    waiting = undefined;
    return run();
  };
  return () => {
    if (!waiting) last = waiting = last.then(begin, begin);
    return waiting;
  };
}
