import { requireRoute, resolveAlias } from '../access/decide.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Exchange } from './exchange.ts';
import { authenticate } from './pipeline.ts';
import type { Step } from './pipeline.ts';

/** LiteLLM's numbers, which its clients have got used to: nobody knows when a model was made, or by whom. */
const describe = (id: string) => ({ id, object: 'model', created: 1_677_610_602, owned_by: 'openai' });

export const listModels: readonly Step[] = [authenticate, admit, answerList];
export const showModel: readonly Step[] = [authenticate, admit, answerOne];

function admit({ principal, handler }: Exchange): void {
  requireRoute(principal, handler);
}

function answerList(exchange: Exchange): void {
  const { context, principal, request } = exchange;
  const { deployments } = context.deps;
  const query = new URLSearchParams(request.url?.split('?')[1]);
  const wildcards = query.get('return_wildcard_routes')?.toLowerCase() === 'true' ? deployments.patterns : [];
  const aliases = [...Object.keys(principal.aliases), ...Object.keys(principal.teamAliases)];
  const named = aliases.filter((name) => deployments.has(resolveAlias(principal, name)));
  const names = new Set([...deployments.names, ...wildcards, ...named]);
  const allowed = [...names].filter((name) => context.deps.allows(principal, name));
  exchange.answerJson(200, { object: 'list', data: allowed.map(describe) });
}

/** A model somebody may not call is not found, so that nobody learns which others there are. */
function answerOne(exchange: Exchange): void {
  const { context, principal, handler } = exchange;
  const { parameter = '' } = handler;
  if (!context.deps.deployments.has(resolveAlias(principal, parameter)) || !context.deps.allows(principal, parameter)) {
    throw new GatewayError('notFound', 'model_not_found', `The model ${JSON.stringify(parameter)} does not exist`, {
      param: 'model',
    });
  }
  exchange.answerJson(200, describe(parameter));
}
