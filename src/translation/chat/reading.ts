import type { JSONObject, JSONValue, SharedV4ProviderOptions } from '@ai-sdk/provider';
import { GatewayError } from '../../kernel/errors.ts';
import { isRecord } from '../../kernel/record.ts';
import type { ReadingRules } from '../client-protocol.ts';

export type Fields = Readonly<Record<string, unknown>>;

export const invalid = (message: string, param: string): GatewayError =>
  new GatewayError('invalid', 'invalid_request_error', message, { param });

/** What is known while a request is read: which provider it is for, and what was left out of it. */
export class Reading {
  readonly providerOptionsName: string;
  readonly #dropParams: boolean;
  readonly #dropped = new Set<string>();

  constructor({ dropParams, providerOptionsName }: ReadingRules) {
    this.#dropParams = dropParams;
    this.providerOptionsName = providerOptionsName;
  }

  get dropped(): readonly string[] {
    return [...this.#dropped];
  }

  get isAnthropic(): boolean {
    return this.providerOptionsName === 'anthropic';
  }

  get isBedrock(): boolean {
    return this.providerOptionsName === 'amazonBedrock';
  }

  get isGoogle(): boolean {
    return this.providerOptionsName === 'google' || this.providerOptionsName === 'vertex';
  }

  /** All but Cohere, which speaks as OpenAI does. */
  get takesInstructionsFirst(): boolean {
    return this.isAnthropic || this.isBedrock || this.isGoogle;
  }

  get takesFilesOfTools(): boolean {
    return this.isAnthropic || this.isBedrock || this.isGoogle;
  }

  /** Leaves a member out where that is allowed. @throws GatewayError 400 where it is not */
  leaveOut(name: string, hint = `Leave ${name} out, or have the operator set drop_params.`): void {
    if (this.#dropParams) {
      this.#dropped.add(name);
      return;
    }
    throw new GatewayError('invalid', 'unsupported_field', `${name} cannot be passed on to this model`, {
      param: name,
      hint,
    });
  }

  /** Leaves out what no model misses, and says so. */
  forgo(name: string): void {
    this.#dropped.add(name);
  }

  /** The same of every member that is not among the known ones. @param path of the object in the body */
  leaveOthersOut(fields: Fields, known: ReadonlySet<string>, path: string): void {
    for (const [name, value] of Object.entries(fields)) {
      if (value !== null && value !== undefined && !known.has(name)) this.leaveOut(`${path}${name}`);
    }
  }

  /** Options for the provider's package. */
  own(options: JSONObject): SharedV4ProviderOptions {
    return { [this.providerOptionsName]: options };
  }
}

export const isJson = (value: unknown): value is JSONValue => value !== undefined;

export function textOf(value: unknown, param: string): string {
  if (typeof value === 'string') return value;
  throw invalid(`${param} must be a text`, param);
}

export function numberOf(value: unknown, param: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw invalid(`${param} must be a number`, param);
}

export function recordOf(value: unknown, param: string): Fields {
  if (isRecord(value)) return value;
  throw invalid(`${param} must be an object`, param);
}

export function listOf(value: unknown, param: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw invalid(`${param} must be a list`, param);
}
