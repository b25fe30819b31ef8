import { z } from 'zod';
import { answer, timestamp } from '../kernel/wire.ts';
import type { KeyMapping } from './mapping.entity.ts';

export const mappingInfo = {
  id: z.string().describe('Names the mapping'),
  jwtClaimName: z.string().describe('The claim, as it stands in virtual_key_claim_field'),
  jwtClaimValue: z.string().describe('What stands in it'),
  issuer: z.string().nullable().describe('The issuer of the tokens; null is any'),
  keyId: z.string().describe('The key, by id'),
  description: z.string().nullable().describe('What it is for'),
  isActive: z.boolean().describe('Whether it counts; tokens of one that does not are refused'),
  createdAt: timestamp.describe('When it was made'),
  createdBy: z.string().describe('Who made it'),
  updatedAt: timestamp.describe('When it was last changed'),
  updatedBy: z.string().describe('Who changed it last'),
};

export const describeMapping = ({ claimName, claimValue, ...mapping }: KeyMapping) => ({
  id: mapping.id,
  jwtClaimName: claimName,
  jwtClaimValue: claimValue,
  issuer: mapping.issuer ?? null,
  keyId: mapping.keyId,
  description: mapping.description ?? null,
  isActive: mapping.isActive,
  createdAt: mapping.createdAt,
  createdBy: mapping.createdBy,
  updatedAt: mapping.updatedAt,
  updatedBy: mapping.updatedBy,
});

const schema = answer(mappingInfo);

export const encodeMapping = (mapping: KeyMapping): unknown => schema.encode(describeMapping(mapping));
