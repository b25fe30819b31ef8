import type { IncomingHttpHeaders } from 'node:http';
import type { CallType } from '../../metering/call.ts';
import type { Usage } from '../../metering/usage.ts';
import type { ProxyLimits } from '../limits.ts';

/** What a client asked for, as far as the gateway needs to know. */
export interface ModelRequest {
  /** The members of the body, or the fields of a form. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly stream: boolean;
  /** Whether the usage chunk at the end of a stream is for the gateway alone. */
  readonly hidesUsage: boolean;
  /** Of one answer; zero where nothing is generated that is paid by tokens, undefined where the request sets no limit. */
  readonly maxCompletionTokens: number | undefined;
  /** How many answers are asked for: `n`. */
  readonly answers: number;
  readonly serviceTier: string | undefined;
  readonly endUser: string | undefined;
  readonly tags: readonly string[];
  /** Of the body that goes upstream. */
  readonly contentType: string;
  /** The client's body with the upstream's name for the model. */
  bodyFor(upstreamModel: string): Buffer;
}

/** A request as it came. */
export interface RequestSource {
  readonly bytes: Buffer;
  readonly headers: IncomingHttpHeaders;
  /** The model named in the request's path, which wins over the body's, as it does in LiteLLM. */
  readonly parameter: string | undefined;
  readonly limits: ProxyLimits;
  /** Whether it may have the fields that try out what the gateway would do: an administrator's. */
  readonly mayTry?: boolean;
}

/** A whole answer, as far as the gateway needs to know. */
export interface PlainReading {
  /** As the upstream reports it. */
  readonly usage: unknown;
  readonly serviceTier: unknown;
  /** What a model wrote, for when nobody says how many tokens that was. */
  written(): string;
}

/** One kind of call: how it is asked for, where it goes at an upstream, and how its answer is read. */
export interface Endpoint {
  /** As it stands in the rows of the spend log; LiteLLM's names. */
  readonly callType: CallType;
  /** At an upstream that speaks as OpenAI does, below its `api_base`. */
  readonly path: `/${string}`;
  /** @throws GatewayError 400 when the request is not fit to be sent */
  read(source: RequestSource): ModelRequest;
  /** Undefined for what is no answer of this kind. */
  readAnswer(answer: Readonly<Record<string, unknown>>): PlainReading | undefined;
  /** Undefined where nothing, or nothing sensible, is reported. Zero stays zero. */
  readUsage(reported: unknown): Usage | undefined;
}
