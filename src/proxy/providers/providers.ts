import { Connections, translating } from '../../translation/translating.ts';
import type { Transport } from '../upstream.ts';
import { mock } from './mock.ts';
import { compatible } from './compatible.ts';
import type { Provider } from './provider.ts';

/** Every provider there is, by the name a deployment gives. One that speaks as OpenAI does is a line in models/providers.ts. */
export function createProviders(
  transport: Transport,
  { dropParams = false }: { readonly dropParams?: boolean | undefined } = {},
): ReadonlyMap<string, Provider> {
  const native = new Map([...compatible].map(([name, dialect]) => [name, transport.provider(dialect)]));
  const connections = new Connections({ transport, native });
  return new Map<string, Provider>([
    ...[...native].map(([name, provider]) => [name, translating(provider, connections, dropParams)] as const),
    ['mock', mock],
  ]);
}
