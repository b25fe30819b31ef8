import type {
  LanguageModelV4CallOptions,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
} from '@ai-sdk/provider';

/** What an answer says of itself, in every protocol. */
export interface AnswerNames {
  /** The gateway's id of the call. */
  readonly id: string;
  /** The upstream's name of the model. */
  readonly model: string;
  /** Unix time in seconds. */
  readonly created: number;
}

/** A request of a client as it can be put to any provider. */
export interface ReadCall {
  readonly options: LanguageModelV4CallOptions;
  /** Members of the body that cannot be expressed and were left out, because that was allowed; names as in the body. */
  readonly dropped: readonly string[];
}

export interface ReadingRules {
  /** Whether what cannot be expressed is left out. Otherwise it is refused by name. */
  readonly dropParams: boolean;
  /** By which the provider's package finds options of its own, such as `anthropic`. */
  readonly providerOptionsName: string;
}

/** Makes a stream in a client's protocol of the parts in which every provider tells its answer. */
export interface EventWriter {
  /** Whole server-sent events, or an empty text where a part has nothing to say. */
  next(part: LanguageModelV4StreamPart): string;
  /**
   * What ends the stream. Empty unless the provider has said that the answer is whole: a stream that was cut must not
   * look like one that ended.
   */
  end(): string;
}

/** A protocol that clients speak, translated to what the provider packages of the AI SDK take and give. */
export interface ClientProtocol {
  /** @throws GatewayError 400 that names what cannot be expressed */
  read(fields: Readonly<Record<string, unknown>>, rules: ReadingRules): ReadCall;
  /** The body of a whole answer, its usage included, as a provider that speaks the protocol would send it. */
  answer(result: LanguageModelV4GenerateResult, names: AnswerNames): Readonly<Record<string, unknown>>;
  /** Usage is always told at a stream's end: the gateway hides it where the client did not ask. */
  events(names: AnswerNames): EventWriter;
  /** The body of an answer with an error status. */
  error(status: number, message: string): Readonly<Record<string, unknown>>;
}
