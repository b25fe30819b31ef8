import { defineEntity, p } from '@mikro-orm/core';

const ModelSchema = defineEntity({
  name: 'Model',
  tableName: 'models',
  properties: {
    id: p.text().primary(),
    name: p.text(),
    params: p.json<Record<string, unknown>>(),
    /** Sealed (see kernel/encryption.ts), or a reference such as `os.environ/OPENAI_API_KEY`. */
    apiKey: p.text().nullable(),
    info: p.json<Record<string, unknown>>(),
    /** The team whose keys alone may call it. */
    teamId: p.text().nullable(),
    /** Where its key and address come from instead. */
    credentialName: p.text().nullable(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** A deployment: one upstream behind a model name. */
export class Model extends ModelSchema.class {}
ModelSchema.setClass(Model);
