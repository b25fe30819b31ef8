import { z } from 'zod';
import { type ChangeOption, changeOptions, changeOptionsOf } from '../kernel/change-options.ts';
import { type AnyOperation, isReading } from '../kernel/operation.ts';
import { describeField, wireSchema } from '../kernel/wire.ts';
import type { Parameter } from './parameter.ts';

/** The attribute under which the flag is kept; it is sent beside the fields, and no field can have this name. */
export const idempotencyKeyField = 'idempotency-key';

/** The flags that every change takes, and those of a change that makes something with a name. */
export function changeFlags(operation: AnyOperation<never>): readonly Parameter[] {
  if (isReading(operation)) return [];
  return [...changeOptionsOf(operation).map(optionFlag), idempotencyKeyFlag];
}

const options = z.object(changeOptions);

/** Shorter than what the API says of them: a line of help is not much. */
const descriptions: Readonly<Record<ChangeOption, string>> = {
  dry_run: 'Change nothing, and show what would be changed',
  if_not_exists: 'Succeed when it is there with these values; exit 6 when it has others',
};

const optionFlag = (field: ChangeOption): Parameter => ({
  field,
  name: field.replaceAll('_', '-'),
  shape: describeField(wireSchema(options).properties?.[field] ?? {}),
  description: descriptions[field],
  isRequired: false,
});

export const idempotencyKeyFlag: Parameter = {
  field: idempotencyKeyField,
  name: 'idempotency-key',
  shape: { type: 'string', nullable: false },
  description: 'Run it again within 24 hours with the same value, and nothing is done twice; a UUID',
  isRequired: false,
  placeholder: 'uuid|@file|-',
};
