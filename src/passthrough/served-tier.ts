import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../kernel/record.ts';

/** Names that providers have for their usual tier. */
const usualTiers: ReadonlySet<string> = new Set(['default', 'standard', 'standard_only', 'on_demand']);

const tierName = /^[\w.-]{1,32}$/;

/** Where answers that hold no tier in their bodies name it. */
const tierHeaders = ['x-amzn-bedrock-service-tier', 'x-gemini-service-tier'];

/**
 * A tier under the name it has in prices; undefined for what names none. Bedrock wraps it (`{"type": "flex"}`), and Vertex AI
 * says `ON_DEMAND_FLEX`.
 */
export function tierNamed(value: unknown): string | undefined {
  const name = isRecord(value) ? value['type'] : value;
  if (typeof name !== 'string' || !tierName.test(name)) return undefined;
  const tier = name.toLowerCase();
  return usualTiers.has(tier) ? 'default' : tier.replace(/^on_demand_/, '');
}

/** The tier that the headers of an answer name. */
export const tierOfHeaders = (headers: IncomingHttpHeaders): string | undefined =>
  tierNamed(tierHeaders.map((name) => headers[name]).find((value) => value !== undefined));
