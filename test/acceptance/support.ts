import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import OpenAI from 'openai';
import { startUpstream, type Upstream, type UpstreamRecord, type UpstreamScript } from '../proxy/upstream.ts';
import { aStateDir, gatewayctl, type Outcome, startDaemon } from '../support/gateway.ts';

/** What an upstream reports, as the tests need it. */
export interface Reported {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

/** Prices in atto-dollars for a token, so that a test can multiply without ever holding a fraction. */
export interface Rates {
  readonly input: bigint;
  readonly cached: bigint;
  readonly output: bigint;
}

/** What a call must cost, in nano-dollars: worked out here by integers alone, and rounded once, half up. */
export function costOf({ prompt_tokens, completion_tokens, prompt_tokens_details }: Reported, rates: Rates): bigint {
  const cached = prompt_tokens_details.cached_tokens;
  const atto =
    BigInt(prompt_tokens - cached) * rates.input +
    BigInt(cached) * rates.cached +
    BigInt(completion_tokens) * rates.output;
  return (atto + 500_000_000n) / 1_000_000_000n;
}

/** The nano-dollars in a JSON number of dollars; fails when it says more, or less, than whole nano-dollars. */
export function nanoOf(dollars: number): bigint {
  const nano = BigInt(dollars.toFixed(9).replace('.', ''));
  assert.equal(dollars, Number(nano) / 1e9, 'an amount of whole nano-dollars');
  return nano;
}

export const sumOf = (amounts: readonly bigint[]): bigint => amounts.reduce((sum, amount) => sum + amount, 0n);

/** 3.75e-8, 9.375e-9 and 1.5e-7 dollars: none of them is a double, and none is a whole number of nano-dollars. */
export const oddRates: Rates = { input: 37_500_000_000n, cached: 9_375_000_000n, output: 150_000_000_001n };

export const masterKey = 'sk-Zq4vT9mWc2Lx7RbNf1Jd8HsKp3Yg6EuA';
export const upstreamKey = 'sk-pretend-Vw82kLmQzR41xTnB';

/** A configuration as LiteLLM's users have it. */
const config = (apiBase: string): string => `
model_list:
  - model_name: odd
    litellm_params:
      model: openai/odd-2026-11-01
      api_base: ${apiBase}
      api_key: os.environ/PRETEND_API_KEY
      input_cost_per_token: 3.75e-8
    model_info:
      cache_read_input_token_cost: 9.375e-9
      output_cost_per_token: 0.000000150000000001
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_base: ${apiBase}
      api_key: os.environ/PRETEND_API_KEY
  - model_name: home-made
    litellm_params:
      model: openai/home-made
      api_base: ${apiBase}
      api_key: os.environ/PRETEND_API_KEY
  - model_name: claude
    litellm_params:
      model: anthropic/claude-odd-20261101
      api_base: ${apiBase.replace(/\/v1$/, '')}
      api_key: os.environ/PRETEND_API_KEY
      input_cost_per_token: 3.75e-8
      output_cost_per_token: 0.000000150000000001
    model_info:
      cache_read_input_token_cost: 9.375e-9
      cache_creation_input_token_cost: 4.6875e-8
      cache_creation_input_token_cost_above_1hr: 7.5e-8

general_settings:
  master_key: os.environ/THE_MASTER_KEY
`;

/** An upstream's script with counts that are odd, and other ones for every call; what it reported is kept. */
function reporter() {
  const reported: Reported[] = [];
  const script = (): UpstreamScript => {
    const count = reported.length + 1;
    const usage = {
      prompt_tokens: 1_237 + 7 * count,
      completion_tokens: 569 + 11 * count,
      total_tokens: 1_806 + 18 * count,
      prompt_tokens_details: { cached_tokens: 101 + 3 * count, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 17, audio_tokens: 0 },
    };
    reported.push(usage);
    return { usage, text: 'Four words for you' };
  };
  return { reported, script };
}

export type Site = Awaited<ReturnType<typeof startSite>>;

export interface SiteOptions {
  /** The operator's own PostgreSQL; without one, the embedded. */
  readonly databaseUrl?: string;
}

/** An operator's site: a config.yaml, a daemon that reads it, and the upstream it points to. */
export async function startSite({ databaseUrl }: SiteOptions = {}) {
  await using started = new AsyncDisposableStack();
  const { reported, script } = reporter();
  const upstream: Upstream = started.use(await startUpstream());
  upstream.script(script);
  const stateDir = await aStateDir();
  started.defer(() => rm(stateDir, { recursive: true, force: true }));
  const file = join(stateDir, 'config.yaml');
  await writeFile(file, config(upstream.url));
  const env = { PRETEND_API_KEY: upstreamKey, THE_MASTER_KEY: masterKey, GATEWAYCTL_MASTER_KEY: '' };
  const daemon = started.use(await startDaemon({ stateDir, databaseUrl, args: ['--config', file], env }));
  const kept = started.move();

  async function run(line: string): Promise<Outcome> {
    return gatewayctl(`${line} --state-dir ${stateDir}`);
  }
  return {
    daemon,
    stateDir,
    upstream,
    /** What the upstream has reported, call by call. */
    reported,
    run,
    /** A command line that must succeed; answers its output. */
    async command(line: string): Promise<string> {
      const { out, err, exit } = await run(line);
      assert.equal(exit, 0, `${line}: ${err}`);
      return out.trim();
    },
    /** The same with `--json`. Whatever it is, the test says what it expects. */
    // oxlint-disable-next-line typescript/no-explicit-any -- see above
    async json(line: string): Promise<any> {
      return JSON.parse(await this.command(`${line} --json`));
    },
    /** Other answers than the usual, until the returned function is called. */
    instead(other: UpstreamScript | ((request: UpstreamRecord) => UpstreamScript)): Disposable {
      upstream.script(other);
      return { [Symbol.dispose]: () => upstream.script(script) };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The official client, and how many requests it has made. */
export function aClient(site: Site, apiKey: string, options: { maxRetries?: number } = {}) {
  let requests = 0;
  const client = new OpenAI({
    apiKey,
    baseURL: `${site.daemon.url}/v1`,
    fetch: (url, init) => {
      requests++;
      return fetch(url, init);
    },
    ...options,
  });
  return {
    client,
    get requests() {
      return requests;
    },
  };
}

export const question = { messages: [{ role: 'user' as const, content: 'Say four words.' }] };
