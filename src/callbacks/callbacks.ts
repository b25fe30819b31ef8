import type { Egress } from '../egress/egress.ts';
import type { Log } from '../kernel/log.ts';
import type { Exchange } from '../proxy/exchange.ts';
import type { CallEvent } from './call-event.ts';
import type { CallbackSettings } from './callback-settings.ts';
import { capture } from './capture.ts';
import { DeadLetters } from './dead-letters.ts';
import { DeliveryQueue, type QueueCounts, type QueueParts } from './delivery-queue.ts';
import type { Destination } from './destination.ts';
import { destinationFor } from './destinations.ts';
import { LineFile } from './line-file.ts';
import { Memory } from './memory.ts';
import { type Post, postThrough } from './post.ts';
import { TeamQueues } from './team-queues.ts';
import type { TeamLogging } from './team-callback.queries.ts';

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

/** All that waits, of all destinations together. */
const mostBytes = 64 * 1024 ** 2;
/** How long the destinations of a team have to be told of what waits, once the team has others. */
const partingMs = 10_000;

/** Tells destinations of calls that are over. Off the calls' path: handing over an event takes microseconds and never waits. */
export class Callbacks {
  readonly #options: CallbacksOptions;
  readonly #queues: readonly DeliveryQueue[];
  readonly #teams: TeamQueues;
  readonly #dead: DeadLetters;

  private constructor(options: CallbacksOptions, destinations: readonly Destination[], post: Post) {
    const { settings, log, version } = options;
    this.#options = options;
    const { deadLetterFile } = settings;
    this.#dead = new DeadLetters(log, deadLetterFile === undefined ? undefined : new LineFile(deadLetterFile, log));
    const parts: QueueParts = { ...settings.queue, memory: new Memory(mostBytes), dead: this.#dead };
    this.#queues = destinations.map((destination) => new DeliveryQueue(destination, parts));
    this.#teams = new TeamQueues({
      parts,
      partingMs,
      make: (setup, name) => destinationFor(setup, { post, version, name }),
    });
  }

  static async open(options: CallbacksOptions): Promise<Callbacks> {
    const { settings, egress, version, bodyStore } = options;
    const post = postThrough(egress, `gatewayctl/${version}`);
    const made = await Promise.all(settings.callbacks.map((setup) => destinationFor(setup, { post, version })));
    return new Callbacks(options, bodyStore ? [bodyStore, ...made] : made, post);
  }

  /** What became of what was reported, by destination. */
  get counts(): readonly QueueCounts[] {
    return [...this.#queues, ...this.#teams.queues].map(({ counts }) => counts);
  }

  /** From the next call on these are what teams want of their own calls. */
  replaceTeams(teams: ReadonlyMap<string, TeamLogging>): Promise<void> {
    return this.#teams.replace(teams);
  }

  tell(exchange: Exchange): void {
    if (this.#queues.length === 0 && this.#teams.isEmpty) return;
    const { teamId } = exchange.principal;
    const team = teamId === null ? undefined : this.#teams.of(teamId);
    if (team?.isDisabled) return;
    const wantsBodies =
      this.#options.bodyStore !== undefined && team?.turnsOffMessages !== true && !isRedacted(exchange);
    const event = capture(exchange, wantsBodies ? this.#options.bodyBytes : undefined);
    if (!event) return;
    hand(event, this.#queues);
    if (team) hand(event, team.queues);
  }

  /** Delivers what waits; what is left when the time is over is a dead letter. */
  async close(deadlineMs: number): Promise<void> {
    await Promise.all([...this.#queues.map((queue) => queue.close(deadlineMs)), this.#teams.close(deadlineMs)]);
    await this.#dead.close();
  }
}

function hand(event: CallEvent, queues: readonly DeliveryQueue[]): void {
  for (const queue of queues) if (queue.destination.wants(event)) queue.add(event);
}

/** LiteLLM's header by which a client has its call reported without what is in it. */
const isRedacted = ({ request }: Exchange): boolean =>
  /^(?:true|1)$/i.test(String(request.headers['x-litellm-enable-message-redaction'] ?? ''));
