import { z } from 'zod';
import { type ChangeOption, changeOptions, changeOptionsOf, dryRunAnswer } from '../kernel/change-options.ts';
import { type AnyOperation, isReading, type Route } from '../kernel/operation.ts';
import { describeField, type WireField, type WireSchema, wireSchema } from '../kernel/wire.ts';
import { dataPlanePaths, dataPlaneTags } from './data-plane.ts';
import { errorResponses, errorSchema, errorsOf } from './openapi-errors.ts';

/** What the document says beyond the operations. */
export interface OpenApiDetails {
  readonly version: string;
  /** What a noun of the command line is about: the description of its tag. */
  readonly describeNoun: (noun: string) => string;
}

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly [member: string]: unknown;
}

/** The OpenAPI document of the admin API: each operation at all of its routes, and what the data plane serves. */
export function openapi(operations: readonly AnyOperation<never>[], details: OpenApiDetails): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {};
  const schemas: Record<string, unknown> = { Error: errorSchema, DryRun: schemaOf(dryRunAnswer) };
  for (const operation of operations) {
    const names = nameSchemas(operation);
    if (schemas[names.response]) throw new Error(`${operation.command.join(' ')} is the name of two operations`);
    schemas[names.response] = responseOf(operation);
    if (operation.follows) schemas[names.line] = schemaOf(operation.follows);
    if (hasWholeBody(operation)) schemas[names.request] = requestOf(operation);
    for (const route of routesOf(operation)) {
      const item = (paths[toTemplate(route[1])] ??= {});
      const method = route[0].toLowerCase();
      if (item[method]) throw new Error(`${route.join(' ')} is the route of two operations`);
      item[method] = entry(operation, route);
    }
  }
  for (const path of Object.keys(dataPlanePaths)) {
    if (paths[path]) throw new Error(`${path} is the route of an operation and of the data plane`);
  }
  const nouns = [...new Set(operations.map(({ command: [noun] }) => noun))];
  return {
    openapi: '3.1.0',
    info: {
      title: 'gatewayctl',
      version: details.version,
      summary: 'An AI gateway administered from the command line',
      description:
        "The admin API speaks LiteLLM's routes and field names; the data plane speaks the providers' own protocols.",
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: 'http://127.0.0.1:4000', description: 'The daemon where it listens unless told otherwise' }],
    security: Object.keys(securitySchemes).map((name) => ({ [name]: [] })),
    tags: [...nouns.map((name) => ({ name, description: details.describeNoun(name) })), ...dataPlaneTags],
    paths: { ...sorted(paths), ...dataPlanePaths },
    components: {
      schemas: sorted(schemas),
      parameters: { ChangedBy: changedBy, IdempotencyKey: idempotencyKey, ...optionParameters },
      responses: errorResponses,
      securitySchemes,
    },
  };
}

/** Every header a client may send its key in: each SDK has its own habit. */
const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', description: "OpenAI's and LiteLLM's clients" },
  litellm: { type: 'apiKey', in: 'header', name: 'x-litellm-api-key', description: 'Where another header is taken' },
  xApiKey: { type: 'apiKey', in: 'header', name: 'x-api-key', description: "Anthropic's clients" },
  apiKey: { type: 'apiKey', in: 'header', name: 'api-key', description: "Azure OpenAI's clients" },
  googApiKey: { type: 'apiKey', in: 'header', name: 'x-goog-api-key', description: "Google's clients" },
  subscriptionKey: {
    type: 'apiKey',
    in: 'header',
    name: 'Ocp-Apim-Subscription-Key',
    description: 'Clients behind Azure API Management',
  },
} as const;

const changedBy = {
  name: 'litellm-changed-by',
  in: 'header',
  description: 'In whose name the change is made; kept in the audit log',
  schema: { type: 'string', maxLength: 200 },
};

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  description:
    'Sent again within 24 hours by the same caller with the same route and body, it gets the answer of the first time, with the header idempotent-replayed, and nothing is done again; with another route or body it is refused with 409. Only this value can open the stored answer, which may hold a new key: use a UUID, and no fewer than 16 characters',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[ -~]+$' },
};

type Operation = AnyOperation<never>;

const { properties: optionFields = {} } = wireSchema(z.object(changeOptions));

const refOfOption: Readonly<Record<ChangeOption, string>> = { dry_run: 'DryRun', if_not_exists: 'IfNotExists' };

/** What may be said with a change stands in the body or in the query. */
const optionParameters = Object.fromEntries(
  Object.entries(refOfOption).map(([name, ref]) => [ref, parameter('query', name, optionFields[name] ?? {}, false)]),
);

/** The schema of a body: the operation's own fields, and what may be said with the change. */
function requestOf(operation: Operation): WireSchema {
  const schema = schemaOf(operation.input);
  const options = changeOptionsOf(operation).map((name) => [name, optionFields[name] ?? {}] as const);
  return { ...schema, properties: { ...schema.properties, ...Object.fromEntries(options) } };
}

const created: WireField = {
  type: 'boolean',
  description: 'Whether it was made now; there when if_not_exists was asked for',
};

function responseOf(operation: Operation): WireSchema {
  const schema = schemaOf(operation.output);
  return operation.existing ? { ...schema, properties: { ...schema.properties, created } } : schema;
}

