import { type Principal, unlimited } from '../access/principal.ts';
import type { Settlement } from '../metering/call.ts';
import type { ModelRequest } from './endpoints/endpoint.ts';
import type { Target } from './routing.ts';

/** Who calls, before a credential is looked at: nobody, who may do nothing. */
export const unknownPrincipal: Principal = {
  ...unlimited,
  kind: 'key',
  keyId: '',
  hash: '',
  alias: null,
  userId: null,
  teamId: null,
  organizationId: null,
  role: 'internal_user_viewer',
  blocked: true,
  teamAlias: null,
};

export const nowhere: Target = {
  deployment: {
    id: '',
    name: '',
    provider: '',
    upstreamModel: '',
    apiBase: undefined,
    apiKey: undefined,
    source: 'builtin',
    info: {},
    params: {},
  },
  upstreamModel: '',
};

export const noBytes = Buffer.alloc(0);
export const unread: ModelRequest = {
  fields: {},
  model: '',
  stream: false,
  hidesUsage: true,
  maxCompletionTokens: undefined,
  answers: 1,
  serviceTier: undefined,
  endUser: undefined,
  tags: [],
  contentType: 'application/json',
  bodyFor: () => noBytes,
};

export const free: Settlement = { cost: 0n, priceSource: 'unpriced', keySpend: undefined };
