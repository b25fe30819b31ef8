import type { Deployment } from '../models/deployment.ts';
import type { Translate } from '../proxy/context.ts';
import type { Provider, UpstreamCall } from '../proxy/providers/provider.ts';
import { isCountedHere, isEmbeddedApart } from '../proxy/providers/translated.ts';
import { connect, type Connection, type Ways } from './connections.ts';
import { EmbeddedCall } from './embeddings/embedded-call.ts';
import { Expressible } from './ignored.ts';
import { CountedCall } from './messages/count-tokens.ts';
import { protocolFor } from './protocols.ts';
import { requireSafeName } from './reachable.ts';
import { TranslatedCall } from './translated-call.ts';

type Connected = Connection & { readonly expressible: Expressible };

/** Connects deployments when they are first called. One that could not be connected is tried again. */
class Connections {
  readonly #ways: Ways;
  readonly #connected = new WeakMap<Deployment, Promise<Connected>>();

  constructor(ways: Ways) {
    this.#ways = ways;
  }

  to(deployment: Deployment): Promise<Connected> {
    let connection = this.#connected.get(deployment);
    if (!connection) {
      connection = connect(deployment, this.#ways).then((made) => ({ ...made, expressible: new Expressible() }));
      this.#connected.set(deployment, connection);
      connection.catch(() => this.#connected.delete(deployment));
    }
    return connection;
  }
}

/** @param dropParams whether what cannot be expressed is left out, where a deployment does not say */
export const translating =
  ({ dropParams }: { readonly dropParams: boolean }): Translate =>
  (native, transport) => {
    const connections = new Connections({ transport, native });
    return new Map([...native].map(([name, provider]) => [name, translated(provider, connections, dropParams)]));
  };

/** A provider that serves, besides what its upstream speaks, what can be translated into that. */
const translated = (native: Provider, connections: Connections, dropParams: boolean): Provider => ({
  send(request, receiver): UpstreamCall {
    if (isCountedHere(request)) return new CountedCall(request, receiver);
    const protocol = protocolFor(request);
    const isEmbedded = isEmbeddedApart(request);
    if (!protocol && !isEmbedded) return native.send(request, receiver);
    requireSafeName(request);
    const connected = () => connections.to(request.deployment);
    if (!protocol) return new EmbeddedCall({ request, receiver, dropParams, connect: connected });
    return new TranslatedCall({ request, receiver, protocol, dropParams, connect: connected });
  },
});