const routesOf = ({ route, alsoAt = [] }: Operation): readonly Route[] => [route, ...alsoAt];

const toTemplate = (path: string): string => path.replace(/:(\w+)/g, '{$1}');

const namesInPath = (path: string): readonly string[] =>
  [...path.matchAll(/:(\w+)/g)].flatMap(([, name]) => name ?? []);

const takesBody = ([method, path]: Route): boolean => method !== 'GET' && namesInPath(path).length === 0;

const hasWholeBody = (operation: Operation): boolean =>
  routesOf(operation).some(takesBody) && Object.keys(wireSchema(operation.input).properties ?? {}).length > 0;

function nameSchemas({ command }: Operation): { request: string; response: string; line: string } {
  const name = command
    .flatMap((word) => word.split('-'))
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
  return { request: `${name}Request`, response: `${name}Response`, line: `${name}Line` };
}

function entry(operation: Operation, route: Route): Record<string, unknown> {
  const { command, summary, description, access, unserved } = operation;
  const isMain = route === operation.route;
  const name = command.join('_').replaceAll('-', '_');
  const names = nameSchemas(operation);
  const answer = { $ref: `#/components/schemas/${names.response}` };
  const lines = { oneOf: [answer, { $ref: `#/components/schemas/${names.line}` }] };
  const content = operation.follows ? { 'application/x-ndjson': { schema: lines } } : json(answer);
  return {
    operationId: isMain ? name : `${name}__${slug(route)}`,
    tags: [command[0]],
    summary,
    description: [
      description,
      access === 'admin' ? 'Administrators only.' : 'Any valid key; it sees what its own role may see.',
      operation.cli && `On the command line: \`gatewayctl ${command.join(' ')}\`.`,
    ]
      .filter(Boolean)
      .join('\n\n'),
    ...parametersAndBody(operation, route),
    responses: { 200: { description: doneText(operation), content }, ...errorsOf('admin') },
    ...(unserved && unserved.length > 0 ? { 'x-accepted-when-empty': unserved } : {}),
  };
}

const doneText = (operation: Operation): string =>
  changeOptionsOf(operation).includes('dry_run')
    ? 'Done; with dry_run nothing was, and the answer is #/components/schemas/DryRun'
    : 'Done';

const slug = ([method, path]: Route): string =>
  `${method.toLowerCase()}_${path.replace(/\W+/g, '_').replace(/^_|_$/g, '')}`;

const json = (schema: unknown) => ({ 'application/json': { schema } });

function parametersAndBody(operation: Operation, route: Route): Record<string, unknown> {
  const [method, path] = route;
  const { properties = {}, required = [] } = wireSchema(operation.input);
  const inPath = namesInPath(path);
  const rest = Object.entries(properties).filter(([name]) => !inPath.includes(name));
  const parameters = inPath.map((name) => parameter('path', name, properties[name] ?? { type: 'string' }, true));
  if (method === 'GET') {
    parameters.push(...rest.map(([name, field]) => parameter('query', name, field, required.includes(name))));
  } else {
    const options = changeOptionsOf(operation).map((name) => refOfOption[name]);
    const names = isReading(operation) ? ['ChangedBy'] : ['ChangedBy', 'IdempotencyKey', ...options];
    parameters.push(...names.map((each) => ({ $ref: `#/components/parameters/${each}` })));
  }
  const hasBody = method !== 'GET' && rest.length > 0;
  return {
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(hasBody
      ? {
          requestBody: body(
            operation,
            route,
            required.some((name) => !inPath.includes(name)),
          ),
        }
      : {}),
  };
}

function parameter(
  where: 'path' | 'query',
  name: string,
  field: WireField,
  required: boolean,
): Record<string, unknown> {
  const { type } = describeField(field);
  const { description, ...schema } = field;
  const about = { name, in: where, ...(description ? { description } : {}), required };
  if (type === 'object') return { ...about, content: json(schema) };
  // `?models=a,b`: one of the ways the daemon reads a list, and the shortest.
  return { ...about, ...(type === 'array' ? { style: 'form', explode: false } : {}), schema };
}

/** What the path already says is not said again in the body. */
function body(operation: Operation, route: Route, required: boolean): Record<string, unknown> {
  if (takesBody(route)) {
    return { required, content: json({ $ref: `#/components/schemas/${nameSchemas(operation).request}` }) };
  }
  const inPath = namesInPath(route[1]);
  const { properties = {}, required: names = [], ...schema } = requestOf(operation);
  const isLeft = (name: string) => !inPath.includes(name);
  const left = Object.entries(properties).filter(([name]) => isLeft(name));
  return {
    required,
    content: json({ ...schema, properties: Object.fromEntries(left), required: names.filter(isLeft) }),
  };
}

/** The dialect is the document's own; said again in each schema it is noise. */
function schemaOf(schema: Operation['input']): WireSchema {
  const { $schema: _, ...rest } = { $schema: '', ...wireSchema(schema) };
  return rest;
}

/** Alphabetical, so that moving an operation in the list changes nothing here. */
const sorted = <Value>(record: Readonly<Record<string, Value>>): Record<string, Value> =>
  Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));
