import type { Egress } from '../egress/egress.ts';
import type { Log } from '../kernel/log.ts';
import type { Exchange } from '../proxy/exchange.ts';
import type { CallEvent } from './call-event.ts';
import type { CallbackSettings, CallbackSetup } from './callback-settings.ts';
import { capture } from './capture.ts';
import { DeadLetters } from './dead-letters.ts';
import { DeliveryQueue, type QueueCounts, type QueueParts } from './delivery-queue.ts';
import type { Destination } from './destination.ts';
import { destinationFor } from './destinations.ts';
import { LineFile } from './line-file.ts';
import { Memory } from './memory.ts';
import { type Post, postThrough } from './post.ts';
import { OwnerQueues } from './owner-queues.ts';
import type { LoadedOwnerLogging } from './owner-callback.queries.ts';

export interface CallbacksOptions {
  readonly settings: CallbackSettings;
  readonly egress: Egress;
  readonly log: Log;
  readonly version: string;
  /** Where bodies are kept; undefined while that is switched off, and then no callback gets any. */
  readonly bodyStore: Destination | undefined;
  /** Of a request, and of an answer, at most. */
  readonly bodyBytes: number;
}

/** All that waits, of all destinations of the operator together. */
const mostBytes = 64 * 1024 ** 2;
/** The same of all teams and keys. Apart, so that nobody's dead destination keeps the operator from being told. */
const ownersBytes = 32 * 1024 ** 2;
/** How long the destinations of a team have to be told of what waits, once the team has others. */
const partingMs = 10_000;

/** Tells destinations of calls that are over. Off the calls' path: handing over an event takes microseconds and never waits. */
export class Callbacks {
  readonly #options: CallbacksOptions;
  readonly #queues: readonly DeliveryQueue[];
  readonly #teams: OwnerQueues;
  readonly #keys: OwnerQueues;
  readonly #dead: DeadLetters;

  private constructor(options: CallbacksOptions, destinations: readonly Destination[], post: Post) {
    const { settings, log, version } = options;
    this.#options = options;
    const { deadLetterFile } = settings;
    this.#dead = new DeadLetters(log, deadLetterFile === undefined ? undefined : new LineFile(deadLetterFile, log));
    const parts: QueueParts = { ...settings.queue, memory: new Memory(mostBytes), dead: this.#dead };
    this.#queues = destinations.map((destination) => new DeliveryQueue(destination, parts));
    const make = (setup: CallbackSetup, name: string) => destinationFor(setup, { post, version, name });
    const ofOwners = { ...parts, memory: new Memory(ownersBytes) };
    this.#teams = new OwnerQueues({ kind: 'team', parts: ofOwners, partingMs, make });
    this.#keys = new OwnerQueues({ kind: 'key', parts: ofOwners, partingMs, make });
  }

  static async open(options: CallbacksOptions): Promise<Callbacks> {
    const { settings, egress, version, bodyStore } = options;
    const post = postThrough(egress, `gatewayctl/${version}`);
    const made = await Promise.all(settings.callbacks.map((setup) => destinationFor(setup, { post, version })));
    return new Callbacks(options, bodyStore ? [bodyStore, ...made] : made, post);
  }

  /** What became of what was reported, by destination. */
  get counts(): readonly QueueCounts[] {
    return [...this.#queues, ...this.#teams.queues, ...this.#keys.queues].map(({ counts }) => counts);
  }

  /** From the next call on this is what teams and keys have said of their own calls. */
  async replaceOwners({ teams, keys }: Pick<LoadedOwnerLogging, 'teams' | 'keys'>): Promise<void> {
    await this.#teams.replace(teams);
    await this.#keys.replace(keys);
  }

  tell(exchange: Exchange): void {
    if (this.#queues.length === 0 && this.#teams.isEmpty && this.#keys.isEmpty) return;
    const { teamId, keyId } = exchange.principal;
    const team = teamId === null ? undefined : this.#teams.of(teamId);
    const key = this.#keys.of(keyId);
    if (team?.isDisabled || key?.isDisabled) return;
    const turnsOff = team?.turnsOffMessages === true || key?.turnsOffMessages === true || isRedacted(exchange);
    const wantsBodies = this.#options.bodyStore !== undefined && !turnsOff;
    const event = capture(exchange, wantsBodies ? this.#options.bodyBytes : undefined);
    if (!event) return;
    hand(event, this.#queues);
    if (team) hand(event, team.queues);
    if (key) hand(event, key.queues);
  }

  /** Delivers what waits; what is left when the time is over is a dead letter. */
  async close(deadlineMs: number): Promise<void> {
    const own = this.#queues.map((queue) => queue.close(deadlineMs));
    await Promise.all([...own, this.#teams.close(deadlineMs), this.#keys.close(deadlineMs)]);
    await this.#dead.close();
  }
}

function hand(event: CallEvent, queues: readonly DeliveryQueue[]): void {
  for (const queue of queues) if (queue.destination.wants(event)) queue.add(event);
}

/** LiteLLM's header by which a client has its call reported without what is in it. */
const isRedacted = ({ request }: Exchange): boolean =>
  /^(?:true|1)$/i.test(String(request.headers['x-litellm-enable-message-redaction'] ?? ''));
