import { defineEntity, p } from '@mikro-orm/core';
import { limitColumns } from '../db/limit-columns.ts';
import type { BudgetWindow, ThroughputType } from '../kernel/limits.ts';

const TeamSchema = defineEntity({
  name: 'Team',
  tableName: 'teams',
  properties: {
    id: p.text().primary(),
    alias: p.text().nullable(),
    organizationId: p.text().nullable(),
    models: p.array(),
    aliases: p.json<Record<string, string>>(),
    tags: p.array(),
    allowedPassthroughRoutes: p.array(),
    metadata: p.json<Record<string, unknown>>(),
    maxBudget: p.bigint().nullable(),
    ...limitColumns(),
    budgetLimits: p.json<BudgetWindow[]>(),
    rpmLimitType: p.text().$type<ThroughputType>().nullable(),
    tpmLimitType: p.text().$type<ThroughputType>().nullable(),
    /** Routes of keys that plain members may ask for too. */
    memberPermissions: p.array(),
    /** What a member has that was given no limits of its own. */
    memberMaxBudget: p.bigint().nullable(),
    memberBudgetDuration: p.text().nullable(),
    memberTpmLimit: p.bigint('number').nullable(),
    memberRpmLimit: p.bigint('number').nullable(),
    /** The life of keys that members make, where they name none. */
    memberKeyDuration: p.text().nullable(),
    spend: p.bigint(),
    blocked: p.boolean(),
    gen: p.bigint(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** People and keys with a budget and a list of models in common. */
export class Team extends TeamSchema.class {}
TeamSchema.setClass(Team);

/** What somebody has in a team, and keeps while it is away. */
const heldInTeam = {
  teamId: p.text().primary(),
  userId: p.text().primary(),
  budgetId: p.text().nullable(),
  maxBudget: p.bigint().nullable(),
  budgetDuration: p.text().nullable(),
  tpmLimit: p.bigint('number').nullable(),
  rpmLimit: p.bigint('number').nullable(),
  spend: p.bigint(),
};

const TeamMemberSchema = defineEntity({
  name: 'TeamMember',
  tableName: 'team_members',
  properties: { ...heldInTeam, role: p.enum(['admin', 'user']), createdAt: p.datetime() },
});

/** Who belongs to a team: the only record of it. */
export class TeamMember extends TeamMemberSchema.class {}
TeamMemberSchema.setClass(TeamMember);

const FormerMemberSchema = defineEntity({
  name: 'FormerMember',
  tableName: 'former_members',
  properties: heldInTeam,
});

/** What somebody had in a team who was taken out of it, and has again when it comes back. */
export class FormerMember extends FormerMemberSchema.class {}
FormerMemberSchema.setClass(FormerMember);

const DeletedTeamSchema = defineEntity({
  name: 'DeletedTeam',
  tableName: 'deleted_teams',
  properties: {
    id: p.text().primary(),
    deletedAt: p.datetime().primary(),
    alias: p.text().nullable(),
    organizationId: p.text().nullable(),
    createdAt: p.datetime(),
    record: p.json<unknown>(),
    deletedBy: p.text(),
    deletedByApiKey: p.text().nullable(),
    litellmChangedBy: p.text().nullable(),
  },
});

/** What a team was, who deleted it and when. */
export class DeletedTeam extends DeletedTeamSchema.class {}
DeletedTeamSchema.setClass(DeletedTeam);
