import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import type { Services } from '../../src/app.ts';
import { localCommands } from '../../src/commands.ts';
import { builtInCommands } from '../../src/cli/commands/built-in.ts';
import { parametersOf } from '../../src/cli/parameters.ts';
import { changeOptions, changeOptionsOf } from '../../src/kernel/change-options.ts';
import { type AnyOperation, isReading as changesNothing, type Route } from '../../src/kernel/operation.ts';
import { describeField, type WireField, wireSchema } from '../../src/kernel/wire.ts';
import { operations } from '../../src/operations.ts';

type Operation = AnyOperation<Services>;
type Schema = WireField & { readonly properties?: Record<string, Schema>; readonly items?: Schema };

const nameOf = (operation: Operation) => operation.command.join(' ');
const routesOf = (operation: Operation): readonly Route[] => [operation.route, ...(operation.alsoAt ?? [])];
const asSchema = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema;

/** The fields that people can meet, nested ones included; what stands in free JSON is the caller's own. */
function* fieldsOf(schema: Schema, path = ''): Generator<[path: string, field: Schema]> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const at = path === '' ? name : `${path}.${name}`;
    yield [at, field];
    for (const part of [field, ...(field.anyOf ?? [])] as Schema[]) yield* fieldsOf(part.items ?? part, at);
  }
}

/** The objects an answer holds under a member: what the columns of a table are taken from. */
function objectsIn(schema: Schema): Schema[] {
  if (schema.properties) return [schema];
  return [schema.items, ...((schema.anyOf ?? []) as Schema[])].filter((part) => part !== undefined).flatMap(objectsIn);
}

function shownFields({ output, cli }: Operation): Set<string> {
  const whole = asSchema(output);
  const shown = cli?.result === undefined ? whole : whole.properties?.[cli.result];
  assert.ok(shown, `there is no member ${cli?.result}`);
  return new Set(objectsIn(shown).flatMap(({ properties = {} }) => Object.keys(properties)));
}

const twice = (texts: readonly string[]) => texts.filter((text, index) => texts.indexOf(text) !== index);

