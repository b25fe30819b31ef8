import { defineEntity, p } from '@mikro-orm/core';
import type { KeptValue } from '../credentials/credential.entity.ts';
import type { CallbackType } from './callback-settings.ts';

const OwnerCallbackSchema = defineEntity({
  name: 'OwnerCallback',
  tableName: 'owner_callbacks',
  properties: {
    id: p.text().primary(),
    /** Of one of the two it is. */
    teamId: p.text().nullable(),
    keyId: p.text().nullable(),
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

/** Where a team, or a key, has its own calls reported. */
export class OwnerCallback extends OwnerCallbackSchema.class {}
OwnerCallbackSchema.setClass(OwnerCallback);

const DisabledLoggingSchema = defineEntity({
  name: 'DisabledLogging',
  tableName: 'logging_disabled',
  properties: {
    id: p.text().primary(),
    teamId: p.text().nullable(),
    keyId: p.text().nullable(),
    createdAt: p.datetime(),
    createdBy: p.text(),
  },
});

/** A team, or a key, whose calls nobody is told of. */
export class DisabledLogging extends DisabledLoggingSchema.class {}
DisabledLoggingSchema.setClass(DisabledLogging);
