import type { Destination } from './provider.ts';

/** Where a call of OpenAI's protocol goes below an api_base; undefined for those of other protocols. */
export const pathOf = ({ endpoint, asked }: Destination): `/${string}` | undefined =>
  endpoint.protocol === undefined ? (asked.path ?? endpoint.path) : undefined;
