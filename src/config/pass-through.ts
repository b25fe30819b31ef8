import { hash } from 'node:crypto';
import { z } from 'zod';
import {
  type PassThroughEndpoint,
  passThroughFields,
  passThroughMethods,
  withLangfuseAuth,
} from '../kernel/pass-through.ts';
import { members, type StructureContext } from './structures.ts';
import type { Tree } from './yaml.ts';

const section = 'general_settings.pass_through_endpoints';
export const passThroughPaths = [section] as const;

const fields = {
  path: passThroughFields.path,
  target: passThroughFields.target,
  headers: passThroughFields.headers,
  default_query_params: passThroughFields.defaultQueryParams,
  include_subpath: passThroughFields.includeSubpath,
  forward_headers: passThroughFields.forwardHeaders,
  methods: passThroughFields.methods,
  cost_per_request: passThroughFields.costPerRequest,
  timeout: passThroughFields.timeout,
  allow_private_network: passThroughFields.allowPrivateNetwork,
  auth: passThroughFields.auth,
  guardrails: z.array(z.never('are not served')),
};

interface Context extends StructureContext {
  readonly secret: (value: string) => void;
}

/** Reads LiteLLM's `pass_through_endpoints`. What is wrong is reported with its place. */
export function readPassThroughs(trees: ReadonlyMap<string, Tree>, context: Context): PassThroughEndpoint[] {
  const list = trees.get(section);
  if (!list) return [];
  if (list.kind !== 'list') {
    context.problems.add(list.at, 'pass_through_endpoints must be a list');
    return [];
  }
  const paths = new Set<string>();
  return list.items.flatMap((item) => {
    const endpoint = readOne(item, context);
    if (!endpoint) return [];
    if (paths.has(endpoint.path)) context.problems.add(item.at, 'path: another endpoint has it already');
    paths.add(endpoint.path);
    return [endpoint];
  });
}

function readOne(item: Tree, context: Context): PassThroughEndpoint | undefined {
  const given = members(item, fields, context);
  const { path, target, headers = {} } = given;
  for (const value of Object.values(headers)) context.secret(value);
  if (item.kind !== 'map') return undefined;
  for (const name of ['path', 'target'])
    if (!item.entries.has(name)) context.problems.add(item.at, `${name} is missing`);
  if (path === undefined || target === undefined) return undefined;
  return {
    id: `config-${hash('sha256', path).slice(0, 12)}`,
    path,
    target,
    headers: withLangfuseAuth(headers),
    forwardHeaders: given.forward_headers ?? false,
    includeSubpath: given.include_subpath ?? false,
    methods: given.methods ?? passThroughMethods,
    costPerRequest: given.cost_per_request ?? null,
    defaultQueryParams: given.default_query_params ?? {},
    timeout: given.timeout ?? null,
    // What the operator's own file names is the operator's choice.
    allowPrivateNetwork: given.allow_private_network ?? true,
  };
}
