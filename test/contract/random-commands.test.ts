import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pool } from 'pg';
import { type Gateway, startGateway, type Way } from '../support/gateway.ts';

/**
 * The same commands, through a daemon's API and straight on the database, leave the same behind. 1,000 of them take two
 * minutes: `GATEWAYCTL_TEST_COMMANDS=1000 node --test test/contract/random-commands.test.ts`.
 */
const length = Number(process.env['GATEWAYCTL_TEST_COMMANDS'] ?? 80);
const seed = Number(process.env['GATEWAYCTL_TEST_SEED'] ?? 20_261_127);

/** https://en.wikipedia.org/wiki/Linear_congruential_generator: the same lines in every run, whatever runs beside it. */
class Chance {
  #state: number;

  constructor(seeded: number) {
    this.#state = seeded >>> 0;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  one<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    assert.ok(chosen !== undefined, 'there is something to choose from');
    return chosen;
  }
}

/** What there is at a moment of the sequence: enough to say something valid about it. */
class World {
  readonly keys: string[] = [];
  readonly teams: string[] = [];
  readonly users: string[] = [];
  readonly models: string[] = [];
  readonly members = new Set<string>();
  readonly #chance: Chance;
  #made = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  next(): string {
    const makers = [
      () => this.#makeKey(),
      () => this.#makeTeam(),
      () => this.#makeUser(),
      () => this.#makeModel(),
      ...(this.keys.length > 0 ? [() => this.#changeKey(), () => this.#changeKey(), () => this.#dropKey()] : []),
      ...(this.teams.length > 0 ? [() => this.#changeTeam()] : []),
      ...(this.users.length > 0 ? [() => this.#changeUser()] : []),
      ...(this.models.length > 0 ? [() => this.#changeModel()] : []),
      ...(this.teams.length > 0 && this.users.length > 0 ? [() => this.#join()] : []),
    ];
    return this.#chance.one(makers)();
  }

  #name(kind: string): string {
    return `${kind}-${++this.#made}`;
  }

  #limits(): string {
    const { one, below } = { one: this.#chance.one.bind(this.#chance), below: this.#chance.below.bind(this.#chance) };
    return [
      one(['', `--max-budget ${below(500)}`, '--max-budget none']),
      one(['', `--rpm-limit ${1 + below(600)}`]),
      one(['', `--tpm-limit ${1 + below(90_000)}`]),
      one(['', '--budget-duration 30d', '--budget-duration 1d']),
      one(['', '--models gpt-4o,openai/*', '--models mock-gpt']),
      one(['', '--metadata {"floor":3}']),
    ].join(' ');
  }

  #makeKey(): string {
    const alias = this.#name('key');
    const team = this.teams.length > 0 && this.#chance.below(2) === 0 ? `--team ${this.#chance.one(this.teams)}` : '';
    this.keys.push(alias);
    return `key generate --alias ${alias} ${team} ${this.#limits()}`;
  }

  #makeTeam(): string {
    const id = this.#name('team');
    this.teams.push(id);
    return `team create --id ${id} --alias Team-${id} ${this.#limits()}`;
  }

  #makeUser(): string {
    const id = this.#name('user');
    this.users.push(id);
    return `user create --id ${id} --email ${id}@example.com ${this.#limits()}`;
  }

  #makeModel(): string {
    const id = this.#name('model');
    this.models.push(id);
    return `model create ${id} --provider-model mock/${id} --info {"id":"${id}"} --input-cost-per-token 0.001`;
  }

  #changeKey(): string {
    const key = this.#chance.one(this.keys);
    return this.#chance.one([
      `key update ${key} --max-budget ${this.#chance.below(900)}`,
      `key update ${key} --rpm-limit ${1 + this.#chance.below(900)} --models none-such`,
      `key block ${key}`,
      `key unblock ${key}`,
      `key rotate ${key} --yes`,
    ]);
  }

  #dropKey(): string {
    const [key] = this.keys.splice(this.#chance.below(this.keys.length), 1);
    return `key delete ${key} --yes`;
  }

  #changeTeam(): string {
    const team = this.#chance.one(this.teams);
    return this.#chance.one([
      `team update ${team} --max-budget ${this.#chance.below(900)}`,
      `team block ${team}`,
      `team unblock ${team}`,
    ]);
  }

  #changeUser(): string {
    const user = this.#chance.one(this.users);
    return this.#chance.one([
      `user update ${user} --max-budget ${this.#chance.below(900)}`,
      `user update ${user} --role internal_user_viewer`,
    ]);
  }

  #changeModel(): string {
    const model = this.#chance.one(this.models);
    if (this.#chance.below(2) === 0) return `model update ${model} --params {"mock_response":"hi"}`;
    this.models.splice(this.models.indexOf(model), 1);
    return `model delete ${model} --yes`;
  }

  #join(): string {
    const team = this.#chance.one(this.teams);
    const user = this.#chance.one(this.users);
    const pair = `${team} ${user}`;
    if (!this.members.has(pair)) {
      this.members.add(pair);
      return `team member add ${team} ${user} --role ${this.#chance.one(['admin', 'user'])}`;
    }
    return `team member update ${team} ${user} --role ${this.#chance.one(['admin', 'user'])}`;
  }
}