for (const operation of operations) {
  describe(nameOf(operation), () => {
    const { summary, description, input, output, cli, unserved = [] } = operation;

    test('has a summary fit for a list', () => {
      assert.match(summary, /^[A-Z][^.!?]*[^.!?\s]$/, 'a capital first and no full stop');
      assert.ok(summary.length <= 60, `${summary.length} characters`);
      if (description !== undefined) assert.match(description, /^[A-Z].*\.$/s, 'whole sentences');
    });

    test('says of every field what it means', () => {
      const nested = [...fieldsOf(asSchema(input)), ...fieldsOf(asSchema(output))];
      const silent = nested
        // What is inside litellm_params and model_info has LiteLLM's names and meanings.
        .filter(
          ([path, { description: text }]) =>
            !path.startsWith('litellm_params.') && !path.startsWith('model_info.') && !text,
        )
        .map(([path]) => path);
      assert.deepEqual(silent, []);
      for (const [path, { description: text = '' }] of nested) {
        assert.ok(!text.endsWith('.'), `${path}: a description is no sentence with a full stop`);
      }
    });

    test('has a policy', () => {
      assert.ok(['admin', 'scoped'].includes(operation.access));
    });

    test('changes nothing by GET, and says so where it reads by another method', () => {
      const isReading =
        /^(get|list|show|verify|explain|available|settings|activity|aliases|logs|report|roles|status|summary|ping)\b|^list-/.test(
          operation.command.at(-1)!,
        );
      for (const [method] of routesOf(operation)) {
        if (!isReading) assert.notEqual(method, 'GET');
        else if (method !== 'GET') assert.equal(operation.isRead, true);
      }
    });

    test('every part of a path is a field', () => {
      const fields = wireSchema(input).properties ?? {};
      for (const [, path] of routesOf(operation)) {
        for (const [, name = ''] of path.matchAll(/:(\w+)/g)) assert.ok(name in fields, `${path}: ${name}`);
      }
    });

    test('refuses no field that it serves', () => {
      const served = Object.keys(wireSchema(input).properties ?? {});
      assert.deepEqual(
        unserved.filter((name) => served.includes(name)),
        [],
      );
      assert.deepEqual(twice(unserved), []);
    });

    test('leaves what may be said with every change to the one place that says it', () => {
      const own = Object.keys(wireSchema(input).properties ?? {});
      assert.deepEqual(
        Object.keys(changeOptions).filter((name) => own.includes(name) || unserved.includes(name)),
        [],
      );
      const isChange = !changesNothing(operation);
      assert.equal(changeOptionsOf(operation).includes('dry_run'), isChange);
      const isCreation = /^(create|generate)$/.test(operation.command.at(-1)!);
      assert.equal(operation.existing !== undefined, isCreation);
      assert.equal(changeOptionsOf(operation).includes('if_not_exists'), isCreation);
      if (!cli) return;
      const flags = new Set(parametersOf({ ...operation, cli }).flags.map(({ name }) => name));
      assert.equal(flags.has('dry-run'), isChange);
      assert.equal(flags.has('idempotency-key'), isChange);
      assert.equal(flags.has('if-not-exists'), isCreation);
    });

    test('compares every field with what exists', () => {
      const { existing } = operation;
      if (!existing) return;
      const fields = Object.keys(wireSchema(input).properties ?? {});
      const compared = Object.keys(existing.compare ?? {});
      const comparable = new Set([...Object.keys(asSchema(output).properties ?? {}), ...compared]);
      assert.deepEqual(
        fields.filter((name) => !comparable.has(name)),
        [],
      );
      assert.ok(existing.names.length > 0);
      for (const name of [...existing.names, ...compared]) assert.ok(fields.includes(name), name);
    });

    if (!cli) return;

    test('has an example', () => {
      assert.ok(cli.examples.length > 0);
      for (const [title, line] of cli.examples) {
        assert.match(title, /^[A-Z][^.]*$/);
        assert.ok(line.startsWith(`gatewayctl ${nameOf(operation)}`), line);
      }
    });

    test('shows columns that its answer has', () => {
      const { columns = [], wide = [], headings = {}, id, secret } = cli;
      if (columns.length + wide.length === 0) return;
      const fields = shownFields(operation);
      const named = [...columns, ...wide, ...(id === undefined ? [] : [id])];
      assert.deepEqual(
        named.filter((name) => !fields.has(name)),
        [],
      );
      assert.deepEqual(twice([...columns, ...wide]), []);
      assert.deepEqual(
        Object.keys(headings).filter((name) => !fields.has(name)),
        [],
      );
      if (secret !== undefined) assert.ok(secret in (asSchema(output).properties ?? {}));
    });

    test('its arguments and what it always sends are fields', () => {
      const fields = wireSchema(input).properties ?? {};
      const named = [...(cli.args ?? []), ...Object.keys(cli.fixed ?? {})];
      assert.deepEqual(
        named.filter((name) => !(name in fields)),
        [],
      );
      for (const [index, name] of (cli.args ?? []).entries()) {
        const isList = describeField(fields[name] ?? {}).type === 'array';
        if (isList) assert.equal(index, (cli.args ?? []).length - 1, `${name} is a list and not the last`);
      }
    });

    test('asks before it destroys', () => {
      if (/^(delete|rotate)$/.test(operation.command.at(-1)!)) assert.ok(cli.confirm);
    });
  });
}

test('no two operations share a route', () => {
  const routes = operations.flatMap((operation) =>
    routesOf(operation).map(([method, path]) => `${method} ${path.replaceAll(/:\w+/g, ':x')}`),
  );
  assert.deepEqual(twice(routes), []);
});

test('no literal route is hidden behind one with a part to fill in', () => {
  const routes = operations.flatMap((operation) => routesOf(operation));
  for (const [method, path] of routes.filter(([, each]) => each.includes(':'))) {
    const pattern = new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}$`);
    const hidden = routes.filter(([verb, other]) => verb === method && other !== path && pattern.test(other));
    assert.deepEqual(hidden, []);
  }
});

test('no two commands share a name or another spelling', () => {
  const spoken = operations
    .filter(({ cli }) => cli)
    .flatMap(({ command, aliases = [] }) => {
      const noun = command.slice(0, -1).join(' ');
      return [command.at(-1)!, ...aliases].map((verb) => `${noun} ${verb}`);
    });
  const local = [...localCommands(() => assert.fail()), ...builtInCommands].map(({ path }) => path.join(' '));
  assert.deepEqual(twice([...spoken, ...local]), []);
});

test('no command is the beginning of another', () => {
  const names = operations.filter(({ cli }) => cli).map(nameOf);
  assert.deepEqual(
    names.filter((name) => names.some((other) => other.startsWith(`${name} `))),
    [],
  );
});
