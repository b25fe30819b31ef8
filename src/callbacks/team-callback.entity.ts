import { defineEntity, p } from '@mikro-orm/core';
import type { KeptValue } from '../credentials/credential.entity.ts';
import type { CallbackType } from './callback-settings.ts';

const TeamCallbackSchema = defineEntity({
  name: 'TeamCallback',
  tableName: 'team_callbacks',
  properties: {
    id: p.text().primary(),
    teamId: p.text(),
    callbackName: p.text(),
    callbackType: p.text().$type<CallbackType>(),
    callbackVars: p.json<Record<string, KeptValue>>(),
    /** Null says nothing: the calls are reported without what is in them, and the operator's own settings hold. */
    turnOffMessageLogging: p.boolean().nullable(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** Where a team wants its own calls reported. */
export class TeamCallback extends TeamCallbackSchema.class {}
TeamCallbackSchema.setClass(TeamCallback);

const DisabledLoggingSchema = defineEntity({
  name: 'DisabledLogging',
  tableName: 'team_logging_disabled',
  properties: {
    teamId: p.text().primary(),
    createdAt: p.datetime(),
    createdBy: p.text(),
  },
});

/** A team whose calls nobody is told of. */
export class DisabledLogging extends DisabledLoggingSchema.class {}
DisabledLoggingSchema.setClass(DisabledLogging);
