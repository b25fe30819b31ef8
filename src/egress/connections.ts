import { Client, Dispatcher, errors } from 'undici';

/** One connection, which is made with its first request. */
interface Connection {
  readonly client: Client;
  /** Where it is among the free ones, -1 while it is not. */
  place: number;
}

/**
 * The connections to one origin. undici's Pool looks through all of its connections for a free one, and its Agent through
 * all of them whenever one is closed: with ten thousand streams to one upstream that were seconds of the event loop. Here
 * the free ones are a list of their own, and a closed connection is forgotten; each of that takes the same time
 * however many there are. The one used last is used next, so that what a burst has left over times out.
 */
class Connections {
  readonly #open: () => Client;
  readonly #onEmpty: () => void;
  readonly #onError: (error: Error) => void;
  readonly #all = new Set<Connection>();
  readonly #free: Connection[] = [];

  constructor(open: () => Client, on: { readonly empty: () => void; readonly error: (error: Error) => void }) {
    this.#open = open;
    this.#onEmpty = on.empty;
    this.#onError = on.error;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const connection = this.#free.at(-1) ?? this.#add();
    const { client } = connection;
    if (client.dispatch(options, handler)) return;
    // A request that undici refuses as invalid keeps no connection busy.
    if (client.stats.size > 0) this.#occupy(connection);
    else if (!client.stats.connected) this.#forget(connection);
  }

  /** Closes those that are free. */
  closeFree(): void {
    for (let connection = this.#free.at(-1); connection; connection = this.#free.at(-1)) {
      this.#occupy(connection);
      void connection.client.destroy();
    }
  }

  async destroy(cause: Error | null): Promise<void> {
    await Promise.all([...this.#all].map(({ client }) => client.destroy(cause)));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map(({ client }) => client.close()));
  }

  #add(): Connection {
    const client = this.#open();
    const connection: Connection = { client, place: -1 };
    const forgetIdle = () => {
      this.#occupy(connection);
      // What was sent just when the upstream hung up goes out again on the next connection of the same client.
      if (client.stats.size === 0) this.#forget(connection);
    };
    client
      .on('drain', () => {
        if (client.stats.connected) this.#release(connection);
        else forgetIdle();
      })
      .on('disconnect', forgetIdle)
      .on('connectionError', (_origin, _clients, error) => {
        forgetIdle();
        this.#onError(error);
      });
    this.#all.add(connection);
    this.#release(connection);
    return connection;
  }

  #release(connection: Connection): void {
    if (connection.place >= 0 || !this.#all.has(connection)) return;
    connection.place = this.#free.push(connection) - 1;
  }

  #occupy(connection: Connection): void {
    const { place } = connection;
    if (place < 0) return;
    const last = this.#free.pop();
    if (last && last !== connection) {
      this.#free[place] = last;
      last.place = place;
    }
    connection.place = -1;
  }

  #forget(connection: Connection): void {
    this.#occupy(connection);
    if (this.#all.delete(connection) && this.#all.size === 0) this.#onEmpty();
  }
}

/** The connections to all origins. */
export class Origins extends Dispatcher {
  readonly #options: Client.Options;
  readonly #origins = new Map<string, Connections>();
  #isClosed = false;

  constructor(options: Client.Options) {
    super();
    this.#options = options;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (this.#isClosed) throw new errors.ClientDestroyedError();
    this.#to(String(options.origin)).dispatch(options, handler);
    return true;
  }

  override async destroy(reason: unknown = null): Promise<void> {
    this.#isClosed = true;
    const cause = reason instanceof Error ? reason : null;
    await Promise.all([...this.#origins.values()].map((connections) => connections.destroy(cause)));
  }

  override async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#origins.values()].map((connections) => connections.close()));
  }

  #to(origin: string): Connections {
    let connections = this.#origins.get(origin);
    if (!connections) {
      connections = new Connections(() => new Client(origin, this.#options), {
        empty: () => void this.#origins.delete(origin),
        error: (error) => this.#makeRoom(error),
      });
      this.#origins.set(origin, connections);
    }
    return connections;
  }

  /** Where descriptors have run out, those of connections that nobody uses are given back for the next calls. */
  #makeRoom(error: Error): void {
    if (!('code' in error) || (error.code !== 'EMFILE' && error.code !== 'ENFILE')) return;
    for (const connections of this.#origins.values()) connections.closeFree();
  }
}
