import { type Comparison, isSameValue } from '../kernel/existing.ts';
import { isRecord } from '../kernel/record.ts';
import type { PassThroughService } from './passthrough.service.ts';

interface Needs {
  passThroughs: PassThroughService;
}

/** The endpoint in the list of one that LiteLLM answers. */
function endpointIn(found: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const list = found['endpoints'];
  const first: unknown = Array.isArray(list) ? list[0] : undefined;
  return isRecord(first) ? first : {};
}

const bySameName: Comparison<Needs> = ({ field, wanted, found }) => {
  const is = endpointIn(found)[field];
  return isSameValue(wanted, is) ? [] : [{ field, wanted, is }];
};

/** What is not said means all of them, or none. */
const unlessNull =
  (comparison: Comparison<Needs>): Comparison<Needs> =>
  (compared) =>
    compared.wanted === null ? [] : comparison(compared);

/** Fields of a wanted endpoint. Of a header's value is said that it differs, and no more. */
export const passThroughComparisons: Readonly<Record<string, Comparison<Needs>>> = {
  path: () => [],
  target: bySameName,
  headers: unlessNull(async ({ field, wanted, found, services: { passThroughs } }) => {
    const differing = await passThroughs.differing(String(endpointIn(found)['id']), Object(wanted));
    return differing.map((name) => ({ field: `${field}.${name}` }));
  }),
  default_query_params: unlessNull(bySameName),
  include_subpath: unlessNull(bySameName),
  forward_headers: unlessNull(bySameName),
  methods: unlessNull(bySameName),
  cost_per_request: bySameName,
  timeout: bySameName,
  allow_private_network: unlessNull(bySameName),
  auth: () => [],
};
