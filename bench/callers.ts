import { setTimeout as wait } from 'node:timers/promises';
import { Pool } from 'undici';
import { type Kind, model } from './shape.ts';

/** An answer that takes longer hangs: the longest wait of the gateway for its own database is 1.8 s. */
const hangsAfterMs = 10_000;

const asked = { model, messages: [{ role: 'user', content: 'Is anybody there?' }], max_tokens: 100 };
const bodies = { plain: JSON.stringify(asked), stream: JSON.stringify({ ...asked, stream: true }) };

export interface Heard {
  /** `200`, `503 database_unreachable`, `broken …`. */
  readonly what: string;
  /** A 200, or a 503 that says when to come again: all that our own trouble may look like. */
  readonly isFair: boolean;
  /** The name of the call, where it was answered. */
  readonly id?: string;
  readonly ms: number;
}

/** One call, and what became of it. Never rejects: a connection that breaks is an outcome, too. */
export async function call(server: Pool, key: string, kind: Kind = 'plain'): Promise<Heard> {
  const startMs = performance.now();
  const heard = (what: string, isFair: boolean, id?: string): Heard => ({
    what,
    isFair,
    ms: performance.now() - startMs,
    ...(id !== undefined && { id }),
  });
  try {
    const answer = await server.request({
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: bodies[kind],
    });
    const text = await answer.body.text();
    if (answer.statusCode === 200 && kind === 'stream' && !isWhole(text)) return heard('stream ended early', false);
    if (answer.statusCode === 200) return heard('200', true, String(answer.headers['x-litellm-call-id']));
    const retryAfter = Number(answer.headers['retry-after']);
    const what = `${answer.statusCode} ${typeIn(text)}${retryAfter >= 1 ? '' : ', no Retry-After'}`;
    return heard(what, answer.statusCode === 503 && retryAfter >= 1);
  } catch (error) {
    return heard(`broken ${error instanceof Error ? error.name : String(error)}`, false);
  }
}

const isWhole = (text: string): boolean => text.endsWith('data: [DONE]\n\n') && !text.includes('"error"');

const typeIn = (text: string): string => /"type": ?"([^"]+)"/.exec(text)?.[1] ?? text.slice(0, 80);

/** @param from the address on loopback that connections come from: one may have 500 */
export const connectTo = (url: string, connections: number, from = '127.0.0.1'): Pool =>
  new Pool(url, {
    connections,
    headersTimeout: hangsAfterMs,
    bodyTimeout: hangsAfterMs,
    localAddress: from,
    connect: { timeout: hangsAfterMs },
  });

export class Tally {
  readonly counts = new Map<string, number>();
  /** Names of the calls that were answered 200. */
  readonly answered: string[] = [];
  readonly latencies: number[] = [];
  unfair = 0;
  total = 0;

  add({ what, isFair, id, ms }: Heard): void {
    this.total++;
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    if (id !== undefined) this.answered.push(id);
    if (!isFair) this.unfair++;
    this.latencies.push(ms);
  }

  /** Of what callers were told. */
  get share(): number {
    return this.answered.length / this.total;
  }
}

export interface Callers {
  readonly urls: readonly string[];
  readonly keys: readonly string[];
  /** Calls a second, all clients together, as long as answers come at once. */
  readonly rate: number;
  readonly clients: number;
  /** Which calls are made in turn; plain ones where it is absent. */
  readonly kinds?: readonly Kind[];
  readonly tally: () => Tally;
  /** Whether another call is made. */
  readonly goesOn: () => boolean;
}

/** Clients that call one after the other, each at its pace; returns when those under way have ended. */
export async function callOn({ urls, keys, rate, clients, kinds = ['plain'], tally, goesOn }: Callers): Promise<void> {
  const servers = urls.map((url) => connectTo(url, Math.ceil(clients / urls.length)));
  const everyMs = (clients * 1_000) / rate;
  let next = 0;
  async function work(client: number): Promise<void> {
    const server = servers[client % servers.length];
    if (!server) throw new Error('No daemon');
    await wait((client * everyMs) / clients);
    while (goesOn()) {
      const dueMs = performance.now() + everyMs;
      const turn = next++;
      tally().add(await call(server, keys[turn % keys.length] ?? '', kinds[turn % kinds.length]));
      await wait(Math.max(0, dueMs - performance.now()));
    }
  }
  try {
    await Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  } finally {
    await Promise.all(servers.map((server) => server.destroy()));
  }
}
