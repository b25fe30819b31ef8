import { isRecord } from '../../kernel/record.ts';

/** Of those a request names in each way: every one of them may have a budget that is looked up. */
const mostTags = 20;
const noTags: readonly string[] = [];

export function readTags({ metadata, tags }: Record<string, unknown>): readonly string[] {
  const nested = isRecord(metadata) ? metadata['tags'] : undefined;
  if (!Array.isArray(tags) && !Array.isArray(nested)) return noTags;
  const given = [tags, nested].filter(Array.isArray).flat(1);
  return given.filter((tag): tag is string => typeof tag === 'string' && isTag(tag)).slice(0, mostTags);
}

/** Tags named in a header, with commas between them. */
export function tagsOf(header: string | readonly string[] | undefined): readonly string[] {
  if (typeof header !== 'string') return noTags;
  const tags = header.split(',').map((tag) => tag.trim());
  return tags.filter(isTag).slice(0, mostTags);
}

const longestName = 256;

const isTag = (tag: string): boolean => tag.length > 0 && tag.length <= longestName && tag === storable(tag);

/** As PostgreSQL can hold it, so that what is looked up under a name is what is booked under it. */
export function storable(name: string): string {
  const isClean = name.length <= longestName && !name.includes('\0') && name.isWellFormed();
  return isClean ? name : name.slice(0, longestName).replaceAll('\0', '').toWellFormed();
}

/** Tags are LiteLLM's, for its books; OpenAI refuses a request that has a list of them. */
export const takesTagsOut = ({ metadata, tags }: Readonly<Record<string, unknown>>): boolean =>
  Array.isArray(tags) || (isRecord(metadata) && Array.isArray(metadata['tags']));

export function withoutTags(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const rest: Record<string, unknown> = { ...fields };
  if (Array.isArray(rest['tags'])) delete rest['tags'];
  if (!isRecord(rest['metadata']) || !Array.isArray(rest['metadata']['tags'])) return rest;
  const { tags: _, ...metadata } = rest['metadata'];
  rest['metadata'] = metadata;
  if (Object.keys(metadata).length === 0) delete rest['metadata'];
  return rest;
}
