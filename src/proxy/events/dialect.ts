import type { GatewayError } from '../../kernel/errors.ts';
import { isRecord } from '../../kernel/record.ts';
import type { ToolUse } from './tool-uses.ts';

/** A server-sent event, taken apart. */
export interface SseEvent {
  /** Of its `event` line; empty where there is none. */
  readonly name: string;
  /** Its data lines, joined as the specification says. */
  readonly payload: string;
  /** The payload as a JSON object; undefined where it is none. */
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

/** What the gateway has to know of an event. Of an empty reading nothing but that it may be passed on. */
export interface EventReading {
  /** The model has finished, though the stream has not. */
  readonly isFinish?: boolean;
  /** What was used so far, as the upstream reports it. Each replaces the one before. */
  readonly usage?: unknown;
  /** Whether that is what the whole call used. */
  readonly isUsageFinal?: boolean;
  /** Whether at least its input is what the whole call used. */
  readonly isInputFinal?: boolean;
  readonly tier?: unknown;
  /** A tool that the provider runs: paid for also where the stream does not come to report it. */
  readonly toolUse?: ToolUse | undefined;
  /** The upstream says that it failed: nothing after this is passed on, and the event itself only where it `isLast`. */
  readonly error?: unknown;
  /** The event that ends a stream. It is kept back until the call is booked. */
  readonly isLast?: boolean;
  /** Nobody asked for it but the gateway. */
  readonly isHidden?: boolean;
  /** It holds names that are the upstream's and not the client's. */
  readonly isNamed?: boolean;
}

export const nothing: EventReading = {};

/** How the streams of one protocol tell what the gateway has to know. */
export interface StreamDialect {
  /**
   * What a chunk of events is searched for. One with none of it in it is passed on as it is: it holds nothing but what
   * the model wrote. May find more than there is, never less.
   */
  readonly marks: readonly (string | RegExp)[];
  /** What says in an event with no mark in it that the model has finished. */
  readonly finish: RegExp | undefined;
  /** The members that hold what a model wrote, with the inside of their JSON string as the first group. */
  readonly written: RegExp;
  /** Whether a stream without its last event was cut, even where the model had finished. */
  readonly hasLast: boolean;
  /** Undefined for an event that cannot be understood. @param known the usage reported before it */
  read(event: SseEvent, known: unknown): EventReading | undefined;
  /** The event, or events, that tell a client of a stream that it goes no further. @param before the events it got last */
  interruption(error: GatewayError, before: string): string;
}

/** The record in a member, if there is one. */
export function recordIn(data: unknown, name: string): Readonly<Record<string, unknown>> | undefined {
  const value = isRecord(data) ? data[name] : undefined;
  return isRecord(value) ? value : undefined;
}

export const eventText = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
