import type { CallbackSetup } from './callback-settings.ts';
import { DeliveryQueue, type QueueParts } from './delivery-queue.ts';
import type { Destination } from './destination.ts';
import type { TeamLogging } from './team-callback.queries.ts';

interface Team {
  readonly isDisabled: boolean;
  readonly turnsOffMessages: boolean;
  readonly queues: readonly DeliveryQueue[];
}

interface Kept {
  /** Of the row it was made of: another one is another destination. */
  readonly version: string;
  readonly queue: DeliveryQueue;
}

export interface TeamQueuesOptions {
  readonly parts: QueueParts;
  readonly make: (setup: CallbackSetup, name: string) => Promise<Destination>;
  readonly partingMs: number;
}

/** A team's events that wait: there may be many teams. */
const queueSize = 1_000;

/** What teams want of their own calls, beside what the operator wants of all. */
export class TeamQueues {
  readonly #options: TeamQueuesOptions;
  #teams: ReadonlyMap<string, Team> = new Map();
  /** By the id of the row. */
  #kept: ReadonlyMap<string, Kept> = new Map();
  readonly #parting = new Set<Promise<void>>();

  constructor(options: TeamQueuesOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#teams.size === 0;
  }

  get queues(): readonly DeliveryQueue[] {
    return [...this.#kept.values()].map(({ queue }) => queue);
  }

  of(teamId: string): Team | undefined {
    return this.#teams.get(teamId);
  }

  async replace(wanted: ReadonlyMap<string, TeamLogging>): Promise<void> {
    const { parts, make } = this.#options;
    const kept = new Map<string, Kept>();
    const teams = new Map<string, Team>();
    for (const [teamId, { isDisabled, turnsOffMessages, callbacks }] of wanted) {
      const queues: DeliveryQueue[] = [];
      for (const { id, version, setup } of callbacks) {
        const before = this.#kept.get(id);
        const queue =
          before?.version === version
            ? before.queue
            : new DeliveryQueue(await make(setup, `team ${teamId}/${setup.name}`), {
                ...parts,
                queueSize: Math.min(parts.queueSize, queueSize),
              });
        kept.set(id, { version, queue });
        queues.push(queue);
      }
      teams.set(teamId, { isDisabled, turnsOffMessages, queues });
    }
    const gone = [...this.#kept].filter(([id, { queue }]) => kept.get(id)?.queue !== queue);
    this.#teams = teams;
    this.#kept = kept;
    for (const [, { queue }] of gone) this.#part(queue);
  }

  async close(deadlineMs: number): Promise<void> {
    await Promise.all([...this.queues.map((queue) => queue.close(deadlineMs)), ...this.#parting]);
  }

  #part(queue: DeliveryQueue): void {
    const parting = queue.close(this.#options.partingMs).finally(() => this.#parting.delete(parting));
    this.#parting.add(parting);
  }
}
