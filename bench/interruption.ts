const interrupted = Promise.withResolvers<never>();
interrupted.promise.catch(() => undefined);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => interrupted.reject(new Error(`Interrupted by ${signal}`)));
}

/**
 * Waits for something, but no longer than a while, and not on when somebody interrupts the benchmark: so that what was
 * started is ended in every case, because whoever waits goes on.
 *
 * @throws when it takes longer, or was interrupted
 */
export async function withinLimit<T>(limitMs: number, what: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`It took longer than ${limitMs / 1_000} s`)), limitMs);
  try {
    return await Promise.race([what, late.promise, interrupted.promise]);
  } finally {
    clearTimeout(timer);
  }
}
