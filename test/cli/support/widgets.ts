import { z } from 'zod';
import { duration, lifetime } from '../../../src/kernel/duration.ts';
import { GatewayError } from '../../../src/kernel/errors.ts';
import { expiresFlag } from '../../../src/kernel/fields.ts';
import { usd } from '../../../src/kernel/money.ts';
import { type AnyOperation, type Invoke, operation } from '../../../src/kernel/operation.ts';
import { answer, timestamp, wire } from '../../../src/kernel/wire.ts';

const widget = {
  id: z.string().describe('The id'),
  name: z.string().nullable().describe('The name'),
  kind: z.string().describe('The kind'),
  spend: usd.describe('What it cost'),
  maxBudget: usd.nullable().describe('What it may cost'),
  expires: timestamp.nullable().describe('When it ends'),
  note: z.string().nullable().describe('A remark'),
  secret: z.string().optional().describe('Shown once'),
};

const reference = z.string().min(1).describe('The widget, by name or id');
const never = () => Promise.reject(new Error('the command line runs nothing by itself'));

/** One operation with a field of every kind. */
const createWidget = operation({
  command: ['widget', 'create'],
  aliases: ['new'],
  route: ['POST', '/widget/new'],
  summary: 'Make a widget',
  input: wire({
    name: z.string().min(1).describe('What people call it'),
    kind: z.enum(['round', 'square']).default('round').describe('Its kind'),
    note: z.string().nullable().optional().describe('A remark'),
    models: z.array(z.string()).default([]).describe('Models it may call'),
    marks: z
      .array(z.enum(['hot', 'cold']))
      .optional()
      .describe('Its marks'),
    maxBudget: usd.nullable().optional().describe('US dollars it may spend'),
    rpmLimit: z.int().min(0).nullable().optional().describe('Requests a minute'),
    weight: z.number().optional().describe('How heavy it is'),
    enabled: z.boolean().default(true).describe('Whether it runs'),
    metadata: z.record(z.string(), z.unknown()).optional().describe('Free JSON'),
    grace: duration.optional().describe('How long the old one stays'),
    life: lifetime.optional().describe('How long it lives'),
    due: timestamp.nullable().optional().describe('When it is due'),
    duration: lifetime.optional().describe('How long it works'),
    expires: timestamp.nullable().optional().describe('When it stops working'),
    owner: z.string().optional().describe('Whose it is'),
    internal: z.string().optional().describe('Not for people'),
    apiKey: z.string().nullable().optional().describe('A secret of somebody else'),
  }),
  output: answer(widget),
  access: 'admin',
  cli: {
    args: [],
    flags: {
      duration: expiresFlag,
      expires: false,
      internal: false,
      api_key: { name: 'api-key', placeholder: '@file|-|os.environ/NAME', isSecret: true },
      owner: { name: 'user', placeholder: 'user', completes: 'user' },
    },
    columns: ['id', 'name', 'kind'],
    id: 'id',
    done: ({ name }) => `Widget ${String(name)} created`,
    examples: [['A square one', 'gatewayctl widget create --name corner --kind square --max-budget 2.50']],
  },
  run: never,
});

const generateToken = operation({
  command: ['widget', 'generate'],
  route: ['POST', '/widget/generate'],
  summary: 'Make a widget with a secret',
  input: wire({ name: z.string().optional().describe('What people call it') }),
  output: answer(widget),
  access: 'admin',
  cli: {
    secret: 'secret',
    id: 'id',
    columns: ['id', 'name'],
    done: ({ name }) => `Widget ${String(name)} created`,
    examples: [['For a script', 'gatewayctl widget generate --name ci -q']],
  },
  run: never,
});

const listWidgets = operation({
  command: ['widget', 'list'],
  aliases: ['ls'],
  route: ['GET', '/widget/list'],
  summary: 'List widgets',
  input: wire({
    kind: z.enum(['round', 'square']).optional().describe('Only of this kind'),
    size: z.int().default(100).describe('Entries on a page'),
    whole: z.boolean().default(false).describe('Whole objects'),
  }),
  output: answer({
    widgets: z.array(z.union([z.string(), answer(widget)])).describe('The widgets'),
    totalCount: z.int().describe('How many there are'),
  }),
  access: 'scoped',
  cli: {
    result: 'widgets',
    columns: ['name', 'kind', 'spend', 'max_budget', 'expires'],
    wide: ['id', 'note'],
    headings: { max_budget: 'BUDGET' },
    id: 'id',
    fixed: { whole: true },
    flags: { size: 'limit' },
    examples: [['The square ones', 'gatewayctl widget list --kind square']],
  },
  run: never,
});

const getWidget = operation({
  command: ['widget', 'get'],
  aliases: ['info'],
  route: ['GET', '/widget/:widget/info'],
  summary: 'Show a widget',
  input: wire({ widget: reference }),
  output: answer(widget),
  access: 'scoped',
  cli: {
    args: ['widget'],
    keyStdin: 'widget',
    isOwnWithout: true,
    completes: { widget: 'widget' as never },
    columns: ['id', 'name'],
    cells: { kind: (kind) => `(${String(kind)})` },
    id: 'id',
    examples: [],
  },
  run: never,
});

