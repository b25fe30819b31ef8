import { surveyJson } from '../../kernel/json-survey.ts';
import { spliceJson } from '../json-splice.ts';

const named = new Set(['object', 'id', 'previous_response_id', 'response']);

/**
 * A response, or an event with one in it, with the client's names of responses in the place of the upstream's, and every
 * other byte as it was.
 *
 * @param nameFor the client's name for an upstream's
 */
export function renameResponse(json: Buffer, nameFor: (upstreamId: string) => string): Buffer {
  return renamed(json, nameFor, true);
}

/** @param mayHoldOne of an event: a response in a response in a response would be gone through as often as it is deep */
function renamed(json: Buffer, nameFor: (upstreamId: string) => string, mayHoldOne: boolean): Buffer {
  const survey = surveyJson(json, named);
  const valueOf = (name: string): unknown => {
    const range = survey.values.get(name);
    return range && JSON.parse(json.subarray(...range).toString());
  };
  const members: (readonly [string, string])[] = [];
  // Of a list of items, or of an event, `id` is none of a response.
  const isResponse = String(valueOf('object')).startsWith('response');
  for (const name of isResponse ? ['id', 'previous_response_id'] : []) {
    const upstreamId = valueOf(name);
    if (typeof upstreamId === 'string') members.push([name, JSON.stringify(nameFor(upstreamId))]);
  }
  const inside = survey.values.get('response');
  if (inside && !isResponse && mayHoldOne) {
    members.push(['response', renamed(json.subarray(...inside), nameFor, false).toString()]);
  }
  return members.length === 0 ? json : spliceJson(json, survey, members);
}
