import { z } from 'zod';
import { ifThere } from '../kernel/existing.ts';
import { label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { pageFields } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import { passThroughComparisons } from './passthrough.compare.ts';
import type { PassThroughService } from './passthrough.service.ts';
import { newPassThroughFields, passThroughChanges, passThroughInfo } from './passthrough.wire.ts';

interface Needs {
  passThroughs: PassThroughService;
}

const reference = label.describe('The endpoint, by id or path');

const shown: Partial<CommandLine> = {
  columns: ['path', 'target', 'include_subpath', 'cost_per_request', 'is_from_config'],
  wide: ['id', 'methods', 'headers', 'forward_headers', 'timeout', 'updated_at'],
  headings: { include_subpath: 'SUBPATHS', cost_per_request: 'COST', is_from_config: 'CONFIG', updated_at: 'UPDATED' },
  id: 'id',
};
const several: Partial<CommandLine> = { ...shown, result: 'endpoints' };

const flags: CommandLine['flags'] = {
  headers: { name: 'headers', placeholder: '@file|-', isSecret: true },
  forward_headers: {
    name: 'forward-headers',
    placeholder: 'names|all|none',
    parse: (given) => {
      if (given === 'all' || given === 'none') return { forward_headers: given === 'all' };
      return { forward_headers: given.split(',').map((name) => name.trim()) };
    },
  },
  timeout: { name: 'answer-timeout', placeholder: 'seconds' },
  auth: false,
};

/** LiteLLM answers a list, of which a change has one. */
const endpoints = {
  endpoints: z.array(answer(passThroughInfo)).describe('The endpoints'),
};

export const createPassThrough = operation({
  command: ['passthrough', 'create'],
  aliases: ['new', 'add'],
  route: ['POST', '/config/pass_through_endpoint'],
  summary: 'Pass calls of a path on to another API',
  description: 'Callers need a key as for any model. The values of headers are stored encrypted and never shown again.',
  input: wire(newPassThroughFields),
  output: answer(endpoints),
  unserved: ['id', 'guardrails', 'is_from_config', 'default_headers'],
  access: 'admin',
  existing: {
    names: ['path'],
    find: async ({ passThroughs }: Needs, { path }) => {
      const found = await ifThere(passThroughs.get(path));
      return found && { endpoints: [found] };
    },
    compare: passThroughComparisons,
  },
  cli: {
    ...several,
    args: ['path', 'target'],
    flags,
    values: 'headers',
    done: (_, { path }) => `Pass-through endpoint ${text(path)} created`,
    examples: [
      [
        'Cohere’s rerank at a fixed price',
        'gatewayctl passthrough create /search/rerank https://api.cohere.com/v2/rerank --cost-per-request 0.002 ' +
          '--value-env authorization=COHERE_AUTHORIZATION',
      ],
      ['A whole API', 'gatewayctl passthrough create /weather https://api.example.com/v1 --include-subpath'],
    ],
  },
  run: async ({ passThroughs }: Needs, fields) => ({ endpoints: [await passThroughs.create(fields)] }),
});

export const listPassThroughs = operation({
  command: ['passthrough', 'list'],
  aliases: ['ls'],
  route: ['GET', '/config/pass_through_endpoint'],
  summary: 'List the paths whose calls are passed on',
  input: wire({
    endpointId: reference.optional().describe('Only this one'),
    ...pageFields({ default: 100, max: 1_000 }),
  }),
  output: answer({ ...endpoints, totalCount: z.int().describe('How many there are on all pages') }),
  access: 'admin',
  cli: {
    ...several,
    pages: { page: 'page', size: 'size', total: 'total_count' },
    flags: { size: 'limit', endpoint_id: false },
    examples: [['All of them', 'gatewayctl passthrough list']],
  },
  run: async ({ passThroughs }: Needs, { endpointId, ...page }) => {
    if (endpointId !== undefined) return { endpoints: [await passThroughs.get(endpointId)], totalCount: 1 };
    const { endpoints: found, total } = await passThroughs.list(page);
    return { endpoints: found, totalCount: total };
  },
});

export const getPassThrough = operation({
  command: ['passthrough', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/config/pass_through_endpoint/info'],
  summary: 'Show where a path leads',
  input: wire({ endpointId: reference }),
  output: answer(passThroughInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['endpoint_id'],
    examples: [['By its path', 'gatewayctl passthrough get /search/rerank']],
  },
  run: ({ passThroughs }: Needs, { endpointId }) => passThroughs.get(endpointId),
});

export const updatePassThrough = operation({
  command: ['passthrough', 'update'],
  // A path does not fit into a path: by it the endpoint is named in the body.
  route: ['PATCH', '/config/pass_through_endpoint'],
  alsoAt: [['POST', '/config/pass_through_endpoint/:endpoint_id']],
  summary: 'Change where a path leads, or what its calls cost',
  description: 'What is not named stays as it is. Every daemon passes calls on by the new values within a second.',
  input: wire({ endpointId: reference, ...passThroughChanges }),
  output: answer(endpoints),
  unserved: ['id', 'guardrails', 'is_from_config', 'default_headers'],
  access: 'admin',
  cli: {
    ...several,
    args: ['endpoint_id'],
    flags,
    values: 'headers',
    done: (_, { endpoint_id: name }) => `Pass-through endpoint ${text(name)} updated`,
    examples: [['A new price', 'gatewayctl passthrough update 5b1e --cost-per-request 0.003']],
  },
  run: async ({ passThroughs }: Needs, { endpointId, ...changes }) => ({
    endpoints: [await passThroughs.update(endpointId, changes)],
  }),
});

export const deletePassThrough = operation({
  command: ['passthrough', 'delete'],
  aliases: ['rm'],
  route: ['DELETE', '/config/pass_through_endpoint'],
  summary: 'Pass no more calls of a path on',
  input: wire({ endpointId: reference }),
  output: answer(endpoints),
  access: 'admin',
  cli: {
    ...several,
    args: ['endpoint_id'],
    confirm: 'moderate',
    done: (_, { endpoint_id: name }) => `Pass-through endpoint ${text(name)} deleted`,
    examples: [['In a script', 'gatewayctl passthrough delete /search/rerank --yes']],
  },
  run: async ({ passThroughs }: Needs, { endpointId }) => ({ endpoints: [await passThroughs.delete(endpointId)] }),
});

export const passThroughOperations = [
  createPassThrough,
  listPassThroughs,
  getPassThrough,
  updatePassThrough,
  deletePassThrough,
] as const;
