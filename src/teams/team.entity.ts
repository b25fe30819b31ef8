import { defineEntity, p } from '@mikro-orm/core';

const TeamSchema = defineEntity({
  name: 'Team',
  tableName: 'teams',
  properties: {
    id: p.text().primary(),
    alias: p.text().nullable(),
    organizationId: p.text().nullable(),
    models: p.array(),
    metadata: p.json<Record<string, unknown>>(),
    maxBudget: p.bigint().nullable(),
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

const TeamMemberSchema = defineEntity({
  name: 'TeamMember',
  tableName: 'team_members',
  properties: {
    teamId: p.text().primary(),
    userId: p.text().primary(),
    role: p.enum(['admin', 'user']),
    maxBudget: p.bigint().nullable(),
    spend: p.bigint(),
    createdAt: p.datetime(),
  },
});

/** Who belongs to a team: the only record of it. */
export class TeamMember extends TeamMemberSchema.class {}
TeamMemberSchema.setClass(TeamMember);
