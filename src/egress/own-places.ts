import type { Socket } from 'node:net';
import { plainAddress } from '../kernel/networks.ts';

export interface Place {
  readonly host: string;
  readonly port: number;
}

const defaultPorts: Readonly<Record<string, number>> = {
  'http:': 80,
  'postgres:': 5432,
  'postgresql:': 5432,
  'redis:': 6379,
  'rediss:': 6379,
};
const everywhere: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/**
 * Where the gateway itself listens, and its database and Redis: no model is there, whatever is allowed. A call that came
 * back in would go round until nothing is left to go round with.
 */
export class OwnPlaces {
  readonly #places: Place[] = [];

  add({ host, port }: Place): void {
    this.#places.push({ host: host.replace(/^\[(.*)\]$/, '$1').toLowerCase(), port });
  }

  /** @param url of a listener, a database or a Redis; one without a host is a socket in the file system */
  addUrl(url: string): void {
    if (!URL.canParse(url)) return;
    const { protocol, hostname, port } = new URL(url);
    if (hostname) this.add({ host: hostname, port: Number(port) || (defaultPorts[protocol] ?? 0) });
  }

  /** Whether a connection would go there by the name it is asked for by. */
  isNamed(hostname: string, port: number): boolean {
    return this.#places.some((place) => place.port === port && place.host === hostname);
  }

  /** Whether a connection has ended up there, under whatever name. */
  isMet({ remoteAddress, remotePort, localAddress }: Socket): boolean {
    const remote = plainAddress(remoteAddress);
    const isLocal = remote === plainAddress(localAddress);
    return this.#places.some(
      ({ host, port }) =>
        port === remotePort &&
        (host === remote ||
          (isLocal && everywhere.has(host)) ||
          (host === 'localhost' && /^(?:127\.|::1$)/.test(remote))),
    );
  }
}
