import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { printAnswer } from './cli/local-answer.ts';
import type { LocalContext } from './cli/local-command.ts';
import type { Settings } from './config/load.ts';
import { absent } from './db/embedded-failure.ts';
import { Exit, GatewayError } from './kernel/errors.ts';
import { answer } from './kernel/wire.ts';
import { isDryRun, settingsOf } from './local-work.ts';
import { Catalogue } from './metering/catalogue.ts';
import { FiledPrices, parsePriceFile, priceFileOf } from './metering/filed-prices.ts';
import type { Price } from './metering/price.ts';
import { type PriceFile } from './metering/price-file.ts';
import { splitModel } from './models/deployment.ts';
import { asDeployment, cataloguePrices, filePrices, priceRow, type PriceRow, rowOf } from './price-list.ts';
import type { Runtime } from './runtime.ts';
import { configuredDeployments } from './serve.ts';

const columns = ['model', 'source', 'input', 'output', 'cache_read', 'cache_write'];
const wide = [...columns, 'other', 'above', 'version'];

const present = async (path: string): Promise<PriceFile | undefined> => {
  const text = await readFile(path, 'utf8').catch(absent);
  return text === undefined ? undefined : parsePriceFile(text);
};

function textOption({ options }: LocalContext, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** Prints what calls would be priced by: the file's models, and then the catalogue's. */
export async function listPrices(context: LocalContext, runtime: Runtime): Promise<void> {
  const settings = await settingsOf(context, runtime);
  const file = await present(priceFileOf(settings));
  const provider = textOption(context, 'provider');
  const filed = file ? [...filePrices(file)].map(([model, price]) => rowOf(model, price)) : [];
  const rows = [...filed, ...cataloguePrices(await Catalogue.load(), file, new Date())];
  const chosen = rows.filter(({ model }) => provider === undefined || model.startsWith(`${provider}/`));
  await printAnswer({ path: ['prices', 'list'], schema: z.array(priceRow), columns, wide }, chosen, context);
}

/** Prints the price of one model: a public name of the configuration, or a provider's model. */
export async function showPrice(context: LocalContext, runtime: Runtime): Promise<void> {
  const settings = await settingsOf(context, runtime);
  const [name = ''] = context.args;
  const { prices } = await FiledPrices.open(priceFileOf(settings));
  const rows: PriceRow[] = [];
  for (const deployment of deploymentsNamed(settings, name)) {
    const price = prices.of(deployment, deployment.upstreamModel, new Date());
    if (price.source !== 'unpriced') rows.push(rowOf(`${deployment.provider}/${deployment.upstreamModel}`, price));
  }
  if (rows.length === 0) {
    throw new GatewayError('no', 'unpriced_model', `No price is known for ${name}`, {
      hint: 'Write it as <provider>/<model>. Look for its name: gatewayctl prices list. Give it one in model_info, or in a price file: gatewayctl prices update --from FILE',
    });
  }
  await printAnswer({ path: ['prices', 'show'], schema: z.array(priceRow), columns: wide }, rows, context);
}

function deploymentsNamed(settings: Settings, name: string) {
  const configured = configuredDeployments(settings).filter((each) => each.name === name);
  if (configured.length > 0) return configured;
  const split = splitModel(name);
  return split ? [asDeployment(split.provider, split.upstreamModel)] : [];
}

const change = answer({
  model: z.string().describe('The model as the price file names it'),
  change: z.enum(['added', 'changed', 'removed']).describe('What the file would do'),
  before: z.string().nullable().describe('Input and output, US dollars for a million tokens'),
  after: z.string().nullable().describe('The same by the file'),
});
type Change = z.output<typeof change>;

/** What a price file would change, against what calls are priced by now. */
function changesBetween(now: PriceFile | undefined, next: PriceFile, catalogue: Catalogue): Change[] {
  const before = now ? filePrices(now) : new Map<string, Price>();
  const after = filePrices(next);
  const changes: Change[] = [];
  for (const [model, price] of after) {
    const split = splitModel(model);
    const was =
      before.get(model) ??
      (split &&
        catalogue.find(asDeployment(split.provider, split.upstreamModel), split.upstreamModel, new Date())?.price);
    if (!was) changes.push({ model, change: 'added', before: null, after: inShort(price) });
    else if (ratesText(was) !== ratesText(price))
      changes.push({ model, change: 'changed', before: inShort(was), after: inShort(price) });
  }
  for (const [model, price] of before) {
    if (!after.has(model)) changes.push({ model, change: 'removed', before: inShort(price), after: null });
  }
  return changes;
}

const ratesText = ({ bands }: Price): string =>
  JSON.stringify(bands, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));