const deleteWidgets = operation({
  command: ['widget', 'delete'],
  route: ['POST', '/widget/delete'],
  summary: 'Delete widgets',
  input: wire({ widgets: z.array(z.string()).min(1).describe('The widgets, by name or id') }),
  output: answer({ deleted: z.array(z.string()).describe('What is gone') }),
  access: 'admin',
  cli: {
    args: ['widgets'],
    keyStdin: 'widgets',
    confirm: 'moderate',
    result: 'deleted',
    done: (_, { widgets }) => `Deleted ${String(widgets)}`,
    examples: [['Two of them', 'gatewayctl widget delete a b --yes']],
  },
  run: never,
});

const dropShelf = operation({
  command: ['shelf', 'drop'],
  route: ['POST', '/shelf/drop'],
  summary: 'Drop a shelf and all on it',
  input: wire({ shelf: z.string().describe('The shelf') }),
  output: answer({ dropped: z.boolean().describe('Whether it fell') }),
  access: 'admin',
  cli: {
    args: ['shelf'],
    confirm: 'severe',
    atStake: { look: 'widget get', field: 'widget', says: ({ kind }) => `drops what is ${String(kind)}` },
    done: (_, { shelf }) => `Shelf ${String(shelf)} dropped`,
    examples: [],
  },
  run: never,
});

const addOccupant = operation({
  command: ['shelf', 'place', 'add'],
  route: ['POST', '/shelf/place_add'],
  summary: 'Put widgets on a shelf',
  input: wire({
    shelf: z.string().describe('The shelf'),
    widgets: z.array(z.string()).describe('The widgets'),
    depth: z.int().describe('How deep'),
  }),
  output: answer({ added: z.int().describe('How many') }),
  access: 'admin',
  cli: { args: ['shelf', 'widgets'], examples: [] },
  run: never,
});

/** A list of which the gateway gives at most 100 at a time. */
const listCrates = operation({
  command: ['crate', 'list'],
  route: ['GET', '/crate/list'],
  summary: 'List crates',
  input: wire({
    page: z.int().min(1).max(1_000).default(1).describe('Which page'),
    size: z.int().min(1).max(100).default(10).describe('Entries on a page'),
  }),
  output: answer({
    crates: z.array(answer({ name: z.string().describe('The name') })).describe('The crates'),
    total: z.int().describe('How many there are'),
  }),
  access: 'scoped',
  cli: {
    result: 'crates',
    columns: ['name'],
    id: 'name',
    pages: { page: 'page', size: 'size', total: 'total' },
    flags: { size: 'limit' },
    examples: [],
  },
  run: never,
});

const updateCrate = operation({
  command: ['crate', 'update'],
  route: ['POST', '/crate/update'],
  summary: 'Change a crate',
  input: wire({
    crate: z.string().describe('The crate'),
    weight: z.number().min(0).nullable().optional().describe('How heavy it is; null is unknown'),
  }),
  output: answer({ name: z.string().describe('The name') }),
  access: 'admin',
  cli: { args: ['crate'], examples: [] },
  run: never,
});

/** A route without a command. */
const oddRoute = operation({
  command: ['widget', 'odd'],
  route: ['GET', '/widget/odd'],
  summary: 'Only for clients',
  input: wire({}),
  output: answer({}),
  access: 'scoped',
  run: never,
});

export const operations: readonly AnyOperation<never>[] = [
  createWidget,
  generateToken,
  listWidgets,
  getWidget,
  deleteWidgets,
  dropShelf,
  addOccupant,
  listCrates,
  updateCrate,
  oddRoute,
];

export const now = new Date('2026-11-23T09:00:00Z');

export const newSecret = 'sk-gw1_Zq8vT1mRk3Hc0uYx7LwB5nDs2JpGf9Ea4WiK6o';

export const rows = [
  {
    id: '11111111-aaaa',
    name: 'corner',
    kind: 'square',
    spend: 12.4,
    max_budget: 25,
    expires: '2026-11-26T10:00:00.000Z',
    note: 'first',
  },
  { id: '22222222-bbbb', name: null, kind: 'round', spend: 0.0000001, max_budget: null, expires: null, note: null },
];

export interface Call {
  readonly command: string;
  readonly input: Record<string, unknown>;
}

function crates(found: readonly Record<string, unknown>[], { page = 1, size = 10, crate }: Record<string, unknown>) {
  if (crate !== undefined) return { name: crate };
  const end = Number(page) * Number(size);
  return { crates: found.slice(end - Number(size), end), total: found.length };
}

/** A gateway in memory: it remembers what it was asked, and answers as the real one would. */
export function widgetGateway(found: readonly Record<string, unknown>[] = rows) {
  const calls: Call[] = [];
  const invoke: Invoke<never> = async ({ command }, input) => {
    calls.push({ command: command.join(' '), input });
    const [, verb] = command;
    if (command[0] === 'crate') return crates(found, input);
    if (command[1] === 'list') return { widgets: found, total_count: found.length };
    if (verb === 'generate') return { ...found[0], ...input, secret: newSecret };
    if (verb === 'delete') return { deleted: input['widgets'] };
    if (verb === 'drop') return { dropped: true };
    if (verb === 'place') return { added: 1 };
    if (input['widget'] === 'nothing' || input['widget'] === 'cornre') {
      throw new GatewayError('notFound', 'widget_not_found', `no widget "${input['widget']}".`, {
        hint: 'See: gatewayctl widget list',
      });
    }
    if (input['widget'] === 'bug') throw new TypeError('undefined is not a widget');
    if (input['max_budget'] === 13)
      throw new GatewayError('invalid', 'unlucky', 'max_budget: no', { param: 'max_budget' });
    return { ...found[0], ...input };
  };
  return { calls, invoke };
}
