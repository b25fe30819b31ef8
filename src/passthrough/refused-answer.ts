import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import { invalidAnswer, UnfitStatus } from '../proxy/failures.ts';
import type { Intake } from '../proxy/relay.ts';
import { codingOf, isReadable } from './decoded-copy.ts';

/** Why an answer is not passed on at all, from its beginning on. */
export function refusalOf(status: number, headers: IncomingHttpHeaders): GatewayError | undefined {
  // HTTP has none below 100 and above 599, and clients take one for what it is not.
  if (status < 200 || status > 599) return new UnfitStatus(status);
  // None of the caller's is sent on: it would take its own key for bad, and be shown the ends of ours.
  if (status === 401) {
    return new GatewayError('upstream', 'upstream_auth_error', 'The upstream refused the gateway’s credentials');
  }
  const coding = codingOf(headers['content-encoding']);
  // Nobody could see what it cost, nor what is in it. It was asked for uncompressed.
  if (coding !== undefined && !isReadable(coding)) return invalidAnswer('is compressed in a way that is not read here');
  return undefined;
}

/** An answer that is not passed on. */
export class RefusedAnswer implements Intake {
  readonly isRaw = true;
  readonly isOver = false;
  readonly isUsageFinal = false;
  readonly awaitsUsage = false;
  /** Nobody knows what was written: the most that can have been, where that is known. */
  readonly tokensSoFar: number;
  readonly #refusal: GatewayError;

  constructor(refusal: GatewayError, maxTokens: number | undefined) {
    this.#refusal = refusal;
    this.tokensSoFar = maxTokens ?? 0;
  }

  data(): void {
    throw this.#refusal;
  }

  end(): void {
    throw this.#refusal;
  }

  finish(): void {
    throw this.#refusal;
  }

  completionTokens(): number {
    return this.tokensSoFar;
  }
}