function commands(): string[] {
  const world = new World(new Chance(seed));
  return Array.from({ length }, () => world.next().trim().replaceAll(/ +/g, ' '));
}

/** What is made up by whoever makes a row, when it was, who asked, and what is computed from those. */
const made =
  /^(id|token|name|sealed|client|key_id|at|actor|via|changed_by|request_id|chain|seq|hash|mac|key_mac|kid|.*_(at|by|hash|mac))$/;

/** Every row of every table, without what differs in any two runs, in an order of its own. */
async function contents(pool: Pool): Promise<Record<string, string[]>> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select table_name as name from information_schema.tables
      where table_schema = 'gatewayctl' and table_type = 'BASE TABLE' and table_name !~ '^(migrations|spend_logs.*|.*heads)$' order by 1`,
  );
  const found: Record<string, string[]> = {};
  for (const { name } of tables) {
    const { rows } = await pool.query<{ row: Record<string, unknown> }>(
      `select to_jsonb(t) as row from gatewayctl."${name}" t`,
    );
    found[name] = rows.map(({ row }) => JSON.stringify(withoutMade(row, name))).toSorted();
  }
  return found;
}

const hasOwnIds = (table: string) => ['teams', 'users', 'models'].includes(table);

function withoutMade(value: unknown, table: string): unknown {
  if (Array.isArray(value)) return value.map((each) => withoutMade(each, table));
  if (typeof value !== 'object' || value === null) return normal(value);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !made.test(name) || (name === 'id' && hasOwnIds(table)))
      .map(([name, each]) => [name, withoutMade(each, table)]),
  );
}

function normal(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return value
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replaceAll(/[0-9a-f]{64}/g, 'HASH')
    .replaceAll(/sk-gw1_…\w{4}/g, 'MASKED')
    .replaceAll(/20\d\d-\d\d-\d\dT[\d:.]+(Z|\+00:00)/g, 'TIME');
}

async function live(way: Way, lines: readonly string[]): Promise<Record<string, string[]>> {
  await using gateway: Gateway = await startGateway();
  for (const line of lines) {
    const { exit, err } = await gateway.gatewayctl(line, way);
    assert.equal(exit, 0, `${way}: ${line}\n${err}`);
  }
  // Awaited here: the gateway is held until everything was read.
  return await contents(gateway.pool);
}

test(`${length} random commands leave the same database behind, through a daemon and without one`, async () => {
  const lines = commands();
  const [remote, direct] = await Promise.all([live('server', lines), live('embedded', lines)]);
  assert.ok(remote['audit_log']?.length, 'the changes are on record');
  assert.deepEqual(direct, remote);
});
