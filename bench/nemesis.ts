import { setTimeout as wait } from 'node:timers/promises';
import { seeded } from '../test/chaos/support.ts';
import type { FaultSite, Relay } from './fault-site.ts';

export interface Act {
  readonly what: string;
  readonly begin: () => unknown;
  /** Absent when nothing is left to be mended. */
  readonly end?: () => unknown;
}

/** Ends the connections that hear of changes. */
const cutNotifications = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gatewayctl-listen'`;

/** What happens to PostgreSQL, and to the network before it. */
export function actsOnPostgres({ postgres, relays, pool }: FaultSite, random: () => number): Act[] {
  const onAll = (what: 'cut' | 'silence' | 'mend') => () => relays.forEach((relay) => relay[what]());
  const start = () => postgres.start();
  const ofOne = (what: string, how: 'cut' | 'silence' | 'shut'): Act => {
    let relay: Relay | undefined;
    return {
      what: `PostgreSQL ${what} one daemon`,
      begin: () => (relay = relays[Math.floor(random() * relays.length)])?.[how](),
      end: () => relay?.mend(),
    };
  };
  return [
    { what: 'PostgreSQL stopped', begin: () => postgres.stop(), end: start },
    { what: 'PostgreSQL killed', begin: () => postgres.kill(), end: start },
    { what: 'PostgreSQL frozen', begin: () => postgres.pause(), end: () => postgres.resume() },
    { what: 'PostgreSQL restarted at once', begin: async () => (await postgres.stop(), postgres.start()) },
    { what: 'PostgreSQL cut off from all daemons', begin: onAll('cut'), end: onAll('mend') },
    { what: 'PostgreSQL blackholed for all daemons', begin: onAll('silence'), end: onAll('mend') },
    ofOne('cut off from', 'cut'),
    ofOne('blackholed for', 'silence'),
    ofOne('takes no new connection of', 'shut'),
    { what: 'notification connections cut', begin: () => pool.query(cutNotifications) },
  ];
}

export function actsOnRedis({ redis }: FaultSite): Act[] {
  const start = () => redis.start();
  return [
    { what: 'Redis killed', begin: () => redis.kill(), end: start },
    { what: 'Redis frozen', begin: () => redis.pause(), end: () => redis.resume() },
    { what: 'Redis restarted at once', begin: async () => (await redis.kill(), redis.start()) },
    { what: 'Redis flushed', begin: () => redis.ask('flushall') },
  ];
}

export interface NemesisOptions {
  readonly acts: (random: () => number) => readonly Act[];
  readonly seed: number;
  readonly note: (what: string) => void;
}

/** Seconds of an outage and between two: short ones are the many, and one in ten lasts longer than four. */
const outageMs = (random: () => number): number => 100 + 6_000 * random() ** 2;
const peaceMs = (random: () => number): number => 300 + 2_700 * random();

/** Does one thing after the other, at random, and mends each; until it is disposed of, which leaves all mended. */
export class Nemesis implements AsyncDisposable {
  readonly times = new Map<string, number>();
  readonly #options: NemesisOptions;
  readonly #over = new AbortController();
  readonly #running: Promise<void>;
  #failure: Error | undefined;

  constructor(options: NemesisOptions) {
    this.#options = options;
    this.#running = this.#run().catch(
      (error: unknown) => void (this.#failure = error instanceof Error ? error : new Error(String(error))),
    );
  }

  /** @throws what has kept it from mending something */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#running;
    if (this.#failure) throw this.#failure;
  }

  async #run(): Promise<void> {
    const { seed, note } = this.#options;
    const random = seeded(seed);
    const acts = this.#options.acts(random);
    const { signal } = this.#over;
    while (!signal.aborted) {
      const act = acts[Math.floor(random() * acts.length)];
      const [peace, outage] = [peaceMs(random), outageMs(random)];
      await wait(peace, undefined, { signal }).catch(() => undefined);
      if (!act || signal.aborted) return;
      this.times.set(act.what, (this.times.get(act.what) ?? 0) + 1);
      note(`${act.what}${act.end ? ` for ${(outage / 1_000).toFixed(1)} s` : ''}`);
      try {
        await act.begin();
        if (act.end) await wait(outage, undefined, { signal }).catch(() => undefined);
      } finally {
        await act.end?.();
      }
    }
  }
}
