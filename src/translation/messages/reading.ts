import { GatewayError } from '../../kernel/errors.ts';
import { isRecord } from '../../kernel/record.ts';
import type { ReadingRules } from '../client-protocol.ts';
import { featuresOf, type ProviderFeatures } from './provider-features.ts';

export type Fields = Readonly<Record<string, unknown>>;

export const malformed = (path: string, must: string): GatewayError =>
  new GatewayError('invalid', 'invalid_request_error', `${path} must ${must}`, { param: path });

/** What a model behind another protocol cannot be told. */
export function inexpressible(path: string, hint: string, shown = path): GatewayError {
  const message = `${shown} cannot be expressed to this model, which is not reached by Anthropic's protocol`;
  return new GatewayError('invalid', 'unsupported_field', message, { param: path, hint });
}

/** A request while it is read: what its provider takes, and what of it was left out. */
export class Reading {
  readonly features: ProviderFeatures;
  readonly dropped: string[] = [];
  readonly #dropParams: boolean;

  constructor({ dropParams, providerOptionsName }: ReadingRules) {
    this.features = featuresOf(providerOptionsName);
    this.#dropParams = dropParams;
  }

  /**
   * @param shown what it is called in the error, where that is more than its path
   * @throws GatewayError 400 unless what cannot be expressed may be left out
   */
  leaveOut(path: string, hint = `Leave ${path} out, or set drop_params for the model.`, shown = path): void {
    if (!this.#dropParams) throw inexpressible(path, hint, shown);
    this.dropped.push(path);
  }

  /** Leaves out, or refuses, what a record has beyond the members that are read. */
  allow(record: Fields, path: string, names: ReadonlySet<string>): void {
    for (const [name, value] of Object.entries(record)) {
      if (value === undefined || value === null || names.has(name)) continue;
      this.leaveOut(path === '' ? name : `${path}.${name}`);
    }
  }
}

export function recordAt(value: unknown, path: string): Fields {
  if (isRecord(value)) return value;
  throw malformed(path, 'be an object');
}

export function listAt(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw malformed(path, 'be a list');
}

export function textAt(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  throw malformed(path, 'be a string');
}

/** A member that may be absent or null. */
export function optional<T>(value: unknown, path: string, read: (value: unknown, path: string) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value, path);
}

export function numberAt(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw malformed(path, 'be a number');
}

export function countAt(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw malformed(path, 'be a positive whole number');
}

export function flagAt(value: unknown, path: string): boolean {
  if (typeof value === 'boolean') return value;
  throw malformed(path, 'be true or false');
}
