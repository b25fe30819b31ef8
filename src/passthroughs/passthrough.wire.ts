import { z } from 'zod';
import { orNone } from '../kernel/fields.ts';
import { type PassThroughEndpoint, passThroughFields, passThroughMethods } from '../kernel/pass-through.ts';
import { answer, timestamp } from '../kernel/wire.ts';
import type { PassThrough } from './passthrough.entity.ts';

const {
  path,
  target,
  headers,
  defaultQueryParams,
  includeSubpath,
  forwardHeaders,
  methods,
  costPerRequest,
  timeout,
  allowPrivateNetwork,
  auth,
} = passThroughFields;

export const newPassThroughFields = {
  path,
  target,
  headers: orNone(headers, {})
    .default({})
    .describe(headers.description ?? ''),
  defaultQueryParams: orNone(defaultQueryParams, {})
    .default({})
    .describe(defaultQueryParams.description ?? ''),
  includeSubpath: orNone(includeSubpath, false)
    .default(false)
    .describe(includeSubpath.description ?? ''),
  forwardHeaders: orNone(forwardHeaders, false)
    .default(false)
    .describe(forwardHeaders.description ?? ''),
  methods: methods
    .nullable()
    .optional()
    .describe(methods.description ?? ''),
  costPerRequest: costPerRequest
    .nullable()
    .optional()
    .describe(costPerRequest.description ?? ''),
  timeout: timeout
    .nullable()
    .optional()
    .describe(timeout.description ?? ''),
  allowPrivateNetwork: orNone(allowPrivateNetwork, false)
    .default(false)
    .describe(allowPrivateNetwork.description ?? ''),
  auth: auth
    .nullable()
    .optional()
    .describe(auth.description ?? ''),
};

export const passThroughChanges = {
  path: path.optional().describe(path.description ?? ''),
  target: target.optional().describe(target.description ?? ''),
  headers: headers.optional().describe(`${headers.description ?? ''}; in place of those there are`),
  defaultQueryParams: defaultQueryParams.optional().describe(defaultQueryParams.description ?? ''),
  includeSubpath: includeSubpath.optional().describe(includeSubpath.description ?? ''),
  forwardHeaders: orNone(forwardHeaders, false)
    .optional()
    .describe(forwardHeaders.description ?? ''),
  methods: methods
    .nullable()
    .optional()
    .describe(methods.description ?? ''),
  costPerRequest: costPerRequest
    .nullable()
    .optional()
    .describe(`${costPerRequest.description ?? ''}; null takes it away`),
  timeout: timeout
    .nullable()
    .optional()
    .describe(timeout.description ?? ''),
  allowPrivateNetwork: orNone(allowPrivateNetwork, false)
    .optional()
    .describe(allowPrivateNetwork.description ?? ''),
  auth: auth
    .nullable()
    .optional()
    .describe(auth.description ?? ''),
};

/** An endpoint in answers. No value of a header ever. */
export const passThroughInfo = {
  id: z.string().describe('Its id'),
  path: z.string().describe('The path clients call'),
  target: z.string().describe('Where it leads'),
  headers: z
    .record(z.string(), z.string())
    .describe('Which headers are sent, each by its last four characters, or by the variable it is read from'),
  defaultQueryParams: z.record(z.string(), z.string()).describe('Query parameters sent where the client names none'),
  includeSubpath: z.boolean().describe('Whether paths below it lead to paths below the target'),
  forwardHeaders: z.union([z.boolean(), z.array(z.string())]).describe('Headers of the client that are sent on'),
  methods: z.array(z.enum(passThroughMethods)).describe('Methods it takes'),
  costPerRequest: z.number().nullable().describe('US dollars each call is booked at; null where its answer says'),
  timeout: z.number().nullable().describe('Seconds until the first byte of an answer; null is the daemon’s own'),
  allowPrivateNetwork: z.boolean().describe('Whether the target may be at an address that is not public'),
  auth: z.literal(true).describe('A credential is always needed'),
  isFromConfig: z.boolean().describe('Whether it stands in the configuration file, and is changed there'),
  createdAt: timestamp.nullable().describe('When it was created; null of the configuration'),
  createdBy: z.string().nullable().describe('Who created it'),
  updatedAt: timestamp.nullable().describe('When it was last changed'),
  updatedBy: z.string().nullable().describe('Who last changed it'),
};

const row = answer(passThroughInfo);
export type DescribedPassThrough = z.output<typeof row>;

export function describePassThrough(endpoint: PassThrough): DescribedPassThrough {
  const { headers: kept, methods: takes, costPerRequest: cost, timeout: seconds, ...rest } = endpoint;
  return {
    id: rest.id,
    path: rest.path,
    target: rest.target,
    headers: Object.fromEntries(Object.entries(kept).map(([name, { shown }]) => [name, shown])),
    defaultQueryParams: rest.defaultQueryParams,
    includeSubpath: rest.includeSubpath,
    forwardHeaders: rest.forwardHeaders,
    methods: [...takes],
    costPerRequest: cost ?? null,
    timeout: seconds ?? null,
    allowPrivateNetwork: rest.allowPrivateNetwork,
    auth: true,
    isFromConfig: false,
    createdAt: rest.createdAt,
    createdBy: rest.createdBy,
    updatedAt: rest.updatedAt,
    updatedBy: rest.updatedBy,
  };
}

/** One of the configuration file, whose values are resolved already: of those nothing is shown. */
export function describeConfigured(endpoint: PassThroughEndpoint): DescribedPassThrough {
  const { headers: values, methods: takes, forwardHeaders: forwards, defaultQueryParams: query, ...rest } = endpoint;
  return {
    ...rest,
    headers: Object.fromEntries(Object.keys(values).map((name) => [name, '…'])),
    defaultQueryParams: { ...query },
    methods: [...takes],
    forwardHeaders: typeof forwards === 'boolean' ? forwards : [...forwards],
    auth: true,
    isFromConfig: true,
    createdAt: null,
    createdBy: null,
    updatedAt: null,
    updatedBy: null,
  };
}

/** An endpoint as the audit log keeps it. */
export const encodePassThrough = (endpoint: PassThrough) => row.encode(describePassThrough(endpoint));
