import { z } from 'zod';
import type { LocalContext } from './cli/local-command.ts';
import { inkFor } from './cli/colour.ts';
import { printAnswer } from './cli/local-answer.ts';
import { visibleJson } from './cli/visible.ts';
import { parseDuration, toMilliseconds } from './kernel/duration.ts';
import { Exit, GatewayError } from './kernel/errors.ts';
import { read } from './kernel/wire.ts';
import { showLiveUsage } from './live/live.operations.ts';
import { holder, kinds, type LiveUsage, liveUsage, type Sorting, sortings } from './live/live.wire.ts';
import type { Runtime } from './runtime.ts';
import type { Look } from './top-session.ts';

const columns = [
  'name',
  'requests_per_second',
  'tokens_per_second',
  'cost_per_hour',
  'in_flight',
  'reserved',
  'refused',
  'failed',
  'first_byte_p95_ms',
  'team_alias',
  'id',
];

const asked = z.object({
  by: z.enum(kinds).default('key'),
  sort: z.enum(sortings).default('requests'),
  limit: z.number().optional(),
  window: z.string().optional(),
  interval: z.string().default('2s'),
});

/** Shows what goes on in a daemon: once, or again and again to a person. */
export async function runTop(context: LocalContext, runtime: Runtime): Promise<number> {
  const { options, io, format } = context;
  const wanted = asked.parse(options);
  const everyMs = millisecondsOf('interval', wanted.interval, 500);
  const window =
    wanted.window === undefined ? undefined : Math.ceil(millisecondsOf('window', wanted.window, 2_000) / 1_000);
  const daemon = await context.daemon();
  const { limit } = wanted;
  const ask = (by: string, sort: string) =>
    daemon.ask(showLiveUsage, {
      by,
      sort,
      ...(limit !== undefined && { limit }),
      ...(window !== undefined && { window }),
    });
  const isOnce = options['once'] === true || format !== 'table' || !io.terminal || io.env['TERM'] === 'dumb';
  const first = await ask(wanted.by, wanted.sort);
  const usage = read(liveUsage, first);
  if (!isOnce) {
    const look: Look = async ({ by, sort }) => read(liveUsage, await ask(by, sort));
    const { watch } = await import('./top-session.ts');
    return watch(context, { look, usage, sort: wanted.sort, everyMs, onSignal: runtime.onSignal });
  }
  if (format === 'table') await printOnce(context, usage, wanted.sort);
  else if (format === 'json') io.out(`${visibleJson(JSON.stringify(first, null, 2))}\n`);
  else await printAnswer({ path: ['top', wanted.by], schema: z.array(holder), columns }, usage.rows, context);
  return Exit.ok;
}

async function printOnce({ io, global }: LocalContext, usage: LiveUsage, sort: Sorting): Promise<void> {
  const [{ default: widthOf }, { linesOnce }] = await Promise.all([import('string-width'), import('./top-view.ts')]);
  const size = { columns: io.columns, rows: Number.POSITIVE_INFINITY };
  const ink = inkFor('stdout', global.color, io);
  io.out(`${linesOnce({ usage, sort, size, ink, now: io.now(), widthOf }).join('\n')}\n`);
}

function millisecondsOf(flag: string, duration: string, least: number): number {
  const parsed = parseDuration(duration);
  const ms = parsed ? toMilliseconds(parsed) : 0;
  if (ms >= least) return ms;
  throw new GatewayError('usage', 'invalid_value', `--${flag}: ${duration} is too short.`, {
    hint: `Say ${least / 1_000}s or longer.`,
  });
}
