import type { Transport } from '../upstream.ts';
import { anthropic } from './anthropic.ts';
import { mock } from './mock.ts';
import { openai } from './openai.ts';
import type { Provider } from './provider.ts';

/** Every provider there is, by the name a deployment gives. A new one is a line here. */
export function createProviders(transport: Transport): ReadonlyMap<string, Provider> {
  return new Map<string, Provider>([
    ['openai', transport.provider(openai)],
    ['anthropic', transport.provider(anthropic)],
    ['mock', mock],
  ]);
}
