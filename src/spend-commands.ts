import type { LocalCommand, LocalOption } from './cli/local-command.ts';

const dates = [
  {
    name: 'since',
    type: 'when',
    placeholder: 'when',
    description: 'From then: 24h or 30d ago, or a date such as 2026-11-01',
  },
  {
    name: 'until',
    type: 'when',
    placeholder: 'when',
    description: 'Up to then: 24h or 30d ago, or a date such as 2026-11-01',
  },
] as const satisfies readonly LocalOption[];

const which: readonly LocalOption[] = [
  { name: 'key', placeholder: 'key', completes: 'key', description: 'Only calls with this key: alias, id or hash' },
  { name: 'team', placeholder: 'team', completes: 'team', description: 'Only calls of this team, by id or alias' },
  { name: 'user', placeholder: 'user', completes: 'user', description: 'Only calls of this user' },
  { name: 'customer', placeholder: 'customer', completes: 'customer', description: 'Only calls for this customer' },
  { name: 'model', placeholder: 'model', completes: 'model', description: 'Only calls for this model' },
  {
    name: 'status',
    choices: ['success', 'interrupted', 'failure'],
    description: 'Only calls that ended like this',
  },
];

/** The commands of the ledger that read or write a file. */
export const spendCommands: readonly LocalCommand[] = [
  {
    path: ['spend', 'export'],
    summary: 'Write booked calls to a file, however many there are',
    description:
      'The newest first, a page at a time: neither this command nor the gateway holds more than one. Calls that are booked meanwhile are not in it. A file has its name only when it is whole.',
    options: [
      {
        name: 'format',
        choices: ['csv', 'jsonl'],
        description: 'csv, for spreadsheets too, or jsonl; csv when absent',
      },
      {
        name: 'out',
        placeholder: 'file',
        completes: 'file',
        description: 'Write there, in place of what there is; standard output when absent',
      },
      ...dates,
      ...which,
    ],
    examples: [
      ['A month of a team', 'gatewayctl spend export --team platform --since 30d --out spend.csv'],
      ['For another program', 'gatewayctl spend export --format jsonl --since 24h'],
    ],
    run: async (context) => (await import('./spend-export.ts')).exportSpend(context),
  },
  {
    path: ['spend', 'reprice'],
    summary: 'Book calls anew by the prices of today',
    description:
      'For a price that was wrong or came late. Of each call the usage that is kept is multiplied by the price of today, and its row and every sum it is in are moved by the difference: totals, windows of budgets and days. It goes on page by page, each in a transaction with an entry of the audit log; what is cut off in between is finished by running it again. Calls without a reported usage or without a price keep their cost, and it is said how many.',
    options: [
      { ...dates[0], isRequired: true },
      dates[1],
      ...which.filter(({ name }) => ['key', 'team', 'model'].includes(name)),
      { name: 'dry-run', type: 'boolean', description: 'Say what would be done, and do nothing of it' },
    ],
    examples: [
      ['What a corrected price would change', 'gatewayctl spend reprice --since 7d --dry-run'],
      ['One model of one team', 'gatewayctl spend reprice --since 2026-11-01 --model gpt-4o --team platform'],
    ],
    run: async (context) => (await import('./spend-reprice.ts')).repriceSpend(context),
  },
  {
    path: ['spend', 'reconcile'],
    summary: 'Compare what was booked with a provider’s own figures',
    description:
      'By day in UTC and model: calls, tokens and dollars, as far as the file has them. It reads what OpenAI and Anthropic answer for usage and costs of an organization (JSON), what they let people download (CSV), and any other CSV file whose columns are named. Where it names requests by the ids of this gateway, each of them is compared. Dates at the end of model names are passed over.',
    args: [{ name: 'file', description: 'The file, or - for standard input', completes: 'file', isRequired: true }],
    options: [
      { name: 'provider', description: 'Only calls that went to this provider, such as openai' },
      {
        name: 'map',
        type: 'list',
        placeholder: 'field=Column,…',
        description: 'Which column is day, model, request_id, requests, input_tokens, output_tokens or cost',
      },
      {
        name: 'tolerance',
        type: 'number',
        placeholder: 'percent',
        description: 'How far a figure may be from the provider’s, in percent of it; 0 when absent',
      },
      { name: 'all', type: 'boolean', description: 'Show what agrees too' },
    ],
    examples: [
      ['A month of OpenAI', 'gatewayctl spend reconcile costs.json --provider openai --tolerance 1'],
      ['A file of another kind', 'gatewayctl spend reconcile bill.csv --map day=Date,model=SKU,cost=Amount'],
    ],
    exits: [[1, 'a figure is further from the provider’s than is tolerated']],
    run: async (context) => (await import('./spend-reconcile.ts')).reconcileSpend(context),
  },
];
