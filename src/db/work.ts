import type { EntityManager } from '@mikro-orm/postgresql';
import type { Authority } from '../access/authority.ts';
import type { Actor, Bearer } from '../kernel/operation.ts';
import type { Change } from './notify.ts';

/** What an operation works with: one transaction, one moment, one caller. */
export interface Work {
  readonly em: EntityManager;
  readonly now: Date;
  readonly actor: Actor;
  /** What the caller may do, asked for each object. */
  readonly authority: Authority;
  /** For whom the caller says it acts: the header `litellm-changed-by`. A claim, kept beside the actor. */
  readonly changedBy: string | undefined;
  /** Of the HTTP request, and the address it came from; absent for a command that is here itself. */
  readonly requestId: string | undefined;
  readonly client: string | undefined;
  /** What was announced, so that the process that made the change need not wait to hear of it. */
  readonly changes: Change[];
}

/** The name that stands in `created_by` and `updated_by`. */
export function actorName(actor: Actor): string {
  if (actor.type === 'operator') return actor.name;
  if (actor.type === 'jwt') return actor.userId ?? tokenName(actor);
  return actor.type === 'master' ? 'master' : (actor.userId ?? actor.keyId);
}

/** The name in the audit log: of a token always who issued it, and to whom. */
export const auditedName = (actor: Actor): string => (actor.type === 'jwt' ? tokenName(actor) : actorName(actor));

const tokenName = ({ issuer, subject }: Pick<Bearer, 'issuer' | 'subject'>): string => `jwt ${issuer} ${subject}`;

export function updateStamp({ now, actor }: Work) {
  return { updatedAt: now, updatedBy: actorName(actor) };
}

export function createStamp(work: Work) {
  return { createdAt: work.now, createdBy: actorName(work.actor), ...updateStamp(work) };
}

/** The properties that were given: `undefined` leaves, a value sets, `null` clears. */
export function given<T extends object>(changes: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the filter is the type
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)) as never;
}
