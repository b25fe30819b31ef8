import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { assertSumsAreExact } from '../test/metering/sums.ts';
import { type Charged, kinds } from './budget-kinds.ts';
import { type BudgetSite, maxTokens, startBudgetSite } from './budget-site.ts';
import { until } from './fault-site.ts';
import { connectTo } from './callers.ts';
import { countStatements, isBatch, statementsSince } from './statements.ts';

const { values: flags } = parseArgs({
  options: {
    daemons: { type: 'string', default: '4' },
    /** At once, at all daemons together. */
    concurrent: { type: 'string', default: '500' },
    /** Of each client. */
    calls: { type: 'string', default: '2' },
    /** Part of the name of a kind. */
    only: { type: 'string', default: '' },
    'without-kills': { type: 'boolean', default: false },
  },
});

const daemonCount = Number(flags.daemons);
const concurrent = Number(flags.concurrent);
const callsEach = Number(flags.calls);
/** Dollars: room for a quarter of the calls at once, and for the cost of about as many again. */
const max = 0.06;
/** What the dearest call may cost: its prompt is guessed high. */
const worstCase = 0.00026;
const nano = 1e9;

interface Outcome {
  readonly requests: number;
  readonly answers: ReadonlyMap<string, number>;
  readonly spent: number;
  readonly exchanges: number;
  readonly batches: number;
}

/** Many clients at once, while one of the daemons is killed and started again. */
async function flood(site: BudgetSite, charged: Charged): Promise<Map<string, number>> {
  const answers = new Map<string, number>();
  const count = (what: string) => answers.set(what, (answers.get(what) ?? 0) + 1);
  let requests = 0;
  const half = (concurrent * callsEach) / 2;
  const isHalf = Promise.withResolvers<void>();
  const servers = site.daemons.map(({ url }) => connectTo(url, Math.ceil(concurrent / daemonCount)));
  const client = async (index: number): Promise<void> => {
    const server = servers[index % servers.length];
    for (let call = 0; call < callsEach; call++) {
      const model = charged.models[Math.floor(Math.random() * charged.models.length)];
      const messages = [{ role: 'user', content: 'How much is left?' }];
      try {
        const answer = await server?.request({
          method: 'POST',
          path: '/v1/chat/completions',
          headers: { authorization: `Bearer ${charged.key}`, 'content-type': 'application/json' },
          body: JSON.stringify({ model, messages, max_tokens: maxTokens, ...charged.fields }),
        });
        const text = (await answer?.body.text()) ?? '';
        count(answer?.statusCode === 200 ? '200' : `${answer?.statusCode} ${/"type":"([^"]+)"/.exec(text)?.[1]}`);
      } catch {
        count('broken');
      }
      if (++requests === half) isHalf.resolve();
    }
  };
  const clients = Promise.all(Array.from({ length: concurrent }, (_, index) => client(index)));
  if (!flags['without-kills']) {
    await isHalf.promise;
    const victim = Math.floor(Math.random() * daemonCount);
    await site.kill(victim);
    await site.restart(victim);
  }
  await clients;
  await Promise.all(servers.map((server) => server.destroy()));
  return answers;
}

/** What is left after the flood is called for until nobody is given any. */
async function useUp({ daemons }: BudgetSite, { key, fields, models }: Charged): Promise<number> {
  for (let calls = 1, refused = 0; ; calls++) {
    const results = await Promise.all(
      daemons.map((daemon) => daemon.chat(key, models[0] ?? '', { max_tokens: maxTokens, ...fields })),
    );
    refused = results.every(({ status }) => status === 429) ? refused + 1 : 0;
    if (refused === 3 || calls > 400) return calls * daemons.length;
    if (refused > 0 || results.some(({ status }) => status === 503)) await wait(60);
  }
}

async function measure(site: BudgetSite, name: string): Promise<Outcome> {
  const id = `${name.replaceAll(/\W+/g, '-')}-${Math.floor(performance.now())}`;
  const charged = await kinds[name]?.(site, max, id);
  if (!charged) throw new Error(`No kind ${name}`);
  await countStatements(site.pool);
  const answers = await flood(site, charged);
  const more = await useUp(site, charged);
  const spentOf = async (): Promise<number> => {
    const { rows } = await site.pool.query<{ sum: string }>(
      `select coalesce(sum(l.spend), 0) as sum from gatewayctl.spend_logs l join gatewayctl.keys k on k.id = l.key_id where k.token = encode(sha256($1::bytea), 'hex')`,
      [charged.key],
    );
    return Number(rows[0]?.sum) / nano;
  };
  let last = -1;
  await until(
    async () => {
      const spent = await spentOf();
      const isSame = spent === last;
      last = spent;
      await wait(250);
      return isSame;
    },
    20_000,
    'Everything is booked',
  );
  const statements = await statementsSince(site.pool);
  const calls = (look: (text: string) => boolean): number =>
    statements.filter(({ text }) => look(text)).reduce((sum, each) => sum + each.calls, 0);
  return {
    requests: concurrent * callsEach + more,
    answers,
    spent: last,
    exchanges: calls((text) => text.includes('exchange_leases(')),
    batches: statements.filter(isBatch).reduce((sum, each) => sum + each.calls, 0),
  };
}

const table = new Table({
  head: ['', 'budget', 'requests', 'answers', 'spent of max', 'over', 'unused', 'lease statements', 'batches', 'took'],
  style: { head: [], border: [] },
});
let failed = 0;
for (const hasRedis of [false, true]) {
  await using site = await startBudgetSite(daemonCount, { hasRedis });
  for (const name of Object.keys(kinds).filter((each) => each.includes(flags.only))) {
    const startMs = performance.now();
    const { requests, answers, spent, exchanges, batches } = await measure(site, name);
    const over = Math.max(0, spent - max);
    const unused = Math.max(0, max - spent);
    if (over > 0 || unused > worstCase) failed++;
    process.stderr.write(
      `${hasRedis ? 'Redis, ' : ''}${name}: ${((100 * spent) / max).toFixed(2)} %, ${((performance.now() - startMs) / 1_000).toFixed(1)} s\n`,
    );
    table.push([
      hasRedis ? 'Redis' : 'none',
      name,
      requests,
      [...answers].map(([what, count]) => `${count} × ${what}`).join('\n'),
      `${((100 * spent) / max).toFixed(2)} %`,
      over === 0 ? '0' : `$${over.toFixed(9)}`,
      `$${unused.toFixed(6)}`,
      `${exchanges} (${(exchanges / requests).toFixed(3)} a request)`,
      batches,
      `${((performance.now() - startMs) / 1_000).toFixed(1)} s`,
    ]);
  }
  await assertSumsAreExact(site.pool);
}
process.stdout.write(`${table.toString()}\n`);
process.stdout.write(
  failed === 0 ? 'No budget was passed, and each was used to within one call.\n' : `${failed} budgets were not kept.\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
