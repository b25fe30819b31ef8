import { GatewayError } from '../kernel/errors.ts';

/** What a promise resolves to, if it does in time. The promise itself goes on; give it a deadline of its own where it can have one. */
export async function within<Value>(deadlineMs: number, promise: Promise<Value>): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(
      new GatewayError('unavailable', 'database_unreachable', `The database did not answer within ${deadlineMs} ms`, {
        headers: { 'retry-after': '1' },
      }),
    );
  }, deadlineMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
