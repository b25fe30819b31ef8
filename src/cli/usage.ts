import { GatewayError } from '../kernel/errors.ts';

/** The command line is wrong: exit 2, and nothing was done. */
export const usage = (type: string, message: string, hint?: string): GatewayError =>
  new GatewayError('usage', type, message, { hint });

/** A question was not answered with yes. */
export const declined = (cause?: unknown): GatewayError =>
  new GatewayError('no', 'declined', 'Nothing was changed.', { cause });

/** A prompt was left with Ctrl-C. Nothing was changed and nothing needs explaining. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}
