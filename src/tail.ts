import { setTimeout as wait } from 'node:timers/promises';
import type { Row } from './cli/answer.ts';
import { exact, money } from './cli/cell.ts';
import { inkFor } from './cli/colour.ts';
import { interrupted } from './cli/io.ts';
import type { LocalContext } from './cli/local-command.ts';
import { visible, visibleJson } from './cli/visible.ts';
import { tsvLine } from './cli/separated.ts';
import { Exit, GatewayError } from './kernel/errors.ts';
import { followCalls } from './live/live.operations.ts';
import type { Runtime } from './runtime.ts';

const columns = [
  'at',
  'status',
  'outcome',
  'reason',
  'key_alias',
  'key_id',
  'team_alias',
  'user_id',
  'model',
  'deployment',
  'attempts',
  'fallbacks',
  'prompt_tokens',
  'completion_tokens',
  'cost',
  'duration_ms',
  'first_byte_ms',
  'request_id',
  'message',
];

const formats = new Set(['table', 'wide', 'tsv', 'json', 'jsonl']);
const terminated = 143;
/** How long it is waited before the daemon is tried again, at first and at most. */
const retryMs = { first: 250, most: 5_000 };

/** Prints calls as they end. @returns 128 and the signal that ended it */
export async function runTail(context: LocalContext, runtime: Runtime): Promise<number> {
  const { options, io, format, ink } = context;
  if (!formats.has(format)) {
    throw new GatewayError('usage', 'invalid_value', `-o ${format}: tail prints lines as they come.`, {
      hint: 'Formats: table tsv json',
    });
  }
  const stop = new AbortController();
  let status: number = Exit.ok;
  runtime.onSignal((signal) => {
    status = signal === 'SIGINT' ? interrupted : terminated;
    stop.abort();
  });
  const say = (text: string) => context.global.quiet || io.err(`${ink.dim(visible(text))}\n`);
  const print = printerFor(context);
  const daemon = await context.daemon();
  const { 'http-status': httpStatus, ...others } = options;
  const asked = { ...others, ...(httpStatus !== undefined && { http_status: httpStatus }) };
  let isKnown = false;
  for (let pauseMs = retryMs.first; !stop.signal.aborted; pauseMs = Math.min(retryMs.most, pauseMs * 2)) {
    try {
      for await (const line of daemon.follow(followCalls, asked, stop.signal)) {
        if (line['type'] === 'opened') {
          say(`${isKnown ? 'Connected again to' : 'Following'} ${describe(line['daemon'])}`);
          isKnown = true;
          pauseMs = retryMs.first;
        } else if (line['type'] === 'closed') requireOpen(line, say);
        else print(line);
        await io.flushed();
        if (io.isPipeClosed() || io.failure()) return status;
      }
    } catch (thrown) {
      const error = GatewayError.from(thrown);
      // The first time there is nobody to wait for yet.
      if (!isKnown || !['unavailable', 'timeout', 'upstream'].includes(error.kind)) throw thrown;
      say(`${error.message} Trying again.`);
    }
    await wait(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  return status;
}

/** A daemon that stops may be there again in a moment; who was shut out is not let in again. */
function requireOpen({ reason }: Row, say: (text: string) => void): void {
  if (reason === 'shutting_down') return say('The daemon is stopping. Waiting for it.');
  throw new GatewayError('forbidden', exact(reason), `The daemon has ended this: ${exact(reason)}.`);
}

function describe(daemon: unknown): string {
  const { host, pid, version } = Object.assign({ host: '', pid: 0, version: '' }, daemon);
  return `the calls of the daemon at ${exact(host)}, pid ${exact(pid)}, gatewayctl ${exact(version)}`;
}

function printerFor({ io, format, global }: LocalContext): (line: Row) => void {
  if (format === 'json' || format === 'jsonl') return (line) => io.out(`${visibleJson(JSON.stringify(line))}\n`);
  const shown = global.columns ?? columns;
  if (format === 'tsv') {
    return (line) => {
      if (line['type'] === 'skipped') io.err(`… ${exact(line['count'])} skipped\n`);
      else io.out(tsvLine(shown.map((column) => line[column])));
    };
  }
  const ink = inkFor('stdout', global.color, io);
  return (line) => {
    if (line['type'] === 'skipped') return io.out(`${ink.dim(`${ink.ellipsis} ${exact(line['count'])} skipped`)}\n`);
    const text = visible(sentenceOf(line, ink.ellipsis.length > 1 ? '->' : '→'));
    const isGood = line['outcome'] === 'answered' || line['outcome'] === 'left';
    return io.out(`${isGood ? text : ink.red(text)}\n`);
  };
}

/** `14:25:01 200 ci-runner (platform) gpt-4o → azure-east 1,204 tokens $0.0031 812 ms`. */
function sentenceOf(call: Row, arrow: string): string {
  const at = new Date(exact(call['at']));
  const who = exact(call['key_alias'] ?? call['key_id'] ?? '-');
  const owners = [call['team_alias'] ?? call['team_id'], call['user_id']].filter((each) => each !== null).map(exact);
  const tokens = Number(call['prompt_tokens']) + Number(call['completion_tokens']);
  const where = call['deployment'] === null ? '' : ` ${arrow} ${exact(call['deployment'])}`;
  const more = [
    Number(call['attempts']) > 1 && `${exact(call['attempts'])} attempts`,
    Number(call['fallbacks']) > 0 && `${exact(call['fallbacks'])} to another model`,
  ].filter((each) => each !== false);
  return [
    at.toLocaleTimeString('en-GB', { hour12: false }),
    exact(call['status']),
    owners.length > 0 ? `${who} (${owners.join(', ')})` : who,
    `${exact(call['model'] ?? '-')}${where}`,
    tokens > 0 && `${tokens.toLocaleString('en-US')} tokens`,
    Number(call['cost']) > 0 && money(Number(call['cost'])),
    `${Number(call['duration_ms']).toLocaleString('en-US')} ms`,
    more.length > 0 && `(${more.join(', ')})`,
    call['outcome'] !== 'answered' && `${exact(call['outcome'])}: ${exact(call['reason'])}`,
    call['message'] !== null && `- ${exact(call['message'])}`,
  ]
    .filter((part) => part !== false)
    .join('  ');
}
