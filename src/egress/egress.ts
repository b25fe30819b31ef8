import { buildConnector, type Client, type Dispatcher } from 'undici';
import { Origins } from './connections.ts';
import { type Allowed, checkedLookup, guarded, type Resolve } from './guard.ts';
import type { OwnPlaces } from './own-places.ts';

export interface EgressOptions {
  /** Longest wait for a connection, its look-up included; milliseconds. */
  readonly connectMs: number;
  readonly agent?: Omit<Client.Options, 'connect' | 'allowH2'>;
  /** Asked for the addresses of names, in place of the operating system. */
  readonly resolve?: Resolve | undefined;
  /** Where nothing leads, whatever is allowed. */
  readonly own?: OwnPlaces | undefined;
}

/**
 * The only way out of the daemon over HTTP. Where a connection leads is checked when it is made, once for all calls it
 * carries, on the address it is made to. Redirects are not followed, and no proxy of the environment is asked: behind one
 * the address would be the proxy's to check.
 */
export class Egress implements AsyncDisposable {
  readonly #agents: Readonly<Record<Allowed, Dispatcher>>;

  constructor(options: EgressOptions) {
    this.#agents = { public: agentFor('public', options), private: agentFor('private', options) };
  }

  /**
   * Connections are not shared between the two: what may be private would otherwise lend its open connection to what may
   * not.
   */
  to(allowed: Allowed): Dispatcher {
    return this.#agents[allowed];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Object.values(this.#agents).map((agent) => agent.destroy()));
  }
}

function agentFor(allowed: Allowed, { connectMs, agent, resolve, own }: EgressOptions): Dispatcher {
  const lookup = checkedLookup(allowed, resolve);
  // With HTTP/1 an aborted call costs its own connection and nobody else's.
  const connect = buildConnector({ timeout: connectMs, allowH2: false, lookup });
  return new Origins({ ...agent, allowH2: false, connect: guarded(connect, allowed, own) });
}
