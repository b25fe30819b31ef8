import { defineEntity, p } from '@mikro-orm/core';

const MappingSchema = defineEntity({
  name: 'KeyMapping',
  tableName: 'jwt_key_mappings',
  properties: {
    id: p.text().primary(),
    claimName: p.text(),
    claimValue: p.text(),
    issuer: p.text().nullable(),
    keyId: p.text(),
    description: p.text().nullable(),
    isActive: p.boolean(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** The virtual key that tokens with a claim stand for. */
export class KeyMapping extends MappingSchema.class {}
MappingSchema.setClass(KeyMapping);
