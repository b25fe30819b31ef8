import type { Translate } from '../context.ts';
import type { Transport } from '../upstream.ts';
import { mock } from './mock.ts';
import { compatible } from './compatible.ts';
import type { Provider } from './provider.ts';

/** Every provider there is, by the name a deployment gives. One that speaks as OpenAI does is a line in models/providers.ts. */
export function createProviders(
  transport: Transport,
  translate: Translate = (native) => native,
): ReadonlyMap<string, Provider> {
  const native = new Map([...compatible].map(([name, dialect]) => [name, transport.provider(dialect)]));
  return new Map<string, Provider>([...translate(native, transport), ['mock', mock]]);
}
