import assert from 'node:assert/strict';
import type { Pool } from 'pg';
import { assertSumsAreExact } from '../metering/sums.ts';
import { startUpstream, type Upstream, type UpstreamRecord } from '../proxy/upstream.ts';

/** In nano-dollars for a token. */
const price = { input: 1_000n, output: 7_000n };

/** For a config.yaml: one model, priced as above. */
export const chaosConfig = (apiBase: string): string => `
model_list:
  - model_name: subject
    litellm_params:
      model: openai/subject
      api_base: ${apiBase}
      api_key: none-needed
    model_info:
      input_cost_per_token: 0.000001
      output_cost_per_token: 0.000007
gatewayctl:
  drain_timeout: 20s
`;

export interface Billed {
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
  readonly record: UpstreamRecord;
}

const costOf = ({ usage }: Billed): bigint =>
  BigInt(usage.prompt_tokens) * price.input + BigInt(usage.completion_tokens) * price.output;

export interface BillingUpstream {
  readonly upstream: Upstream;
  /** Every call that came, by the id the gateway gave it. */
  readonly billed: ReadonlyMap<string, Billed>;
  /** Fulfilled when so many more calls than now have been answered. */
  afterAnswers(more: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** An upstream that keeps its own books: other figures for every call, answers of up to some 30 ms. */
export async function startBillingUpstream(random: () => number): Promise<BillingUpstream> {
  const upstream = await startUpstream();
  const billed = new Map<string, Billed>();
  const twice: string[] = [];
  upstream.script((record) => {
    const id = String(record.headers['x-request-id']);
    if (billed.has(id)) twice.push(id);
    const usage = {
      prompt_tokens: 1 + Math.floor(random() * 5_000),
      completion_tokens: 1 + Math.floor(random() * 500),
    };
    billed.set(id, { usage, record });
    return { usage, text: 'one two three four five six', firstByteMs: Math.floor(random() * 15), chunkMs: 2 };
  });
  return {
    upstream,
    billed,
    async afterAnswers(more) {
      const wanted = upstream.answered + more;
      await untilSoon(() => upstream.answered >= wanted);
    },
    async [Symbol.asyncDispose]() {
      await upstream[Symbol.asyncDispose]();
      assert.deepEqual(twice, [], 'no call goes out twice');
    },
  };
}

/** Looks again in every turn of the event loop but one: what is waited for here happens in this process. */
async function untilSoon(holds: () => boolean, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`Too few answers within ${withinMs} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}

/** Where calls go now. While nothing is there, who wants to call waits. */
export class Target {
  #up = Promise.withResolvers<string>();

  get url(): Promise<string> {
    return this.#up.promise;
  }

  isAt(url: string): void {
    this.#up.resolve(url);
  }

  isGone(): void {
    this.#up = Promise.withResolvers();
  }
}

export interface Load {
  /** Calls whose whole answer reached the client. */
  readonly acknowledged: readonly string[];
  /** Answers other than 200, by status and type. */
  readonly refused: ReadonlyMap<string, number>;
  /** Calls whose connection broke. */
  readonly cut: number;
  /** No further calls; returns when those under way have ended. */
  stop(): Promise<void>;
  /** Breaks off what is under way, so that a test that fails also ends. */
  [Symbol.dispose](): void;
}

/** Clients that call one after the other, plain and streaming in turn, until they are told to stop. */
export function startLoad(target: Target, key: string, clients: number): Load {
  const acknowledged: string[] = [];
  const refused = new Map<string, number>();
  let cut = 0;
  const asked = new AbortController();
  const broken = new AbortController();
  const { promise: aborted, reject: abort } = Promise.withResolvers<never>();
  broken.signal.addEventListener('abort', () => abort(new TypeError('broken off')));
  aborted.catch(() => undefined);

  async function call(stream: boolean): Promise<void> {
    const url = await Promise.race([target.url, aborted]);
    const messages = [{ role: 'user', content: 'count to six' }];
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'subject', messages, stream }),
      signal: broken.signal,
    });
    const text = await response.text();
    if (response.status !== 200) {
      const { error } = JSON.parse(text) as { error: { type: string } };
      const what = `${response.status} ${error.type}`;
      refused.set(what, (refused.get(what) ?? 0) + 1);
    } else if (!stream || (text.endsWith('data: [DONE]\n\n') && !text.includes('"error"'))) {
      acknowledged.push(response.headers.get('x-litellm-call-id') ?? '');
    } else cut++;
  }

  async function work(client: number): Promise<void> {
    for (let turn = client; !asked.signal.aborted; turn++) {
      await call(turn % 2 === 0).catch((error: unknown) => {
        if (!(error instanceof TypeError || broken.signal.aborted)) throw error;
        cut++;
      });
    }
  }

  const working = Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  return {
    acknowledged,
    refused,
    get cut() {
      return cut;
    },
    async stop() {
      asked.abort();
      await working;
    },
    [Symbol.dispose]() {
      asked.abort();
      broken.abort();
    },
  };
}

export interface SpendRow {
  readonly request_id: string;
  readonly status: 'success' | 'interrupted' | 'failure';
  readonly prompt_tokens: string;
  readonly completion_tokens: string;
  readonly usage_estimated: boolean;
  readonly spend: string;
  readonly error: string | null;
}

export interface Figures {
  readonly received: number;
  readonly answered: number;
  readonly acknowledged: number;
  readonly rows: number;
  readonly success: number;
  readonly interrupted: number;
  readonly failure: number;
  /** Booked, but the upstream never heard of them: the gateway died in between. */
  readonly unsent: number;
  readonly spend: bigint;
}

export async function spendRows(pool: Pool): Promise<SpendRow[]> {
  const { rows } = await pool.query<SpendRow>(
    `select request_id, status, prompt_tokens, completion_tokens, usage_estimated, spend, error from gatewayctl.spend_logs`,
  );
  return rows;
}

/**
 * Compares the gateway's books with the upstream's and with what clients have seen: every call that went out has one
 * row, every call that was answered to a client is a success at the upstream's own figures, and all sums agree.
 */
export async function reconcile(
  pool: Pool,
  { billed }: Pick<BillingUpstream, 'billed'>,
  acknowledged: readonly string[],
): Promise<Figures> {
  const rows = await spendRows(pool);
  const booked = new Map(rows.map((row) => [row.request_id, row]));
  assert.equal(booked.size, rows.length, 'no call has two rows');

  for (const [id, call] of billed) {
    const row = booked.get(id);
    assert.ok(row, `call ${id}, ${call.record.answered ? 'answered' : 'not answered'} by the upstream, has a row`);
    if (row.status !== 'success') continue;
    const { prompt_tokens: input, completion_tokens: output } = call.usage;
    assert.deepEqual([row.prompt_tokens, row.completion_tokens], [String(input), String(output)], id);
    assert.equal(BigInt(row.spend), costOf(call), id);
    assert.equal(row.usage_estimated, false);
  }
  for (const id of acknowledged) assert.equal(booked.get(id)?.status, 'success', `acknowledged call ${id}`);
  const unsent = rows.filter(({ request_id }) => !billed.has(request_id));
  for (const row of unsent) assert.equal(row.status, 'interrupted', row.request_id);
  await assertSumsAreExact(pool);

  const count = (status: SpendRow['status']) => rows.filter((row) => row.status === status).length;
  return {
    received: billed.size,
    answered: [...billed.values()].filter(({ record }) => record.answered).length,
    acknowledged: acknowledged.length,
    rows: rows.length,
    success: count('success'),
    interrupted: count('interrupted'),
    failure: count('failure'),
    unsent: unsent.length,
    spend: rows.reduce((sum, { spend }) => sum + BigInt(spend), 0n),
  };
}

/** Random numbers that come again when their seed does (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** How often the chaos tests kill: a few times in every run of the suite, and as often as is wanted by hand. */
export const rounds = Number(process.env['CHAOS_ROUNDS'] ?? 6);

export const aSeed = (): number => Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 1e9));
