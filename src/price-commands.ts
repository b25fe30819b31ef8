import type { LocalCommand, LocalContext, LocalOption } from './cli/local-command.ts';
import type * as pricesWork from './prices-work.ts';
import type { Runtime } from './runtime.ts';

type Work = typeof pricesWork;

const from: LocalOption = {
  name: 'from',
  placeholder: 'path',
  completes: 'file',
  isRequired: true,
  description: 'Prices as in LiteLLM’s model_prices_and_context_window.json, or - for standard input',
};

/** The commands that are about prices. None of them asks anything over a network. */
export function priceCommands(runtime: () => Runtime, dryRun: LocalOption): readonly LocalCommand[] {
  const run =
    (choose: (all: Work) => (context: LocalContext, runtime: Runtime) => Promise<number | void>) =>
    async (context: LocalContext) =>
      choose(await import('./prices-work.ts'))(context, runtime());
  return [
    {
      path: ['prices', 'list'],
      summary: 'List the prices of models',
      description: 'Those of the price file, and then those of the catalogue that comes with the program.',
      options: [{ name: 'provider', description: 'Only models of this provider' }],
      examples: [['Of one provider', 'gatewayctl prices list --provider anthropic']],
      run: run(({ listPrices }) => listPrices),
    },
    {
      path: ['prices', 'show'],
      summary: 'Show what a model costs, and who says so',
      args: [{ name: 'model', description: 'A model of the configuration, or <provider>/<model>', isRequired: true }],
      examples: [['A model of a provider', 'gatewayctl prices show openai/gpt-4o']],
      exits: [[1, 'no price is known']],
      run: run(({ showPrice }) => showPrice),
    },
    {
      path: ['prices', 'diff'],
      summary: 'Show what a price file would change',
      options: [from],
      examples: [['Before an update', 'gatewayctl prices diff --from prices.json']],
      exits: [[1, 'it would change something']],
      run: run(({ diffPrices }) => diffPrices),
    },
    {
      path: ['prices', 'update'],
      summary: 'Put a price file in the place of the one there is',
      description:
        'It is taken whole or not at all. A daemon of this state directory prices by it within a second; rows that are booked keep their price.',
      options: [from, dryRun],
      examples: [['What it would change', 'gatewayctl prices update --from prices.json --dry-run']],
      run: run(({ updatePrices }) => updatePrices),
    },
    {
      path: ['prices', 'check'],
      summary: 'Look for models of the configuration that have no price',
      description: 'For a pipeline: calls of a model without a price are booked at nothing, or refused.',
      examples: [['In a pipeline', 'gatewayctl prices check --config config.yaml']],
      exits: [[1, 'a model has no price']],
      run: run(({ checkPrices }) => checkPrices),
    },
  ];
}
