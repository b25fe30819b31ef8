import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import type { AuditChange } from './audit.service.ts';

/** Whose administrators may read what was done, beside those of the gateway: for each change the ids of organizations. */
export async function organizationsOf(em: EntityManager, changes: readonly AuditChange[]): Promise<string[][]> {
  const known = await look(em, changes);
  return changes.map((change) => [...new Set(scopeOf(change, known))].toSorted());
}

/** The members of the object, before and after, that say where it belongs. */
function said({ before, after }: AuditChange, name: string): string[] {
  return [before, after].flatMap((record) => {
    const value: unknown = typeof record === 'object' && record !== null ? Reflect.get(record, name) : undefined;
    return typeof value === 'string' ? [value] : [];
  });
}

interface Known {
  /** The organizations of a team. */
  readonly teams: ReadonlyMap<string, readonly string[]>;
  /** The organizations a user belongs to. */
  readonly users: ReadonlyMap<string, readonly string[]>;
  /** Users who are administrators of the gateway, or see all of it: no organization learns what they hold. */
  readonly hidden: ReadonlySet<string>;
}

function scopeOf(change: AuditChange, { teams, users, hidden }: Known): readonly string[] {
  const { object, id, organizationIds = [] } = change;
  const own = [...organizationIds, ...said(change, 'organization_id')];
  if (object === 'organization') return [id];
  if (object === 'team' || object === 'team_member' || object === 'organization_member') return own;
  if (object === 'user') return hidden.has(id) ? [] : [...own, ...(users.get(id) ?? [])];
  if (object !== 'key' || said(change, 'user_id').some((holder) => hidden.has(holder))) return [];
  return [...own, ...said(change, 'team_id').flatMap((team) => teams.get(team) ?? [])];
}

interface Row {
  readonly kind: 'team' | 'user' | 'hidden';
  readonly id: string;
  readonly organization_id: string;
}

/** One statement for all changes, and none where nothing has to be asked for. */
async function look(em: EntityManager, changes: readonly AuditChange[]): Promise<Known> {
  const of = (object: AuditChange['object']) => changes.filter((change) => change.object === object);
  // Some of these teams may be gone by now; their own rows say where they were.
  const deleted = new Map(of('team').map((change) => [change.id, said(change, 'organization_id')]));
  const keys = of('key').filter(
    (change) => said(change, 'team_id').length + said(change, 'organization_id').length > 0,
  );
  const teams = keys.flatMap((change) => said(change, 'team_id'));
  const users = of('user').map(({ id }) => id);
  const holders = keys.flatMap((change) => said(change, 'user_id'));
  const hidden = new Set(
    of('user')
      .filter((change) => said(change, 'user_role').some((role) => role.startsWith('proxy_admin')))
      .map(({ id }) => id),
  );
  if (teams.length + users.length + holders.length === 0) return { teams: deleted, users: new Map(), hidden };
  const rows = await em.execute<Row[]>(
    `select 'team' as kind, id, organization_id from ${SCHEMA}.teams
     where id = any (?::text[]) and organization_id is not null
     union all select 'user', user_id, organization_id from ${SCHEMA}.organization_members where user_id = any (?::text[])
     union all select 'hidden', id, '' from ${SCHEMA}.users
     where id = any (?::text[]) and role in ('proxy_admin', 'proxy_admin_viewer')`,
    [teams, users, [...users, ...holders]].map((ids) => sqlArray([...new Set(ids)])),
  );
  for (const { id } of rows.filter(({ kind }) => kind === 'hidden')) hidden.add(id);
  return { teams: new Map([...deleted, ...grouped(rows, 'team')]), users: grouped(rows, 'user'), hidden };
}

function grouped(rows: readonly Row[], wanted: Row['kind']): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { id, organization_id: organization } of rows.filter(({ kind }) => kind === wanted)) {
    found.set(id, [...(found.get(id) ?? []), organization]);
  }
  return found;
}
