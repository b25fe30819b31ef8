import { isRecord } from '../../kernel/record.ts';
import type { Units } from '../../metering/units.ts';
import { type ToolUse, ToolUses } from '../events/tool-uses.ts';

/**
 * Tools that a provider runs by itself, and takes money for by the use. How often it may is known where the request says
 * so; elsewhere one use is reserved, and what was used is booked.
 */

type Fields = Readonly<Record<string, unknown>>;

const limitOf = (value: unknown): number => (typeof value === 'number' && value >= 1 ? Math.trunc(value) : 1);

const toolsIn = ({ tools }: Fields): Fields[] => (Array.isArray(tools) ? tools.filter(isRecord) : []);

const typeOf = ({ type }: Fields): string => (typeof type === 'string' ? type : '');

/** What is reserved for searches of Anthropic's (`web_search_20250305`). */
export function searchesAllowed(fields: Fields): Units | undefined {
  const search = toolsIn(fields).find((tool) => typeOf(tool).startsWith('web_search'));
  return search && { webSearches: limitOf(search['max_uses']) };
}

/** Of a message's usage; none where it speaks of none. */
export function searchesIn({ server_tool_use: used }: Fields): Units | undefined {
  const searches = isRecord(used) ? used['web_search_requests'] : undefined;
  return typeof searches === 'number' && searches > 0 ? { webSearches: searches } : undefined;
}

/** Of a block of a message. A search that failed costs nothing, which its result tells. */
export function useInBlock(block: Fields): ToolUse | undefined {
  const { id, name, tool_use_id: searchId, content } = block;
  if (block['type'] === 'server_tool_use' && name === 'web_search') return { id: String(id), unit: 'webSearches' };
  const isFailed = isRecord(content) && content['type'] === 'web_search_tool_result_error';
  return isFailed ? { id: String(searchId), unit: undefined } : undefined;
}

const kinds = [
  ['webSearches', /^web_search/],
  ['fileSearches', /^file_search/],
  ['codeSessions', /^code_interpreter/],
] as const;

/** What is reserved for the tools of a response. */
export function toolsAllowed(fields: Fields): Units | undefined {
  const types = toolsIn(fields).map(typeOf);
  const most = limitOf(fields['max_tool_calls']);
  const offered = kinds.filter(([, name]) => types.some((type) => name.test(type)));
  if (offered.length === 0) return undefined;
  return Object.fromEntries(offered.map(([unit]) => [unit, unit === 'codeSessions' ? 1 : most]));
}

/**
 * Of an item of a response. Of a search only what searched counts, and not pages that were opened; code is paid for by the
 * container, however often it runs.
 *
 * @param index where it stands in the output
 */
export function useInItem({ type, action, container_id: container }: Fields, index: unknown): ToolUse | undefined {
  const id = String(index);
  switch (type) {
    case 'web_search_call':
      return { id, unit: isRecord(action) && action['type'] !== 'search' ? undefined : 'webSearches' };
    case 'file_search_call':
      return { id, unit: 'fileSearches' };
    case 'code_interpreter_call':
      return { id: `container ${String(container)}`, unit: 'codeSessions' };
    default:
      return undefined;
  }
}

/** A response's usage, with what was done by its tools beside its tokens. */
export function withToolUses({ output, usage }: Fields): unknown {
  if (!isRecord(usage) || !Array.isArray(output)) return usage;
  const seen = new ToolUses();
  for (const [index, item] of output.entries()) {
    const use = isRecord(item) ? useInItem(item, index) : undefined;
    if (use) seen.add(use);
  }
  return seen.units ? { ...usage, tool_uses: seen.units } : usage;
}

/** What `withToolUses` has put there. */
export function toolUsesIn({ tool_uses: uses }: Fields): Units | undefined {
  if (!isRecord(uses)) return undefined;
  return Object.fromEntries(kinds.flatMap(([unit]) => (typeof uses[unit] === 'number' ? [[unit, uses[unit]]] : [])));
}

/** A chat that asks for a search is answered by a model that makes one for each answer, and says nothing of it in its usage. */
export const searchesOfChat = ({ web_search_options: options }: Fields, answers: number): Units | undefined =>
  options === undefined || options === null ? undefined : { webSearches: answers };
