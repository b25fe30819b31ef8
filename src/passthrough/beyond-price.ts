import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import { refuseDearer } from '../proxy/endpoints/messages.ts';
import type { Fields } from './asked.ts';
import type { Dialect } from './dialects.ts';
import { tierNamed } from './served-tier.ts';
import type { DialectName } from './usage-readers.ts';

/** What is asked of a provider whose calls are booked by what its answers report. */
export interface PricedCall {
  readonly usage: DialectName;
  /** Below the provider's base, unescaped. */
  readonly path: string;
  readonly fields: Fields;
  readonly query: string;
}

const refuse = (name: string, why: string, hint: string): never => {
  throw new GatewayError('invalid', 'unsupported_field', `${name} ${why}`, { param: name, hint });
};

/** A credential with which its holder calls the provider without the gateway: neither budgets nor a block would reach that. */
const credentials = /\/(?:realtime(?:api)?(?:\/.*)?|chatkit\/sessions(?:\/.*)?|auth_?tokens|v\d+\/token)\/?$/i;

/**
 * Refuses what would cost more than is booked for it, or would not be seen to cost anything.
 *
 * @throws GatewayError 400 `unsupported_field`
 */
export function refuseBeyondPrice({ usage, path, fields, query }: PricedCall): void {
  if (credentials.test(path)) {
    refuse('path', 'is not passed through: it gives out credentials of the provider', 'Call the model through here.');
  }
  if (usage === 'openai' && fields['background'] != null && fields['background'] !== false) {
    refuse('background', 'is not passed through: nobody would book its answer', 'Stream the answer if it takes long.');
  }
  if (usage === 'anthropic') refuseDearer(fields);
  if (usage === 'gemini' || usage === 'vertex') refusePartial(query);
  const { performanceConfig } = fields;
  const latency = isRecord(performanceConfig) ? performanceConfig['latency'] : undefined;
  if (usage === 'bedrock' && latency !== undefined && latency !== 'standard') {
    refuse('performanceConfig', 'is not passed through: it has a price of its own', 'Leave it out.');
  }
}

/** Google's parameters of every method choose what an answer holds, and in which form: without its usage, for one. */
function refusePartial(query: string): void {
  for (const [name, value] of new URLSearchParams(query)) {
    const isForm = name === 'alt' && /^(?:json|sse)$/.test(value);
    if (isForm || !/^(?:\$.*|alt|fields|callback)$/i.test(name)) continue;
    refuse(
      name,
      'is not passed through: what the call used could not be read',
      'Leave it out; alt may be json or sse.',
    );
  }
}

/**
 * The service tier that is asked for, under the name it has in prices.
 *
 * @throws GatewayError 400 when it is no text
 */
export function tierIn(fields: Fields): string | undefined {
  const given = fields['service_tier'] ?? fields['serviceTier'];
  const tier = isRecord(given) ? given['type'] : given;
  if (tier === undefined || tier === null) return undefined;
  if (tierNamed(tier) === 'default') return 'default';
  return typeof tier === 'string' ? tier : refuse('service_tier', 'must be a text', 'Leave it out.');
}

/** Tools that the client runs, or that cost nothing but tokens. */
const ownTools =
  /^(?:function|custom|mcp|local_shell|shell|apply_patch|computer.*|bash_.*|text_editor_.*|memory_.*|web_fetch_.*|functionDeclarations|function_declarations|urlContext|url_context|codeExecution|code_execution)$/;

/** The provider may do something for the answer that is paid by the piece: a search, an image, a container. */
function usesPaidTools({ tools, web_search_options: search }: Fields): boolean {
  if (search !== undefined && search !== null) return true;
  return (
    Array.isArray(tools) && tools.filter(isRecord).some((tool) => !namesOf(tool).every((name) => ownTools.test(name)))
  );
}

/** OpenAI and Anthropic name the kind of a tool, or mean a function; Google's are members by their kind. */
function namesOf(tool: Readonly<Record<string, unknown>>): readonly string[] {
  if (typeof tool['type'] === 'string') return [tool['type']];
  const isFunction = 'name' in tool || 'toolSpec' in tool || 'parameter_definitions' in tool;
  return isFunction ? [] : Object.keys(tool);
}

export const setPrice = 'An operator gives it one: a pass-through endpoint of this path with cost_per_request.';

/** What to do about a call whose answer will not say what it cost; undefined where it will. */
export function hintOfUncounted(dialect: Dialect, path: string, fields: Fields | undefined): string | undefined {
  if (fields === undefined) return 'Send the body as JSON, or as a plain form.';
  if (dialect.hidesUsage?.(path, fields)) return 'Ask for its usage: "stream_options": {"include_usage": true}.';
  if (usesPaidTools(fields)) return 'Leave out the tools of the provider’s own that are paid by the piece.';
  return dialect.counted.test(path) ? undefined : setPrice;
}
