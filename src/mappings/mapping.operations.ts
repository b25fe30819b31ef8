import { z } from 'zod';
import { comparing } from '../kernel/existing.ts';
import { id, label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { describePage, pageInfo, pageInput } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { MappingService } from './mapping.service.ts';
import { describeMapping, mappingInfo } from './mapping.wire.ts';

interface Needs {
  mappings: MappingService;
  keys: Pick<KeyService, 'get'>;
}

const reference = id.describe('The mapping, by id');
const key = label.describe('The virtual key, by alias, id or secret');

const changeable = {
  description: label.nullable().optional().describe('What it is for'),
  isActive: z.boolean().optional().describe('Whether it counts; tokens of one that does not are refused'),
};

const shown: Partial<CommandLine> = {
  columns: ['id', 'jwt_claim_name', 'jwt_claim_value', 'key_id', 'is_active'],
  wide: ['issuer', 'description', 'created_at', 'created_by', 'updated_at'],
  headings: { jwt_claim_name: 'CLAIM', jwt_claim_value: 'VALUE', key_id: 'KEY', is_active: 'ACTIVE' },
  id: 'id',
};

const keyFlag = { key: { name: 'key', placeholder: 'key' } } as const;

export const createMapping = operation({
  command: ['jwt', 'mapping', 'create'],
  aliases: ['new'],
  route: ['POST', '/jwt/key/mapping/new'],
  summary: 'Let tokens with a claim stand for a virtual key',
  description:
    'The claim is looked for where virtual_key_claim_field says. The key decides, as if it had been sent itself.',
  input: wire({
    jwtClaimName: label.describe('The claim, as it stands in virtual_key_claim_field'),
    jwtClaimValue: label.describe('What stands in it'),
    issuer: label.nullable().optional().describe('Of tokens of this issuer only; of any when absent'),
    key,
    ...changeable,
  }),
  output: answer(mappingInfo),
  access: 'admin',
  existing: {
    names: ['jwt_claim_value'],
    find: async ({ mappings }: Needs, { jwtClaimName, jwtClaimValue, issuer }) => {
      const found = await mappings.find(jwtClaimName, jwtClaimValue, issuer);
      return found && describeMapping(found);
    },
    compare: {
      key: comparing<Needs>(
        async ({ wanted, found, services }) => (await services.keys.get(String(wanted))).id === found['key_id'],
        { isSecret: true },
      ),
    },
  },
  cli: {
    ...shown,
    args: ['jwt_claim_name', 'jwt_claim_value'],
    completes: { key: 'key' },
    flags: keyFlag,
    keyStdin: 'key',
    done: (_, { jwt_claim_value: value }) => `Mapping of ${text(value)} created`,
    examples: [['A pipeline with a budget', 'gatewayctl jwt mapping create client_id nightly-build --key ci-runner']],
  },
  run: async ({ mappings }: Needs, { jwtClaimName: claimName, jwtClaimValue: claimValue, ...more }) =>
    describeMapping(await mappings.create({ claimName, claimValue, ...more })),
});

export const updateMapping = operation({
  command: ['jwt', 'mapping', 'update'],
  route: ['POST', '/jwt/key/mapping/update'],
  summary: 'Change what a claim stands for',
  input: wire({ id: reference, key: key.optional(), ...changeable }),
  output: answer(mappingInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['id'],
    completes: { key: 'key' },
    flags: keyFlag,
    keyStdin: 'key',
    done: (_, { id: name }) => `Mapping ${text(name)} updated`,
    examples: [['Another key', 'gatewayctl jwt mapping update 5b1e --key ci-runner-2']],
  },
  run: async ({ mappings }: Needs, { id: name, ...changes }) => describeMapping(await mappings.update(name, changes)),
});

export const deleteMapping = operation({
  command: ['jwt', 'mapping', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/jwt/key/mapping/delete'],
  summary: 'Delete a mapping',
  description: 'The key stays. Tokens with the claim are then what unregistered_jwt_client_behavior says.',
  input: wire({ id: reference }),
  output: answer(mappingInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['id'],
    confirm: 'moderate',
    done: (_, { id: name }) => `Mapping ${text(name)} deleted`,
    examples: [['In a script', 'gatewayctl jwt mapping delete 5b1e --yes']],
  },
  run: async ({ mappings }: Needs, { id: name }) => describeMapping(await mappings.delete(name)),
});

export const listMappings = operation({
  command: ['jwt', 'mapping', 'list'],
  aliases: ['ls'],
  route: ['GET', '/jwt/key/mapping/list'],
  summary: 'List which claims stand for which virtual keys',
  input: wire(pageInput),
  output: answer({ mappings: z.array(answer(mappingInfo)).describe('The mappings, the newest first'), ...pageInfo }),
  access: 'admin',
  cli: {
    ...shown,
    result: 'mappings',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    flags: { page_size: 'limit' },
    examples: [['With their issuers', 'gatewayctl jwt mapping list -o wide']],
  },
  run: async ({ mappings }: Needs, page) => {
    const { mappings: found, total } = await mappings.list({ page: page.page, size: page.pageSize });
    return { mappings: found.map(describeMapping), ...describePage(total, page) };
  },
});

export const getMapping = operation({
  command: ['jwt', 'mapping', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/jwt/key/mapping/info'],
  summary: 'Show one mapping',
  input: wire({ id: reference }),
  output: answer(mappingInfo),
  access: 'admin',
  cli: { ...shown, args: ['id'], examples: [['Its key', 'gatewayctl jwt mapping get 5b1e']] },
  run: async ({ mappings }: Needs, { id: name }) => describeMapping(await mappings.get(name)),
});

export const mappingOperations = [createMapping, updateMapping, deleteMapping, listMappings, getMapping] as const;
