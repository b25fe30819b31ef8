import type { Transport } from '../upstream.ts';
import { mock } from './mock.ts';
import { compatible } from './compatible.ts';
import type { Provider } from './provider.ts';

/** Every provider there is, by the name a deployment gives. One that speaks as OpenAI does is a line in models/providers.ts. */
export function createProviders(transport: Transport): ReadonlyMap<string, Provider> {
  return new Map<string, Provider>([
    ...[...compatible].map(([name, dialect]) => [name, transport.provider(dialect)] as const),
    ['mock', mock],
  ]);
}
