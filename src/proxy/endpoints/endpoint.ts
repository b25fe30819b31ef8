import type { IncomingHttpHeaders } from 'node:http';
import type { BatchSize } from '../../metering/batch.ts';
import type { CallType } from '../../metering/call.ts';
import type { Units } from '../../metering/units.ts';
import type { Usage } from '../../metering/usage.ts';
import type { GatewayError } from '../../kernel/errors.ts';
import type { StreamDialect } from '../events/dialect.ts';
import type { ProxyLimits } from '../limits.ts';
import type { KeptKind, KeptResponse } from '../response-ids.ts';

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
  /** What is asked for that is not counted in tokens; present where the kind of call may be paid for like that. */
  readonly units?: Units | undefined;
  /** Of tools that the provider runs, as many as there may be. */
  readonly toolUses?: Units | undefined;
  /** How long a recording is at least, where it is one. */
  readonly secondsAtLeast?: (() => number) | undefined;
  /** What the calls in a file or in a batch can use at most. */
  readonly batch?: BatchSize | undefined;
  /** Of the prompt, where the body's length says nothing of it: a recording is no text. */
  readonly promptTokens?: number | undefined;
  readonly serviceTier: string | undefined;
  readonly endUser: string | undefined;
  readonly tags: readonly string[];
  /** Headers of the client's that go upstream, names and values in turn; none where absent. */
  readonly headers?: readonly string[];
  /** A response that it names, and that must be the caller's. The call goes where that is kept. */
  readonly response?: NamedResponse | undefined;
  /** POST where absent. */
  readonly method?: 'GET' | 'DELETE' | 'POST';
  /** At the upstream, with a query, where that is not the endpoint's. */
  readonly path?: `/${string}`;
  /** Of the files that it has, where it may have any. */
  readonly filesDigest?: () => Buffer;
  /** Of the body that goes upstream. */
  readonly contentType: string;
  /**
   * The client's body with the upstream's name for the model.
   *
   * @param fit makes of the members of a JSON body what an upstream takes that refuses some of OpenAI's
   */
  bodyFor(upstreamModel: string, fit?: Fit): UpstreamBody;
}

/** In one piece; or in several, of which the large ones are views of what the client sent, so that nothing is in memory twice. */
export type UpstreamBody = Buffer | readonly Buffer[];

/** A response as a client names it. */
export interface NamedResponse {
  readonly id: string;
  /** Not to be believed before it is known that the id is the caller's. */
  readonly kept: KeptResponse;
  /** What to answer to everybody else. */
  readonly unknown: (id: string) => GatewayError;
}
export type Fit = (fields: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;

/** A request as it came. */
export interface RequestSource {
  readonly bytes: Buffer;
  /** Its path and query. */
  readonly url: string;
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
  /** At an upstream that speaks the protocol, below its `api_base`. */
  readonly path: `/${string}`;
  /** Whose protocol it is, where that is not OpenAI's. */
  readonly protocol?: 'anthropic';
  /** Whether no upstream takes money for it. It is checked and counted as any call, and booked without tokens. */
  readonly isFree?: boolean;
  /** Puts the client's names in the place of the upstream's, in an answer or in the data of an event. */
  readonly rename?: (json: Buffer, nameFor: (upstreamId: string, kind?: KeptKind) => string) => Buffer;
  /** How its streams tell what the gateway has to know; as chat completions do where it does not say. */
  readonly events?: StreamDialect;
  /** An error as its clients read it, where they do not read OpenAI's. */
  readonly errorBody?: (error: GatewayError, requestId: string) => object;
  /** Whether its requests are forms with files in them (multipart/form-data), and not JSON. */
  readonly takesForm?: true;
  /** @throws GatewayError 400 when the request is not fit to be sent */
  read(source: RequestSource): ModelRequest;
  /** What a request with such fields asks for that is not counted in tokens. */
  readonly unitsOf?: (fields: Readonly<Record<string, unknown>>) => Units;
  /** How often tools that the provider runs may be used by a request with such fields. */
  readonly toolUsesOf?: (fields: Readonly<Record<string, unknown>>) => Units | undefined;
  /** Undefined for what is no answer of this kind. */
  readAnswer(answer: Readonly<Record<string, unknown>>): PlainReading | undefined;
  /** The same of an answer that is no JSON, where there is such a thing; `written` and `usage` are of the text. */
  readonly readText?: (text: string, asked: ModelRequest) => PlainReading;
  /** Whether an answer is passed on as it comes, without being read: sound, or events of a kind that is not a chat's. */
  readonly isRaw?: (asked: ModelRequest) => boolean;
  /** What is raw is this to the client, whatever its upstream says: nothing that a browser would run. */
  readonly rawType?: string;
  /** Undefined where nothing, or nothing sensible, is reported. Zero stays zero. */
  readUsage(reported: unknown): Usage | undefined;
}