function inShort(price: Price): string {
  const { input, output, other } = rowOf('', price);
  return [input ?? 0, output ?? 0].join(' / ') + (other === null ? '' : ` ${other}`);
}

async function given(context: LocalContext): Promise<{ readonly text: string; readonly file: PriceFile }> {
  const from = textOption(context, 'from') ?? '-';
  const text = await (from === '-' ? context.sources.stdin('--from') : context.sources.file(from, '--from'));
  return { text, file: parsePriceFile(text) };
}

const diffed = {
  path: ['prices', 'diff'],
  schema: z.array(change),
  columns: ['model', 'change', 'before', 'after'],
} as const;

export async function diffPrices(context: LocalContext, runtime: Runtime): Promise<number> {
  const settings = await settingsOf(context, runtime);
  const { file } = await given(context);
  const changes = changesBetween(await present(priceFileOf(settings)), file, await Catalogue.load());
  await printAnswer(diffed, changes, context);
  return changes.length === 0 ? Exit.ok : Exit.no;
}

/** Puts a price file in the place of the one there is. A running daemon prices by it within a second. */
export async function updatePrices(context: LocalContext, runtime: Runtime): Promise<void> {
  const settings = await settingsOf(context, runtime);
  const path = priceFileOf(settings);
  const { text, file } = await given(context);
  const changes = changesBetween(await present(path), file, await Catalogue.load());
  await printAnswer(diffed, changes, context);
  const what = `${file.entries.size} models, ${changes.length} changes, ${file.version}`;
  if (isDryRun(context)) return context.io.err(`Nothing was changed. It would be: ${what}.\n`);
  const kept = await replace(path, text);
  const before = kept === undefined ? '' : ` What was there is in ${kept}.`;
  return context.io.err(`${context.ink.done} ${path}: ${what}.${before}\n`);
}

/** Whole or not at all. @returns where what was there is kept, if there was something */
async function replace(path: string, text: string): Promise<string | undefined> {
  const next = `${path}.next`;
  try {
    await rm(next, { force: true });
    const file = await open(next, 'wx', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    const kept = `${path}.previous`;
    // A second name for it, so that there is no moment without a file.
    await rm(kept, { force: true });
    const isThere = await link(path, kept).then(() => true, absent);
    await rename(next, path);
    return isThere ? kept : undefined;
  } catch (cause) {
    throw new GatewayError('cannotCreate', 'cannot_write', `Cannot write ${path}`, {
      hint: `Write as the user that owns ${dirname(path)}, or name another file with price_file.`,
      cause,
    });
  }
}

const finding = answer({
  model: z.string().describe('The public name'),
  upstream: z.string().describe('The model behind it'),
  problem: z.string().describe('What is wrong with its price'),
});

/** Looks at the price file, and for a price of every model of the configuration: for a pipeline, before it is rolled out. */
export async function checkPrices(context: LocalContext, runtime: Runtime): Promise<number> {
  const settings = await settingsOf(context, runtime);
  const { prices } = await FiledPrices.open(priceFileOf(settings));
  const findings = configuredDeployments(settings).flatMap((deployment) => {
    const { name, provider, upstreamModel } = deployment;
    const problem = problemWith(() => prices.of(deployment, upstreamModel, new Date()));
    // What a pattern stands for is known when it is called.
    if (problem === undefined || provider === 'mock' || upstreamModel.includes('*')) return [];
    return [{ model: name, upstream: `${provider}/${upstreamModel}`, problem }];
  });
  await printAnswer(
    { path: ['prices', 'check'], schema: z.array(finding), columns: ['model', 'upstream', 'problem'] },
    findings,
    context,
  );
  return findings.length === 0 ? Exit.ok : Exit.no;
}

function problemWith(price: () => Price): string | undefined {
  try {
    return price().source === 'unpriced' ? 'has no price' : undefined;
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.type === 'invalid_price') return thrown.message;
    throw thrown;
  }
}
