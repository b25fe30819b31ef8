import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Team } from './team.entity.ts';

/**
 * What is guaranteed to the teams of an organization is not more than the organization has. Its row is locked, or two teams
 * made at the same time would both get the last of it.
 *
 * @throws GatewayError 400 naming the limit that would be more than is left
 */
export async function requireThroughput(em: EntityManager, team: Team): Promise<void> {
  for (const kind of ['tpm', 'rpm'] as const) {
    const wanted = team[`${kind}Limit`] ?? null;
    if (team[`${kind}LimitType`] !== 'guaranteed_throughput' || wanted === null || !team.organizationId) continue;
    const [organization] = await em.execute<{ most: string | null }[]>(
      `select ${kind}_limit as most from ${SCHEMA}.organizations where id = ? for no key update`,
      [team.organizationId],
    );
    const most = organization?.most ?? null;
    if (most === null) continue;
    const [sum] = await em.execute<{ allocated: string }[]>(
      `select coalesce(sum(${kind}_limit), 0) as allocated from ${SCHEMA}.teams
        where organization_id = ? and id <> ? and ${kind}_limit_type = 'guaranteed_throughput'`,
      [team.organizationId, team.id],
    );
    const allocated = Number(sum?.allocated ?? 0);
    if (allocated + wanted > Number(most)) throw tooMuch(kind, { allocated, wanted, most });
  }
}

/**
 * A team keeps at least what is guaranteed to its keys. Its row is locked, as it is when a key is guaranteed something.
 *
 * @throws GatewayError 400 naming the limit that would be less than that
 */
export async function requireGuarantees(em: EntityManager, team: Team, changed: readonly ('tpm' | 'rpm')[]) {
  for (const kind of changed) {
    const most = team[`${kind}Limit`] ?? null;
    if (most === null) continue;
    const [sum] = await em.execute<{ allocated: string }[]>(
      `select coalesce(sum(${kind}_limit), 0) as allocated from ${SCHEMA}.keys
        where team_id = ? and ${kind}_limit_type = 'guaranteed_throughput'`,
      [team.id],
    );
    const allocated = Number(sum?.allocated ?? 0);
    if (allocated <= most) continue;
    throw new GatewayError(
      'invalid',
      'bad_request_error',
      `Team ${kind.toUpperCase()} limit=${most} is less than the ${allocated} that are guaranteed to its keys`,
      { param: `${kind}_limit`, hint: 'Lower the limits of those keys first, or make them best_effort_throughput.' },
    );
  }
}

const tooMuch = (
  kind: 'tpm' | 'rpm',
  { allocated, wanted, most }: { allocated: number; wanted: number; most: string },
) =>
  new GatewayError(
    'invalid',
    'bad_request_error',
    `Allocated ${kind.toUpperCase()} limit=${allocated} + Team ${kind.toUpperCase()} limit=${wanted} is greater than organization ${kind.toUpperCase()} limit=${most}`,
    { param: `${kind}_limit`, hint: 'Lower it, raise that of the organization, or say best_effort_throughput.' },
  );
