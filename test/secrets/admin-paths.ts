import type { Services } from '../../src/app.ts';
import { changeOptionsOf } from '../../src/kernel/change-options.ts';
import type { AnyOperation } from '../../src/kernel/operation.ts';
import { wireSchema } from '../../src/kernel/wire.ts';
import { operations } from '../../src/operations.ts';
import { lookalikes, type World } from './world.ts';

type Operation = AnyOperation<Services>;

interface Try {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly key?: string;
}

/** What can be sent where: the canary as it is, in shapes that a field is not made for, and as a field of its own. */
function* triesOf(operation: Operation, turn: number, canary: string): Generator<Record<string, unknown>> {
  const names = Object.keys(wireSchema(operation.input).properties ?? {});
  const all = (value: unknown) => Object.fromEntries(names.map((name) => [name, value]));
  const wrong = [[canary], { [canary]: canary }, [{ api_key: canary, [canary]: [canary] }]];
  const unknown = [{ [canary]: canary }, { unknown: canary }, { unknown: { [canary]: [canary] } }];
  yield all(canary);
  yield all(wrong[turn % wrong.length]);
  yield unknown[turn % unknown.length] ?? {};
  // One at a time, the others being absent: what is wrong with this one is looked at then.
  for (const name of names.filter((each) => /(^|_)(id|ids|alias|key|keys|name|model)$/.test(each)).slice(0, 2))
    yield { [name]: canary };
}

/** Sends the request that an operation takes, whatever is wrong with its fields. */
async function send(world: World, { route: [method, path] }: Operation, { fields, headers = {}, key }: Try) {
  const place = path.replace(/:(\w+)/g, (_, name: string) => {
    return typeof fields[name] === 'string' ? encodeURIComponent(fields[name]) : 'nothing';
  });
  const hasBody = method !== 'GET';
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields))
    query.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  const target = hasBody ? place : `${place}?${query.toString()}`;
  return world.request(method, target, {
    ...(hasBody && { body: fields }),
    ...(key !== undefined && { key }),
    headers,
  });
}

/**
 * Every admin route with a credential in each place where a client can put one. A change is a rehearsal: a name that
 * looks like a key is a name, and is kept like any other.
 *
 * @returns how many requests there were
 */
export async function tryAdminRoutes(
  world: World,
  keys: { readonly viewer: string; readonly user: string },
): Promise<number> {
  const kinds = Object.entries(lookalikes());
  for (const [name, [text, core]] of kinds)
    world.canaries.plant(`${name} in a field`, text, { kind: 'misplaced', core });
  const jobs: (() => Promise<unknown>)[] = [];
  // An answer that does not end is read in a test of its own.
  for (const [index, operation] of operations.filter(({ follows }) => !follows).entries()) {
    let turn = index;
    const dryRun = changeOptionsOf(operation).includes('dry_run') ? { dry_run: true } : {};
    for (const fields of triesOf(operation, index, '')) {
      const canary = kinds[turn++ % kinds.length]?.[1][0] ?? '';
      const text = JSON.stringify(fields).replaceAll('""', JSON.stringify(canary));
      const asked = { ...JSON.parse(text), ...dryRun };
      const key = turn % 7 === 0 ? keys.user : turn % 11 === 0 ? keys.viewer : undefined;
      jobs.push(() => send(world, operation, { fields: asked, ...(key !== undefined && { key }) }));
    }
  }
  await inTurns(jobs, 8);
  return jobs.length;
}

export async function inTurns(jobs: readonly (() => Promise<unknown>)[], atOnce: number): Promise<void> {
  const rest = jobs.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const job of rest) await job();
    }),
  );
}
