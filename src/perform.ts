import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { Services } from './app.ts';
import { dryRunOf } from './audit/dry-run.ts';
import { type Answer, IdempotentAnswer } from './idempotency/idempotent-answer.ts';
import type { Asked } from './kernel/change-options.ts';
import { GatewayError } from './kernel/errors.ts';
import { requireName, requireSame } from './kernel/existing.ts';
import { type Actor, type AnyOperation, isReading } from './kernel/operation.ts';
import { requireStorable } from './kernel/storable.ts';
import { read } from './kernel/wire.ts';
import { withOrganizationIds } from './organizations/organization.names.ts';

export interface Caller {
  readonly actor: Actor;
  readonly changedBy?: string | undefined;
  /** Of the HTTP request, and the address it came from. */
  readonly requestId?: string | undefined;
  readonly client?: string | undefined;
  /** What the caller sends with a change, so that sending it again does nothing again. */
  readonly idempotencyKey?: string | undefined;
  /** Told when the answer is the one of an earlier call and nothing was done. */
  readonly onReplay?: (() => void) | undefined;
}

export interface Request {
  readonly operation: AnyOperation<Services>;
  /** As it travelled. */
  readonly given: unknown;
  readonly asked: Asked;
  readonly caller: Caller;
}

/** Does what was asked inside the transaction that is open, up to the last row. The commit or the rollback is the caller's. */
export async function perform({ operation, given, asked, caller }: Request, services: Services): Promise<Answer> {
  requireStorable(given);
  const { actor, idempotencyKey: key, onReplay } = caller;
  const hasKey = key !== undefined && !isReading(operation);
  const kept = hasKey ? new IdempotentAnswer(services.em, { key, actor, operation, given }) : undefined;
  if (asked.isDryRun) {
    await answerOf({ operation, asked, actor, services });
    return rehearsed(services);
  }
  const earlier = await kept?.earlier();
  if (earlier) {
    onReplay?.();
    return earlier;
  }
  const answer = await answerOf({ operation, asked, actor, services });
  await kept?.keep(answer);
  await services.audit.seal();
  return answer;
}

interface Asking {
  readonly operation: AnyOperation<Services>;
  readonly asked: Asked;
  readonly actor: Actor;
  readonly services: Services;
}

async function answerOf({ operation, asked, actor, services }: Asking): Promise<Answer> {
  const given: unknown = read(operation.input, asked.fields, operation.unserved);
  const input = await withOrganizationIds(given, operation, services);
  const found = asked.ifNotExists ? await existing(operation, input, { asked, services }) : undefined;
  if (found) return { ...found, created: false };
  const answer = encode(operation, await operation.run(services, input, actor));
  return asked.ifNotExists ? { ...answer, created: true } : answer;
}

/** The object there is, when it is what is wanted. */
async function existing(
  operation: AnyOperation<Services>,
  input: unknown,
  { asked, services }: Pick<Asking, 'asked' | 'services'>,
): Promise<Answer | undefined> {
  const { existing: known, input: schema, command } = operation;
  if (!known) return undefined;
  const given = givenFields(schema.encode(input), asked.fields);
  const names = requireName(operation, given);
  // Not every name is unique in the database: those who look for one take turns until the transaction ends.
  for (const name of names.toSorted()) {
    await services.em.execute('select pg_advisory_xact_lock(hashtextextended(?, 0))', [
      JSON.stringify([...command, name]),
    ]);
  }
  const object = await known.find(services, input);
  if (object === undefined) {
    // What was looked at and is not for the caller must be forgotten: the ORM takes a new object with the id of one it
    // knows for a change of that one, and whoever named somebody else's team would have made it its own.
    services.em.clear();
    return undefined;
  }
  const found = encode(operation, object);
  await requireSame(operation, given, { found, services });
  return found;
}

/** What the caller said, spelled as the schema spells it, without what the schema added. */
function givenFields(encoded: unknown, said: unknown): Answer {
  const names = Object.keys(Object(said));
  return Object.fromEntries(Object.entries(Object(encoded)).filter(([name]) => names.includes(name)));
}

/** The rows that would have been written; a constraint that waits for the commit is asked now. */
async function rehearsed({ em, audit }: Services): Promise<Answer> {
  await em.flush();
  await em.execute('set constraints all immediate');
  return dryRunOf(audit.recorded);
}

function encode(operation: AnyOperation<Services>, output: unknown): Answer {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what an output schema encodes is JSON
  return operation.output.encode(output) as Answer;
}

/**
 * Whether something was made by somebody else between the look for it and the attempt to make it. One more look finds
 * it.
 */
export function wasMadeMeanwhile({ ifNotExists }: Asked, thrown: unknown): boolean {
  const cause = thrown instanceof GatewayError ? thrown.cause : thrown;
  return ifNotExists && cause instanceof UniqueConstraintViolationException;
}
