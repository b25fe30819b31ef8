import type { Principal } from '../access/principal.ts';
import type { CallOutcome, CallType, Settlement } from '../metering/call.ts';

/** What a client says of the trace its call belongs to, under LiteLLM's names without `langfuse_`. */
export interface TraceWishes {
  readonly traceId?: string | undefined;
  /** A trace that is there already: it keeps its name and its user. */
  readonly existingTraceId?: string | undefined;
  readonly traceName?: string | undefined;
  readonly traceUserId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly generationName?: string | undefined;
  readonly parentObservationId?: string | undefined;
  readonly traceVersion?: string | undefined;
  readonly traceRelease?: string | undefined;
  /** W3C trace context, as the header has it. */
  readonly traceparent?: string | undefined;
}

/** What was asked and answered, each cut at the limit that is set, and not yet redacted. */
export interface CallBodies {
  readonly request: string | undefined;
  readonly isRequestCut: boolean;
  readonly response: string | undefined;
  readonly isResponseCut: boolean;
}

/** A call that is over and booked, as callbacks are told of it. Holds no credential, and nothing of a client's headers. */
export interface CallEvent {
  /** The row of the spend log it is booked in. */
  readonly requestId: string;
  readonly callType: CallType;
  readonly stream: boolean;
  readonly status: CallOutcome['status'];
  readonly httpStatus: number;
  /** The type of the error that ended it. */
  readonly errorType: string | undefined;
  /** Milliseconds since 1970, as the next two. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly firstByteAt: number | undefined;
  /** Until its first attempt was sent. */
  readonly queueMs: number | undefined;
  /** What the gateway itself took of the time, before the first attempt and after the last answer. */
  readonly overheadMs: number | undefined;
  /** As the client named it. */
  readonly model: string;
  readonly upstreamModel: string;
  readonly deploymentId: string;
  readonly provider: string;
  readonly attempts: number;
  readonly retries: number;
  readonly fallbacks: number;
  readonly usage: CallOutcome['usage'];
  /** Of the attempt that ended it. */
  readonly cost: bigint;
  /** Of all attempts that were paid for. */
  readonly totalCost: bigint;
  readonly priceSource: Settlement['priceSource'];
  readonly principal: Pick<
    Principal,
    'kind' | 'keyId' | 'hash' | 'alias' | 'userId' | 'teamId' | 'teamAlias' | 'organizationId'
  >;
  readonly tags: readonly string[];
  readonly customer: string | undefined;
  readonly requesterIp: string;
  /** Numbers such as the temperature. */
  readonly parameters: Readonly<Record<string, number>>;
  readonly trace: TraceWishes;
  readonly bodies: CallBodies | undefined;
}

/** Whether it counts as a success: what was answered in part only does not. */
export const isSuccess = ({ status }: Pick<CallEvent, 'status'>): boolean => status === 'success';

/** About how many bytes it takes, so that a queue knows what it holds. */
export const sizeOf = ({ bodies }: CallEvent): number =>
  2_048 + 2 * ((bodies?.request?.length ?? 0) + (bodies?.response?.length ?? 0));
