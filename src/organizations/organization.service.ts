import { randomUUID } from 'node:crypto';
import { type FilterQuery, LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditAction, AuditService } from '../audit/audit.service.ts';
import type { Budget } from '../budgets/budget.entity.ts';
import type { BudgetService } from '../budgets/budget.service.ts';
import { countUpTo } from '../db/count.ts';
import { announce } from '../db/notify.ts';
import { SCHEMA } from '../db/schema.ts';
import { windowSpend } from '../db/window-spend.ts';
import { createStamp, given, updateStamp, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { type LimitChanges, limitChanges, newLimits } from '../kernel/limits.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { Organization } from './organization.entity.ts';
import { holdingsOf, type Size, sizesOf, teamIdsOf, teamsOf } from './organization.queries.ts';
import { describeOrganization, encodeOrganization } from './organization.wire.ts';

interface Fields extends LimitChanges {
  organizationAlias?: string | undefined;
  models?: string[] | undefined;
  metadata?: Record<string, unknown> | undefined;
  maxBudget?: bigint | null | undefined;
  budgetId?: string | null | undefined;
}

export interface NewOrganization extends Fields {
  organizationAlias: string;
  organizationId?: string | null | undefined;
  models: string[];
  metadata: Record<string, unknown>;
}

export interface OrganizationFilter extends Page {
  orgId?: string | undefined;
  orgAlias?: string | undefined;
}

/** Teams shown with an organization: one of more is asked for by `team list`. */
const TEAMS_AT_MOST = 1_000;

export const unknownOrganization = (reference: string) =>
  new GatewayError('notFound', 'not_found_error', `Organization not found, passed organization_id=${reference}`, {
    param: 'organization_id',
    hint: 'Which organizations there are: gatewayctl org list',
  });

const many = (count: number, word: string): string =>
  `${count.toLocaleString('en-US')} ${word}${count === 1 ? '' : 's'}`;

export class OrganizationService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #budgets: BudgetService;

  constructor(work: Work, audit: AuditService, budgets: BudgetService) {
    this.#work = work;
    this.#audit = audit;
    this.#budgets = budgets;
  }

  /** @throws GatewayError 400 when the alias or the id is taken, 404 when there is no such budget */
  async create({ organizationId, organizationAlias, budgetId, maxBudget, ...fields }: NewOrganization) {
    const { models, metadata, ...limits } = fields;
    if (budgetId) await this.#budgets.require(budgetId);
    const organization = this.#work.em.create(Organization, {
      id: organizationId ?? randomUUID(),
      alias: organizationAlias,
      models,
      metadata,
      maxBudget: maxBudget ?? null,
      spend: 0n,
      ...newLimits(limits),
      budgetId: budgetId ?? null,
      blocked: false,
      gen: 1n,
      ...createStamp(this.#work),
    });
    await this.#flush(organization);
    await this.#changed(organization, 'created');
    return organization;
  }

  /**
   * By id or, when no organization has that id, by alias. To whoever is no member it is not there.
   *
   * @throws GatewayError 404
   */
  async get(reference: string): Promise<Organization> {
    const { em, authority } = this.#work;
    const found =
      (await em.findOne(Organization, { id: reference })) ?? (await em.findOne(Organization, { alias: reference }));
    if (found && (authority.seesAll || (await authority.organizationRole(found.id)))) return found;
    throw unknownOrganization(reference);
  }

  async lock(reference: string): Promise<Organization> {
    const { id } = await this.get(reference);
    return this.#work.em.findOneOrFail(Organization, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
  }

  /** Each once, in one order, so that two deletions cannot lock each other out. */
  async lockAll(references: readonly string[]): Promise<Organization[]> {
    const ids = new Set<string>();
    for (const reference of references) ids.add((await this.get(reference)).id);
    const organizations: Organization[] = [];
    for (const id of [...ids].toSorted()) organizations.push(await this.lock(id));
    return organizations;
  }

  async update(reference: string, changes: Fields): Promise<Organization> {
    requireChange(changes);
    const organization = await this.lock(reference);
    const { organizationAlias: alias, models, metadata, maxBudget, budgetId, ...limits } = changes;
    if (budgetId) await this.#budgets.require(budgetId);
    return this.#apply(organization, 'updated', {
      ...given({ alias, models, metadata, maxBudget, budgetId }),
      ...limitChanges(limits),
    });
  }

  async setBlocked(reference: string, blocked: boolean): Promise<Organization> {
    return this.#apply(await this.lock(reference), blocked ? 'blocked' : 'unblocked', { blocked });
  }

  /** @throws GatewayError 409 while it has teams, keys or members, with how many of each */
  async refuseHoldings({ id, alias }: Organization): Promise<void> {
    const { teams, keys, members } = await holdingsOf(this.#work.em, id);
    if (teams + keys + members === 0) return;
    throw new GatewayError(
      'conflict',
      'organization_in_use',
      `Organization ${alias} has ${many(teams, 'team')}, ${many(keys, 'key')} and ${many(members, 'member')}`,
      {
        param: 'organization_ids',
        hint: 'Move them first, or delete the teams and keys too and end the memberships: --cascade.',
      },
    );
  }

  /** The caller has dealt with its teams, keys and homes; memberships go with it. */
  async remove(organization: Organization): Promise<void> {
    await this.#changed(organization, 'deleted', await this.#encode(organization));
    this.#work.em.remove(organization);
    await this.#work.em.flush();
  }

  /** The newest first; those that the caller belongs to, or all for whoever sees everything. */
  async list({ orgId, orgAlias, ...page }: OrganizationFilter): Promise<Organization[]> {
    return this.#work.em.find(Organization, await this.#where({ orgId, orgAlias }), {
      orderBy: { createdAt: 'desc', id: 'asc' },
      limit: page.size,
      offset: offsetOf(page),
    });
  }

  async count({ orgId, orgAlias }: Pick<OrganizationFilter, 'orgId' | 'orgAlias'>): Promise<number> {
    const { authority, em } = this.#work;
    if (!authority.seesAll || orgId !== undefined || orgAlias !== undefined)
      return em.count(Organization, await this.#where({ orgId, orgAlias }));
    return countUpTo(em, { rows: `select 1 from ${SCHEMA}.organizations`, values: [] });
  }

  /** Several by id; one that is not there, or not for the caller, is left out. */
  async several(ids: readonly string[]): Promise<Organization[]> {
    const seen = await this.#seen();
    return this.#work.em.find(
      Organization,
      { id: { $in: ids.filter((id) => seen?.includes(id) ?? true) } },
      { orderBy: { id: 'asc' } },
    );
  }

  budgetsOf(organizations: readonly Organization[]): Promise<Map<string, Budget>> {
    return this.#budgets.of(organizations.map(({ budgetId }) => budgetId));
  }

  /** In the present period of their budgets, by id. */
  spentBy(organizations: readonly Organization[]): Promise<ReadonlyMap<string, bigint>> {
    return windowSpend(this.#work.em, 'organization', { spenders: organizations, now: this.#work.now });
  }

  sizesOf(organizations: readonly Organization[]): Promise<Map<string, Size>> {
    return sizesOf(
      this.#work.em,
      organizations.map(({ id }) => id),
    );
  }

  /** Its teams, at most 1,000; to a plain member those that the member belongs to. */
  async teamsOf({ id }: Organization) {
    const { em, authority, now } = this.#work;
    const isWhole = authority.seesAll || (await authority.administersOrganization(id));
    const among = isWhole ? undefined : await authority.memberTeams();
    return teamsOf(em, id, { among, now, limit: TEAMS_AT_MOST });
  }

  teamIdsOf({ id }: Organization): Promise<string[]> {
    return teamIdsOf(this.#work.em, id);
  }

  /** Undefined is all. */
  async #seen(): Promise<string[] | undefined> {
    const { authority } = this.#work;
    return authority.seesAll ? undefined : authority.memberOrganizations();
  }

  async #where({ orgId, orgAlias }: Omit<OrganizationFilter, keyof Page>): Promise<FilterQuery<Organization>> {
    const seen = await this.#seen();
    const ids = seen && { $in: seen.filter((id) => orgId === undefined || id === orgId) };
    return given({ id: ids ?? orgId, alias: orgAlias });
  }

  async #apply(organization: Organization, action: AuditAction, changes: object): Promise<Organization> {
    const before = await this.#encode(organization);
    this.#work.em.assign(organization, { ...changes, gen: organization.gen + 1n, ...updateStamp(this.#work) });
    await this.#flush(organization);
    await this.#changed(organization, action, before);
    return organization;
  }

  async #changed(organization: Organization, action: AuditAction, before?: unknown): Promise<void> {
    await announce(this.#work, { entity: 'organization', id: organization.id });
    const after = action === 'deleted' ? undefined : await this.#encode(organization);
    this.#audit.record({ action, object: 'organization', id: organization.id, before, after });
  }

  async #encode(organization: Organization): Promise<unknown> {
    const budget = await this.#budgets.get(organization.budgetId);
    return encodeOrganization(describeOrganization(organization, { budget, now: this.#work.now }));
  }

  async #flush(organization: Organization): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      const isAlias = /organizations_alias/.test(cause.message);
      const [param, value] = isAlias
        ? ['organization_alias', organization.alias]
        : ['organization_id', organization.id];
      throw new GatewayError('conflict', 'bad_request_error', `Organization with ${param} ${value} already exists.`, {
        param,
        // LiteLLM's clients look for 400 where something exists already.
        status: 400,
        hint: `Change the organization there is: gatewayctl org update ${value}`,
        cause,
      });
    }
  }
}
