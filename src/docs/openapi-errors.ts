import { type ErrorKind, GatewayError } from '../kernel/errors.ts';

/** Kinds that end a process and never travel. */
type Local = 'usage' | 'no' | 'config' | 'cannotCreate' | 'system';

/** When each kind of failure is answered. A new kind does not compile until it is explained here. */
const meanings = {
  invalid: 'A field is missing, unknown or not what it should be; `param` names it',
  unauthenticated: 'There is no valid key in the request',
  forbidden: 'The key is valid and does not allow this; `type` names the rule',
  notFound: 'There is no such object',
  methodNotAllowed: 'The path exists, with another method',
  timeout: 'The request did not arrive in time',
  conflict: 'It exists already, was changed meanwhile or is still in use',
  tooLarge: 'The request is larger than the daemon reads',
  unsupportedMedia: 'The body is not of a type the daemon reads',
  limited: 'A budget is used up or a rate is exceeded',
  internal: 'The gateway has a bug; the details are in its log',
  upstream: 'The provider failed',
  unavailable: 'The gateway cannot serve this now; `Retry-After` says when to try again',
  upstreamTimeout: 'The provider did not answer in time',
} satisfies Record<Exclude<ErrorKind, Local>, string>;

type Travelling = keyof typeof meanings;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the object above
const kinds = Object.keys(meanings) as Travelling[];

const onlyDataPlane: ReadonlySet<Travelling> = new Set(['timeout', 'upstream', 'upstreamTimeout']);

const statusOf = (kind: Travelling): number => new GatewayError(kind, '', '').status;

const nameOf = (kind: Travelling): string => kind.charAt(0).toUpperCase() + kind.slice(1);

/** The error bodies a client can meet on one of the two sides, by status. */
export function errorsOf(side: 'admin' | 'data'): Readonly<Record<string, unknown>> {
  const met = kinds.filter((kind) => kind !== 'methodNotAllowed' && (side === 'data' || !onlyDataPlane.has(kind)));
  return Object.fromEntries(met.map((kind) => [statusOf(kind), { $ref: `#/components/responses/${nameOf(kind)}` }]));
}

const errorContent = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } };

const retryAfter = { 'Retry-After': { description: 'Seconds to wait', schema: { type: 'integer', minimum: 0 } } };

export const errorResponses: Readonly<Record<string, unknown>> = Object.fromEntries(
  kinds.map((kind) => [
    nameOf(kind),
    {
      description: meanings[kind],
      ...(kind === 'unavailable' || kind === 'limited' ? { headers: retryAfter } : {}),
      content: errorContent,
    },
  ]),
);

/** The envelope OpenAI's and LiteLLM's clients read, with our two members. */
export const errorSchema = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      properties: {
        message: { type: 'string', description: 'What is wrong, for people' },
        type: { type: 'string', description: 'What is wrong, for programs, such as `key_not_found`' },
        param: { type: ['string', 'null'], description: 'The input field at fault' },
        code: { type: 'string', enum: statuses(), description: 'The HTTP status, as a string' },
        kind: {
          type: 'string',
          enum: kinds,
          description: 'The sort of failure; it decides the exit status of the command line',
        },
        hint: { type: ['string', 'null'], description: 'What to do about it' },
      },
      required: ['message', 'type', 'param', 'code'],
    },
  },
  required: ['error'],
};

function statuses(): string[] {
  return [...new Set(kinds.map((kind) => String(statusOf(kind))))].toSorted();
}
