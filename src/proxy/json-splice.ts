import type { Survey } from '../kernel/json-survey.ts';

const OPEN_BRACE = 0x7b;

/** Members to set, each with its value as JSON. */
export type Members = readonly (readonly [name: string, json: string])[];

/**
 * A JSON object with some of its members set and every other byte as it was: a `seed` of 19 digits, unknown fields and
 * `1.0` arrive as they were sent, which a parse and stringify would not promise.
 */
export function spliceJson(json: Buffer, survey: Survey, members: Members): Buffer {
  const added: string[] = [];
  const edits: (readonly [start: number, end: number, value: string])[] = [];
  for (const [name, value] of members) {
    const range = survey.values.get(name);
    if (range) edits.push([range[0], range[1], value]);
    else added.push(`${JSON.stringify(name)}:${value}`);
  }
  if (added.length > 0) {
    const inside = json.indexOf(OPEN_BRACE) + 1;
    edits.push([inside, inside, added.join(',') + (survey.members > 0 ? ',' : '')]);
  }
  edits.sort((one, other) => one[0] - other[0]);
  return replace(json, edits);
}

/** Copies once, into one buffer: a slice for each part and their concatenation cost twice as much, most of it in the collector. */
function replace(json: Buffer, edits: readonly (readonly [start: number, end: number, value: string])[]): Buffer {
  let length = json.length;
  for (const [start, end, value] of edits) length += Buffer.byteLength(value) - (end - start);
  const result = Buffer.allocUnsafe(length);
  let from = 0;
  let at = 0;
  for (const [start, end, value] of edits) {
    at += json.copy(result, at, from, start);
    at += result.write(value, at);
    from = end;
  }
  json.copy(result, at, from);
  return result;
}
