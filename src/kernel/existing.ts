import { isDeepStrictEqual } from 'node:util';
import { GatewayError } from './errors.ts';
import type { AnyOperation } from './operation.ts';

/** A field that has another value than the one wanted. Both are left out where the value is a secret. */
export interface Difference {
  readonly field: string;
  readonly wanted?: unknown;
  readonly is?: unknown;
}

export interface Compared<Services> {
  readonly field: string;
  /** What the caller gave for the field, as it travels. */
  readonly wanted: unknown;
  /** The object there is, as it travels. */
  readonly found: Readonly<Record<string, unknown>>;
  /** All that the caller gave: one field may say how another is meant. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly services: Services;
}

/** Says in which way an object differs from what is wanted of one field; nothing where it does not. */
export type Comparison<Services> = (
  compared: Compared<Services>,
) => readonly Difference[] | Promise<readonly Difference[]>;

/** A comparison by whether two values mean the same. `is` names the member of the object, where it is called otherwise. */
export const comparing =
  <Services>(
    isSame: (compared: Compared<Services>) => boolean | Promise<boolean>,
    { member, isSecret = false }: { readonly member?: string; readonly isSecret?: boolean } = {},
  ): Comparison<Services> =>
  async (compared) => {
    const { field, wanted, found } = compared;
    if (await isSame(compared)) return [];
    return [isSecret ? { field } : { field, wanted, is: found[member ?? field] }];
  };

/** Free JSON is compared member by member, lists of names whatever their order, and null is absent. */
export function isSameValue(wanted: unknown, is: unknown): boolean {
  if (isList(wanted) && isList(is)) return isDeepStrictEqual(new Set(wanted), new Set(is));
  return isDeepStrictEqual(wanted ?? null, is ?? null);
}

const isList = (value: unknown): value is readonly unknown[] =>
  Array.isArray(value) && value.every((each) => typeof each !== 'object');

/** The object, or nothing when there is none of that name. */
export async function ifThere<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (error) {
    if (error instanceof GatewayError && error.kind === 'notFound') return undefined;
    throw error;
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** Refuses what names no object: without a name every call would make another one. */
export function requireName({ existing }: AnyOperation<never>, given: Fields): readonly string[] {
  const names = existing?.names ?? [];
  const named = names.flatMap((name) => (typeof given[name] === 'string' ? [given[name]] : []));
  if (named.length > 0) return named;
  const [first, ...others] = names;
  throw new GatewayError('invalid', 'name_required', `${first}: if_not_exists needs a name to look for`, {
    param: first,
    hint: `Give ${[first, ...others].join(' or ')}.`,
  });
}

/** @throws GatewayError 409 when a field that was given has another value in the object there is */
export async function requireSame<Services>(
  operation: AnyOperation<Services>,
  given: Fields,
  { found, services }: Pick<Compared<Services>, 'found' | 'services'>,
): Promise<void> {
  const differences: Difference[] = [];
  for (const [field, wanted] of Object.entries(given)) {
    const compare = operation.existing?.compare?.[field] ?? byValue;
    differences.push(...(await compare({ field, wanted, found, given, services })));
  }
  if (differences.length === 0) return;
  const noun = operation.command.slice(0, -1).join(' ');
  throw new GatewayError(
    'conflict',
    'exists_with_other_values',
    `The ${noun} exists with other values: ${differences.map(inWords).join('; ')}`,
    { param: differences[0]?.field, hint: `Change it: gatewayctl ${noun} update, or name another ${noun}.` },
  );
}

const byValue: Comparison<unknown> = comparing(({ field, wanted, found }) => isSameValue(wanted, found[field]));

const inWords = (difference: Difference): string =>
  'wanted' in difference
    ? `${difference.field}: wanted ${asText(difference.wanted)}, is ${asText(difference.is)}`
    : `${difference.field}: differs`;

function asText(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
