import type { CallbackSetup } from './callback-settings.ts';
import { DeliveryQueue, type QueueParts } from './delivery-queue.ts';
import type { Destination } from './destination.ts';
import { Memory } from './memory.ts';
import type { OwnerLogging } from './owner-callback.queries.ts';

interface Owner {
  readonly isDisabled: boolean;
  readonly turnsOffMessages: boolean;
  readonly queues: readonly DeliveryQueue[];
}

interface Kept {
  /** Of the row it was made of: another one is another destination. */
  readonly version: string;
  readonly queue: DeliveryQueue;
}

export interface OwnerQueuesOptions {
  readonly kind: 'team' | 'key';
  readonly parts: QueueParts;
  readonly make: (setup: CallbackSetup, name: string) => Promise<Destination>;
  readonly partingMs: number;
}

/** Events that wait for one of these, and their bytes: there may be many. */
const queueSize = 1_000;
const queueBytes = 8 * 1024 ** 2;

/** What teams, or keys, have said of their own calls, beside what the operator wants of all. */
export class OwnerQueues {
  readonly #options: OwnerQueuesOptions;
  #owners: ReadonlyMap<string, Owner> = new Map();
  /** By the id of the row. */
  #kept: ReadonlyMap<string, Kept> = new Map();
  readonly #parting = new Set<Promise<void>>();

  constructor(options: OwnerQueuesOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#owners.size === 0;
  }

  get queues(): readonly DeliveryQueue[] {
    return [...this.#kept.values()].map(({ queue }) => queue);
  }

  of(id: string): Owner | undefined {
    return this.#owners.get(id);
  }

  async replace(wanted: ReadonlyMap<string, OwnerLogging>): Promise<void> {
    const { kind, parts, make } = this.#options;
    const kept = new Map<string, Kept>();
    const owners = new Map<string, Owner>();
    for (const [owner, { isDisabled, turnsOffMessages, callbacks }] of wanted) {
      const queues: DeliveryQueue[] = [];
      for (const { id, version, setup } of callbacks) {
        const before = this.#kept.get(id);
        const queue =
          before?.version === version
            ? before.queue
            : new DeliveryQueue(await make(setup, `${kind} ${owner}/${setup.name}`), {
                ...parts,
                queueSize: Math.min(parts.queueSize, queueSize),
                memory: new Memory(queueBytes, parts.memory),
              });
        kept.set(id, { version, queue });
        queues.push(queue);
      }
      owners.set(owner, { isDisabled, turnsOffMessages, queues });
    }
    const gone = [...this.#kept].filter(([id, { queue }]) => kept.get(id)?.queue !== queue);
    this.#owners = owners;
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
