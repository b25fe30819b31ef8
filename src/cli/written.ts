import { GatewayError } from '../kernel/errors.ts';
import type { Io } from './io.ts';

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file may not grow further',
  EIO: 'the device failed',
};

/** Fails where data did not get out: what is not on the disk must not look like success. */
export async function requireWritten(io: Io, consequence?: string): Promise<void> {
  await io.flushed();
  const cause = io.failure();
  if (!cause) return;
  const reason = reasons[cause.code ?? ''] ?? cause.message;
  throw new GatewayError('system', 'output_failed', `cannot write the output (${reason}).`, {
    hint: consequence,
    cause,
  });
}
