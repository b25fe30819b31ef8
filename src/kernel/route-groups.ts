/**
 * LiteLLM's names for groups of routes, as they stand in the `allowed_routes` of a key. A path ends in `*` where it
 * stands for all that begins like it, and a `:name` for one segment.
 */
export const routeGroups = {
  openai_routes: [
    '/v1/chat/completions',
    '/chat/completions',
    '/engines/:model/chat/completions',
    '/openai/deployments/:model/chat/completions',
    '/v1/responses',
    '/responses',
    '/v1/responses/:response_id',
    '/responses/:response_id',
    '/v1/responses/:response_id/cancel',
    '/responses/:response_id/cancel',
    '/v1/responses/:response_id/input_items',
    '/responses/:response_id/input_items',
    '/v1/completions',
    '/completions',
    '/engines/:model/completions',
    '/openai/deployments/:model/completions',
    '/v1/embeddings',
    '/embeddings',
    '/engines/:model/embeddings',
    '/openai/deployments/:model/embeddings',
    '/v1/moderations',
    '/moderations',
    '/v1/images/generations',
    '/images/generations',
    '/openai/deployments/:model/images/generations',
    '/v1/images/edits',
    '/images/edits',
    '/openai/deployments/:model/images/edits',
    '/v1/images/variations',
    '/images/variations',
    '/v1/audio/speech',
    '/audio/speech',
    '/openai/deployments/:model/audio/speech',
    '/v1/audio/transcriptions',
    '/audio/transcriptions',
    '/openai/deployments/:model/audio/transcriptions',
    '/v1/audio/translations',
    '/audio/translations',
    '/openai/deployments/:model/audio/translations',
    '/v1/rerank',
    '/rerank',
    '/v2/rerank',
    '/utils/token_counter',
    '/v1/files',
    '/files',
    '/v1/files/:file_id',
    '/files/:file_id',
    '/v1/files/:file_id/content',
    '/files/:file_id/content',
    '/v1/batches',
    '/batches',
    '/v1/batches/:batch_id',
    '/batches/:batch_id',
    '/v1/batches/:batch_id/cancel',
    '/batches/:batch_id/cancel',
    '/v1/models',
    '/models',
    '/v1/models/:model',
    '/models/:model',
  ],
  anthropic_routes: ['/v1/messages', '/v1/messages/count_tokens'],
  mapped_pass_through_routes: [
    '/openai/*',
    '/anthropic/*',
    '/azure/*',
    '/gemini/*',
    '/vertex_ai/*',
    '/vertex-ai/*',
    '/bedrock/*',
    '/cohere/*',
    '/mistral/*',
    '/vllm/*',
    '/assemblyai/*',
    '/groq/*',
    '/together/*',
    '/langfuse/*',
  ],
  info_routes: [
    '/key/info',
    '/v2/key/info',
    '/key/list',
    '/key/aliases',
    '/team/info',
    '/team/list',
    '/v2/team/list',
    '/team/available',
    '/user/info',
    '/v2/user/info',
    '/organization/info',
    '/organization/list',
    '/v2/organization/list',
    '/model/info',
    '/v1/model/info',
    '/v2/model/info',
    '/model_group/info',
    '/explain',
    '/v1/models',
    '/models',
    '/v1/models/:model',
    '/models/:model',
  ],
  management_routes: [
    '/key/*',
    '/v2/key/*',
    '/team/*',
    '/v2/team/*',
    '/user/*',
    '/v2/user/*',
    '/model/*',
    '/v1/model/*',
    '/v2/model/*',
    '/model_group/*',
    '/access_group/*',
    '/organization/*',
    '/v2/organization/*',
    '/customer/*',
    '/v2/customer/*',
    '/end_user/*',
    '/budget/*',
    '/v2/budget/*',
    '/tag/*',
    '/v2/tag/*',
    '/credentials*',
    '/config/pass_through_endpoint*',
    '/cache/*',
    '/callbacks/*',
    '/alert/*',
    '/invitation/*',
    '/audit*',
    '/jwt/*',
    '/daemon/*',
  ],
  spend_tracking_routes: [
    '/spend/*',
    '/user/daily/activity',
    '/user/daily/activity/aggregated',
    '/team/daily/activity',
    '/organization/daily/activity',
    '/customer/daily/activity',
    '/end_user/daily/activity',
    '/tag/daily/activity',
    '/tag/summary',
  ],
  global_spend_tracking_routes: ['/global/*'],
} as const satisfies Record<string, readonly `/${string}`[]>;

/** What stands for every path that an operator has made a pass-through endpoint of; none of them is known beforehand. */
export const operatorsRoute = '/:pass_through_endpoint';

/** What `llm_api_routes` stands for: every route that calls a model, and the operators' own ways to others. */
const llmGroups = ['openai_routes', 'anthropic_routes', 'mapped_pass_through_routes'] as const;

const groupsOf: Readonly<Record<string, readonly string[]>> = {
  ...routeGroups,
  llm_api_routes: [...llmGroups.flatMap((group): readonly string[] => routeGroups[group]), operatorsRoute],
};

export const routeGroupNames: readonly string[] = Object.keys(groupsOf);

/** What LiteLLM's `key_type` stands for. */
export const routesOfKeyType = {
  default: [],
  llm_api: ['llm_api_routes'],
  management: ['management_routes'],
  read_only: ['info_routes'],
} as const satisfies Record<string, readonly string[]>;

/** Whether an entry can stand in a list of routes: a path, a path that ends in `*`, or the name of a group. */
export const isRouteEntry = (entry: string): boolean =>
  Object.hasOwn(groupsOf, entry) || /^\/[\w\-./:{}]*\*?$/.test(entry);

const membersOf = (entry: string): readonly string[] | undefined =>
  Object.hasOwn(groupsOf, entry) ? groupsOf[entry] : undefined;

/** One entry against the path of a route as it was registered: `/key/:key/regenerate` and not what a client sent. */
function lets(entry: string, path: string): boolean {
  const group = membersOf(entry);
  if (group) return group.some((member) => lets(member, path));
  if (entry.endsWith('*')) return path.startsWith(entry.slice(0, -1));
  return entry.replaceAll(/\{(\w+)\}/g, ':$1') === path;
}

/** Whether a list of routes lets a registered route through; an empty list lets all of them. */
export const letsRoute = (entries: readonly string[], path: string): boolean =>
  entries.length === 0 || entries.some((entry) => lets(entry, path));

/** Whether a list lets through every route that another entry stands for. */
export function coversRoute(held: readonly string[], wanted: string): boolean {
  const members = membersOf(wanted);
  if (members) return held.includes(wanted) || members.every((member) => coversRoute(held, member));
  const begins = wanted.endsWith('*') ? wanted.slice(0, -1) : undefined;
  return held
    .flatMap((entry) => membersOf(entry) ?? [entry])
    .some((entry) => {
      if (begins === undefined) return lets(entry, wanted);
      return entry.endsWith('*') && begins.startsWith(entry.slice(0, -1));
    });
}
